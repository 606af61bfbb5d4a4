//! One job on another machine: its logs and small files as they arrive, and what follows from them.
//!
//! What is said of every job is said by its [`Teller`]. While the machine does not answer nothing follows: what was seen last
//! may be long past.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::envelope::{Event, VERSION};
use crate::event::error::ErrorDetail;
use crate::event::field::Text;
use crate::event::ids::EventId;
use crate::source::batch::course::{Evidence, Memory};
use crate::source::batch::files::{self, Dated, Look, SmallFile};
use crate::source::batch::log::{End, LogFacts, LogReader};
use crate::source::batch::teller::{Said, Teller};
use crate::source::batch::template::Values;
use crate::source::documents::Sheet;
use crate::source::follower::{Feed, Identity};
use crate::source::remote::kind::Kind;
use crate::source::remote::script::About;
use crate::source::remote::{AGENT, NAME};
use crate::source::session::Progress;
use crate::source::status_document::{Document, Phase};
use crate::source::{Emit, KnownFile, Problem};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One job.
#[derive(Debug)]
pub(super) struct Watched {
    kind: Arc<Kind>,
    values: Values,
    pub(super) teller: Teller,
    status: SmallFile<Document>,
    exit_code: SmallFile<i64>,
    is_offline: bool,
}

/// A log of a job, as far as it has arrived.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) feed: Feed<LogReader>,
    /// Where people are to look.
    pub(super) place: PathBuf,
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
        let teller = Teller {
            file: identity.file(0),
            identity,
            parent: kind.parent.as_ref().map(|parent| parent.filled(values)).filter(|parent| *parent != task),
            title: kind.title.as_ref().map(|title| title.filled(values)),
            task,
            agent: AGENT,
            host: host.clone(),
            cwd: None,
            timeout_ms: None,
            throttle_percent: kind.config.patterns.update_throttle_percent,
            place: PathBuf::from(format!("{host}:{place}")),
            said: Said::default(),
        };
        Self {
            kind: Arc::clone(kind),
            values: values.clone(),
            teller,
            status: SmallFile::default(),
            exit_code: SmallFile::default(),
            is_offline: false,
        }
    }

    /// Whether a log of this section in whose path these values stand is one of its logs.
    pub(super) fn has_log(&self, kind: &Arc<Kind>, values: &Values) -> bool {
        let agrees = |(name, value)| self.values.get(name).is_none_or(|own| own == value);
        Arc::ptr_eq(&self.kind, kind) && values.iter().all(agrees)
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
        let look: Look = match small {
            Small::Status => self.status.take(path, stamp, at, text, files::status),
            Small::ExitCode => self.exit_code.take(path, stamp, at, text, |text, _| files::number(text)),
        };
        self.teller.hear("status file", look)
    }

    /// Says what follows from everything that is known of it now.
    pub(super) fn judge(&mut self, logs: &[&Log], now: Timestamp, out: &mut dyn Emit) {
        if std::mem::take(&mut self.is_offline) {
            self.say_online(now, out);
        }
        let markers = &self.kind.config.patterns.markers;
        let progress = self.progress();
        let evidence = Evidence {
            status: self.status.known().cloned(),
            exit_code: self.exit_code.known().cloned(),
            logs: logs
                .iter()
                .filter(|log| log.modified_at.is_some())
                .map(|log| log.facts(markers, now))
                .collect(),
            process: None,
            progressed_at: progress.as_ref().map(|progress| progress.at),
            is_through: false,
        };
        let memory = self.teller.memory(out);
        let course = self.teller.follow(&self.kind.rules, memory, &evidence, &|_, _| (), (now, out));
        if let Some(Dated { value, at }) = progress.filter(|_| course.memory.started.is_some()) {
            let (identity, file, place) =
                (self.teller.identity.clone(), self.teller.file.clone(), self.teller.place.clone());
            self.teller.say_progress(&value, at, &mut Sheet::of(&identity, &file, &place, now, out));
        }
    }

    /// Says that nothing can be seen of it now, if it is at work; whether that is so.
    pub(super) fn say_offline(&mut self, message: &str, now: Timestamp, out: &mut dyn Emit) -> bool {
        let Memory { started, result } = self.teller.memory(out);
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
        let path = Some(self.teller.place.to_string_lossy());
        let body = Body::SourceFailed { file: Some(Text::Borrowed(&self.teller.file)), path, error };
        self.say_of_source("source.failed", now, body, out);
        true
    }

    fn say_online(&self, now: Timestamp, out: &mut dyn Emit) {
        let known = out.known(&self.teller.file).unwrap_or_default();
        let now = now.max(Timestamp::from_micros(known.opened_at.micros().saturating_add(1)));
        let body = Body::SourceOpened {
            file: Text::Borrowed(&self.teller.file),
            path: Some(self.teller.place.to_string_lossy()),
            session: Some(Text::Borrowed(&self.teller.task)),
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
            id: EventId::of(&[NAME.as_bytes(), name.as_bytes(), self.teller.file.as_bytes(), &at]),
            ts,
            observed_at: None,
            task: Some(Text::Borrowed(&self.teller.task)),
            agent: Some(Text::Borrowed(AGENT)),
            source: Some(Text::Borrowed(NAME)),
            body,
            from: None,
            written: None,
        });
    }

    /// What the status file says of progress.
    fn progress(&self) -> Option<Dated<Progress>> {
        let Dated { value, at } =
            self.status.known().filter(|status| status.value.phase != Phase::Unknown)?;
        let Document { current, total, percent, step, .. } = value;
        let progress = Progress { current: *current, total: *total, percent: *percent, step: step.clone() };
        (progress != Progress::default()).then_some(Dated { value: progress, at: *at })
    }
}

impl Log {
    fn facts(&self, markers: &[String], now: Timestamp) -> LogFacts {
        let partial = self.feed.partial();
        let tail = (!partial.trim_ascii().is_empty()).then(|| partial.to_vec());
        let (file, offset, modified_at) = (self.feed.file(), self.feed.offset(), self.modified_at);
        let end = End { file, path: &self.place, offset, tail, modified_at, created: None };
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
