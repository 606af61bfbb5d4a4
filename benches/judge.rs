//! The health of every task of a project: ten thousand sessions in families of five, with calls, failures, open calls and
//! waits, judged at one instant. The promises: under 1 µs for a verdict, under 50 ms for a status of 10,000 tasks. No peer
//! judges tasks, so the floor is the copying of rows that are judged already.

use crate::support::measure::{compare, milliseconds, timed};
use agentlog::base::clock::Timestamp;
use agentlog::event::codec::{Decoded, Decoder};
use agentlog::projection::policy::Policy;
use agentlog::projection::state::Projection;

const TASKS: u32 = 10_000;

/// What happens in every session: type, second, and the other fields.
const STORY: [(&str, u32, &str); 12] = [
    ("turn.started", 0, ""),
    ("tool.started", 10, r#","tool":"Bash","call":"a""#),
    ("tool.succeeded", 20, r#","tool":"Bash","call":"a","input_hash":"i","result_hash":"o""#),
    ("tool.started", 30, r#","tool":"Read","call":"b","thread":"side""#),
    ("tool.failed", 40, r#","tool":"Read","call":"b","thread":"side","error":{"kind":"validation"}"#),
    ("tool.failed", 41, r#","tool":"Read","call":"c","thread":"side","error":{"kind":"validation"}"#),
    ("usage.recorded", 50, r#","input_tokens":10,"output_tokens":20"#),
    ("message.recorded", 51, r#","role":"assistant","text_bytes":100"#),
    ("progress.reported", 52, r#","current":2,"total":5,"step":"analyzing codebase""#),
    ("waiting.started", 53, r#","on":"permission""#),
    ("process.sampled", 54, r#","pid":7,"process_state":"running""#),
    ("tool.started", 55, r#","tool":"Bash","call":"d""#),
];

/// Prints milliseconds for the status of all tasks.
pub(crate) fn run() {
    let projection = projection();
    let policy = Policy::default();
    let now = Timestamp::parse("2026-11-16T09:10:00Z").unwrap();
    let rows = projection.tasks(now, &policy);
    assert_eq!(rows.len(), TASKS as usize);
    let contenders = vec![
        timed("status of 10,000 tasks", || projection.tasks(now, &policy)),
        timed("floor: copying the rows", || rows.clone()),
    ];
    compare(21, contenders, milliseconds);
}

fn projection() -> Projection {
    let (mut projection, mut decoder) = (Projection::default(), Decoder::new("bench"));
    for task in 0..TASKS {
        let parent = task - task % 5;
        let parent = if parent == task { String::new() } else { format!(r#","parent":"task{parent}""#) };
        let created = ("task.created", 0, &*format!(r#","title":"A task"{parent}"#));
        for (kind, second, fields) in std::iter::once(created).chain(STORY) {
            let line = format!(
                r#"{{"v":1,"ts":"2026-11-16T09:00:{second:02}.000Z","type":"{kind}","task":"task{task}","agent":"explore"{fields}}}"#
            );
            let Decoded::Known(known) = decoder.decode(line.as_bytes(), 0) else { panic!("{line}") };
            projection.apply(&known.event);
        }
    }
    projection
}
