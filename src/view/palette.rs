//! How things look: symbols with words, never colour alone; colours; times of the day in the reader's zone.
//!
//! A [`Style`] is handed in and says whether to colour, whether to stay within ASCII, how wide the page is and which zone
//! the reader lives in. Nothing here asks the terminal, the environment or the clock.

use crate::base::clock::Timestamp;
use crate::base::text::{ELLIPSIS, sanitize, truncate_with};
use crate::base::zone::Zone;
use crate::projection::health::Health;
use std::borrow::Cow;

/// How to write for this reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether to use the 16 colours of ANSI terminals (ECMA-48 SGR).
    pub color: bool,
    /// Whether what this program adds stays within ASCII. What it quotes (titles, errors) stays as it is.
    pub ascii: bool,
    /// How many columns a line may take; none: lines are not cut (pipes, files).
    pub width: Option<usize>,
    /// The zone of all times of the day.
    pub zone: Zone,
}

/// A colour or weight of the 16-colour palette. It repeats what the text says and never replaces it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paint {
    /// As the terminal has it.
    #[default]
    Plain,
    /// Headings.
    Bold,
    /// What may be overlooked.
    Dim,
    /// Broken.
    Red,
    /// Needs a look.
    Yellow,
    /// Good.
    Green,
    /// Other things to tell apart.
    Blue,
    /// As blue.
    Magenta,
    /// As blue.
    Cyan,
    /// As blue.
    BrightGreen,
    /// As blue.
    BrightYellow,
    /// As blue.
    BrightBlue,
    /// As blue.
    BrightMagenta,
    /// As blue.
    BrightCyan,
}

/// Colours that tell tasks apart. Red is not among them: it means broken.
const TASK_PAINTS: [Paint; 8] = [
    Paint::Cyan,
    Paint::Magenta,
    Paint::Blue,
    Paint::Green,
    Paint::BrightCyan,
    Paint::BrightMagenta,
    Paint::BrightBlue,
    Paint::BrightGreen,
];

impl Style {
    /// No colour, no width, UTC: for pipes, files and tests.
    #[must_use]
    pub const fn plain() -> Self {
        Self { color: false, ascii: false, width: None, zone: Zone::Utc }
    }

    /// The text in this paint; as it is, when colours are off or the text is empty.
    #[must_use]
    pub fn paint(&self, paint: Paint, text: &str) -> String {
        match paint.code() {
            Some(code) if self.color && !text.is_empty() => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            _ => text.to_owned(),
        }
    }

    /// What ends a text that was cut.
    #[must_use]
    pub const fn ellipsis(&self) -> &'static str {
        if self.ascii { ".." } else { ELLIPSIS }
    }

    /// What stands between the parts of a line, with its spaces.
    #[must_use]
    pub const fn dot(&self) -> &'static str {
        if self.ascii { ", " } else { " · " }
    }

    /// The text, cut to `width` columns.
    #[must_use]
    pub fn cut<'a>(&self, text: &'a str, width: usize) -> Cow<'a, str> {
        truncate_with(text, width, self.ellipsis())
    }

    /// The text, cut to the width of the page.
    #[must_use]
    pub fn cut_line<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.width.map_or(Cow::Borrowed(text), |width| self.cut(text, width))
    }

    /// `09:41` in the reader's zone.
    #[must_use]
    pub fn hour_minute(&self, ts: Timestamp) -> String {
        self.zone.local(ts).format("%H:%M").to_string()
    }

    /// `09:41:07.123` in the reader's zone.
    #[must_use]
    pub fn time_of_day(&self, ts: Timestamp) -> String {
        self.zone.local(ts).format("%H:%M:%S%.3f").to_string()
    }

    /// `2026-11-16 09:41:07` in the reader's zone.
    #[must_use]
    pub fn date_time(&self, ts: Timestamp) -> String {
        self.zone.local(ts).format("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// Symbol and word of a health: `✓ Healthy`, in ASCII `[ok] Healthy`.
    #[must_use]
    pub fn badge(&self, health: Health) -> String {
        format!("{} {}", self.symbol(health), title(health))
    }

    /// The symbol of a health. Two share the tick: in lists it always stands with its word.
    #[must_use]
    pub const fn symbol(&self, health: Health) -> &'static str {
        let (unicode, ascii) = match health {
            Health::Healthy | Health::Completed => ("✓", "[ok]"),
            Health::Struggling => ("⚠", "[!!]"),
            Health::Failed => ("✗", "[xx]"),
            Health::Waiting => ("⏸", "[--]"),
            Health::Stuck => ("◌", "[..]"),
            Health::Idle => ("○", "[  ]"),
            Health::TimedOut => ("⏱", "[to]"),
            Health::Cancelled => ("⊘", "[//]"),
            Health::Unknown => ("?", "[??]"),
        };
        if self.ascii { ascii } else { unicode }
    }
}

impl Paint {
    /// The parameter of Select Graphic Rendition (ECMA-48 §8.3.117, and aixterm's bright colours).
    pub(crate) const fn code(self) -> Option<&'static str> {
        Some(match self {
            Self::Plain => return None,
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Red => "31",
            Self::Green => "32",
            Self::Yellow => "33",
            Self::Blue => "34",
            Self::Magenta => "35",
            Self::Cyan => "36",
            Self::BrightGreen => "92",
            Self::BrightYellow => "93",
            Self::BrightBlue => "94",
            Self::BrightMagenta => "95",
            Self::BrightCyan => "96",
        })
    }
}

/// The word of a health as people read it.
#[must_use]
pub const fn title(health: Health) -> &'static str {
    match health {
        Health::Healthy => "Healthy",
        Health::Idle => "Idle",
        Health::Waiting => "Waiting",
        Health::Struggling => "Struggling",
        Health::Stuck => "Stuck",
        Health::Completed => "Completed",
        Health::Failed => "Failed",
        Health::TimedOut => "Timeout",
        Health::Cancelled => "Cancelled",
        Health::Unknown => "Unknown",
    }
}

/// The paint of a health.
#[must_use]
pub const fn health_paint(health: Health) -> Paint {
    match health {
        Health::Healthy | Health::Completed => Paint::Green,
        Health::Struggling | Health::Waiting => Paint::Yellow,
        Health::Stuck | Health::Failed | Health::TimedOut => Paint::Red,
        Health::Idle | Health::Cancelled | Health::Unknown => Paint::Dim,
    }
}

/// The paint of a task: the same for the same id, in every run and on every machine.
#[must_use]
pub fn task_paint(task: &str) -> Paint {
    let hash = usize::try_from(crc32fast::hash(task.as_bytes())).unwrap_or(0);
    TASK_PAINTS.get(hash % TASK_PAINTS.len()).copied().unwrap_or_default()
}

/// A task id as it is shown where there is no room: of a UUID the beginning that tells it from others (8 characters, or
/// 13 where the first 8 are a time only, as in version 7), anything else whole. Sanitised.
#[must_use]
pub fn short_id(task: &str) -> Cow<'_, str> {
    match uuid_prefix_len(task) {
        Some(len) => task.get(..len).map_or_else(|| sanitize(task), sanitize),
        None => sanitize(task),
    }
}

/// Shortens ids so that no two of a set look alike.
#[derive(Clone, Debug, Default)]
pub struct ShortIds {
    sorted: Vec<String>,
}

impl ShortIds {
    /// For this set of ids.
    pub fn new<'a>(tasks: impl IntoIterator<Item = &'a str>) -> Self {
        let mut sorted: Vec<String> = tasks.into_iter().map(str::to_owned).collect();
        sorted.sort_unstable();
        sorted.dedup();
        Self { sorted }
    }

    /// As [`short_id`], lengthened until no other id of the set begins with it. Sanitised.
    #[must_use]
    pub fn shorten<'a>(&self, task: &'a str) -> Cow<'a, str> {
        let Some(len) = uuid_prefix_len(task) else { return sanitize(task) };
        // The id that shares the longest beginning stands next to it in the order.
        let place = self.sorted.partition_point(|other| other.as_str() < task);
        let before = place.checked_sub(1).and_then(|idx| self.sorted.get(idx));
        let after = self.sorted.iter().skip(place).find(|other| *other != task);
        let shared =
            before.into_iter().chain(after).map(|other| common_prefix_len(task, other)).max().unwrap_or(0);
        task.get(..len.max(shared + 1)).map_or_else(|| sanitize(task), sanitize)
    }
}

/// How many characters of an id suffice, if it is a hyphenated UUID.
fn uuid_prefix_len(task: &str) -> Option<usize> {
    let hyphens = [8, 13, 18, 23];
    let is_uuid = task.len() == 36
        && task
            .bytes()
            .enumerate()
            .all(|(at, byte)| if hyphens.contains(&at) { byte == b'-' } else { byte.is_ascii_hexdigit() });
    is_uuid.then(|| if task.as_bytes().get(14) == Some(&b'7') { 13 } else { 8 })
}

fn common_prefix_len(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(left, right)| left == right).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Health; 10] = [
        Health::Healthy,
        Health::Struggling,
        Health::Failed,
        Health::Waiting,
        Health::Stuck,
        Health::Idle,
        Health::Completed,
        Health::TimedOut,
        Health::Cancelled,
        Health::Unknown,
    ];

    #[test]
    fn every_health_has_a_symbol_and_a_word() {
        assert_eq!(
            ALL.map(|health| Style::plain().badge(health)).join(" "),
            "✓ Healthy ⚠ Struggling ✗ Failed ⏸ Waiting ◌ Stuck ○ Idle ✓ Completed ⏱ Timeout ⊘ Cancelled ? Unknown"
        );
        let ascii = Style { ascii: true, ..Style::plain() };
        assert_eq!(
            ALL.map(|health| ascii.badge(health)).join(" "),
            "[ok] Healthy [!!] Struggling [xx] Failed [--] Waiting [..] Stuck [  ] Idle [ok] Completed [to] Timeout \
             [//] Cancelled [??] Unknown"
        );
    }

    #[test]
    fn colour_is_added_only_where_it_is_wanted() {
        let color = Style { color: true, ..Style::plain() };
        assert_eq!(color.paint(Paint::Red, "Stuck"), "\u{1b}[31mStuck\u{1b}[0m");
        assert_eq!(color.paint(Paint::Plain, "x"), "x");
        assert_eq!(color.paint(Paint::Red, ""), "");
        assert_eq!(Style::plain().paint(Paint::Red, "Stuck"), "Stuck");
    }

    #[test]
    fn a_task_keeps_its_colour_and_red_is_nobodys() {
        assert_eq!(task_paint("bg_abc123"), task_paint("bg_abc123"));
        assert!((0..1000).all(|n| task_paint(&format!("bg_{n:x}")) != Paint::Red));
        let used: std::collections::HashSet<String> =
            (0..1000).map(|n| format!("{:?}", task_paint(&format!("bg_{n:x}")))).collect();
        assert_eq!(used.len(), TASK_PAINTS.len());
    }

    #[test]
    fn times_are_those_of_the_readers_zone() {
        let style = Style { zone: Zone::Named(chrono_tz::Asia::Kathmandu), ..Style::plain() };
        let ts = Timestamp::parse("2026-11-16T20:41:07.123456Z").unwrap();
        assert_eq!(style.hour_minute(ts), "02:26");
        assert_eq!(style.time_of_day(ts), "02:26:07.123");
        assert_eq!(style.date_time(ts), "2026-11-17 02:26:07");
    }

    #[test]
    fn uuids_are_shortened_as_far_as_they_stay_unique_and_names_are_not() {
        let (one, two) = ("4c8f6a2e-90b1-4d7c-8a53-d1e07f2b6c94", "4c8f6a2e-90b1-4d7c-8a53-d1e07f2b6cff");
        assert_eq!(short_id(one), "4c8f6a2e");
        assert_eq!(short_id("019a1b2c-3d4e-7f00-8a53-d1e07f2b6c94"), "019a1b2c-3d4e");
        assert_eq!(short_id("bg_abc123"), "bg_abc123");
        let ids = ShortIds::new([one, two, "bg_abc123", "00000000-90b1-4d7c-8a53-d1e07f2b6c94"]);
        assert_eq!(ids.shorten(one), "4c8f6a2e-90b1-4d7c-8a53-d1e07f2b6c9");
        assert_eq!(ids.shorten("00000000-90b1-4d7c-8a53-d1e07f2b6c94"), "00000000");
        assert_eq!(ids.shorten("bg_abc123"), "bg_abc123");
        assert_eq!(ShortIds::default().shorten(one), "4c8f6a2e");
    }
}
