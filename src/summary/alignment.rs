//! Whether an agent does what it was told to do, by rules: (task, its activity, an instant) → an assessment with reasons.
//!
//! The first that holds wins:
//!
//! 1. its health says that it cannot go on (it waits for somebody, is stuck, or keeps failing): **blocked**;
//! 2. nothing is known of it, of its task, or too little of its work: **unknown**;
//! 3. for [`OFF_TRACK_MISSES`] pieces of work or more, and at least [`OFF_TRACK_MS`], none shared a word with the task:
//!    **off track**; for [`DRIFTING_MISSES`] or more: **drifting**;
//! 4. **on track**.
//!
//! A piece of work is a file, another target or a step, counted once however often it occurs. Errors and tools of other
//! servers count only where they share a word with the task: that they do not says nothing.
//!
//! Confidence is a product of shares between 0 and 1, each of which only grows with what it measures:
//!
//! - *evidence* `n / (n + 5)` of n pieces of work: the fifth makes it as likely as not, the twentieth 0.8; it never is 1;
//! - *wording* `w / (w + 1)` of w words with content: a task that is one word may well be done in other words;
//! - on track: `(1 + k/n) / 2`, k of the last n pieces of work sharing a word, as one shared word is weak proof and all are strong;
//! - drifting and off track: a half, where no piece of work ever shared a word: then the task may just be told in other words;
//! - blocked: of a number against its limit `1 − limit / (2 · number)`: at the limit as likely as not, at twice the limit
//!   three times in four; what the agent says itself (that it waits) 0.95, what the system says (its process is gone) 0.9.

use crate::base::clock::Timestamp;
use crate::base::text::{duration_in_words, plural};
use crate::projection::health::{Health, Number, Reason};
use crate::projection::status::TaskStatus;
use crate::summary::activity::Activity;
use crate::summary::words::{Word, words};
use std::time::Duration;

#[cfg(test)]
pub(crate) mod tests;

/// Below so many pieces of work nothing is said.
pub const PIECES_MIN: usize = 3;
/// So many of the last pieces of work are compared with the task.
pub const WINDOW: usize = 20;
/// So many in a row that share no word with the task: it drifts.
pub const DRIFTING_MISSES: usize = 10;
/// So many, and it is off track.
pub const OFF_TRACK_MISSES: usize = 20;
/// If they took so long.
pub const OFF_TRACK_MS: i64 = 10 * 60 * 1000;
/// So many words are named.
const KEYWORDS_MAX: usize = 8;
const SAID: f64 = 0.95;
const SEEN: f64 = 0.9;

/// How well the work fits the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alignment {
    /// It cannot go on.
    Blocked,
    /// It does something else, and has for a while.
    OffTrack,
    /// It does something else.
    Drifting,
    /// Too little is known.
    Unknown,
    /// It does what it was told to do.
    OnTrack,
}

impl Alignment {
    /// All of them, worst first.
    pub const ALL: [Self; 5] = [Self::Blocked, Self::OffTrack, Self::Drifting, Self::Unknown, Self::OnTrack];

    /// The word on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::OnTrack => "on_track",
            Self::Drifting => "drifting",
            Self::OffTrack => "off_track",
            Self::Blocked => "blocked",
            Self::Unknown => "unknown",
        }
    }

    /// That of a word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|alignment| alignment.word() == word)
    }
}

/// How well the work fits the task, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// How well.
    pub alignment: Alignment,
    /// How sure that is, 0 to 1.
    pub confidence: f64,
    /// Why: sentences with numbers.
    pub reasons: Vec<String>,
    /// Which rule spoke; unlike its sentences this does not change with every event.
    pub cause: &'static str,
    /// Words of the task that its work shares.
    pub keywords: Vec<String>,
    /// What a person could do now.
    pub recommended_action: Option<String>,
}

impl Assessment {
    /// Whether it says the same as another one, apart from its numbers.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        (self.alignment, self.cause) == (other.alignment, other.cause)
    }
}

/// Assesses a task at an instant.
#[must_use]
pub fn assess(task: &TaskStatus, activity: &Activity, now: Timestamp) -> Assessment {
    let told = words(assigned(task).unwrap_or_default());
    let work = Work::of(&told, activity);
    let mut assessment = blocked(task, activity, now)
        .or_else(|| unknown(task, &told, &work))
        .or_else(|| astray(task, &told, &work))
        .unwrap_or_else(|| on_track(&told, &work));
    assessment.keywords.clone_from(&work.shared);
    assessment
}

/// What a task was told to do, as far as that is known.
#[must_use]
pub fn assigned(task: &TaskStatus) -> Option<&str> {
    task.assigned_task.as_deref().or(task.title.as_deref()).filter(|text| !text.trim().is_empty())
}

/// One piece of work before the task.
struct Piece<'a> {
    at: Timestamp,
    text: &'a str,
    kind: Kind,
    is_shared: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    File,
    Step,
    /// Only counted where it shares a word with the task.
    Hint,
}

/// All that is compared with the task.
struct Work<'a> {
    /// In the order of time.
    pieces: Vec<Piece<'a>>,
    /// The task's words that were found.
    shared: Vec<String>,
    /// Pieces of work that are written in another script than the task, so that nothing can be said of them.
    foreign_count: usize,
}

impl<'a> Work<'a> {
    fn of(told: &[Word], activity: &'a Activity) -> Self {
        let mut all: Vec<(Timestamp, &str, Kind)> = Vec::new();
        for item in activity.deeds.iter() {
            let target = item.what.target.as_deref().unwrap_or(&item.what.verb);
            all.push((item.at, target, Kind::File));
        }
        all.extend(activity.steps.iter().map(|item| (item.at, item.what.as_str(), Kind::Step)));
        all.extend(activity.errors.iter().map(|item| (item.at, item.what.as_str(), Kind::Hint)));
        let of_servers =
            activity.tools.iter().filter_map(|item| Some((item.at, item.what.tool.strip_prefix("mcp__")?)));
        all.extend(of_servers.map(|(at, tool)| (at, tool, Kind::Hint)));
        all.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        let mut work = Self { pieces: Vec::new(), shared: Vec::new(), foreign_count: 0 };
        // The last time something occurs is the one that counts.
        let mut met: Vec<&str> = Vec::new();
        for (at, text, kind) in all.into_iter().rev() {
            if !met.contains(&text) {
                met.push(text);
                work.add(told, Piece { at, text, kind, is_shared: false });
            }
        }
        work.pieces.reverse();
        work.shared.truncate(KEYWORDS_MAX);
        work
    }

    fn add(&mut self, told: &[Word], mut piece: Piece<'a>) {
        let own = words(piece.text);
        for word in told.iter().filter(|word| own.iter().any(|other| word.is_like(other))) {
            piece.is_shared = true;
            if !self.shared.contains(&word.text) {
                self.shared.push(word.text.clone());
            }
        }
        let comparable = own.iter().any(|word| told.iter().any(|other| other.is_plain() == word.is_plain()));
        match (piece.kind, piece.is_shared) {
            (Kind::Hint, false) => {}
            (_, false) if !comparable => self.foreign_count += 1,
            _ => self.pieces.push(piece),
        }
    }

    /// The last pieces of work, at most a window of them.
    fn window(&self) -> &[Piece<'a>] {
        self.pieces.get(self.pieces.len().saturating_sub(WINDOW)..).unwrap_or_default()
    }

    /// Those after the last one that shares a word with the task.
    fn misses(&self) -> &[Piece<'a>] {
        let from = self.pieces.iter().rposition(|piece| piece.is_shared).map_or(0, |place| place + 1);
        self.pieces.get(from..).unwrap_or_default()
    }

    fn ever_shared(&self) -> bool {
        self.pieces.iter().any(|piece| piece.is_shared)
    }
}

fn assessment(alignment: Alignment, cause: &'static str, confidence: f64, reason: String) -> Assessment {
    Assessment {
        alignment,
        confidence: (confidence.clamp(0.0, 1.0) * 100.0).round() / 100.0,
        reasons: vec![reason],
        cause,
        keywords: Vec::new(),
        recommended_action: None,
    }
}

impl Assessment {
    fn advising(self, action: impl Into<String>) -> Self {
        Self { recommended_action: Some(action.into()), ..self }
    }

    fn because(mut self, reason: Option<String>) -> Self {
        self.reasons.extend(reason);
        self
    }
}

fn blocked(task: &TaskStatus, activity: &Activity, now: Timestamp) -> Option<Assessment> {
    match task.verdict.health {
        Health::Waiting => waiting(task, now),
        Health::Stuck => Some(stuck(task, activity, now)),
        Health::Struggling => Some(struggling(task, activity)),
        _ => None,
    }
}

fn waiting(task: &TaskStatus, now: Timestamp) -> Option<Assessment> {
    let (cause, what, action) = match task.verdict.reason {
        // Whoever waits for its own children is at work through them.
        Some(Reason::Child) => return None,
        Some(Reason::Permission) => {
            ("permission", "a permission", "grant or refuse the permission it asks for")
        }
        Some(Reason::Question) => ("question", "an answer", "answer its question"),
        Some(Reason::RateLimit) => {
            ("rate_limit", "the end of a rate limit", "wait, or give it another account")
        }
        _ => ("waiting", "something outside it", "look what it waits for"),
    };
    let reason = format!("it has waited for {what} for {}", since(task, now));
    Some(assessment(Alignment::Blocked, cause, SAID, reason).advising(action))
}

fn stuck(task: &TaskStatus, activity: &Activity, now: Timestamp) -> Assessment {
    let tool = activity.tools.last().map_or("a tool", |item| item.what.tool.as_str());
    let blocked = |cause, number, reason| assessment(Alignment::Blocked, cause, over(task, number), reason);
    let lasting = |name| number(task, name).map_or_else(|| since(task, now), |number| in_words(number.value));
    match task.verdict.reason {
        Some(Reason::ToolOverBudget) => {
            let reason = format!("a tool call has been open for {}", lasting("open_call"));
            blocked("tool_over_budget", "open_call", reason)
                .advising("look at the open call, and interrupt it if it hangs")
        }
        Some(Reason::Looping) => {
            let count = number(task, "identical_calls").map_or(0, |number| whole(number.value));
            let reason = format!("{} in a row gave the same results", plural(count, "call"));
            let action = format!("interrupt it, and say what to do instead of repeating {tool}");
            blocked("looping", "identical_calls", reason).advising(action)
        }
        Some(Reason::ProcessGone) => {
            let reason = format!("its process ended {} ago without a result", since(task, now));
            assessment(Alignment::Blocked, "process_gone", SEEN, reason).advising("start it again")
        }
        Some(Reason::ProcessHung) => {
            let reason = format!("its process has hung for {}", lasting("hung"));
            blocked("process_hung", "hung", reason).advising("look at the disks of its machine")
        }
        _ => {
            let reason = format!("it has been silent for {}", lasting("silence"));
            blocked("silent", "silence", reason).advising("look whether it still works, or interrupt it")
        }
    }
}

fn struggling(task: &TaskStatus, activity: &Activity) -> Assessment {
    let (cause, of_what) = match task.verdict.reason {
        Some(Reason::Retrying) => ("retrying", "the same tool call failed"),
        Some(Reason::Timeouts) => ("timeouts", "tool calls timed out"),
        _ => ("consecutive_failures", "tool calls failed"),
    };
    let reason = format!("{of_what} {} in a row", plural(task.consecutive_failures, "time"));
    let last = activity.errors.last().map(|item| format!("its last error: {}", item.what));
    assessment(Alignment::Blocked, cause, over(task, "consecutive_failures"), reason)
        .because(last)
        .advising(format!("read its errors: agentlog show {} --errors", task.task))
}

fn unknown(task: &TaskStatus, told: &[Word], work: &Work<'_>) -> Option<Assessment> {
    let unknown = |cause, reason: String| assessment(Alignment::Unknown, cause, 0.0, reason);
    if task.verdict.health == Health::Unknown {
        let reason = match task.verdict.reason {
            Some(Reason::Offline) => "0 events since its machine stopped answering",
            Some(Reason::NoEvidence) => "0 events of its own are known",
            _ => "nothing was heard of it for long",
        };
        return Some(unknown("unseen", reason.to_owned()).advising("look whether it still runs"));
    }
    if assigned(task).is_none() {
        return Some(unknown("no_task", "0 words are known of what it was told to do".to_owned()));
    }
    if told.is_empty() {
        return Some(unknown("no_words", "0 words of its task say what it is about".to_owned()));
    }
    let count = work.pieces.len();
    if count < PIECES_MIN && work.foreign_count >= PIECES_MIN {
        let count = work.foreign_count;
        let reason = format!("{count} files and steps are written in other letters than the task");
        return Some(unknown("not_comparable", reason));
    }
    if count < PIECES_MIN || (!work.ever_shared() && count < DRIFTING_MISSES) {
        let reason = format!("{} known, which is too little", listed(&work.pieces));
        return Some(unknown("too_little", reason));
    }
    None
}

fn astray(task: &TaskStatus, told: &[Word], work: &Work<'_>) -> Option<Assessment> {
    let misses = work.misses();
    if misses.len() < DRIFTING_MISSES {
        return None;
    }
    let doubt = if work.ever_shared() { 1.0 } else { 0.5 };
    let confidence = evidence(misses.len()) * wording(told.len()) * doubt;
    let lasted = misses.last().zip(misses.first()).map_or(0, |(last, first)| last.at.millis_since(first.at));
    let is_off = misses.len() >= OFF_TRACK_MISSES && lasted >= OFF_TRACK_MS;
    let first = told.iter().take(KEYWORDS_MAX).map(|word| word.text.as_str());
    let looked_for = format!("words that were looked for: {}", first.collect::<Vec<_>>().join(", "));
    let reason = format!("0 of the last {} share a word with the task", listed(misses));
    let never = (!work.ever_shared())
        .then(|| "nothing it did ever shared one, so it may be told in other words".to_owned());
    let (alignment, cause) =
        if is_off { (Alignment::OffTrack, "off_track") } else { (Alignment::Drifting, "drifting") };
    let lasting = is_off.then(|| format!("that goes on for {}", duration_in_words(lasted)));
    let action = match (is_off, task.verdict.health.is_live()) {
        (_, false) => "check what it did against its task",
        (true, true) => "interrupt it, and repeat its task",
        (false, true) => "ask it how this serves its task",
    };
    Some(
        assessment(alignment, cause, confidence, reason)
            .because(lasting)
            .because(never.or(Some(looked_for)))
            .advising(action),
    )
}

fn on_track(told: &[Word], work: &Work<'_>) -> Assessment {
    let window = work.window();
    let shared_count = window.iter().filter(|piece| piece.is_shared).count();
    let share = number_of(shared_count) / number_of(window.len().max(1));
    let confidence = evidence(window.len()) * wording(told.len()) * f64::midpoint(1.0, share);
    let verb = if shared_count == 1 { "shares" } else { "share" };
    let reason = format!("{shared_count} of the last {} {verb} a word with the task", listed(window));
    assessment(Alignment::OnTrack, "on_track", confidence, reason)
}

/// Grows with the number of pieces of work.
fn evidence(pieces: usize) -> f64 {
    number_of(pieces) / (number_of(pieces) + 5.0)
}

/// Grows with the number of words of the task.
fn wording(words: usize) -> f64 {
    number_of(words) / (number_of(words) + 1.0)
}

/// Grows with a number of the verdict over its limit.
fn over(task: &TaskStatus, name: &str) -> f64 {
    let over = |number: &Number| Some(1.0 - number.limit? / (2.0 * number.value.max(number.limit?).max(1.0)));
    number(task, name).and_then(over).unwrap_or(0.5)
}

fn number<'t>(task: &'t TaskStatus, name: &str) -> Option<&'t Number> {
    task.verdict.numbers.iter().find(|number| number.name == name)
}

/// `4 files`, `6 files and steps`.
fn listed(pieces: &[Piece<'_>]) -> String {
    let nouns = [(Kind::File, "files"), (Kind::Step, "steps"), (Kind::Hint, "errors and tools")];
    let nouns = nouns.into_iter().filter(|(kind, _)| pieces.iter().any(|piece| piece.kind == *kind));
    let nouns: Vec<&str> = nouns.map(|(_, noun)| noun).collect();
    match nouns.as_slice() {
        [] => "0 files and steps".to_owned(),
        ["files"] => plural(tally(pieces.len()), "file"),
        ["steps"] => plural(tally(pieces.len()), "step"),
        [_] if pieces.len() == 1 => "1 error or tool".to_owned(),
        [noun] => format!("{} {noun}", pieces.len()),
        several => format!(
            "{} {}",
            pieces.len(),
            several.join(" and ").replacen("files and steps and", "files, steps,", 1)
        ),
    }
}

fn since(task: &TaskStatus, now: Timestamp) -> String {
    duration_in_words(task.verdict.since.map_or(0, |since| now.millis_since(since)))
}

fn in_words(millis: f64) -> String {
    duration_in_words(i64::try_from(whole(millis)).unwrap_or(i64::MAX))
}

/// A number without its fraction; none is below zero.
fn whole(value: f64) -> u64 {
    Duration::try_from_secs_f64(value.max(0.0)).map_or(u64::MAX, |whole| whole.as_secs())
}

fn tally(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn number_of(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}
