//! For the tests of sources: what every source must hold, tried on a small file of its format.

use crate::base::zone::Zone;
use crate::source::fixture::{Log, drain, env, write};
use crate::source::{Env, Problem, Scope, Source};
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Beginnings of files of other formats, by the agent that writes them.
pub(crate) const HEADS: [(&str, &str); 16] = [
    (
        "claude-code",
        r#"{"parentUuid":null,"isSidechain":false,"userType":"external","cwd":"/p","sessionId":"s","version":"2.1.0","gitBranch":"main","type":"user","message":{"role":"user","content":"hi"},"uuid":"u","timestamp":"2026-01-01T00:00:00.000Z"}"#,
    ),
    (
        "codex",
        r#"{"timestamp":"2026-01-01T00:00:00.000Z","type":"session_meta","payload":{"id":"s","timestamp":"2026-01-01T00:00:00.000Z","cwd":"/p","originator":"codex_cli_rs","cli_version":"0.50.0"}}"#,
    ),
    (
        "gemini-cli",
        r#"{"sessionId":"s","projectHash":"h","startTime":"2026-01-01T00:00:00.000Z","lastUpdated":"2026-01-01T00:00:00.000Z","messages":[{"id":"m","timestamp":"2026-01-01T00:00:00.000Z","type":"gemini","content":"hi","tokens":{"input":1,"output":1}}]}"#,
    ),
    (
        "qwen-code",
        r#"{"uuid":"u","parentUuid":null,"sessionId":"s","timestamp":"2026-01-01T00:00:00.000Z","type":"system","cwd":"/p","version":"0.18.1","subtype":"ui_telemetry","systemPayload":{"uiEvent":{"event.name":"qwen-code.tool_call"}}}"#,
    ),
    (
        "opencode",
        r#"{"info":{"id":"ses_1","projectID":"p","directory":"/p","title":"t","time":{"created":1,"updated":2}},"messages":[{"info":{"id":"msg_1","sessionID":"ses_1","role":"assistant","modelID":"m","providerID":"p","cost":0,"tokens":{"input":1,"output":1,"cache":{"read":0,"write":0}}},"parts":[{"type":"tool","callID":"c","tool":"bash","state":{"status":"completed"}}]}]}"#,
    ),
    (
        "copilot-cli",
        r#"{"type":"session.start","id":"e","parentId":null,"timestamp":"2026-01-01T00:00:00.000Z","data":{"sessionId":"s","copilotVersion":"1","context":{"cwd":"/p"}}}
{"type":"tool.execution_complete","id":"f","parentId":"e","timestamp":"2026-01-01T00:00:00.000Z","data":{"toolCallId":"c","success":true}}"#,
    ),
    (
        "amp",
        r#"{"v":1,"id":"T-1","created":1,"messages":[{"role":"user","content":[{"type":"text","text":"hi"}],"messageId":0}]}"#,
    ),
    (
        "pi",
        r#"{"type":"session","version":3,"id":"s","timestamp":"2026-01-01T00:00:00.000Z","cwd":"/p"}
{"type":"message","id":"a","parentId":null,"timestamp":"2026-01-01T00:00:00.000Z","message":{"role":"user","content":"hi","timestamp":1767225600000}}
{"type":"message","id":"b","parentId":"a","timestamp":"2026-01-01T00:00:01.000Z","message":{"role":"assistant","content":[{"type":"toolCall","id":"c","name":"bash","arguments":{}}],"model":"m","usage":{"input":1,"output":1,"cacheRead":0,"cacheWrite":0,"cost":{"total":0}},"stopReason":"toolUse"}}"#,
    ),
    (
        "swe-agent",
        r#"{"environment":"swe_main","trajectory":[{"action":"ls","observation":"x","response":"r","thought":"t","execution_time":0.1,"state":{}}],"history":[],"info":{"exit_status":"submitted","model_stats":{"instance_cost":0.1,"tokens_sent":1,"tokens_received":1,"api_calls":1}}}"#,
    ),
    (
        "swe-agent",
        r#"{"info":{"model_stats":{"instance_cost":0.1,"api_calls":1},"config":{"model":{"model_name":"m"}},"mini_version":"2.0.0","exit_status":"Submitted","submission":""},"messages":[{"role":"system","content":"s"},{"role":"user","content":"t"}],"trajectory_format":"mini-swe-agent-1.1"}"#,
    ),
    (
        "openhands",
        r#"{"instance_id":"i","instruction":"do","metadata":{"agent_class":"CodeActAgent"},"history":[{"id":0,"timestamp":"2026-01-01T00:00:00.000000","source":"agent","message":"hi","action":"run","args":{}}],"metrics":{"accumulated_cost":0.1},"error":null}"#,
    ),
    (
        "aider",
        r#"{"event":"message_send","properties":{"main_model":"m","prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"cost":0.1,"total_cost":0.1},"user_id":"u","time":1767225600}"#,
    ),
    ("aider", "\n# aider chat started at 2026-01-01 00:00:00\n\n> Aider v0.86.0  \n\n#### hi  \n"),
    (
        "cline",
        r#"[{"ts":1767225600000,"type":"say","say":"text","text":"hi","images":[],"conversationHistoryIndex":-1},{"ts":1767225601000,"type":"say","say":"api_req_started","text":"{\"request\":\"r\",\"tokensIn\":1,\"tokensOut\":1,\"cost\":0.1}"}]"#,
    ),
    (
        "gptme",
        r#"{"role":"system","content":"You are gptme","timestamp":"2026-01-01T00:00:00.000000","pinned":true,"hide":true}
{"role":"user","content":"hi","timestamp":"2026-01-01T00:00:01.000000"}"#,
    ),
    (
        "visualstudio-copilot",
        r#"{"resourceSpans":[{"resource":{"attributes":[]},"scopeSpans":[{"spans":[{"traceId":"t","spanId":"s","name":"execute_tool x","startTimeUnixNano":"1767225600000000000","endTimeUnixNano":"1767225601000000000","attributes":[{"key":"gen_ai.operation.name","value":{"stringValue":"execute_tool"}}]}]}]}]}"#,
    ),
];

/// A source, a name for its file and a small text of its format.
pub(crate) struct Trial<'t> {
    pub(crate) source: fn() -> Box<dyn Source>,
    pub(crate) file: &'t str,
    pub(crate) text: &'t str,
}

/// What sources of these tests know of the machine; times without a zone are UTC.
pub(crate) fn place(scope: Scope) -> Env {
    Env { zone: Zone::Utc, ..env(scope) }
}

/// Reads files and folders as `import` does.
pub(crate) fn import(source: &mut dyn Source, paths: &[PathBuf], log: &mut Log) -> Vec<Problem> {
    let mut problems = source.discover(&place(Scope::Paths(paths.to_vec()))).problems;
    problems.extend(drain(source, log));
    problems
}

/// The real files of an agent; `None`, which is said, where there are none.
pub(crate) fn real(agent: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("AGENTLOG_REAL_DATA").map(|folder| PathBuf::from(folder).join(agent));
    let folder = folder.filter(|folder| folder.is_dir());
    if folder.is_none() {
        writeln!(std::io::stderr(), "skipped: AGENTLOG_REAL_DATA names no folder with {agent}").unwrap();
    }
    folder
}

/// The events of a file of this name and text.
pub(crate) fn events(source: fn() -> Box<dyn Source>, file: &str, text: &str) -> Vec<Value> {
    Trial { source, file, text }.log(text).events
}

/// The events of these types, without what is the same for all and what the others have.
pub(crate) fn briefs(events: &[Value], types: &[&str]) -> Vec<Value> {
    let is_of = |event: &&Value| types.contains(&event["type"].as_str().unwrap());
    let brief = |event: &Value| {
        let mut brief = crate::source::fixture::brief(event);
        brief.as_object_mut().unwrap().retain(|key, _| key != "task" && key != "agent");
        brief
    };
    events.iter().filter(is_of).map(brief).collect()
}

/// How many events are of this type.
pub(crate) fn count(log: &Log, name: &str) -> u64 {
    log.count(|event| event["type"] == name)
}

/// The sum of a field of whole numbers.
pub(crate) fn sum(log: &Log, field: &str) -> u64 {
    log.events.iter().filter_map(|event| event[field].as_u64()).sum()
}

/// The sum of all costs, in millionths.
pub(crate) fn cost_micros(log: &Log) -> String {
    let cost: f64 = log.events.iter().filter_map(|event| event["cost_usd"].as_f64()).sum();
    format!("{:.0}", cost * 1e6)
}

impl Trial<'_> {
    fn log(&self, text: &str) -> Log {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(self.file);
        write(&path, text);
        let mut log = Log::default();
        import(&mut *(self.source)(), &[path], &mut log);
        log
    }

    /// Each of these fields renamed alone is noticed. Gives those that were not.
    pub(crate) fn unnoticed(&self, fields: &[&str]) -> Vec<String> {
        let is_noticed = |field: &&str| {
            let (old, new) = (format!("\"{field}\":"), format!("\"{field}_2\":"));
            assert!(self.text.contains(&old), "{field} stands in the text");
            let log = self.log(&self.text.replace(&old, &new));
            count(&log, "source.drifted") > 0
        };
        fields.iter().filter(|field| !is_noticed(field)).map(|field| (*field).to_owned()).collect()
    }

    /// Bytes that are cut, flipped or repeated never end the program.
    pub(crate) fn survives_damage(&self) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(self.file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let bytes = self.text.as_bytes();
        for step in 0..240 {
            let at = (step * 7919) % bytes.len();
            let mut damaged = bytes.to_vec();
            match step % 4 {
                0 => damaged.truncate(at),
                1 => damaged[at] ^= 0x81,
                2 => damaged[at] = b"{}[]\",:0"[step / 4 % 8],
                _ => damaged.extend_from_slice(&bytes[..at]),
            }
            std::fs::File::create(&path).unwrap().write_all(&damaged).unwrap();
            import(&mut *(self.source)(), std::slice::from_ref(&path), &mut Log::default());
        }
    }

    /// Importing the file again, and a copy of it elsewhere, adds nothing but where it lies.
    pub(crate) fn adds_nothing_twice(&self) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(self.file);
        write(&path, self.text);
        let mut log = Log::default();
        import(&mut *(self.source)(), std::slice::from_ref(&path), &mut log);
        let first = log.events.len();
        assert!(first > 2, "{first} events");
        log.restart();
        import(&mut *(self.source)(), &[path], &mut log);
        assert_eq!(log.events.len(), first);
    }

    /// A copy of the file under another name adds nothing but where it lies.
    pub(crate) fn adds_nothing_as(&self, copy: &str) {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::default();
        let said = |log: &Log| log.count(|event| event["type"] != "source.opened");
        let paths = [self.file, copy].map(|name| folder.path().join(name));
        write(&paths[0], self.text);
        import(&mut *(self.source)(), &paths[..1], &mut log);
        let first = said(&log);
        assert!(first > 2, "{first} events");
        write(&paths[1], self.text);
        log.restart();
        import(&mut *(self.source)(), &paths[1..], &mut log);
        assert_eq!(said(&log), first);
    }

    /// A file that grows line by line gives what the whole gives, with and without memory.
    pub(crate) fn grows_as_the_whole(&self) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(self.file);
        write(&path, self.text);
        let mut log = Log::default();
        import(&mut *(self.source)(), std::slice::from_ref(&path), &mut log);
        let whole = comparable(&log);
        for has_memory in [true, false] {
            std::fs::remove_file(&path).unwrap();
            write(&path, "");
            let (mut source, mut log) = ((self.source)(), Log::default());
            for line in self.text.split_inclusive('\n') {
                append(&path, line);
                log.restart();
                let saved = serde_json::to_string(&source.positions()).unwrap();
                log.advance(source.advances());
                source = (self.source)();
                if has_memory {
                    source.resume(serde_json::from_str(&saved).unwrap());
                }
                source.discover(&place(Scope::Paths(vec![path.clone()])));
                drain(&mut *source, &mut log);
            }
            assert_eq!(comparable(&log), whole, "has memory: {has_memory}");
        }
    }

    /// Takes none of the files of other formats, and its own whatever one field is called.
    pub(crate) fn takes_only_its_own(&self, fields: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let name = (self.source)().name();
        for (at, (agent, head)) in HEADS.iter().enumerate() {
            let path = folder.path().join(format!("{at}/x.jsonl"));
            write(&path, &format!("{head}\n"));
            let found = (self.source)().discover(&place(Scope::Paths(vec![path]))).inputs.len();
            assert_eq!(found, usize::from(*agent == name), "{agent}: {head}");
        }
        for field in fields {
            let path = folder.path().join(format!("renamed/{field}"));
            write(&path, &self.text.replace(&format!("\"{field}\":"), &format!("\"{field}_2\":")));
            let found = (self.source)().discover(&place(Scope::Paths(vec![path]))).inputs.len();
            assert_eq!(found, 1, "{field}");
        }
    }
}

/// The lines without where the file lay, which differs from run to run.
fn comparable(log: &Log) -> Vec<String> {
    let strip = |event: &Value| {
        let mut event = event.clone();
        for key in ["path", "inode", "device", "head_bytes", "head_hash"] {
            event.as_object_mut().unwrap().remove(key);
        }
        event.to_string()
    };
    log.events.iter().map(strip).collect()
}

fn append(path: &Path, text: &str) {
    std::fs::OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}
