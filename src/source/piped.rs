//! Formats that are read as they come, from standard input: one line of a list for each.
//!
//! A [`PipedFormat`] says whether the first bytes are of it and then takes all bytes ([`PipedStream`]). Who they come from
//! is told by what they say: there is no path, so the same bytes piped again are the same stream, and add nothing.

use crate::base::clock::Timestamp;
use crate::base::fs;
use crate::base::limits::{HEAD_HASH_BYTES, HEAD_HASH_BYTES_MAX, SOURCE_LINE_BYTES_MAX, TAIL_HASH_BYTES};
use crate::source::finder::{Format, Head};
use crate::source::follower::{Adapter, Feed, Identity};
use crate::source::{Advance, Emit, Env, KnownFile, Next, Position, Problem};
use crate::source::{Discovery, Source};
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What standard input is called.
pub const PATH: &str = "-";
/// A stream that is not recognised by so many bytes is in no known format.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// A format that can be read from standard input.
pub trait PipedFormat: Send {
    /// The name in `source` fields.
    fn source(&self) -> &'static str;

    /// What it is called in messages to people.
    fn name(&self) -> &'static str;

    /// Whether a stream that begins so is of the format.
    fn recognises(&self, head: &[u8]) -> bool;

    /// Begins to read such a stream; `None`: its beginning does not say enough yet.
    ///
    /// # Errors
    /// As those of [`Format::look`].
    fn open(&self, head: &Head, env: &Env, out: &mut dyn Emit) -> io::Result<Option<Box<dyn PipedStream>>>;
}

/// A stream that is being read.
pub trait PipedStream: Send {
    /// Takes the next bytes.
    fn push(&mut self, bytes: &[u8], now: Timestamp, out: &mut dyn Emit);

    /// No more bytes will come.
    fn finish(&mut self, now: Timestamp, out: &mut dyn Emit);

    /// What could not be read, each thing once.
    fn problems(&mut self) -> Vec<Problem>;

    /// How far it was read, for the log.
    fn advance(&self) -> Option<Advance>;
}

/// Reads streams of the format `F` with adapters `A`.
#[derive(Debug)]
pub struct Piped<F, A>(PhantomData<fn() -> (F, A)>);

impl<F, A> Default for Piped<F, A> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<F, A> PipedFormat for Piped<F, A>
where
    A: Adapter<Context: 'static> + 'static,
    F: Format<Context = A::Context>,
{
    fn source(&self) -> &'static str {
        F::SOURCE
    }

    fn name(&self) -> &'static str {
        A::FORMAT
    }

    fn recognises(&self, head: &[u8]) -> bool {
        F::recognises(head)
    }

    fn open(&self, head: &Head, env: &Env, out: &mut dyn Emit) -> io::Result<Option<Box<dyn PipedStream>>> {
        let Some(mut found) = F::look(Path::new(PATH), head, env)? else { return Ok(None) };
        if found.identity.parts.iter().any(|part| part == PATH) {
            // It does not say whose it is: its first bytes have to tell it from others.
            found.identity.parts.push(hash(head));
        }
        let generation = generation(&found.identity, head, out);
        let mut feed = Feed::<A>::new(found.identity, PathBuf::from(PATH), found.context);
        if generation > 0 {
            feed.start_over(generation);
        }
        feed.begins_with(beginning(&head.bytes));
        Ok(Some(Box::new(feed)))
    }
}

impl<A: Adapter<Context: 'static> + 'static> PipedStream for Feed<A> {
    fn push(&mut self, bytes: &[u8], now: Timestamp, out: &mut dyn Emit) {
        Self::push(self, bytes, now, out);
    }

    fn finish(&mut self, now: Timestamp, out: &mut dyn Emit) {
        Self::finish(self, now, out);
    }

    fn problems(&mut self) -> Vec<Problem> {
        Self::problems(self)
    }

    fn advance(&self) -> Option<Advance> {
        Self::advance(self)
    }
}

/// Standard input as a source. Bytes are put into its [`Inlet`]; the first of them tell the format.
pub struct StandardInput {
    formats: Vec<Box<dyn PipedFormat>>,
    env: Env,
    inlet: Inlet,
    head: Vec<u8>,
    state: State,
}

/// Where bytes of standard input are put for the source that reads them.
#[derive(Clone, Debug, Default)]
pub struct Inlet(Arc<Mutex<Incoming>>);

#[derive(Debug, Default)]
struct Incoming {
    bytes: Vec<u8>,
    has_ended: bool,
    verdict: Verdict,
}

/// What standard input turned out to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// Too little has come to say.
    #[default]
    Undecided,
    /// A stream of the format of this name.
    Of(&'static str),
    /// In no format that is known here.
    Unknown,
}

enum State {
    Undecided,
    Open(Box<dyn PipedStream>, &'static str),
    Over,
}

impl Inlet {
    /// Puts the next bytes in; `has_ended`: none will follow.
    pub fn put(&self, bytes: &[u8], has_ended: bool) {
        let mut incoming = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        incoming.bytes.extend_from_slice(bytes);
        incoming.has_ended |= has_ended;
    }

    /// What it turned out to be.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).verdict
    }

    fn take(&self) -> (Vec<u8>, bool) {
        let mut incoming = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut incoming.bytes), incoming.has_ended)
    }

    fn decide(&self, verdict: Verdict) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).verdict = verdict;
    }
}

impl StandardInput {
    /// A reader of what is put into `inlet`, in one of these formats.
    #[must_use]
    pub fn new(formats: Vec<Box<dyn PipedFormat>>, env: Env, inlet: Inlet) -> Self {
        Self { formats, env, inlet, head: Vec::new(), state: State::Undecided }
    }

    /// Finds the format, once enough has come to tell; then reads what has come until then.
    fn decide(&mut self, has_ended: bool, now: Timestamp, out: &mut dyn Emit) -> io::Result<()> {
        let hash_bytes = usize::try_from(HEAD_HASH_BYTES).unwrap_or(usize::MAX);
        let is_enough = self.head.len() >= hash_bytes && self.head.contains(&b'\n');
        let is_endless = self.head.len() > SOURCE_LINE_BYTES_MAX;
        if !(is_enough || is_endless || has_ended) {
            return Ok(());
        }
        let is_last_chance = has_ended || self.head.len() >= HEAD_BYTES_MAX;
        let head = Head { bytes: self.head.clone(), is_whole: has_ended };
        let mut failure = None;
        for format in self.formats.iter().filter(|format| format.recognises(&head.bytes)) {
            match format.open(&head, &self.env, out) {
                Ok(Some(mut stream)) => {
                    stream.push(&std::mem::take(&mut self.head), now, out);
                    self.state = State::Open(stream, format.source());
                    self.inlet.decide(Verdict::Of(format.name()));
                    return Ok(());
                }
                Ok(None) => {}
                // One of the others may be able to read it.
                Err(error) => failure = Some(error),
            }
        }
        if is_last_chance {
            self.head = Vec::new();
            self.state = State::Over;
            self.inlet.decide(Verdict::Unknown);
            return failure.map_or(Ok(()), Err);
        }
        Ok(())
    }
}

impl Source for StandardInput {
    fn name(&self) -> &'static str {
        match self.state {
            State::Open(_, source) => source,
            State::Undecided | State::Over => "standard-input",
        }
    }

    fn discover(&mut self, _: &Env) -> Discovery {
        let is_open = matches!(self.state, State::Open(..));
        let inputs = is_open.then(|| PathBuf::from(PATH)).into_iter().collect();
        Discovery { inputs, ..Discovery::default() }
    }

    fn poll(&mut self, now: Timestamp, out: &mut dyn Emit) -> (Next, Vec<Problem>) {
        let (bytes, has_ended) = self.inlet.take();
        let mut problems = Vec::new();
        match &mut self.state {
            State::Open(stream, _) => stream.push(&bytes, now, out),
            State::Over => {}
            State::Undecided => {
                self.head.extend(bytes);
                if let Err(error) = self.decide(has_ended, now, out) {
                    let path = PathBuf::from(PATH);
                    problems.push(Problem { path, message: format!("cannot be read: {error}") });
                }
            }
        }
        if let State::Open(stream, _) = &mut self.state {
            if has_ended {
                stream.finish(now, out);
            }
            problems.extend(stream.problems());
        }
        (Next::Idle, problems)
    }

    fn advances(&self) -> Vec<Advance> {
        match &self.state {
            State::Open(stream, _) => stream.advance().into_iter().collect(),
            State::Undecided | State::Over => Vec::new(),
        }
    }

    /// None: what comes again comes from its first byte.
    fn positions(&self) -> Vec<Position> {
        Vec::new()
    }

    fn resume(&mut self, _: Vec<Position>) {}
}

/// Which of the streams of this identity begins so; a new one if none does.
fn generation(identity: &Identity, head: &Head, out: &mut dyn Emit) -> u64 {
    let known: Vec<KnownFile> = (0..).map_while(|number| out.known(&identity.file(number))).collect();
    let found = (0..).zip(&known).find(|(_, known)| begins_as(known, &head.bytes)).map(|(number, _)| number);
    let generation = found.unwrap_or_else(|| u64::try_from(known.len()).unwrap_or(0));
    let file = identity.file(generation);
    for other in known.iter().filter(|other| other.file != file) {
        out.exclude(&file, &other.file);
        out.exclude(&other.file, &file);
    }
    generation
}

/// Whether these first bytes are those of a stream that is known, as far as both can be compared. One that ends before what
/// the log can compare is another: runs of one session begin alike.
fn begins_as(known: &KnownFile, head: &[u8]) -> bool {
    let place = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
    let is_head = known.head.as_ref().is_none_or(|(length, hash)| {
        head.get(..place(*length)).is_some_and(|bytes| fs::hash_of(bytes) == *hash)
    });
    let is_tail = known.advanced.as_ref().is_none_or(|(offset, hash)| {
        let end = place(*offset);
        let tail = head.get(end.saturating_sub(place(TAIL_HASH_BYTES))..end);
        // What was read may reach further than what has come of this one.
        tail.zip(hash.as_deref()).is_none_or(|(bytes, hash)| fs::hash_of(bytes) == hash)
    });
    is_head && is_tail
}

/// What tells a stream from others under the same name: its first line, in which runs of one session name themselves
/// late, and as much as is always there when a stream is opened.
fn beginning(head: &[u8]) -> &[u8] {
    let least = usize::try_from(HEAD_HASH_BYTES).unwrap_or(0);
    let first_line = memchr::memchr(b'\n', head).map_or(0, |end| end + 1);
    let most = usize::try_from(HEAD_HASH_BYTES_MAX).unwrap_or(0).max(least);
    head.get(..first_line.clamp(least, most)).unwrap_or(head)
}

/// A hash of the first bytes, of as many as are always there when a stream is opened.
fn hash(head: &Head) -> String {
    let length = usize::try_from(HEAD_HASH_BYTES).unwrap_or(0).min(head.bytes.len());
    fs::hash_of(head.bytes.get(..length).unwrap_or_default())
}

#[cfg(test)]
mod tests;
