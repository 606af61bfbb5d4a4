//! How a `[[jsonl]]` section is written in the configuration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// JSON Lines logs of a program that agentlog does not know, and what their records mean.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Jsonl {
    /// What the source is called in events, and who works where no `agent` says it: small letters, digits and hyphens.
    pub name: String,
    /// The files, as patterns relative to the project's root (`logs/**/*.jsonl`).
    pub paths: Vec<String>,
    /// Which records are which events; each rule that matches a record gives an event.
    pub rule: Vec<Rule>,
    /// Which member of a record means what, for all rules: `task`, `agent`, `ts`, `type`, `id` and every other name that a
    /// rule may have. A path such as `job.id`, with a `?` at its end where records may lack it; a text that begins with `=` is
    /// the value itself.
    #[serde(flatten)]
    pub members: BTreeMap<String, String>,
}

/// One kind of record.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
pub struct Rule {
    /// Which records: the value of the section's `type`, or a table of members and the values they must have.
    pub when: When,
    /// The type of the event.
    pub emit: String,
    /// Which member of such a record means what, where that differs from the section.
    #[serde(flatten)]
    pub members: BTreeMap<String, String>,
}

/// Which records a rule is about.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum When {
    /// Those whose `type` has this value.
    Type(String),
    /// Those whose members have these values, each of them.
    Members(BTreeMap<String, Expected>),
}

/// What a member must be.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Expected {
    /// This.
    Only(Literal),
    /// One of these.
    OneOf(Vec<Literal>),
}

/// A value in a record.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Literal {
    /// `true` or `false`.
    Flag(bool),
    /// This number.
    Integer(i64),
    /// This text; `*` is anything that is there.
    Text(String),
}

impl Default for When {
    fn default() -> Self {
        Self::Members(BTreeMap::new())
    }
}
