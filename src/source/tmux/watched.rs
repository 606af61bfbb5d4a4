//! One pane that is watched: it is captured when something happened in it, its new lines are read, and what follows is said.
//!
//! What was said before stands in the log of events, under keys that tell what it was made of; nothing that matters is
//! remembered here alone.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::envelope::Stream;
use crate::event::field::Text;
use crate::source::batch::log::Nowhere;
use crate::source::ending::{Ending, Outcome};
use crate::source::process::{Sample, Sampler};
use crate::source::recent::hash;
use crate::source::scribe::Scribe;
use crate::source::session::{self, Progress};
use crate::source::text::captured;
use crate::source::tmux::NAME;
use crate::source::tmux::client::{Client, NoAnswer};
use crate::source::tmux::course::{self, Evidence, Gone, Incarnation, Memory, Recorded, Started, Step};
use crate::source::tmux::kind::Kind;
use crate::source::tmux::lines::{self, Capture, Lines, New, Place};
use crate::source::tmux::naming::{File, agent_of, is_known_as, pane_mark, task_file};
use crate::source::tmux::pane::Pane;
use crate::source::tmux::reader::{About, Reader, is_prompt, latest};
use crate::source::tmux::signs::{Signs, Teller};
use crate::source::tmux::zombie;
use crate::source::{Advance, Emit, Position};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// More steps than these at once would be a circle.
const STEPS_MAX: usize = 8;
/// What was written so shortly before may still be in the middle of a word, and more may follow in the same second.
const SETTLED_MS: i64 = 2000;
/// So many rows above the cursor are captured again, to find the lines that were read.
const OVERLAP_ROWS: i64 = 24;

/// One pane and its task.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) task: String,
    pub(super) pane: Pane,
    pub(super) kind: Arc<Kind>,
    /// Whether the task is called after the session, not after one of its panes.
    is_alone: bool,
    agent: String,
    host: String,
    /// Where people are to look.
    place: PathBuf,
    /// The task and its lines, each with what was said of it.
    own: File,
    said: File,
    lines: Lines,
    reader: Reader,
    /// Runs that ended before this process saw the pane.
    earlier_runs: Option<u64>,
    signs: Signs,
    latest: Option<String>,
    /// Whether a prompt stands at the cursor; not known while it may be in the middle of a line.
    has_prompt: Option<bool>,
    stamp: Option<Stamp>,
    /// What another process read was looked for.
    has_resumed: bool,
    gone: Option<Gone>,
    has_ended: bool,
}

/// A pane as it is remembered: so that its end is seen by another process too.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Remembered {
    pub(super) client: Client,
    pub(super) pane: Pane,
    is_alone: bool,
}

/// What tells whether something happened in a pane.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    pane: (u64, (u64, u64), Option<Timestamp>, bool, bool),
    /// Nothing more can come under this stamp.
    is_settled: bool,
}

impl Watched {
    /// A pane of a session of which `matching` panes are watched.
    pub(super) fn new(kind: &Arc<Kind>, pane: Pane, matching: usize, host: &str, out: &dyn Emit) -> Self {
        // The log may know it by the other name, from when there were more panes, or fewer.
        let is_alone = if matching > 1 {
            is_known_as(&pane.session, &pane, host, out)
        } else {
            !is_known_as(&pane.full_name(), &pane, host, out)
        };
        let mut watched = Self::of(kind, pane, is_alone, host);
        watched.signs.resume(&watched.own, out);
        watched
    }

    /// A pane that another process watched and remembers.
    pub(super) fn remembered(kind: &Arc<Kind>, remembered: &Remembered, host: &str) -> Self {
        Self::of(kind, remembered.pane.clone(), remembered.is_alone, host)
    }

    /// What is to be remembered for another process: that the pane was there.
    pub(super) fn position(&self) -> Option<Position> {
        let Kind { client, .. } = &*self.kind;
        let (pane, is_alone) = (self.pane.clone(), self.is_alone);
        let state = serde_json::to_value(Remembered { client: client.clone(), pane, is_alone }).ok()?;
        let Place { count, mark } = self.lines.place();
        (!self.has_ended).then(|| Position {
            file: self.said.id.clone(),
            path: self.place.clone(),
            offset_bytes: count,
            tail_hash: mark,
            identity: (0, 0),
            state,
        })
    }

    fn of(kind: &Arc<Kind>, pane: Pane, is_alone: bool, host: &str) -> Self {
        let task = if is_alone { pane.session.clone() } else { pane.full_name() };
        let own = task_file(host, &pane, &task);
        let mark = pane_mark(&pane);
        let parts = [host, &pane.socket_path, &pane.server_pid, &mark];
        let said = File::of(&parts, &task);
        let part = |name| File::of(&[&parts[..], &[name]].concat(), &task);
        let signs = Signs::new(part("process"), part("turns"));
        Self {
            agent: agent_of(&pane.session),
            host: host.to_owned(),
            place: PathBuf::from(format!("{}:{}", pane.socket_path, pane.id)),
            kind: Arc::clone(kind),
            own,
            said,
            signs,
            task,
            is_alone,
            pane,
            lines: Lines::default(),
            reader: Reader::default(),
            earlier_runs: None,
            latest: None,
            has_prompt: None,
            stamp: None,
            has_resumed: false,
            gone: None,
            has_ended: false,
        }
    }

    /// Where people are to look.
    pub(super) fn place(&self) -> PathBuf {
        self.place.clone()
    }

    /// Whether the pane is gone and nothing is left to say of it.
    pub(super) const fn is_over(&self) -> bool {
        self.gone.is_some() && self.has_ended
    }

    /// How far its lines were read.
    pub(super) fn advance(&self) -> Option<Advance> {
        let Place { count, mark } = self.lines.place();
        (count > 0).then(|| Advance { file: self.said.id.clone(), offset_bytes: count, tail_hash: mark })
    }

    /// The pane is not there any more.
    pub(super) fn went(&mut self, at: Timestamp, with_session: bool) {
        self.gone.get_or_insert(Gone { at, with_session });
    }

    /// Takes the pane as it is now, and captures it if something happened; tells whether that was so.
    pub(super) fn look(
        &mut self,
        mut pane: Pane,
        now: Timestamp,
        out: &mut dyn Emit,
    ) -> Result<bool, NoAnswer> {
        self.gone = None;
        pane.death = pane.death.as_ref().map(|death| zombie::completed(death, pane.pid, &pane.server_pid));
        let active_at = pane.activity_at.unwrap_or(now).min(now);
        let state =
            (pane.history_size, pane.cursor, pane.activity_at, pane.is_alternate, pane.death.is_some());
        let before = self.stamp.take();
        let last = std::mem::replace(&mut self.pane, pane);
        if last.pid != self.pane.pid {
            self.reader.begin_again();
        }
        let has_changed = before.as_ref().is_none_or(|before| before.pane != state);
        let is_settled = now.millis_since(active_at) >= SETTLED_MS;
        if !has_changed && before.as_ref().is_some_and(|before| before.is_settled) {
            self.stamp = before;
            return Ok(false);
        }
        let text = if self.pane.is_alternate {
            let text = self.kind.client.ask(&["capture-pane", "-p", "-J", "-t", &self.pane.id])?;
            self.latest = latest(text.lines()).map(str::to_owned);
            self.has_prompt = Some(false);
            None
        } else {
            Some(self.capture(before.is_some().then_some(&last).filter(|last| !last.is_alternate))?)
        };
        let count = self.lines.count();
        if let Some((text, new_rows)) = text {
            self.read(&text, new_rows, (active_at, is_settled), (now, out));
        }
        if has_changed && self.lines.count() == count {
            let teller = Teller { task: &self.task, agent: &self.agent, place: &self.place, now };
            self.signs.alive(teller, active_at, out);
        }
        self.stamp = Some(Stamp { pane: state, is_settled });
        Ok(has_changed)
    }

    /// The lines up to the cursor that may be new, and how many rows were added since the last time, if that is known.
    fn capture(&self, last: Option<&Pane>) -> Result<(String, Option<u64>), NoAnswer> {
        let pane = &self.pane;
        let row = |pane: &Pane| pane.history_size.saturating_add(pane.cursor.1);
        let is_sure = |last: &&Pane| {
            last.history_size <= pane.history_size
                && pane.history_size < pane.history_limit
                && last.width == pane.width
                && row(last) <= row(pane)
        };
        let end = pane.cursor.1.to_string();
        let ask = |start: &str| {
            self.kind.client.ask(&["capture-pane", "-p", "-J", "-t", &pane.id, "-S", start, "-E", &end])
        };
        if let Some(last) = last.filter(is_sure) {
            let new_rows = row(pane) - row(last);
            let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
            let start =
                signed(row(last)).saturating_sub(signed(pane.history_size)).saturating_sub(OVERLAP_ROWS);
            let text = ask(&start.to_string())?;
            let is_dead = pane.death.is_some();
            if self.lines.new_in(&Capture::of(&text, pane.width, is_dead), Some(new_rows)) != New::Lost {
                return Ok((text, Some(new_rows)));
            }
        }
        Ok((ask("-")?, None))
    }

    fn read(
        &mut self,
        text: &str,
        new_rows: Option<u64>,
        (active_at, is_settled): (Timestamp, bool),
        (now, out): (Timestamp, &mut dyn Emit),
    ) {
        let is_dead = self.pane.death.is_some();
        let capture = Capture::of(text, self.pane.width, is_dead);
        self.latest = latest(capture.whole().iter().copied().chain([capture.cursor()])).map(str::to_owned);
        if !std::mem::replace(&mut self.has_resumed, true) {
            self.resume(&capture, active_at, out);
        }
        let whole = capture.whole();
        let screen =
            usize::try_from(self.pane.height.saturating_add(new_rows.unwrap_or(0))).unwrap_or(usize::MAX);
        let (from, is_redrawn) = match self.lines.new_in(&capture, new_rows) {
            New::From(place) => (place, false),
            New::Lost => (whole.len().saturating_sub(screen), true),
        };
        let new = whole.get(from..).unwrap_or_default();
        let skipped = self.kind.config.last_lines.map_or(0, |last| new.len().saturating_sub(last));
        let shown: Vec<bool> = new.iter().map(|line| is_redrawn && self.lines.has_shown(line)).collect();
        let Self { lines, reader, said, place, kind, task, agent, .. } = self;
        let about = About { task, agent, file: &said.id, patterns: &kind.patterns, markers: &kind.markers };
        let mut sheet = said.sheet(place, now, out);
        for ((number, line), shown) in new.iter().enumerate().zip(shown) {
            let is_known = shown || lines.is_known_state(line);
            lines.take(line);
            if number < skipped || is_known {
                continue;
            }
            let key = lines.place().key(None);
            let identity = if is_redrawn { format!("redrawn:{:016x}", hash(line)) } else { key.clone() };
            sheet.record(&key);
            reader.line(about, (&identity, lines.count() - 1), line, active_at, &mut sheet);
        }
        let cursor = capture.cursor();
        self.has_prompt = if is_prompt(cursor) { is_settled.then_some(true) } else { Some(false) };
        let may_look = is_settled || !reader.would_conclude(about, cursor, now);
        if !cursor.is_empty() && may_look && !lines.is_known_state(cursor) {
            let place = lines.place();
            let key = place.key(Some(lines.look(cursor)));
            sheet.record(&key);
            reader.line(about, (&key, place.count), cursor, active_at, &mut sheet);
        }
    }

    /// Goes on where the log says that the lines were read to.
    fn resume(&mut self, capture: &Capture<'_>, active_at: Timestamp, out: &dyn Emit) {
        let advanced = out.known(&self.said.id).and_then(|known| known.advanced);
        let advanced = advanced.and_then(|(count, mark)| Some((Place { count, mark: mark? }, None)));
        let last = out.last_key(Stream::BackgroundMonitoring, &self.said.id);
        let last = last.as_deref().and_then(Place::parse);
        let read_to =
            [advanced, last].into_iter().flatten().max_by_key(|(place, state)| (place.count, *state));
        let Some((place, state)) = read_to else { return };
        let found = lines::find(capture, &place);
        // What cannot be found again has scrolled away where that is possible, or was redrawn.
        let has_scrolled =
            self.pane.history_size.saturating_mul(10) >= self.pane.history_limit.saturating_mul(9);
        let height = usize::try_from(self.pane.height).unwrap_or(usize::MAX);
        let lost = if has_scrolled { 0 } else { capture.whole().len().saturating_sub(height) };
        let known = found.unwrap_or(lost);
        let about = About {
            task: &self.task,
            agent: &self.agent,
            file: &self.said.id,
            patterns: &self.kind.patterns,
            markers: &self.kind.markers,
        };
        let mut nowhere = Nowhere { file: &self.said.id, now: active_at };
        let first = place.count.saturating_sub(u64::try_from(known).unwrap_or(0));
        for (number, line) in (first..).zip(capture.whole().iter().take(known)) {
            self.reader.line(about, ("", number), line, active_at, &mut nowhere);
        }
        self.reader.finish(about, "", active_at, &mut nowhere);
        self.lines.resume(capture, known, place.count, state.filter(|_| found.is_some()));
    }

    /// Says what follows from everything that is known of it now; whether its time has just run out.
    pub(super) fn judge(&mut self, sampler: &mut Sampler, now: Timestamp, out: &mut dyn Emit) -> bool {
        let mut memory = Memory {
            started: out
                .last_key(Stream::DelegationRequests, &self.own.id)
                .as_deref()
                .and_then(Started::parse),
            result: out
                .last_key(Stream::DelegationResults, &self.own.id)
                .as_deref()
                .and_then(Recorded::parse),
        };
        let pid = self.pane.pid.filter(|_| self.gone.is_none() && self.pane.death.is_none());
        let sample = if self.has_ended { None } else { pid.and_then(|pid| sampler.sample(pid)) };
        let evidence = self.evidence(&memory, sample.as_ref(), now);
        let mut is_up = false;
        for _ in 0..STEPS_MAX {
            match course::next(self.kind.limits, &memory, &evidence, now) {
                None => break,
                Some(Step::Started(started)) => {
                    self.start(&started, now, out);
                    memory.started = Some(started);
                }
                Some(Step::Ended { recorded, started_at, reason }) => {
                    self.end(&recorded, started_at, reason, now, out);
                    is_up |= recorded.ending == Ending::TimedOut;
                    memory.result = Some(recorded);
                }
            }
        }
        let attempt = memory.started.map_or(0, |started| started.attempt);
        self.has_ended = memory.result.is_some_and(|result| result.attempt >= attempt);
        self.say_step(now, out);
        self.say_turn(now, out);
        if !self.has_ended
            && let Some(sample) = sample
        {
            let teller = Teller { task: &self.task, agent: &self.agent, place: &self.place, now };
            self.signs.sampled(teller, sample, out);
        }
        is_up
    }

    /// Says that the task was ended by this program, because its configuration asks for it.
    pub(super) fn say_closed(&self, text: &str, now: Timestamp, out: &mut dyn Emit) {
        let key = format!("closed:{}", pane_mark(&self.pane));
        let body = Body::NoteLogged { text: Text::Borrowed(text) };
        let teller = Teller { task: &self.task, agent: &self.agent, place: &self.place, now };
        teller.say(self.signs.file(), &key, now, body, out);
    }

    /// What closes the pane, and with its last pane the session.
    pub(super) fn closing(&self) -> [&str; 3] {
        ["kill-pane", "-t", &self.pane.id]
    }

    fn evidence(&mut self, memory: &Memory, sample: Option<&Sample>, now: Timestamp) -> Evidence {
        let process = format!("{}{}", pane_mark(&self.pane), self.pane.pid.unwrap_or(0));
        if let Some(started) = &memory.started
            && started.incarnation.process == process
            && self.earlier_runs.is_none()
        {
            self.earlier_runs = Some(started.incarnation.run.saturating_sub(self.reader.run));
        }
        let created = self.pane.session_created.unwrap_or(now);
        let active_at = self.pane.activity_at.unwrap_or(now).min(now);
        Evidence {
            incarnation: Incarnation { process, run: self.reader.run + self.earlier_runs.unwrap_or(0) },
            began_at: sample.map_or(created, |sample| sample.id.started_at.max(created)),
            death: self.pane.death.clone(),
            gone: self.gone,
            claim: self.reader.claim.clone(),
            active_at,
            progressed_at: self.reader.progressed_at,
        }
    }

    fn start(&self, started: &Started, now: Timestamp, out: &mut dyn Emit) {
        let key = started.to_string();
        let Incarnation { process, run } = &started.incarnation;
        let native = [&self.own.id, process.as_str(), &run.to_string(), &started.attempt.to_string()]
            .map(String::from);
        let native = native.each_ref().map(String::as_str);
        let mut sheet = self.own.sheet(&self.place, now, out);
        sheet.record(&key);
        let cwd = if self.pane.path.is_empty() { &self.pane.session_path } else { &self.pane.path };
        let parent = (!self.is_alone).then_some(self.pane.session.as_str());
        let title = Some(self.pane.command.as_str()).filter(|command| !command.is_empty());
        let about = session::About { title, parent, model: None, host: &self.host, cwd: Some(cwd) };
        let mut body = about.created();
        if let Body::TaskCreated { timeout_ms, .. } = &mut body {
            *timeout_ms = self.kind.limits.max_run_ms.and_then(|limit| u64::try_from(limit).ok());
        }
        let task = (self.task.as_str(), self.agent.as_str());
        let mut scribe = Scribe::new(&mut sheet, NAME, task, started.at, &[]);
        scribe.say_of(&native, "", body);
        scribe.say_of(&native, "", Body::TaskStarted { attempt: Some(started.attempt) });
    }

    fn end(
        &mut self,
        recorded: &Recorded,
        started_at: Timestamp,
        reason: Option<String>,
        now: Timestamp,
        out: &mut dyn Emit,
    ) {
        let Recorded { ending, attempt, at, exit_code, .. } = *recorded;
        let key = recorded.to_string();
        let identity = format!("end:{attempt}");
        let mut said = self.said.sheet(&self.place, now, out);
        said.record(&self.lines.place().key(None));
        let about = About {
            task: &self.task,
            agent: &self.agent,
            file: &self.said.id,
            patterns: &self.kind.patterns,
            markers: &self.kind.markers,
        };
        self.reader.finish(about, &identity, at, &mut said);
        let duration_ms = u64::try_from(at.millis_since(started_at)).ok();
        let outcome =
            Outcome { attempt: Some(attempt), exit_code, reason: reason.map(Text::Owned), duration_ms };
        let body = ending.said(outcome);
        let teller = Teller { task: &self.task, agent: &self.agent, place: &self.place, now };
        teller.say(&self.own, &key, at, body, out);
    }

    /// Says the latest line, where it is another one; a step that the output names itself goes before it.
    fn say_step(&mut self, now: Timestamp, out: &mut dyn Emit) {
        let progress = self.reader.progress();
        let latest = self.latest.as_deref().filter(|_| progress.step.is_none()).and_then(captured);
        if let Some(step) = latest {
            let progress = Progress { step: Some(step), ..progress.clone() };
            let at = self.pane.activity_at.unwrap_or(now).min(now);
            let teller = Teller { task: &self.task, agent: &self.agent, place: &self.place, now };
            self.signs.step(teller, &self.own, &progress, at, out);
        }
    }

    fn say_turn(&self, now: Timestamp, out: &mut dyn Emit) {
        let is_watched = !self.has_ended && self.pane.death.is_none() && self.gone.is_none();
        if let Some(has_prompt) = self.has_prompt.filter(|_| is_watched) {
            let is_waiting = has_prompt && self.pane.is_shell();
            let teller = Teller { task: &self.task, agent: &self.agent, place: &self.place, now };
            self.signs.turn(teller, is_waiting, self.pane.activity_at.unwrap_or(now).min(now), out);
        }
    }
}
