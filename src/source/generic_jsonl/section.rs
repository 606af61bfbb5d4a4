//! A section that was checked: what it says can be done. Messages name the key that is wrong.

use crate::base::text::did_you_mean;
use crate::event::scan::{Entry, Raw, RawKind};
use crate::source::generic_jsonl::config::{Expected, Jsonl, Literal, When};
use crate::source::text::{beginning, elements, member, members};
use std::collections::BTreeMap;

/// The names that members may be given, besides those of the rule itself.
const MEMBERS: [&str; 31] = [
    "task",
    "agent",
    "ts",
    "type",
    "id",
    "parent",
    "title",
    "assigned_task",
    "model",
    "cwd",
    "tool",
    "call",
    "thread",
    "error",
    "exit_code",
    "duration_ms",
    "duration_s",
    "reason",
    "text",
    "current",
    "total",
    "percent",
    "step",
    "message",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cost_usd",
    "role",
    "on",
];
/// The events that a rule may give, and the members it needs for them.
const EVENTS: [(&str, &[&str]); 19] = [
    ("task.created", &[]),
    ("task.started", &[]),
    ("task.completed", &[]),
    ("task.failed", &[]),
    ("task.timed_out", &[]),
    ("task.cancelled", &[]),
    ("tool.started", &["tool", "call"]),
    ("tool.succeeded", &["call"]),
    ("tool.failed", &["call"]),
    ("usage.recorded", &[]),
    ("model.failed", &["error"]),
    ("turn.started", &[]),
    ("turn.ended", &[]),
    ("message.recorded", &[]),
    ("progress.reported", &[]),
    ("output.grew", &[]),
    ("note.logged", &["text"]),
    ("waiting.started", &["on"]),
    ("waiting.ended", &["on"]),
];
const NAME_LENGTH_MAX: usize = 40;
/// After a path: records may lack the member, as often as they like.
const OPTIONAL: char = '?';

/// What is wrong with a section.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("jsonl `{section}`: {key}: {message}")]
pub struct Invalid {
    /// The name of the section.
    pub section: String,
    /// The key, with the number of the rule it is in.
    pub key: String,
    /// What is wrong with it.
    pub message: String,
}

impl Invalid {
    /// The key as a path in the section: `paths`, `rule.0.emit`.
    pub(super) fn path(&self) -> String {
        let of_rule = self.key.strip_prefix("rule ").and_then(|rest| {
            let (number, key) = rest.split_once(": ")?;
            Some(format!("rule.{}.{key}", number.parse::<usize>().ok()?.checked_sub(1)?))
        });
        of_rule.unwrap_or_else(|| self.key.split(':').next().unwrap_or_default().to_owned())
    }
}

/// A section whose keys make sense.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    name: String,
    patterns: Vec<String>,
    rules: Vec<Checked>,
    has_task: bool,
    members: BTreeMap<String, Member>,
    expected: Vec<Sought>,
}

/// A rule of it. Its members include those of the section.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Checked {
    conditions: Vec<(Vec<String>, Expected)>,
    pub(super) emit: &'static str,
    members: BTreeMap<String, Member>,
    pub(super) needed: &'static [&'static str],
    expected: Vec<Sought>,
}

/// A member that records are expected to have, and what it is known by in the memory of a log.
#[derive(Clone, Debug, PartialEq)]
struct Sought {
    key: String,
    name: String,
    path: Vec<String>,
}

/// Where a value is taken from.
#[derive(Clone, Debug, PartialEq)]
enum Member {
    Path(Vec<String>),
    Constant(String),
}

impl Section {
    /// Checks a section.
    ///
    /// # Errors
    /// The first key that makes no sense.
    pub fn check(config: &Jsonl) -> Result<Self, Invalid> {
        let invalid = |key: String, message: String| Invalid { section: config.name.clone(), key, message };
        let is_name = |character: char| {
            character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-'
        };
        if config.name.is_empty() || config.name.len() > NAME_LENGTH_MAX || !config.name.chars().all(is_name)
        {
            let message = "must be 1 to 40 small letters, digits and hyphens";
            return Err(invalid("name".to_owned(), message.to_owned()));
        }
        if config.paths.is_empty() {
            return Err(invalid("paths".to_owned(), "names no files".to_owned()));
        }
        for pattern in &config.paths {
            glob::Pattern::new(pattern)
                .map_err(|error| invalid(format!("paths: \"{pattern}\""), error.to_string()))?;
        }
        if config.rule.is_empty() {
            return Err(invalid("rule".to_owned(), "there is no rule".to_owned()));
        }
        let common = read_members(&config.members).map_err(|(key, message)| invalid(key, message))?;
        let mut rules = Vec::new();
        for (number, rule) in (1..).zip(&config.rule) {
            let invalid = |key: &str, message: String| invalid(format!("rule {number}: {key}"), message);
            let Some((emit, needed)) = EVENTS.iter().find(|(name, _)| *name == rule.emit) else {
                let known: Vec<&str> = EVENTS.iter().map(|(name, _)| *name).collect();
                let message = format!(
                    "\"{}\" is no event that a rule gives; these are: {}",
                    rule.emit,
                    known.join(", ")
                );
                return Err(invalid("emit", message));
            };
            let own = read_members(&rule.members).map_err(|(key, message)| invalid(&key, message))?;
            let mut members = common.clone();
            members.extend(own);
            if let Some(missing) = needed.iter().find(|name| !members.contains_key(**name)) {
                return Err(invalid(missing, format!("is needed for {emit}")));
            }
            let conditions = conditions(&rule.when, &common).map_err(|message| invalid("when", message))?;
            let expected = sought(emit, &rule.members)
                .chain(conditions.iter().map(|(path, _)| Sought::of(emit, "when", path.clone())))
                .collect();
            rules.push(Checked { conditions, emit, members, needed, expected });
        }
        let (name, patterns) = (config.name.clone(), config.paths.clone());
        let expected = sought("", &config.members).collect();
        Ok(Self { name, patterns, rules, has_task: common.contains_key("task"), members: common, expected })
    }

    /// What the source is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The patterns of its files.
    #[must_use]
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Whether its records say which task they are about.
    pub(super) const fn has_task(&self) -> bool {
        self.has_task
    }

    /// A value that all records have.
    pub(super) fn text(&self, name: &str, record: &[Entry<'_>]) -> Option<String> {
        self.members.get(name)?.text(record)
    }

    /// The value itself, where it is not a constant.
    pub(super) fn raw<'a>(&self, name: &str, record: &[Entry<'a>]) -> Option<Raw<'a>> {
        self.members.get(name)?.raw(record)
    }

    /// Whether a record that no rule matches is a usual one of such a log, about something else.
    pub(super) fn is_usual(&self, record: &[Entry<'_>]) -> bool {
        let mut named = ["type", "ts"].into_iter().filter_map(|name| self.members.get(name));
        let has_all = |rule: &Checked| rule.conditions.iter().all(|(path, _)| follow(path, record).is_some());
        named.next().is_some_and(|member| member.raw(record).is_some()) || self.rules.iter().any(has_all)
    }

    /// The rules that match a record.
    pub(super) fn matching<'s>(&'s self, record: &'s [Entry<'_>]) -> impl Iterator<Item = &'s Checked> {
        self.rules.iter().filter(|rule| rule.is_met(record).all(|is_met| is_met == Some(true)))
    }

    /// Which of the members that a record is expected to have it has: those of the section and of the rules that match it;
    /// where none does, what rules look for that match as far as the record has what they look for.
    pub(super) fn sightings<'s>(
        &'s self,
        record: &[Entry<'_>],
        matching: &[&'s Checked],
    ) -> Vec<(&'s str, bool)> {
        let sighting = |sought: &'s Sought| (sought.key.as_str(), find(&sought.path, record).is_some());
        if matching.is_empty() {
            let nearly = self.rules.iter().filter(|rule| {
                let is_met: Vec<_> = rule.is_met(record).collect();
                is_met.contains(&Some(true)) && !is_met.contains(&Some(false))
            });
            let conditions = nearly.flat_map(|rule| rule.expected.iter().rev().take(rule.conditions.len()));
            return conditions.map(sighting).collect();
        }
        let own = || matching.iter().flat_map(|rule| &rule.expected);
        // What a rule names otherwise need not be where the section has it.
        let common = self.expected.iter().filter(|sought| own().all(|own| own.name != sought.name));
        common.chain(own()).map(sighting).collect()
    }
}

impl Checked {
    /// Of each condition whether it is met; `None`: the record has no such member.
    fn is_met(&self, record: &[Entry<'_>]) -> impl Iterator<Item = Option<bool>> {
        self.conditions.iter().map(|(path, expected)| Some(is_expected(follow(path, record)?, expected)))
    }

    /// A value as text.
    pub(super) fn text(&self, name: &str, record: &[Entry<'_>]) -> Option<String> {
        self.members.get(name)?.text(record)
    }

    /// A whole number ≥ 0; fractions are cut.
    pub(super) fn count(&self, name: &str, record: &[Entry<'_>]) -> Option<u64> {
        let number = self.number(name, record)?;
        format!("{:.0}", number.trunc()).parse().ok()
    }

    /// A number, also one that is written as text.
    pub(super) fn number(&self, name: &str, record: &[Entry<'_>]) -> Option<f64> {
        self.text(name, record)?.trim().parse().ok().filter(|number: &f64| number.is_finite())
    }
}

impl Member {
    fn raw<'a>(&self, record: &[Entry<'a>]) -> Option<Raw<'a>> {
        match self {
            Self::Path(path) => follow(path, record),
            Self::Constant(_) => None,
        }
    }

    fn text(&self, record: &[Entry<'_>]) -> Option<String> {
        match self {
            Self::Constant(constant) => Some(constant.clone()),
            Self::Path(path) => text_of(follow(path, record)?),
        }
    }
}

/// The value as text; of an object its message.
fn text_of(value: Raw<'_>) -> Option<String> {
    match value.kind {
        RawKind::Text { .. } => Some(beginning(value)),
        RawKind::Number | RawKind::Flag => Some(value.text.to_owned()),
        RawKind::Object => member(&members(value), "message").map(beginning),
        RawKind::Null | RawKind::Array => None,
    }
    .filter(|text| !text.trim().is_empty())
}

/// The value at the end of a path, where it is not null.
fn follow<'a>(path: &[String], record: &[Entry<'a>]) -> Option<Raw<'a>> {
    find(path, record).filter(|value| value.kind != RawKind::Null)
}

/// The value at the end of a path, also where it is null.
fn find<'a>(path: &[String], record: &[Entry<'a>]) -> Option<Raw<'a>> {
    let named = |entries: &[Entry<'a>], name: &str| {
        entries.iter().find(|entry| entry.key == name).map(|entry| entry.value)
    };
    let (first, rest) = path.split_first()?;
    let mut value = named(record, first)?;
    for name in rest {
        value = match value.kind {
            RawKind::Object => named(&members(value), name)?,
            RawKind::Array => elements(value).get(name.parse::<usize>().ok()?).copied()?,
            _ => return None,
        };
    }
    Some(value)
}

fn is_expected(value: Raw<'_>, expected: &Expected) -> bool {
    match expected {
        Expected::Only(literal) => is(value, literal),
        Expected::OneOf(all) => all.iter().any(|literal| is(value, literal)),
    }
}

fn is(value: Raw<'_>, literal: &Literal) -> bool {
    match literal {
        Literal::Flag(flag) => value.kind == RawKind::Flag && value.text == flag.to_string(),
        Literal::Integer(number) => {
            value.kind == RawKind::Number
                && value.text.parse::<f64>().is_ok_and(|value| format!("{value}") == number.to_string())
        }
        Literal::Text(text) if text == "*" => true,
        Literal::Text(text) => matches!(value.kind, RawKind::Text { .. }) && beginning(value) == *text,
    }
}

fn conditions(
    when: &When,
    common: &BTreeMap<String, Member>,
) -> Result<Vec<(Vec<String>, Expected)>, String> {
    match when {
        When::Type(value) => match common.get("type") {
            Some(Member::Path(path)) => {
                Ok(vec![(path.clone(), Expected::Only(Literal::Text(value.clone())))])
            }
            _ => Err(format!(
                "\"{value}\" is a value of `type`, and the section does not say which member that is"
            )),
        },
        When::Members(members) if members.is_empty() => Err("is empty: it says which records".to_owned()),
        When::Members(members) => {
            members.iter().map(|(key, expected)| Ok((path_of(key)?, expected.clone()))).collect()
        }
    }
}

fn read_members(members: &BTreeMap<String, String>) -> Result<BTreeMap<String, Member>, (String, String)> {
    let read = |(key, value): (&String, &String)| {
        if !MEMBERS.contains(&key.as_str()) {
            let near = did_you_mean(key, MEMBERS)
                .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            let message = format!("is no key; those that name members are: {}{near}", MEMBERS.join(", "));
            return Err((key.clone(), message));
        }
        let member = match value.strip_prefix('=') {
            Some(constant) => Member::Constant(constant.trim().to_owned()),
            None => Member::Path(
                path_of(value.trim_end_matches(OPTIONAL)).map_err(|message| (key.clone(), message))?,
            ),
        };
        Ok((key.clone(), member))
    };
    members.iter().map(read).collect()
}

impl Sought {
    fn of(emit: &str, name: &str, path: Vec<String>) -> Self {
        Self { key: format!("{emit} {name} {}", path.join(".")), name: name.to_owned(), path }
    }
}

/// The members that records must have: all that are named, but constants and those that are marked as optional.
fn sought(emit: &str, members: &BTreeMap<String, String>) -> impl Iterator<Item = Sought> {
    let named = members.iter().filter(|(_, value)| !value.starts_with('=') && !value.ends_with(OPTIONAL));
    named.filter_map(move |(name, value)| Some(Sought::of(emit, name, path_of(value).ok()?)))
}

fn path_of(text: &str) -> Result<Vec<String>, String> {
    let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
    if parts.iter().any(String::is_empty) {
        return Err(format!("\"{text}\" is no path: names between dots are missing"));
    }
    Ok(parts)
}
