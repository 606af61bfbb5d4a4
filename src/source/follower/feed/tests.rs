//! Lines that are longer than what is kept of one.

use super::*;
use crate::source::fixture::{Log, now};
use crate::source::follower::{Recognition, Sink};

/// Counts lines.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Counted {
    line_count: u64,
}

impl Adapter for Counted {
    type Context = ();
    const FORMAT: &'static str = "file of lines";

    fn line(&mut self, (): &(), _: &[u8], _: &mut Sink<'_>) -> Recognition {
        self.line_count += 1;
        Recognition::Known
    }
}

fn feed() -> Feed<Counted> {
    let identity = Identity { source: "test", parts: vec!["a".to_owned()], session: None };
    Feed::new(identity, PathBuf::from("box:/a"), ())
}

/// Pushes more bytes than a line may have, without a newline; gives the last of them.
fn push_too_long(feed: &mut Feed<Counted>, log: &mut Log) -> (u64, Vec<u8>) {
    let portion: Vec<u8> = (0..1_000_003_u32).map(|n| b'a' + u8::try_from(n % 23).unwrap()).collect();
    let count = SOURCE_LINE_BYTES_MAX / portion.len() + 1;
    for _ in 0..count {
        feed.push(&portion, now(), log);
    }
    (widen(count * portion.len()), portion[portion.len() - 256..].to_vec())
}

#[test]
fn after_a_line_that_is_too_long_the_tail_is_that_of_the_bytes() {
    let (mut feed, mut log) = (feed(), Log::default());
    feed.push(b"first\n", now(), &mut log);
    let (length, mut tail) = push_too_long(&mut feed, &mut log);
    assert_eq!((feed.offset(), feed.tail()), (6, &b"first\n"[..]), "its end did not come");
    feed.push(b"\n", now(), &mut log);
    tail.push(b'\n');
    assert_eq!((feed.offset(), feed.tail()), (6 + length + 1, &tail[1..]));
    feed.push(b"last\n", now(), &mut log);
    tail.extend(b"last\n");
    assert_eq!(feed.tail(), &tail[6..]);
    assert_eq!(feed.follower.tail_hash, Some(fs::hash_of(&tail[6..])));
    assert_eq!(feed.follower.adapter().line_count, 2);
    assert_eq!(feed.problems().len(), 1);
}

#[test]
fn a_last_line_that_is_too_long_is_counted() {
    let (mut feed, mut log) = (feed(), Log::default());
    feed.push(b"first\n", now(), &mut log);
    let (length, tail) = push_too_long(&mut feed, &mut log);
    feed.finish(now(), &mut log);
    assert_eq!((feed.offset(), feed.tail()), (6 + length, &tail[..]));
    let problems: Vec<_> = feed.problems().into_iter().map(|problem| problem.message).collect();
    assert_eq!(problems, ["1 damaged line, the first at byte 6; what could be read of it was"]);
}
