//! Every type of event, said aloud.

use super::*;
use crate::event::body::TYPES;
use crate::event::codec::{Decoded, Decoder};

fn said(line: &str) -> String {
    let line = format!(r#"{{"v":1,"ts":"2026-11-16T09:41:00Z","task":"t",{line}}}"#);
    let mut decoder = Decoder::new("s");
    let Decoded::Known(known) = decoder.decode(line.as_bytes(), 0) else { panic!("no event: {line}") };
    sentence(&known.event.body, &Style::plain())
}

/// Lines of which every type of the vocabulary has at least one.
const LINES: &[&str] = &[
    r#""type":"task.created","title":"Fix the build","parent":"4c8f6a2e-90b1-4d7c-8a53-d1e07f2b6c94""#,
    r#""type":"task.started""#,
    r#""type":"task.started","attempt":2"#,
    r#""type":"task.completed","exit_code":0,"duration_ms":360000"#,
    r#""type":"task.completed","attempt":2"#,
    r#""type":"task.failed","exit_code":137,"reason":"exit code 137","duration_ms":7260000"#,
    r#""type":"task.failed","exit_code":1,"reason":"Missing required file: a.csv""#,
    r#""type":"task.timed_out","reason":"no progress for 300 s""#,
    r#""type":"task.cancelled","exit_code":130,"reason":"SIGINT""#,
    r#""type":"completion.checked","criteria":[{"name":"exit code","ok":true},{"name":"required files","ok":false,"message":"Missing required file: dist/app.js"},{"name":"error patterns","ok":false}]"#,
    r#""type":"completion.checked","criteria":[{"name":"exit code","ok":true},{"name":"required files","ok":true}]"#,
    r#""type":"tool.started","tool":"Bash","call":"c1""#,
    r#""type":"tool.succeeded","tool":"Bash","call":"c1","duration_ms":4200"#,
    r#""type":"tool.failed","tool":"Bash","call":"c1","error":{"kind":"exit_code","exit_code":2,"message":"Exit code 2: make: *** [all] Error 2"}"#,
    r#""type":"tool.failed","tool":"Bash","call":"c1","error":{"kind":"exit_code","exit_code":1,"message":"exit 1"}"#,
    r#""type":"tool.failed","tool":"Edit","call":"c1","error":{"kind":"validation","message":"String to replace not found in file."}"#,
    r#""type":"tool.failed","tool":"Grep","call":"c1","error":{"kind":"environment","category":"file_not_found"}"#,
    r#""type":"tool.failed","tool":"WebFetch","call":"c1","error":{"kind":"tool_error","category":"timeout"}"#,
    r#""type":"tool.failed","tool":"Write","call":"c1","error":{"kind":"user_rejected"}"#,
    r#""type":"tool.failed","tool":"Read","call":"c1","error":{"kind":"sibling_cancelled"}"#,
    r#""type":"tool.failed","tool":"Bash","call":"c1","error":{"kind":"interrupted"}"#,
    r#""type":"tool.failed","tool":"Task","call":"c1","error":{"kind":"rate_limited"}"#,
    r#""type":"usage.recorded","model":"opus","input_tokens":1200,"output_tokens":800"#,
    r#""type":"model.failed","model":"opus","retry":3,"retry_max":10,"error":{"kind":"rate_limited","message":"overloaded"}"#,
    r#""type":"turn.started""#,
    r#""type":"turn.ended","reason":"done""#,
    r#""type":"turn.ended","reason":"interrupted""#,
    r#""type":"turn.ended","reason":"error""#,
    r#""type":"message.recorded","role":"assistant","text_bytes":1434,"has_tool_use":true"#,
    r#""type":"message.recorded","role":"user","text_bytes":80"#,
    r#""type":"output.grew","output_bytes":4096"#,
    r#""type":"progress.reported","current":2,"total":5,"step":"analyzing codebase""#,
    r#""type":"progress.reported","percent":45.9"#,
    r#""type":"iteration.reported","iteration":3,"max_iterations":10"#,
    r#""type":"criterion.verified","criterion":"tests pass""#,
    r#""type":"action.logged","action":"deploy","target":"staging","ok":false"#,
    r#""type":"file.changed","path":"src/a.rs","change":"modified""#,
    r#""type":"context.compacted","context_tokens":180000"#,
    r#""type":"waiting.started","on":"permission""#,
    r#""type":"waiting.started","on":"rate_limit","until_at":"2026-11-16T10:05:00Z""#,
    r#""type":"waiting.ended","on":"question""#,
    r#""type":"marker.seen","marker":"DONE""#,
    r#""type":"error.matched","pattern":"ERROR","error":{"kind":"tool_error","message":"ERROR: no space left"}"#,
    r#""type":"note.logged","text":"restarted by hand""#,
    r#""type":"process.sampled","pid":4242,"process_state":"gone""#,
    r#""type":"process.sampled","pid":4242,"process_state":"disk_sleep""#,
    r#""type":"process.sampled","pid":4242,"process_state":"zombie""#,
    r#""type":"process.sampled","pid":4242,"process_state":"sleeping""#,
    r#""type":"resource.low","resource":"disk","available_bytes":104857600"#,
    r#""type":"alignment.assessed","alignment":"off_track","reasons":["none of its words in the files it changed"]"#,
    r#""type":"host.suspended","from_at":"2026-11-16T00:41:00Z","until_at":"2026-11-16T08:41:00Z""#,
    r#""type":"clock.stepped","step_ms":-3600000"#,
    r#""type":"health.changed","from_health":"healthy","to_health":"stuck","text":"silent for 15 minutes""#,
    r#""type":"summary.written","path":"latest_summary.json""#,
    r#""type":"task.acknowledged","text":"known, wait for the fix""#,
    r#""type":"monitor.started","host":"build1""#,
    r#""type":"monitor.stopped""#,
    r#""type":"source.opened","file":"k3q9","path":"/srv/a.jsonl""#,
    r#""type":"source.advanced","file":"k3q9","offset_bytes":4096"#,
    r#""type":"source.drifted","file":"k3q9","path":"/srv/a.jsonl","unrecognised_count":40"#,
    r#""type":"source.failed","path":"cluster","error":{"kind":"environment","message":"ssh: connection refused"}"#,
    r#""type":"source.truncated","file":"k3q9","path":"/srv/a.jsonl""#,
    r#""type":"log.healed","stream":"tool_calls","offset_bytes":4096"#,
    r#""type":"log.gap","stream":"tool_calls","dropped_count":12,"reason":"no space""#,
    r#""type":"log.suppressed","stream":"tool_calls","dropped_count":12"#,
    r#""type":"log.repaired","stream":"tool_calls","damaged_count":1"#,
    r#""type":"log.scrubbed","stream":"tool_calls","scrubbed_count":2"#,
    r#""type":"segment.opened","seg":"x7f2","stream":"tool_calls""#,
];

#[test]
fn every_event_is_a_sentence() {
    let unsaid: Vec<&str> = TYPES
        .iter()
        .map(|row| row.name)
        .filter(|name| !LINES.iter().any(|line| line.starts_with(&format!(r#""type":"{name}""#))))
        .collect();
    assert_eq!(unsaid, Vec::<&str>::new());
    insta::assert_snapshot!(LINES.iter().map(|line| said(line)).collect::<Vec<_>>().join("\n"), @r#"
    4c8f6a2e delegated it: Fix the build
    it began
    attempt 2 began
    it completed after 6 minutes with exit code 0
    it completed in attempt 2
    it failed after 2 hours 1 minute with exit code 137
    it failed with exit code 1: Missing required file: a.csv
    it ran out of time: no progress for 300 s
    it was cancelled with exit code 130: SIGINT
    its completion was checked, and it met 1 of 3 criteria: Missing required file: dist/app.js; error patterns
    its completion was checked, and it met both criteria
    it called Bash
    Bash succeeded after 4.2s
    Bash failed with exit code 2: make: *** [all] Error 2
    Bash failed with exit code 1
    Edit refused the call: String to replace not found in file.
    Grep could not be run: file not found
    WebFetch failed: timeout
    the user refused Write
    Read was cancelled because a call beside it failed
    Bash was interrupted
    Task ran into a rate limit
    opus read 1.2k tokens and wrote 800
    the request to opus failed (repetition 3 of 10): overloaded
    a turn began
    it finished its turn
    its turn was interrupted
    its turn ended with an error
    it wrote 1.4 KiB and called tools
    the user wrote 80 B
    its output grew by 4.0 KiB
    it was at 2 of 5 steps, analyzing codebase
    it was at 45%
    round 3 of 10 began
    it met a criterion: tests pass
    it reported: deploy staging, without success
    it modified src/a.rs
    its context was compacted, after 180.0k tokens
    it asked for permission
    it ran into a rate limit that ends at 10:05
    its question was answered
    it printed the marker DONE
    it printed an error: ERROR: no space left
    somebody noted: restarted by hand
    its process 4242 was gone
    its process 4242 was in uninterruptible sleep
    its process 4242 was a zombie: it had ended, and nobody had taken notice
    its process 4242 was sleeping
    the disk ran low: 100.0 MiB were left
    its work was found to be off track: none of its words in the files it changed
    the machine had slept for 8 hours, since 00:41
    the clock was set back by 1h 00m
    it went from healthy to stuck: silent for 15 minutes
    its summary was written to latest_summary.json
    somebody acknowledged it: known, wait for the fix
    a watcher began on build1
    a watcher stopped
    /srv/a.jsonl was read for the first time
    k3q9 was read up to byte 4096
    40 records in /srv/a.jsonl were not recognised; its format may have changed
    cluster could not be read: ssh: connection refused
    /srv/a.jsonl became shorter or was rewritten
    an unfinished line of another writer was ended in tool_calls
    12 events of tool_calls could not be written and were dropped: no space
    12 events of tool_calls were held back
    a repair set 1 damaged place of tool_calls aside
    2 secrets were taken out of tool_calls
    a segment of tool_calls was begun
    "#);
}

#[test]
fn what_an_event_quotes_stays_inside_its_sentence() {
    let line = r#""type":"note.logged","text":"a\u001b[2Jb\nsecond""#;
    assert_eq!(said(line), "somebody noted: a^[[2Jb");
}
