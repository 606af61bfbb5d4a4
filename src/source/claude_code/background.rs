//! Work a session started beside itself: sub-agents and background shells, and how the transcript says they ended.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::field::Text;
use crate::event::scan::{Entry, RawKind};
use crate::source::claude_code::said::between;
use crate::source::ending::{Ending, Outcome};
use crate::source::scribe::Scribe;
use crate::source::text::{beginning, captured, count, first_line, member, members, word};
use serde::{Deserialize, Serialize};

/// Ended work is remembered, so that its end is told once; the oldest is forgotten first.
const KEPT_MAX: usize = 64;
const SHELL_AGENT: &str = "shell";
const SUBAGENT: &str = "claude-code-subagent";

/// What was started, and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Background(Vec<Launch>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Launch {
    /// Its native id.
    id: String,
    /// The tool call that started it.
    call: String,
    task: String,
    agent: String,
    attempt: u64,
    ended: Option<Ending>,
}

/// How work ended, as far as the transcript says.
#[derive(Default)]
struct End<'t> {
    reason: Option<&'t str>,
    exit_code: Option<i64>,
    duration_ms: Option<u64>,
}

impl Background {
    /// Work that was announced when it began.
    pub(super) fn announced(
        &mut self,
        (id, call): (&str, &str),
        (title, kind): (Option<String>, Option<String>),
        is_agent: bool,
        out: &mut Scribe<'_>,
    ) {
        let agent = match kind {
            Some(kind) => kind.to_lowercase(),
            None => if is_agent { SUBAGENT } else { SHELL_AGENT }.to_owned(),
        };
        let task = if is_agent { format!("agent-{id}") } else { shell_task(id, out) };
        let (id, call) = (id.to_owned(), call.to_owned());
        let ts = out.ts();
        self.launch(Launch { id, call, task, agent, attempt: 1, ended: None }, title, ts, out);
    }

    /// Work of which it is said how it stands.
    pub(super) fn reported(
        &mut self,
        id: &str,
        status: &str,
        (reason, duration_ms): (Option<&str>, Option<u64>),
        out: &mut Scribe<'_>,
    ) {
        let Some(ending) = ending_of(status) else { return };
        if !self.0.iter().any(|launch| launch.id == id) {
            self.found(id, reason.unwrap_or_default(), out);
        }
        let reason = reason.and_then(first_line);
        self.end(id, ending, &End { reason, exit_code: None, duration_ms }, out);
    }

    /// The result of a call that starts a sub-agent: it is done, or it goes on by itself.
    pub(super) fn agent_answered(
        &mut self,
        call: &str,
        (title, kind): (Option<String>, Option<String>),
        started: Timestamp,
        result: &[Entry<'_>],
        out: &mut Scribe<'_>,
    ) {
        let text = |names: [&str; 2]| names.iter().find_map(|name| member(result, name)).map(beginning);
        let Some(id) = text(["agentId", "agent_id"]).filter(|id| !id.is_empty()) else { return };
        let kind = kind.or_else(|| text(["agentType", "subagent_type"]));
        let agent = kind.map_or_else(|| SUBAGENT.to_owned(), |kind| kind.to_lowercase());
        let title = title.or_else(|| text(["description", "prompt"]).as_deref().and_then(captured));
        let launch = Launch {
            task: format!("agent-{id}"),
            id: id.clone(),
            call: call.to_owned(),
            agent,
            attempt: 1,
            ended: None,
        };
        self.launch(launch, title, started, out);
        let status = text(["status", "status"]).unwrap_or_default();
        let duration_ms = member(result, "totalDurationMs").and_then(count);
        if let Some(ending) = ending_of(&status) {
            self.end(&id, ending, &End { duration_ms, ..End::default() }, out);
        }
    }

    /// The result of a shell command: it may have gone to the background. Whether it has.
    pub(super) fn shell_answered(
        &mut self,
        call: &str,
        title: Option<String>,
        result: &[Entry<'_>],
        out: &mut Scribe<'_>,
    ) -> bool {
        let Some(id) =
            ["backgroundTaskId", "taskId"].iter().find_map(|name| member(result, name)).and_then(word)
        else {
            return false;
        };
        let launch = Launch {
            task: shell_task(id, out),
            id: id.to_owned(),
            call: call.to_owned(),
            agent: SHELL_AGENT.to_owned(),
            attempt: 1,
            ended: None,
        };
        let ts = out.ts();
        self.launch(launch, title, ts, out);
        true
    }

    /// The result of a tool that looks after background work, or stops it.
    pub(super) fn inspected(&mut self, tool: &str, result: &[Entry<'_>], out: &mut Scribe<'_>) {
        let nested = member(result, "task").map(members).unwrap_or_default();
        let find = |name| member(&nested, name).or_else(|| member(result, name));
        let id =
            ["task_id", "shell_id", "shellId", "bash_id"].iter().find_map(|name| find(name)).and_then(word);
        let Some(id) = id else { return };
        let stopped = matches!(tool, "TaskStop" | "KillShell" | "KillBash");
        let status = find("status").and_then(word).unwrap_or_default();
        let ending = if stopped { Some(Ending::Cancelled) } else { ending_of(status) };
        if !stopped && !matches!(tool, "TaskOutput" | "BashOutput" | "AgentOutputTool" | "AgentOutput") {
            return;
        }
        let exit_code =
            find("exitCode").filter(|raw| raw.kind == RawKind::Number).and_then(|raw| raw.text.parse().ok());
        if let Some(ending) = ending {
            self.end(
                id,
                ending,
                &End { exit_code, reason: stopped.then_some("stopped"), duration_ms: None },
                out,
            );
        }
    }

    /// A `<task-notification>`: the same one may come as a queue entry, an attachment and a message.
    pub(super) fn notified(&mut self, text: &str, out: &mut Scribe<'_>) {
        let tag = |name: &str| between(text, &format!("<{name}>"), &format!("</{name}>")).map(str::trim);
        let (id, call) = (tag("task-id"), tag("tool-use-id"));
        let Some(ending) = tag("status").and_then(ending_of) else { return };
        let known = self.0.iter().rev().find(|launch| Some(launch.id.as_str()) == id);
        let known = known.or_else(|| self.0.iter().rev().find(|launch| Some(launch.call.as_str()) == call));
        let Some(id) = known.map(|launch| launch.id.clone()).or_else(|| id.map(str::to_owned)) else {
            return;
        };
        let summary = tag("summary").unwrap_or_default();
        if known.is_none() {
            self.found(&id, summary, out);
        }
        let reason = summary.rsplit_once('"').map_or(summary, |(_, tail)| tail).trim();
        let exit_code = summary.rsplit_once("exit code ").and_then(|(_, code)| {
            let end = code.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(code.len());
            code.get(..end)?.parse().ok()
        });
        let reason = first_line(reason);
        self.end(&id, ending, &End { reason, exit_code, duration_ms: None }, out);
    }

    /// Work whose start was not seen: what it is must be told from how it is called.
    fn found(&mut self, id: &str, summary: &str, out: &Scribe<'_>) {
        let is_agent =
            summary.starts_with("Agent ") || !summary.starts_with("Background ") && id.starts_with('a');
        let (task, agent) = if is_agent {
            (format!("agent-{id}"), SUBAGENT.to_owned())
        } else {
            (shell_task(id, out), SHELL_AGENT.to_owned())
        };
        self.0.push(Launch { id: id.to_owned(), call: String::new(), task, agent, attempt: 1, ended: None });
    }

    fn launch(
        &mut self,
        mut launch: Launch,
        title: Option<String>,
        started: Timestamp,
        out: &mut Scribe<'_>,
    ) {
        // It was announced already.
        if self.0.iter().any(|before| before.id == launch.id && before.call == launch.call) {
            return;
        }
        // A finished agent can be sent to work again under its old id.
        if let Some(before) = self.0.iter().rev().find(|before| before.id == launch.id) {
            launch.attempt = before.attempt + 1;
        }
        self.0.retain(|before| before.id != launch.id);
        if let Some(oldest) =
            self.0.iter().position(|launch| launch.ended.is_some()).filter(|_| self.0.len() >= KEPT_MAX)
        {
            self.0.remove(oldest);
        }
        let (parent, whom, ts) = (out.task(), (launch.task.as_str(), launch.agent.as_str()), out.ts());
        let created = Body::TaskCreated {
            title: title.map(Text::Owned),
            assigned_task: None,
            parent: Some(Text::Borrowed(parent)),
            model: None,
            host: None,
            project: None,
            cwd: None,
            worktree: None,
            steps_total: None,
            criteria_total: None,
            max_iterations: None,
            timeout_ms: None,
        };
        out.say_about(whom, ts, created);
        out.say_about(whom, started, Body::TaskStarted { attempt: Some(launch.attempt) });
        self.0.push(launch);
    }

    fn end(&mut self, id: &str, ending: Ending, end: &End<'_>, out: &mut Scribe<'_>) {
        let Some(launch) = self.0.iter_mut().rev().find(|launch| launch.id == id) else { return };
        if launch.ended.replace(ending) == Some(ending) {
            return;
        }
        let body = ending.said(Outcome {
            attempt: Some(launch.attempt),
            exit_code: end.exit_code,
            reason: end.reason.map(Text::Borrowed),
            duration_ms: end.duration_ms,
        });
        let ts = out.ts();
        out.say_about((&launch.task, &launch.agent), ts, body);
    }
}

fn ending_of(status: &str) -> Option<Ending> {
    match status {
        "completed" => Some(Ending::Completed),
        "failed" | "error" => Some(Ending::Failed),
        "killed" | "stopped" | "cancelled" | "canceled" => Some(Ending::Cancelled),
        _ => None,
    }
}

/// Old versions number the shells of each session (`bash_1`); new ones draw ids.
fn shell_task(id: &str, out: &Scribe<'_>) -> String {
    if id.starts_with("bash_") {
        let session: String = out.task().chars().take(8).collect();
        return format!("{session}-{id}");
    }
    id.to_owned()
}
