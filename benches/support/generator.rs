//! A journal of typical events, the same bytes for the same seed.
//!
//! Lines have about 345 bytes. 200 agents with 20 tools work on tasks of about 60 lines each (50,000 per gigabyte), a thousand at a time, over
//! two weeks. 3 % of the lines come from a foreign writer: other spacing, other order of keys, no checksum. 8 % of the
//! texts need escapes, 3 % are not ASCII. So a fast path must have its fallback.

use crate::support::random::Random;
use agentlog::base::clock::Timestamp;
use agentlog::base::frame;
use agentlog::event::body::Body;
use agentlog::event::codec;
use agentlog::event::envelope::{Event, Provenance, Stream, VERSION};
use agentlog::event::error::ErrorDetail;
use agentlog::event::ids::{EventId, file_id};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Changes when the data does, so that kept data of an older form is not measured.
const FORM: &str = "1";
const AGENTS: u64 = 200;
const LINE_BYTES_TYPICAL: u64 = 345;
const DAYS: i64 = 14;
const MICROS_PER_DAY: i64 = 86_400_000_000;
const WRITER: &str = "x7f2k3q9m4t8b6z0";
/// 2026-11-09T00:00:00Z, a Monday.
const START_MICROS: i64 = 1_794_182_400_000_000;

const TOOLS: [&str; 20] = [
    "Bash",
    "Read",
    "Edit",
    "Grep",
    "Glob",
    "Write",
    "Task",
    "WebFetch",
    "WebSearch",
    "TodoWrite",
    "LS",
    "MultiEdit",
    "NotebookEdit",
    "KillShell",
    "BashOutput",
    "mcp__db__query",
    "mcp__web__open",
    "Skill",
    "apply_patch",
    "update_plan",
];
const TEXTS: [&str; 8] = [
    "make: *** [all] Error 2",
    "cat: config/local.toml: No such file or directory",
    "error[E0308]: mismatched types in src/cart/total.rs:41",
    "1 failed, 12 passed in 6.31s",
    "Command timed out after 2m 0s",
    "bash: ./deploy: Permission denied",
    "analyzing the code base for call sites",
    "connection refused by 127.0.0.1:5432 while waiting for the database to become ready",
];

/// A generated log.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    /// The folder with one file per stream.
    pub(crate) logs: PathBuf,
    /// Bytes in all of them.
    pub(crate) bytes: u64,
    /// Lines in all of them.
    pub(crate) lines: u64,
}

/// A journal of `bytes` bytes at `logs`; one that is there already is taken as it is.
pub(crate) fn journal(logs: &Path, bytes: u64) -> Journal {
    kept(logs, || {
        let mut generator = Generator::new(logs, START_MICROS, bytes / LINE_BYTES_TYPICAL);
        let mut slots: Vec<Slot> = (0..1000).map(|_| generator.task()).collect();
        while generator.bytes < bytes {
            let idx = usize::try_from(generator.random.below(1000)).unwrap();
            let slot = slots.get_mut(idx).unwrap();
            if slot.steps_left == 0 {
                generator.end(slot);
                *slot = generator.task();
            } else {
                generator.step(slot);
            }
        }
        generator.finish()
    })
}

/// A journal of `ended` ended and `live` living tasks, a few lines each, the last of them at `end`.
pub(crate) fn tasks(logs: &Path, ended: u64, live: u64, end: Timestamp) -> Journal {
    kept(logs, || {
        let start = end.micros() - DAYS * MICROS_PER_DAY;
        let mut generator = Generator::new(logs, start, (ended + live) * 6);
        for number in 0..ended + live {
            let mut slot = generator.task();
            generator.start_call(&mut slot);
            generator.end_call(&mut slot);
            if number < ended {
                generator.end(&slot);
            } else {
                generator.start_call(&mut slot);
            }
        }
        generator.finish()
    })
}

/// Makes the data unless a marker says that it is there, whole, and of this form.
fn kept(logs: &Path, make: impl FnOnce() -> Journal) -> Journal {
    let marker = logs.join("form");
    let numbers = fs::read_to_string(&marker).ok().and_then(|text| {
        let mut words = text.split_whitespace().map(str::to_owned);
        (words.next()? == FORM).then_some(())?;
        Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
    });
    if let Some((bytes, lines)) = numbers {
        return Journal { logs: logs.to_owned(), bytes, lines };
    }
    let journal = make();
    let mut file = File::create(marker).unwrap();
    writeln!(file, "{FORM} {} {}", journal.bytes, journal.lines).unwrap();
    journal
}

/// A task at work.
struct Slot {
    task: String,
    agent: String,
    file: String,
    at: u64,
    call: Option<(&'static str, String, i64)>,
    steps_left: u64,
    steps: u64,
}

struct Generator {
    random: Random,
    logs: PathBuf,
    files: BTreeMap<Stream, (BufWriter<File>, u64)>,
    now: i64,
    step_micros: i64,
    bytes: u64,
    lines: u64,
}

impl Generator {
    fn new(logs: &Path, start: i64, lines: u64) -> Self {
        fs::create_dir_all(logs).unwrap();
        let step_micros = DAYS * MICROS_PER_DAY / i64::try_from(lines.max(1)).unwrap();
        let mut generator = Self {
            random: Random::new(20_261_116),
            logs: logs.to_owned(),
            files: BTreeMap::new(),
            now: start,
            step_micros,
            bytes: 0,
            lines: 0,
        };
        for stream in Stream::ALL {
            let file = File::create(logs.join(format!("{}.jsonl", stream.name()))).unwrap();
            generator.files.insert(stream, (BufWriter::with_capacity(1 << 20, file), 0));
            let seg = format!("{:016x}", generator.random.bits());
            let body = Body::SegmentOpened { seg: seg.into(), stream: stream.name().into(), previous: None };
            generator.write(stream, &event(generator.lines, generator.now, None, body), false);
        }
        generator
    }

    fn finish(mut self) -> Journal {
        for (file, _) in self.files.values_mut() {
            file.flush().unwrap();
        }
        Journal { logs: self.logs, bytes: self.bytes, lines: self.lines }
    }

    fn task(&mut self) -> Slot {
        let bits = self.random.bits();
        let mut slot = Slot {
            task: format!("bg_{:08x}", bits >> 32),
            agent: format!("agent-{:03}", self.random.below(AGENTS)),
            file: file_id(&["bench", &bits.to_string()]),
            at: 0,
            call: None,
            steps_left: 20 + self.random.below(75),
            steps: 0,
        };
        let title = self.text();
        let created = Body::TaskCreated {
            title: Some(title.into()),
            assigned_task: None,
            parent: None,
            model: Some("claude-opus-4-6".into()),
            host: Some("build-1".into()),
            project: Some("shop".into()),
            cwd: Some("/home/dev/shop".into()),
            worktree: None,
            steps_total: Some(5),
            criteria_total: None,
            max_iterations: None,
            timeout_ms: None,
        };
        self.emit(&mut slot, created);
        self.emit(&mut slot, Body::TaskStarted { attempt: Some(1) });
        slot
    }

    fn end(&mut self, slot: &Slot) {
        let duration_ms = Some(self.random.below(3_600_000));
        let (attempt, exit_code) = (Some(1), Some(0));
        let body = if self.random.chance(86) {
            Body::TaskCompleted { attempt, exit_code, reason: None, duration_ms }
        } else {
            Body::TaskFailed { attempt, exit_code: Some(1), reason: Some("exit_code".into()), duration_ms }
        };
        let mut slot = Slot {
            task: slot.task.clone(),
            agent: slot.agent.clone(),
            file: slot.file.clone(),
            call: None,
            ..*slot
        };
        self.emit(&mut slot, body);
    }

    fn step(&mut self, slot: &mut Slot) {
        slot.steps_left -= 1;
        slot.steps += 1;
        match self.random.below(100) {
            0..=69 if slot.call.is_some() => self.end_call(slot),
            0..=54 => self.start_call(slot),
            55..=69 => self.message(slot),
            70..=84 => self.usage(slot),
            _ => self.progress(slot),
        }
    }

    fn start_call(&mut self, slot: &mut Slot) {
        let (tool, call) = (self.random.pick(&TOOLS), format!("toolu_{:08x}", self.random.bits() >> 32));
        slot.call = Some((tool, call.clone(), self.now));
        let body = Body::ToolStarted {
            tool: tool.into(),
            call: call.into(),
            thread: Some("main".into()),
            attempt: None,
            model: None,
            input_hash: None,
        };
        self.emit(slot, body);
    }

    fn end_call(&mut self, slot: &mut Slot) {
        let Some((tool, call, since)) = slot.call.take() else { return };
        let duration_ms = u64::try_from((self.now - since) / 1000).ok();
        let (tool, call, thread, attempt) = (tool.into(), call.into(), Some("main".into()), None);
        let body = if self.random.chance(93) {
            Body::ToolSucceeded {
                tool,
                call,
                thread,
                attempt,
                model: None,
                duration_ms,
                input_hash: None,
                result_hash: None,
            }
        } else {
            let kind =
                self.random.pick(&["exit_code", "validation", "environment", "tool_error", "user_rejected"]);
            let message = Some(self.text().into());
            let error = ErrorDetail {
                kind: kind.into(),
                category: Some("unknown_error".into()),
                message,
                exit_code: Some(1),
            };
            Body::ToolFailed {
                tool,
                call,
                thread,
                attempt,
                model: None,
                duration_ms,
                input_hash: None,
                result_hash: None,
                error,
            }
        };
        self.emit(slot, body);
    }

    fn message(&mut self, slot: &mut Slot) {
        let body = Body::MessageRecorded {
            role: Some("assistant".into()),
            thread: Some("main".into()),
            text_bytes: Some(self.random.below(4000)),
            has_tool_use: Some(true),
        };
        self.emit(slot, body);
    }

    fn usage(&mut self, slot: &mut Slot) {
        let body = Body::UsageRecorded {
            model: Some("claude-opus-4-6".into()),
            message: None,
            request: None,
            input_tokens: Some(self.random.below(40)),
            output_tokens: Some(self.random.below(2000)),
            cache_read_tokens: Some(self.random.below(150_000)),
            cache_write_tokens: Some(self.random.below(4000)),
            cost_usd: None,
            quality: None,
        };
        self.emit(slot, body);
    }

    fn progress(&mut self, slot: &mut Slot) {
        let step = self.text();
        let current = Some((slot.steps / 15).min(5));
        let body = Body::ProgressReported { current, total: Some(5), percent: None, step: Some(step.into()) };
        self.emit(slot, body);
    }

    fn text(&mut self) -> String {
        let text = self.random.pick(&TEXTS);
        match self.random.below(100) {
            0..=7 => format!("{text}: \"C:\\shop\\{}\"\tretry", self.random.below(100)),
            8..=10 => format!("{text} – prüfe {} Häuser", self.random.below(100)),
            _ => text.to_owned(),
        }
    }

    fn emit(&mut self, slot: &mut Slot, body: Body<'_>) {
        self.now += self.step_micros;
        slot.at += 900 + self.random.below(4000);
        let stream = body.stream();
        let foreign = self.random.chance(3);
        let event = Event {
            task: Some(slot.task.as_str().into()),
            agent: Some(slot.agent.as_str().into()),
            from: Some(Provenance { file: slot.file.as_str().into(), at: Some(slot.at), key: None, i: 0 }),
            ..event(self.lines, self.now, Some("claude-code"), body)
        };
        self.write(stream, &event, foreign);
    }

    fn write(&mut self, stream: Stream, event: &Event<'_>, foreign: bool) {
        let mut line = Vec::with_capacity(512);
        codec::encode(event, &mut line);
        let (file, number) = self.files.get_mut(&stream).unwrap();
        if foreign {
            line = rewritten(&line);
        } else {
            *number += 1;
            frame::seal(&mut line, WRITER, *number);
        }
        line.push(b'\n');
        file.write_all(&line).unwrap();
        self.bytes += line.len() as u64;
        self.lines += 1;
    }
}

fn event<'a>(number: u64, micros: i64, source: Option<&'a str>, body: Body<'a>) -> Event<'a> {
    Event {
        v: VERSION,
        id: EventId::of(&[b"bench", &number.to_le_bytes()]),
        ts: Timestamp::from_millis(micros / 1000),
        observed_at: None,
        task: None,
        agent: None,
        source: source.map(Into::into),
        body,
        from: None,
        written: None,
    }
}

/// The same object as another program would write it: keys by the alphabet, a blank after `:` and `,`.
fn rewritten(line: &[u8]) -> Vec<u8> {
    let object: BTreeMap<String, serde_json::Value> = serde_json::from_slice(line).unwrap();
    let fields: Vec<String> = object.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
    format!("{{{}}}", fields.join(", ")).into_bytes()
}
