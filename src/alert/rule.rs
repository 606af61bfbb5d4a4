//! The `[[alert]]` sections of the configuration: which changes of health somebody wants to hear of, and how. A rule that
//! could never be delivered is refused.

use crate::alert::quiet::Quiet;
use crate::projection::health::{Health, Reason};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

const COOLDOWN_MS: u64 = 5 * 60 * 1000;

/// An alert: whoever is named in `via` hears once that a task got into one of these states, and once that it is over.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// The states to tell of.
    pub on: Vec<State>,
    /// Only for these reasons; none: whatever the reason.
    pub reasons: Vec<Cause>,
    /// Only tasks whose id fits: `*`, `?` and `[...]` stand for what they do in names of files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<Glob>,
    /// Only tasks of such agents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<Glob>,
    /// Only tasks of such projects, by their names or their root directories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<Glob>,
    /// How it is told; none: by `command` and `webhook`, where they are set, else by the bell and OSC 9.
    pub via: Vec<Via>,
    /// A program with its arguments, or a line for `sh`. It gets the alert as JSON on standard input and as `AGENTLOG_TASK`,
    /// `AGENTLOG_HEALTH`, `AGENTLOG_REASON`, `AGENTLOG_TEXT`, `AGENTLOG_ALERT_ID` and `AGENTLOG_ALERT_KIND` (`fired`, `resolved` or
    /// `summary`), and is ended after 10 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
    /// An address that the alert is posted to as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// Headers of that post.
    pub headers: BTreeMap<String, String>,
    /// The state must hold for so long before it is told, in milliseconds.
    pub for_ms: u64,
    /// It must be over for so long before that is told, in milliseconds.
    pub keep_ms: u64,
    /// The same task is not told of for the same reason again within this time, in milliseconds; if it lasts, it is told then.
    pub cooldown_ms: u64,
    /// Hours in which nothing is told, by the clock on the wall; at their end one message sums up: `22:00-07:00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet: Option<Quiet>,
    /// Whether it is told that it is over.
    pub resolve: bool,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            on: [Health::Struggling, Health::Stuck, Health::Failed, Health::TimedOut].map(State).to_vec(),
            reasons: Vec::new(),
            task: None,
            agent: None,
            project: None,
            via: Vec::new(),
            command: None,
            webhook: None,
            headers: BTreeMap::new(),
            for_ms: 0,
            keep_ms: 0,
            cooldown_ms: COOLDOWN_MS,
            quiet: None,
            resolve: true,
        }
    }
}

impl Rule {
    /// The ways it is told.
    #[must_use]
    pub fn ways(&self) -> Vec<Via> {
        if !self.via.is_empty() {
            let mut ways = self.via.clone();
            ways.sort();
            ways.dedup();
            return ways;
        }
        let command = self.command.as_ref().map(|_| Via::Command);
        let webhook = self.webhook.as_ref().map(|_| Via::Webhook);
        let ways: Vec<Via> = command.into_iter().chain(webhook).collect();
        if ways.is_empty() { vec![Via::Bell, Via::Osc9] } else { ways }
    }

    /// What one key alone does not show to be wrong.
    ///
    /// # Errors
    /// What is missing or no address.
    pub fn check(&self) -> Result<(), String> {
        let ways = self.ways();
        if ways.contains(&Via::Command) && self.command.as_ref().is_none_or(Command::is_empty) {
            return Err("via has `command`, but `command` names no program".to_owned());
        }
        if ways.contains(&Via::Webhook) && self.webhook.is_none() {
            return Err("via has `webhook`, but `webhook` names no address".to_owned());
        }
        match &self.webhook {
            Some(url) if !["https://", "http://"].iter().any(|scheme| url.starts_with(scheme)) => {
                Err("webhook: expected an address that begins with https:// or http://".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// A way to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// The terminal's bell.
    Bell,
    /// A notification of the terminal.
    Osc9,
    /// A message in the status line of tmux.
    Tmux,
    /// A notification of the desktop.
    Desktop,
    /// A program.
    Command,
    /// A post to an address.
    Webhook,
}

impl Via {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Bell, Self::Osc9, Self::Tmux, Self::Desktop, Self::Command, Self::Webhook];

    /// The word of the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Bell => "bell",
            Self::Osc9 => "osc9",
            Self::Tmux => "tmux",
            Self::Desktop => "desktop",
            Self::Command => "command",
            Self::Webhook => "webhook",
        }
    }

    /// The way of a word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|via| via.word() == word)
    }
}

/// What is run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Command {
    /// A line for `sh`.
    Line(String),
    /// The program and its arguments.
    Arguments(Vec<String>),
}

impl Command {
    /// The program and its arguments.
    #[must_use]
    pub fn arguments(&self) -> Vec<&str> {
        match self {
            Self::Line(line) => vec!["sh", "-c", line],
            Self::Arguments(arguments) => arguments.iter().map(String::as_str).collect(),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Line(line) => line.trim().is_empty(),
            Self::Arguments(arguments) => arguments.first().is_none_or(String::is_empty),
        }
    }
}

/// A pattern for names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Glob(glob::Pattern);

impl Glob {
    /// Whether a name fits.
    #[must_use]
    pub fn fits(&self, name: &str) -> bool {
        self.0.matches(name)
    }
}

impl TryFrom<String> for Glob {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let pattern =
            glob::Pattern::new(&text).map_err(|error| format!("`{text}` is no pattern: {error}"))?;
        Ok(Self(pattern))
    }
}

impl From<Glob> for String {
    fn from(glob: Glob) -> Self {
        glob.0.as_str().to_owned()
    }
}

impl JsonSchema for Glob {
    fn schema_name() -> Cow<'static, str> {
        "Glob".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// A health, by its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct State(pub Health);

impl TryFrom<String> for State {
    type Error = String;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        Health::of_word(&word).map(Self).ok_or_else(|| format!("`{word}` is no health"))
    }
}

impl From<State> for String {
    fn from(state: State) -> Self {
        state.0.word().to_owned()
    }
}

impl JsonSchema for State {
    fn schema_name() -> Cow<'static, str> {
        "Health".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": Health::ALL.map(Health::word) })
    }
}

/// A reason, by its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cause(pub Reason);

impl TryFrom<String> for Cause {
    type Error = String;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        Reason::of_word(&word).map(Self).ok_or_else(|| format!("`{word}` is no reason"))
    }
}

impl From<Cause> for String {
    fn from(cause: Cause) -> Self {
        cause.0.word().to_owned()
    }
}

impl JsonSchema for Cause {
    fn schema_name() -> Cow<'static, str> {
        "Reason".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": Reason::ALL.map(Reason::word) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn a_rule_says_how_it_is_told_or_what_is_set_does() {
        assert_eq!(rule("").ways(), [Via::Bell, Via::Osc9]);
        assert_eq!(rule("command = 'x'").ways(), [Via::Command]);
        assert_eq!(
            rule("command = 'x'\nvia = ['webhook', 'bell', 'bell']").ways(),
            [Via::Bell, Via::Webhook]
        );
        for via in Via::ALL {
            assert_eq!(Via::of_word(via.word()), Some(via));
        }
    }

    #[test]
    fn a_line_is_for_the_shell_and_a_list_is_not() {
        assert_eq!(rule("command = 'a b'").command.unwrap().arguments(), ["sh", "-c", "a b"]);
        assert_eq!(rule("command = ['a', 'b c']").command.unwrap().arguments(), ["a", "b c"]);
    }

    #[test]
    fn what_could_never_be_told_is_refused() {
        let complaint = |text| rule(text).check().unwrap_err();
        assert!(complaint("via = ['command']").contains("names no program"));
        assert!(complaint("command = []").contains("names no program"));
        assert!(complaint("via = ['webhook']").contains("names no address"));
        assert!(complaint("webhook = 'file:///x'").contains("https://"));
        assert_eq!(rule("webhook = 'http://localhost:1/x'").check(), Ok(()));
        for text in ["on = ['sad']", "reasons = ['sad']", "via = ['pigeon']", "task = '[a'", "quiet = '22'"] {
            assert!(toml::from_str::<Rule>(text).is_err(), "{text}");
        }
    }
}
