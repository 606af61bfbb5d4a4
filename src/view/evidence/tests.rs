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
    insta::assert_snapshot!(LINES.iter().map(|line| said(line)).collect::<Vec<_>>().join("\n"), @"");
}

#[test]
fn what_an_event_quotes_stays_inside_its_sentence() {
    let line = r#""type":"note.logged","text":"a\u001b[2Jb\nsecond""#;
    assert_eq!(said(line), "somebody noted: a^[[2Jb");
}
