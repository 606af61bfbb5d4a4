//! OpenCode, tested on records written for it by hand.

mod drift;
mod live;
mod omo;
mod real;
mod run;
mod rules;

use crate::base::clock::Timestamp;
use crate::source::fixture::{Log, brief, now, write};
use crate::source::opencode::OpenCode;
use crate::source::{Env, Next, Problem, Scope, Source};
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use std::cell::Cell;
use std::path::{Path, PathBuf};

/// The instant hand-made sessions begin, in milliseconds.
const BEGIN: i64 = 1_768_000_000_000;
const SESSION: &str = "ses_1";

thread_local! {
    /// How often a test looked.
    static LOOK_COUNT: Cell<i64> = const { Cell::new(0) };
}

/// Polls until there is nothing more, a second later than the last time.
fn drain(source: &mut dyn Source, log: &mut Log) -> Vec<Problem> {
    LOOK_COUNT.set(LOOK_COUNT.get() + 1);
    let now = Timestamp::from_millis(now().millis() + 1000 * LOOK_COUNT.get());
    let mut problems = Vec::new();
    loop {
        let (next, more) = source.poll(now, log);
        problems.extend(more);
        if next == Next::Idle {
            return problems;
        }
    }
}

/// Looks around and reads what is there, as one round of `watch` does, a second later than the last time.
fn look(source: &mut dyn Source, env: &Env, log: &mut Log) -> Vec<Problem> {
    let mut problems = source.discover(env).problems;
    problems.extend(drain(source, log));
    problems
}

/// A session, as the tree and exports hold it.
fn session() -> Value {
    json!({"id": SESSION, "projectID": "p", "directory": "/home/u/app", "title": "Fix the build", "version": "1.1.40",
        "time": {"created": BEGIN, "updated": BEGIN + 9000}})
}

/// What the user says, with its parts.
fn request(id: &str, at: i64, text: &str) -> (Value, Vec<Value>) {
    let info = json!({"id": id, "sessionID": SESSION, "role": "user", "time": {"created": BEGIN + at}, "agent": "Build",
        "model": {"providerID": "openai", "modelID": "gpt-5"}});
    (info, vec![json!({"id": format!("prt_{id}"), "type": "text", "text": text})])
}

/// What the agent answers, with its parts; complete after 500 ms.
fn answer(id: &str, parent: &str, at: i64, finish: &str, parts: Vec<Value>) -> (Value, Vec<Value>) {
    let info = json!({"id": id, "sessionID": SESSION, "role": "assistant", "parentID": parent, "modelID": "gpt-5",
        "providerID": "openai", "mode": "build", "agent": "Build", "finish": finish, "cost": 0.25,
        "time": {"created": BEGIN + at, "completed": BEGIN + at + 500},
        "tokens": {"input": 10, "output": 5, "reasoning": 2, "cache": {"read": 3, "write": 1}}});
    (info, parts)
}

/// A call of a tool from 100 to 300 ms after the given time.
fn call(id: &str, tool: &str, at: i64, state: &Value) -> Value {
    let mut whole = json!({"status": "completed", "input": {"x": id}, "output": "ok", "title": "", "metadata": {},
        "time": {"start": BEGIN + at + 100, "end": BEGIN + at + 300}});
    for (name, value) in state.as_object().unwrap() {
        whole[name] = value.clone();
    }
    json!({"id": id, "type": "tool", "callID": format!("call_{id}"), "tool": tool, "state": whole})
}

/// A session of one turn: two messages of the agent, the first with a tool call.
fn turn() -> Vec<(Value, Vec<Value>)> {
    vec![
        request("msg_1", 0, "please"),
        answer(
            "msg_2",
            "msg_1",
            1000,
            "tool-calls",
            vec![call("prt_2", "bash", 1000, &json!({"metadata": {"exit": 0}}))],
        ),
        answer("msg_3", "msg_1", 2000, "stop", vec![json!({"id": "prt_3", "type": "text", "text": "done"})]),
    ]
}

fn export(session: &Value, messages: &[(Value, Vec<Value>)]) -> String {
    let messages: Vec<Value> =
        messages.iter().map(|(info, parts)| json!({"info": info, "parts": parts})).collect();
    json!({"info": session, "messages": messages}).to_string()
}

/// What an export gives.
fn exported(session: &Value, messages: &[(Value, Vec<Value>)]) -> Log {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session.json");
    write(&path, &export(session, messages));
    let (mut source, mut log) = (OpenCode::default(), Log::default());
    assert_eq!(import(&mut source, &path, &mut log), Vec::<String>::new());
    log
}

/// Reads a file or folder as `import` does; what could not be read.
fn import(source: &mut OpenCode, path: &Path, log: &mut Log) -> Vec<String> {
    let env = crate::source::fixture::env(Scope::Paths(vec![path.to_owned()]));
    let mut problems = source.discover(&env).problems;
    problems.extend(drain(source, log));
    problems.into_iter().map(|problem| problem.message).collect()
}

/// Writes a session as the older tree holds it.
fn plant(root: &Path, session: &Value, messages: &[(Value, Vec<Value>)]) {
    let id = session["id"].as_str().unwrap();
    write(&root.join(format!("session/p/{id}.json")), &session.to_string());
    for (info, parts) in messages {
        let message = info["id"].as_str().unwrap();
        write(&root.join(format!("message/{id}/{message}.json")), &info.to_string());
        for part in parts {
            let name = part["id"].as_str().unwrap();
            write(&root.join(format!("part/{message}/{name}.json")), &part.to_string());
        }
    }
}

/// A database with a writer that stays.
struct Store {
    path: PathBuf,
    writer: Connection,
}

impl Store {
    fn new(folder: &Path, name: &str) -> Self {
        let path = folder.join(name);
        let writer = Connection::open(&path).unwrap();
        writer.pragma_update(None, "journal_mode", "wal").unwrap();
        writer
            .execute_batch(
                "CREATE TABLE session(id text primary key, project_id text, parent_id text, directory text, title text, \
                 version text, time_created integer, time_updated integer, agent text);\
                 CREATE TABLE message(id text primary key, session_id text, time_created integer, time_updated integer, \
                 data text);\
                 CREATE TABLE part(id text primary key, message_id text, session_id text, time_created integer, \
                 time_updated integer, data text);\
                 CREATE TABLE todo(session_id text, content text, status text, priority text, position integer, \
                 time_created integer, time_updated integer);",
            )
            .unwrap();
        Self { path, writer }
    }

    fn session(&self, session: &Value) {
        let text = |name: &str| session[name].as_str().map(str::to_owned);
        self.writer
            .execute(
                "INSERT OR REPLACE INTO session VALUES (?1,'p',?2,?3,?4,'1.1.40',?5,?6,NULL)",
                params![
                    text("id"),
                    text("parentID"),
                    text("directory"),
                    text("title"),
                    session["time"]["created"].as_i64(),
                    session["time"]["updated"].as_i64()
                ],
            )
            .unwrap();
    }

    fn message(&self, info: &Value, at: i64) {
        let mut data = info.clone();
        let id = data.as_object_mut().unwrap().remove("id").unwrap();
        self.writer
            .execute(
                "INSERT INTO message VALUES (?1,?2,?3,?4,?5) ON CONFLICT(id) DO UPDATE SET time_updated=?4, data=?5",
                params![
                    id.as_str(),
                    info["sessionID"].as_str(),
                    info["time"]["created"].as_i64(),
                    BEGIN + at,
                    data.to_string()
                ],
            )
            .unwrap();
    }

    fn part(&self, message: &str, part: &Value, at: i64) {
        let mut data = part.clone();
        let id = data.as_object_mut().unwrap().remove("id").unwrap();
        self.writer
            .execute(
                "INSERT INTO part VALUES (?1,?2,'s',?3,?3,?4) ON CONFLICT(id) DO UPDATE SET time_updated=?3, data=?4",
                params![id.as_str(), message, BEGIN + at, data.to_string()],
            )
            .unwrap();
    }

    fn fill(&self, session: &Value, messages: &[(Value, Vec<Value>)]) {
        self.session(session);
        for (info, parts) in messages {
            self.message(info, 0);
            for part in parts {
                self.part(info["id"].as_str().unwrap(), part, 0);
            }
        }
    }
}

/// The events of these types, without what is the same for all.
fn of_types(log: &Log, types: &[&str]) -> Vec<Value> {
    log.events.iter().filter(|event| types.contains(&event["type"].as_str().unwrap())).map(brief).collect()
}

/// The ids of all events but those of what was read.
fn ids(log: &Log) -> Vec<String> {
    let is_fact = |event: &&Value| event["type"] != "source.opened";
    let mut ids: Vec<String> =
        log.events.iter().filter(is_fact).map(|event| event["id"].to_string()).collect();
    ids.sort_unstable();
    ids
}
