//! A live Claude Code transcript of a sandbox's project, written line by line.

use crate::support::sandbox::Sandbox;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;

const SESSION: &str = "22222222-2222-4222-8222-222222222222";

/// A session that goes on now.
pub(crate) struct Transcript<'a> {
    sandbox: &'a Sandbox,
    session: &'a str,
    next: u32,
}

impl<'a> Transcript<'a> {
    /// A session that is asked to fix the build.
    pub(crate) fn begin(sandbox: &'a Sandbox) -> Self {
        Self::begin_as(sandbox, SESSION)
    }

    /// The same under another id.
    pub(crate) fn begin_as(sandbox: &'a Sandbox, session: &'a str) -> Self {
        let mut transcript = Self { sandbox, session, next: 0 };
        transcript.line(r#""type":"user","message":{"role":"user","content":"Fix the build"}"#);
        transcript
    }

    fn line(&mut self, fields: &str) {
        let folder = self.sandbox.claude().join("projects/-project");
        std::fs::create_dir_all(&folder).unwrap();
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.join(format!("{}.jsonl", self.session)))
            .unwrap();
        let now = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::UNIX_EPOCH + unix_time());
        let ts = now.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        let cwd = self.sandbox.project();
        let cwd = cwd.canonicalize().unwrap();
        writeln!(
            file,
            r#"{{"uuid":"{:08}-{}-4000-8000-000000000000","sessionId":"{}","timestamp":"{ts}","cwd":"{}","version":"2.1.100","isSidechain":false,{fields}}}"#,
            self.next,
            &self.session[..4],
            self.session,
            cwd.display()
        )
        .unwrap();
        self.next += 1;
    }

    /// A call that fails.
    pub(crate) fn failing_call(&mut self, call: u32) {
        self.call(call, r#""content":"Exit code 2\nmake: no rule","is_error":true"#);
    }

    /// A call that succeeds.
    pub(crate) fn succeeding_call(&mut self, call: u32) {
        self.call(call, r#""content":"done""#);
    }

    /// The turn ends.
    pub(crate) fn answer(&mut self) {
        self.line(
            r#""type":"assistant","requestId":"req_end","message":{"id":"msg_end","role":"assistant","model":"m","stop_reason":"end_turn","content":[{"type":"text","text":"It builds."}],"usage":{"input_tokens":1,"output_tokens":1}}"#,
        );
    }

    fn call(&mut self, call: u32, result: &str) {
        self.line(&format!(
            r#""type":"assistant","requestId":"req_{call}","message":{{"id":"msg_{call}","role":"assistant","model":"m","content":[{{"type":"tool_use","id":"toolu_{call}","name":"Bash","input":{{"command":"make {call}"}}}}],"usage":{{"input_tokens":1,"output_tokens":1}}}}"#
        ));
        self.line(&format!(
            r#""type":"user","message":{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"toolu_{call}",{result}}}]}}"#
        ));
    }
}

#[expect(clippy::disallowed_methods, reason = "the transcript is live: its times are now")]
fn unix_time() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap()
}
