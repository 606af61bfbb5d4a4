//! One job on another machine: its logs and small files as they arrive, and what follows from them.
//!
//! What was said before stands in the log of events, under keys that tell what it was made of. While the machine does not
//! answer nothing follows: what was seen last may be long past.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::envelope::{Event, Stream, VERSION};
use crate::event::error::ErrorDetail;
use crate::event::field::Text;
use crate::event::ids::EventId;
use crate::source::batch::checklist::{self, Checked};
use crate::source::batch::course::{self, Evidence, Memory, Recorded, Stated, Step};
use crate::source::batch::files::{self, Dated, SmallFile};
use crate::source::batch::log::{End, LogFacts, LogReader};
use crate::source::batch::template::Values;
use crate::source::documents::Sheet;
use crate::source::ending::{Ending, Outcome};
use crate::source::follower::{Feed, Identity};
use crate::source::remote::kind::Kind;
use crate::source::remote::script::About;
use crate::source::remote::{AGENT, NAME};
use crate::source::scribe::Scribe;
use crate::source::session::{About as Introduction, Progress};
use crate::source::status_document::{Document, Phase};
use crate::source::{Emit, KnownFile, Problem};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// More steps than these at once would be a circle.
const STEPS_MAX: usize = 8;

/// One job.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) task: String,
    kind: Arc<Kind>,
    parent: Option<String>,
    title: Option<String>,
    /// Where people are to look.
    pub(super) place: PathBuf,
    identity: Identity,
    file: String,
    status: SmallFile<Document>,
    exit_code: SmallFile<i64>,
    said: Option<Progress>,
    is_introduced: bool,
    is_offline: bool,
}

/// A log of a job, as far as it has arrived.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) feed: Feed<LogReader>,
    pub(super) modified_at: Option<Timestamp>,
}

/// Which of a job's small files it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Small {
    Status,
    ExitCode,
}

impl Watched {
    /// A job with these values of its placeholders.
    pub(super) fn new(kind: &Arc<Kind>, values: &Values, place: &str) -> Self {
        let task = kind.name.filled(values);
        let host = &kind.config.host;
        let parts = vec![host.clone(), place.to_owned(), task.clone()];
        let identity = Identity { source: NAME, parts, session: Some(task.clone()) };
        Self {
            parent: kind.parent.as_ref().map(|parent| parent.filled(values)).filter(|parent| *parent != task),
            title: kind.title.as_ref().map(|title| title.filled(values)),
            place: PathBuf::from(format!("{host}:{place}")),
            file: identity.file(0),
            kind: Arc::clone(kind),
            task,
            identity,
            status: SmallFile::default(),
            exit_code: SmallFile::default(),
            said: None,
            is_introduced: false,
            is_offline: false,
        }
    }

    /// Takes a small file as it is now; `at`: when it was written.
    pub(super) fn take(
        &mut self,
        small: Small,
        path: &str,
        found: Option<(About, Vec<u8>)>,
        at: Timestamp,
    ) -> Option<Problem> {
        let Some((about, bytes)) = found else {
            match small {
                Small::Status => self.status = SmallFile::default(),
                Small::ExitCode => self.exit_code = SmallFile::default(),
            }
            return None;
        };
        let path = Path::new(path);
        let stamp = (about.inode, about.size, about.modified, 0);
        let text = || Ok(String::from_utf8_lossy(&bytes).into_owned());
        match small {
            Small::Status => self.status.take(path, stamp, at, text, files::status),
            Small::ExitCode => self.exit_code.take(path, stamp, at, text, |text, _| files::number(text)),
        }
    }

    /// Says what follows from everything that is known of it now.
    pub(super) fn judge(&mut self, logs: &[&Log], now: Timestamp, out: &mut dyn Emit) {
        if std::mem::take(&mut self.is_offline) {
            self.say_online(now, out);
        }
        let mut memory = self.memory(out);
        let markers = &self.kind.config.patterns.markers;
        let evidence = Evidence {
            status: self.status.known().cloned(),
            exit_code: self.exit_code.known().cloned(),
            logs: logs
                .iter()
                .filter(|log| log.modified_at.is_some())
                .map(|log| log.facts(markers, now))
                .collect(),
            process: None,
            progressed_at: self.progress().map(|progress| progress.at),
        };
        let (identity, file, place) = (self.identity.clone(), self.file.clone(), self.place.clone());
        let mut sheet = Sheet::of(&identity, &file, &place, now, out);
        if let Some((attempt, at)) = memory.started
            && !self.is_introduced
        {
            self.introduce(attempt, at, &mut sheet);
        }
        for _ in 0..STEPS_MAX {
            match course::next(&self.kind.rules, &memory, &evidence, now) {
                None => break,
                Some(Step::Started { attempt, at }) => {
                    self.start(attempt, at, &mut sheet);
                    memory.started = Some((attempt, at));
                }
                Some(Step::Ended { recorded, started_at, stated }) => {
                    self.end(&recorded, started_at, &stated, &evidence, &mut sheet);
                    memory.result = Some(recorded);
                }
            }
        }
        if memory.started.is_some() {
            self.say_progress(&mut sheet);
        }
    }

    /// What the log of events says of it.
    fn memory(&self, out: &dyn Emit) -> Memory {
        Memory {
            started: out.last_key(Stream::DelegationRequests, &self.file).as_deref().and_then(started_of),
            result: out.last_key(Stream::DelegationResults, &self.file).as_deref().and_then(Recorded::parse),
        }
    }

    /// Says that nothing can be seen of it now, if it is at work; whether that is so.
    pub(super) fn say_offline(&mut self, message: &str, now: Timestamp, out: &mut dyn Emit) -> bool {
        let Memory { started, result } = self.memory(out);
        let is_live =
            started.is_some_and(|(attempt, _)| result.is_none_or(|result| result.attempt < attempt));
        if !is_live || std::mem::replace(&mut self.is_offline, true) {
            return is_live;
        }
        let error = ErrorDetail {
            kind: "environment".into(),
            category: Some("network_error".into()),
            message: Some(Text::Borrowed(message)),
            exit_code: None,
        };
        let path = Some(self.place.to_string_lossy());
        let body = Body::SourceFailed { file: Some(Text::Borrowed(&self.file)), path, error };
        self.say_of_source("source.failed", now, body, out);
        true
    }

    fn say_online(&self, now: Timestamp, out: &mut dyn Emit) {
        let known = out.known(&self.file).unwrap_or_default();
        let now = now.max(Timestamp::from_micros(known.opened_at.micros().saturating_add(1)));
        let body = Body::SourceOpened {
            file: Text::Borrowed(&self.file),
            path: Some(self.place.to_string_lossy()),
            session: Some(Text::Borrowed(&self.task)),
            device: None,
            inode: None,
            head_bytes: None,
            head_hash: None,
            generation: Some(known.generation),
            forked_from: None,
            first_record: None,
        };
        self.say_of_source("source.opened", now, body, out);
    }

    /// An edge of the connection, about this task, that stands nowhere in a file.
    fn say_of_source(&self, name: &str, ts: Timestamp, body: Body<'_>, out: &mut dyn Emit) {
        let at = ts.micros().to_le_bytes();
        out.emit(Event {
            v: VERSION,
            id: EventId::of(&[NAME.as_bytes(), name.as_bytes(), self.file.as_bytes(), &at]),
            ts,
            observed_at: None,
            task: Some(Text::Borrowed(&self.task)),
            agent: Some(Text::Borrowed(AGENT)),
            source: Some(Text::Borrowed(NAME)),
            body,
            from: None,
            written: None,
        });
    }

    fn introduce(&mut self, attempt: u64, at: Timestamp, sheet: &mut Sheet<'_>) {
        self.is_introduced = true;
        sheet.record(&start_key(attempt, at));
        let (title, parent) = (self.title.as_deref(), self.parent.as_deref());
        let about = Introduction { title, parent, model: None, host: &self.kind.config.host, cwd: None };
        let native = [self.file.as_str(), title.unwrap_or_default(), parent.unwrap_or_default()];
        Scribe::new(sheet, NAME, (&self.task, AGENT), at, &[]).say_of(&native, "", about.created());
    }

    fn start(&mut self, attempt: u64, at: Timestamp, sheet: &mut Sheet<'_>) {
        if !self.is_introduced {
            self.introduce(attempt, at, sheet);
        }
        let key = start_key(attempt, at);
        sheet.record(&key);
        self.scribe(at, &key, sheet).say(Body::TaskStarted { attempt: Some(attempt) });
    }

    fn end(
        &self,
        recorded: &Recorded,
        started_at: Timestamp,
        stated: &Stated,
        evidence: &Evidence,
        sheet: &mut Sheet<'_>,
    ) {
        let Recorded { ending, attempt, at, .. } = *recorded;
        let key = recorded.to_string();
        sheet.record(&key);
        let mut scribe = self.scribe(at, &key, sheet);
        let mut reason = stated.reason.clone();
        if matches!(ending, Ending::Completed | Ending::Failed) {
            let Checked { criteria, verdict } = Checked::of(&self.seen(recorded, stated, evidence));
            let is_decided = ending == Ending::Completed || stated.exit_code.is_some_and(|code| code != 0);
            reason = if is_decided { Some(verdict) } else { reason.or(Some(verdict)) };
            if !criteria.is_empty() {
                scribe.say(Body::CompletionChecked { attempt: Some(attempt), criteria });
            }
        }
        scribe.say(ending.said(Outcome {
            attempt: Some(attempt),
            exit_code: stated.exit_code,
            reason: reason.map(Text::Owned),
            duration_ms: u64::try_from(at.millis_since(started_at)).ok(),
        }));
    }

    fn seen(&self, recorded: &Recorded, stated: &Stated, evidence: &Evidence) -> checklist::Seen {
        let (config, logs) = (&self.kind.config, &evidence.logs);
        let word = self.status.known().map(|dated| dated.value.status.to_uppercase());
        let status = checklist::Status { word, is_completed: stated.has_completed };
        let has_marker = logs.iter().any(|log| log.marker_line > recorded.lines_before(log));
        let has_errors = logs.iter().any(|log| log.error_line > recorded.lines_before(log));
        checklist::Seen {
            declares_exit_code: config.exit_code_file.is_some(),
            exit_code: stated.exit_code,
            status: config.status_file.is_some().then_some(status),
            required_files: Vec::new(),
            has_errors: (!logs.is_empty()).then_some(has_errors),
            has_marker: (!config.patterns.markers.is_empty()).then_some(has_marker),
            seconds: None,
            ..checklist::Seen::default()
        }
    }

    /// What the status file says of progress.
    fn progress(&self) -> Option<Dated<Progress>> {
        let Dated { value, at } =
            self.status.known().filter(|status| status.value.phase != Phase::Unknown)?;
        let Document { current, total, percent, step, .. } = value;
        let progress = Progress { current: *current, total: *total, percent: *percent, step: step.clone() };
        (progress != Progress::default()).then_some(Dated { value: progress, at: *at })
    }

    fn say_progress(&mut self, sheet: &mut Sheet<'_>) {
        let Some(Dated { value, at }) = self.progress() else { return };
        if self.said.as_ref() == Some(&value) {
            return;
        }
        let key = format!("progress:{}", at.micros());
        sheet.record(&key);
        self.scribe(at, &key, sheet).say(value.reported());
        self.said = Some(value);
    }

    fn scribe<'s>(&'s self, at: Timestamp, key: &str, sheet: &'s mut Sheet<'_>) -> Scribe<'s> {
        Scribe::new(sheet, NAME, (&self.task, AGENT), at, &[&self.file, key])
    }
}

impl Log {
    fn facts(&self, markers: &[String], now: Timestamp) -> LogFacts {
        let partial = self.feed.partial();
        let tail = (!partial.trim_ascii().is_empty()).then(|| partial.to_vec());
        let (file, offset, modified_at) = (self.feed.file(), self.feed.offset(), self.modified_at);
        let end = End { file, offset, tail, modified_at, created: None };
        self.feed.adapter().facts_with(self.feed.context(), end, markers, now)
    }

    /// Goes on as another file than this one of the log, which was cut, replaced or rewritten.
    pub(super) fn begin_again(
        &mut self,
        lost: &KnownFile,
        next: u64,
        size: u64,
        now: Timestamp,
        out: &mut dyn Emit,
    ) {
        self.feed.tell_truncated(lost, size, now, out);
        self.feed.start_over(next);
    }
}

fn start_key(attempt: u64, at: Timestamp) -> String {
    format!("start:{attempt}:{}", at.micros())
}

fn started_of(key: &str) -> Option<(u64, Timestamp)> {
    let (attempt, micros) = key.strip_prefix("start:")?.split_once(':')?;
    Some((attempt.parse().ok()?, Timestamp::from_micros(micros.parse().ok()?)))
}
