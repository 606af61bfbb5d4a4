//! Followers of files that grow, move, shrink and vanish.

use super::*;
use crate::base::clock::Timestamp;
use crate::base::fs::replace;
use crate::base::limits::UNSYNCED_BYTES_MAX;
use crate::journal::append::{AppendOptions, Appender, Durability};
use crate::journal::segment::closed_dir;
use std::fs::OpenOptions;
use std::io::Write;

const LONG: Duration = Duration::from_secs(10);
const NOW: Timestamp = Timestamp::from_millis(0);

struct Stage {
    directory: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn logs(&self) -> PathBuf {
        self.directory.path().join("logs")
    }

    fn path(&self, stream: &str) -> PathBuf {
        active_path(&self.logs(), stream)
    }

    fn appender(&self, stream: &str) -> Appender {
        let options = AppendOptions { durability: Durability::None, ..AppendOptions::new("w".to_owned()) };
        Appender::open(&self.logs(), stream, options).unwrap()
    }

    fn follower(&self, start: &Start) -> Follower {
        Follower::new(&self.logs(), None, start)
    }

    fn scribble(&self, stream: &str, bytes: &str) {
        std::fs::create_dir_all(self.logs()).unwrap();
        let mut file = OpenOptions::new().append(true).create(true).open(self.path(stream)).unwrap();
        file.write_all(bytes.as_bytes()).unwrap();
    }

    fn close(&self, stream: &str, number: u32) {
        std::fs::create_dir_all(closed_dir(&self.logs())).unwrap();
        let closed = closed_dir(&self.logs()).join(format!("{stream}.20261116.{number:03}.jsonl"));
        std::fs::rename(self.path(stream), closed).unwrap();
    }
}

fn append(appender: &mut Appender, text: &str) {
    appender.append(&[format!("{{\"text\":\"{text}\"}}").as_bytes()], NOW).unwrap();
}

/// The lines until `count` have come, each as its stream and what stands in it.
fn take(follower: &mut Follower, count: usize) -> Vec<String> {
    let deadline = Instant::now() + LONG;
    let mut lines = Vec::new();
    while lines.len() < count && Instant::now() < deadline {
        lines.extend(follower.next(LONG).into_iter().map(|line| {
            let text = String::from_utf8(line.bytes).unwrap();
            let text = text.strip_prefix("{\"text\":\"").and_then(|rest| rest.split('"').next());
            format!("{} {}", line.stream, text.unwrap_or("header"))
        }));
    }
    lines.extend(follower.next(Duration::ZERO).into_iter().map(|line| format!("unexpected {line:?}")));
    assert_eq!(
        follower.take_problems().iter().map(ToString::to_string).collect::<Vec<_>>(),
        Vec::<String>::new()
    );
    lines
}

#[test]
fn lines_appended_after_the_start_come_once_and_in_order() {
    let stage = Stage::new();
    let mut appender = stage.appender("a");
    append(&mut appender, "old");
    let mut follower = stage.follower(&Start::End);
    append(&mut appender, "new");
    append(&mut appender, "newer");
    assert_eq!(take(&mut follower, 2), ["a new", "a newer"]);
    assert_eq!(follower.next(Duration::ZERO), []);
}

#[test]
fn a_stream_that_comes_into_being_is_followed_from_its_first_line() {
    let stage = Stage::new();
    let mut follower = stage.follower(&Start::End);
    append(&mut stage.appender("a"), "first");
    assert_eq!(take(&mut follower, 2), ["a header", "a first"]);
    append(&mut stage.appender("b"), "second");
    assert_eq!(take(&mut follower, 2), ["b header", "b second"]);
}

#[test]
fn only_the_named_streams_are_followed() {
    let stage = Stage::new();
    let mut follower = Follower::new(&stage.logs(), Some(&["b"]), &Start::End);
    append(&mut stage.appender("a"), "not this");
    append(&mut stage.appender("b"), "this");
    assert_eq!(take(&mut follower, 2), ["b header", "b this"]);
}

#[test]
fn half_a_line_waits_for_its_end_even_if_it_was_there_before_the_start() {
    let stage = Stage::new();
    stage.scribble("a", "{\"text\":\"old\"}\n{\"text\":");
    let mut follower = stage.follower(&Start::End);
    assert_eq!(follower.next(Duration::ZERO), []);
    stage.scribble("a", "\"whole\"");
    assert_eq!(follower.next(Duration::ZERO), []);
    stage.scribble("a", "}\n\n");
    let lines = follower.next(LONG);
    assert_eq!(
        lines.iter().map(|line| (line.offset, &line.bytes[..])).collect::<Vec<_>>(),
        [(15, &b"{\"text\":\"whole\"}"[..])]
    );
}

#[test]
fn following_goes_on_where_the_positions_say() {
    let stage = Stage::new();
    let mut appender = stage.appender("a");
    append(&mut appender, "one");
    stage.close("a", 1);
    append(&mut appender, "two");
    let mut follower = stage.follower(&Start::At(Vec::new()));
    assert_eq!(take(&mut follower, 4), ["a header", "a one", "a header", "a two"]);
    let positions = follower.positions();
    assert_eq!(positions.len(), 2);
    drop(follower);
    append(&mut appender, "three");
    append(&mut stage.appender("b"), "other");
    let last = positions.last().cloned().into_iter().collect();
    for start in [Start::At(positions), Start::At(last)] {
        let mut follower = stage.follower(&start);
        assert_eq!(take(&mut follower, 3), ["a three", "b header", "b other"]);
    }
}

#[test]
fn segments_closed_meanwhile_are_read_and_late_lines_in_them_too() {
    let stage = Stage::new();
    let mut appender = stage.appender("a");
    append(&mut appender, "one");
    stage.close("a", 1);
    append(&mut appender, "two");
    let mut follower = stage.follower(&Start::End);
    append(&mut appender, "three");
    stage.close("a", 2);
    append(&mut appender, "four");
    stage.close("a", 3);
    append(&mut appender, "five");
    assert_eq!(take(&mut follower, 5), ["a three", "a header", "a four", "a header", "a five"]);
    let late = closed_dir(&stage.logs()).join("a.20261116.002.jsonl");
    let mut file = OpenOptions::new().append(true).open(late).unwrap();
    file.write_all(b"{\"text\":\"late\"}\n").unwrap();
    assert_eq!(take(&mut follower, 1), ["a late"]);
}

#[test]
fn a_truncated_file_is_read_from_its_start_and_so_is_one_that_replaces_it() {
    let stage = Stage::new();
    stage.scribble("a", "{\"text\":\"a long line before\"}\n");
    let mut follower = stage.follower(&Start::End);
    OpenOptions::new().write(true).open(stage.path("a")).unwrap().set_len(0).unwrap();
    assert_eq!(follower.next(Duration::ZERO), []);
    stage.scribble("a", "{\"text\":\"short\"}\n");
    assert_eq!(take(&mut follower, 1), ["a short"]);
    replace(&stage.path("a"), b"{\"text\":\"replaced\"}\n").unwrap();
    assert_eq!(take(&mut follower, 1), ["a replaced"]);
    std::fs::remove_file(stage.path("a")).unwrap();
    assert_eq!(follower.next(Duration::ZERO), []);
    stage.scribble("a", "{\"text\":\"new\"}\n");
    assert_eq!(take(&mut follower, 1), ["a new"]);
}

#[test]
fn the_segment_of_a_line_is_that_of_the_header_once_there_is_one() {
    let stage = Stage::new();
    stage.scribble("a", "{\"text\":\"by hand\"}\n");
    let mut follower = stage.follower(&Start::At(Vec::new()));
    let derived = follower.next(LONG)[0].seg.clone();
    append(&mut stage.appender("a"), "ours");
    let lines = follower.next(LONG);
    let header = header::parse(&lines[0].bytes).unwrap().seg;
    assert_ne!(*derived, *header);
    assert!(lines.len() == 2 && lines.iter().all(|line| *line.seg == *header));
}

#[test]
fn a_flood_comes_whole_and_in_portions() {
    let stage = Stage::new();
    let mut appender = stage.appender("a");
    append(&mut appender, "first");
    let mut follower = stage.follower(&Start::End);
    let text = "x".repeat(60_000);
    let count = 5 * UNSYNCED_BYTES_MAX * 4 / text.len();
    for _ in 0..count {
        append(&mut appender, &text);
    }
    let (mut lines, mut portions) = (0, 0);
    while lines < count {
        let portion = follower.next(LONG);
        assert!(
            portion.iter().map(|line| line.bytes.len()).sum::<usize>() < FOLLOW_BYTES_MAX + LINE_BYTES_MAX
        );
        assert!(!portion.is_empty());
        lines += portion.len();
        portions += 1;
    }
    assert_eq!((lines, follower.next(Duration::ZERO)), (count, vec![]));
    assert!(portions >= 5, "{portions}");
}

#[test]
fn what_cannot_be_read_is_told_once_and_the_other_streams_go_on() {
    let stage = Stage::new();
    std::fs::create_dir_all(stage.path("broken")).unwrap();
    let mut follower = stage.follower(&Start::End);
    append(&mut stage.appender("a"), "good");
    assert_eq!(follower.next(LONG).len(), 2);
    let problems = follower.take_problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].to_string().contains("broken.jsonl is not a regular file"), "{problems:?}");
    assert_eq!(follower.next(Duration::ZERO), []);
    assert!(follower.take_problems().is_empty());
}

#[test]
fn a_line_arrives_long_before_the_poll_would_find_it() {
    let stage = Stage::new();
    let mut appender = stage.appender("a");
    append(&mut appender, "first");
    let mut follower = stage.follower(&Start::End);
    // The best of many, because the machine may be busy; a poll could not be that quick even once.
    let quickest = (0..50).map(|_| {
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| (follower.next(LONG).len(), Instant::now()));
            std::thread::yield_now();
            let start = Instant::now();
            append(&mut appender, "now");
            let (count, end) = waiting.join().unwrap();
            assert_eq!(count, 1);
            end.saturating_duration_since(start)
        })
    });
    assert!(quickest.min().unwrap() < Duration::from_millis(20));
}
