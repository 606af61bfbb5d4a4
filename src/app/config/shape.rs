//! What may stand at a place of the configuration, as its JSON Schema says: names, types, defaults and meanings have this one
//! source. Reads a schema; knows no file and no value.

use crate::base::text;
use serde_json::Value;
use std::fmt::Write as _;

/// A schema that refers to itself is followed no deeper than this.
const DEPTH_MAX: usize = 8;

/// What may stand at one place.
#[derive(Clone, Debug)]
pub struct Shape<'s> {
    root: &'s Value,
    /// The place as its table describes it: its meaning and its default.
    outer: &'s Value,
    /// What it may be: any of these.
    alternatives: Vec<&'s Value>,
}

/// One key of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// The table at the top that it stands in.
    pub section: String,
    /// Whether there may be several such tables: `[[section]]`.
    pub is_list: bool,
    /// Its name inside the section: `failure_streak`, `budgets.read_ms`, `patterns[].regex`, `tool_budgets_ms.NAME`.
    pub name: String,
    /// What its value is, for people.
    pub kind: String,
    /// What it is when nobody says it; none: it is not set.
    pub default: Option<Value>,
    /// Whether it must be said.
    pub is_required: bool,
    /// What it means.
    pub meaning: String,
    /// Whether one variable of the environment can say it.
    pub is_scalar: bool,
}

impl Key {
    /// The whole path: `health.failure_streak`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}{}.{}", self.section, if self.is_list { "[]" } else { "" }, self.name)
    }

    /// The variable of the environment that says it; none: no single one can.
    #[must_use]
    pub fn variable(&self) -> Option<String> {
        let name = || format!("AGENTLOG_{}_{}", self.section, self.name.replace('.', "_")).to_uppercase();
        self.is_scalar.then(name)
    }
}

impl<'s> Shape<'s> {
    /// The shape of the whole document.
    #[must_use]
    pub fn of_document(schema: &'s Value) -> Self {
        Self::of(schema, schema)
    }

    fn of(root: &'s Value, outer: &'s Value) -> Self {
        let mut alternatives = Vec::new();
        expand(root, outer, 0, &mut alternatives);
        Self { root, outer, alternatives }
    }

    /// What may stand under a name; `None`: nothing may.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<Self> {
        let named = self.alternatives.iter().find_map(|one| one.get("properties")?.get(name));
        let any = || {
            let others = self.alternatives.iter().filter_map(|one| one.get("additionalProperties"));
            others.into_iter().find(|schema| schema.is_object())
        };
        named.or_else(any).map(|node| Self::of(self.root, node))
    }

    /// The names that are known.
    #[must_use]
    pub fn names(&self) -> Vec<&'s str> {
        let tables = self.alternatives.iter().filter_map(|one| one.get("properties")?.as_object());
        tables.flat_map(|members| members.keys().map(String::as_str)).collect()
    }

    /// Names that must be there.
    #[must_use]
    pub fn required(&self) -> Vec<&'s str> {
        match self.alternatives.as_slice() {
            [one] => texts(one.get("required")).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether it is a table whose members can be judged one by one: not where it may be one of several.
    #[must_use]
    pub fn is_one_table(&self) -> bool {
        self.alternatives.iter().filter(|one| accepts(one, "object")).count() == 1
    }

    /// Whether unknown names are refused.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.alternatives.iter().any(|one| one.get("additionalProperties") == Some(&Value::Bool(false)))
    }

    /// What the elements of an array may be.
    #[must_use]
    pub fn items(&self) -> Option<Self> {
        let items = self.alternatives.iter().find_map(|one| one.get("items"))?;
        Some(Self::of(self.root, items))
    }

    /// Whether a value of this JSON type may stand here.
    #[must_use]
    pub fn accepts(&self, json_type: &str) -> bool {
        self.alternatives.iter().any(|one| accepts(one, json_type))
    }

    /// The words that may stand here, where only some may.
    #[must_use]
    pub fn words(&self) -> Vec<&'s str> {
        let words = |one: &&'s Value| texts(one.get("enum")).chain(one.get("const").and_then(Value::as_str));
        self.alternatives.iter().flat_map(words).collect()
    }

    /// The least number that may stand here.
    #[must_use]
    pub fn minimum(&self) -> Option<f64> {
        self.alternatives.iter().find_map(|one| one.get("minimum")?.as_f64())
    }

    /// What may stand here, for people: `whole number ≥ 0`.
    #[must_use]
    pub fn kind(&self) -> String {
        self.kind_within(1)
    }

    /// The same, down to a depth: what may contain itself has no end of its own.
    fn kind_within(&self, depth: usize) -> String {
        let words = self.words();
        if !words.is_empty() {
            let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            return format!("one of {}", quoted.join(", "));
        }
        let mut kinds: Vec<String> = Vec::new();
        for (json_type, word) in [
            ("boolean", "true or false"),
            ("integer", "whole number"),
            ("number", "number"),
            ("string", "text"),
            ("array", "array"),
            ("object", "table"),
        ] {
            let is_covered = json_type == "integer" && self.accepts("number")
                || json_type == "number" && !self.alternatives.iter().any(|one| is_typed(one, "number"));
            if !self.accepts(json_type) || is_covered {
                continue;
            }
            let mut kind = word.to_owned();
            if let Some(items) = self.items().filter(|_| json_type == "array" && depth > 0) {
                let of = items.kind_within(depth.saturating_sub(1));
                let _ = write!(kind, " of {}", of.replace("true or false", "truth value"));
            }
            if let Some(minimum) = self.minimum().filter(|_| ["integer", "number"].contains(&json_type)) {
                let _ = write!(kind, " ≥ {minimum}");
            }
            kinds.push(kind);
        }
        kinds.join(" or ")
    }

    fn meaning(&self) -> String {
        let inner = || self.alternatives.iter().find_map(|one| one.get("description"));
        let text = self.outer.get("description").or_else(inner).and_then(Value::as_str).unwrap_or_default();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// All keys, section by section.
#[must_use]
pub fn keys(schema: &Value) -> Vec<Key> {
    let document = Shape::of_document(schema);
    let mut keys = Vec::new();
    for section in document.names() {
        let Some(shape) = document.member(section) else { continue };
        let (is_list, shape) = match shape.items().filter(|_| shape.accepts("array")) {
            Some(items) => (true, items),
            None => (false, shape),
        };
        collect(section, is_list, "", &shape, 0, &mut keys);
    }
    keys
}

/// What a section is for.
#[must_use]
pub fn meaning_of(schema: &Value, section: &str) -> String {
    Shape::of_document(schema).member(section).map(|shape| shape.meaning()).unwrap_or_default()
}

/// A name that is near to one that is not known.
#[must_use]
pub fn nearest<'n>(name: &str, names: &[&'n str]) -> Option<&'n str> {
    text::did_you_mean(name, names.iter().copied()).or_else(|| {
        let likely = |known: &&&str| strsim::jaro_winkler(name, known) > 0.85;
        names.iter().find(likely).copied()
    })
}

fn collect(section: &str, is_list: bool, prefix: &str, shape: &Shape<'_>, depth: usize, keys: &mut Vec<Key>) {
    let required = shape.required();
    let mut members: Vec<(String, Shape<'_>)> =
        shape.names().into_iter().filter_map(|name| Some((name.to_owned(), shape.member(name)?))).collect();
    if members.is_empty()
        && let Some(any) = shape.member("NAME")
    {
        members.push(("NAME".to_owned(), any));
    }
    for (name, member) in members {
        let full = format!("{prefix}{name}");
        let inner = member.items().filter(|items| items.is_one_table() && depth < DEPTH_MAX);
        if let Some(items) = inner {
            collect(section, is_list, &format!("{full}[]."), &items, depth + 1, keys);
        } else if member.is_one_table() && depth < DEPTH_MAX {
            collect(section, is_list, &format!("{full}."), &member, depth + 1, keys);
        } else {
            let is_fixed = !is_list && name != "NAME" && !prefix.contains("NAME.") && !prefix.contains("[]");
            keys.push(Key {
                section: section.to_owned(),
                is_list,
                kind: member.kind(),
                default: member.outer.get("default").filter(|value| !value.is_null()).cloned(),
                is_required: required.contains(&name.as_str()),
                // Of a table of names the table's own text tells what they mean.
                meaning: Some(member.meaning())
                    .filter(|text| !text.is_empty())
                    .unwrap_or_else(|| shape.meaning()),
                is_scalar: is_fixed && !member.accepts("array"),
                name: full,
            });
        }
    }
}

fn expand<'s>(root: &'s Value, node: &'s Value, depth: usize, alternatives: &mut Vec<&'s Value>) {
    if depth > DEPTH_MAX {
        return;
    }
    let target =
        node.get("$ref").and_then(Value::as_str).and_then(|path| root.pointer(path.strip_prefix('#')?));
    if let Some(target) = target {
        expand(root, target, depth + 1, alternatives);
    }
    for several in ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|word| node.get(word)?.as_array()) {
        for one in several {
            expand(root, one, depth + 1, alternatives);
        }
    }
    let says_something = ["type", "enum", "const", "properties"].iter().any(|word| node.get(*word).is_some());
    if says_something && node.get("type").and_then(Value::as_str) != Some("null") {
        alternatives.push(node);
    }
}

fn accepts(schema: &Value, json_type: &str) -> bool {
    is_typed(schema, json_type)
        || json_type == "integer" && is_typed(schema, "number")
        || json_type == "string" && (schema.get("enum").is_some() || schema.get("const").is_some())
}

fn is_typed(schema: &Value, json_type: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(one)) => one == json_type,
        several => texts(several).any(|one| one == json_type),
    }
}

fn texts(array: Option<&Value>) -> impl Iterator<Item = &str> {
    array.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};
    use std::collections::BTreeMap;

    /// The kinds of keys that sections are made of.
    #[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    struct Document {
        /// What is watched.
        job: Vec<Job>,
        /// How.
        limits: Option<Limits>,
    }

    #[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Job {
        /// Its name.
        name: String,
        /// What to look for.
        #[serde(default)]
        patterns: Vec<String>,
        /// What to do.
        #[serde(default)]
        on_end: Option<Action>,
    }

    #[derive(Debug, Deserialize, Serialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    enum Action {
        /// Say it.
        Tell,
        /// End it.
        Kill,
    }

    #[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
    #[serde(default, deny_unknown_fields)]
    struct Limits {
        /// Its share.
        share: f64,
        /// By name.
        by_name: BTreeMap<String, u64>,
    }

    fn schema() -> Value {
        serde_json::to_value(schemars::schema_for!(Document)).unwrap()
    }

    #[test]
    fn keys_are_listed_with_what_they_may_be() {
        let schema = schema();
        let told: Vec<(String, String, bool)> =
            keys(&schema).iter().map(|key| (key.path(), key.kind.clone(), key.is_required)).collect();
        let told: Vec<(&str, &str, bool)> =
            told.iter().map(|(path, kind, required)| (path.as_str(), kind.as_str(), *required)).collect();
        let expected = [
            ("job[].name", "text", true),
            ("job[].on_end", "one of `tell`, `kill`", false),
            ("job[].patterns", "array of text", false),
            ("limits.by_name.NAME", "whole number ≥ 0", false),
            ("limits.share", "number", false),
        ];
        assert_eq!(told, expected);
        assert_eq!(meaning_of(&schema, "job"), "What is watched.");
    }

    #[test]
    fn what_may_contain_itself_has_a_kind_all_the_same() {
        let schema = serde_json::json!({
            "properties": {"rule": {"type": "object", "properties": {"is": {"$ref": "#/$defs/Value"}}}},
            "$defs": {"Value": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/$defs/Value"}}]}},
        });
        let kinds: Vec<String> = keys(&schema).into_iter().map(|key| key.kind).collect();
        assert_eq!(kinds, ["text or array of text or array"]);
    }

    #[test]
    fn only_a_single_value_has_a_variable() {
        let schema = schema();
        let named: Vec<String> = keys(&schema).iter().filter_map(Key::variable).collect();
        assert_eq!(named, ["AGENTLOG_LIMITS_SHARE"]);
    }

    #[test]
    fn a_near_name_is_suggested_and_a_strange_one_is_not() {
        assert_eq!(nearest("failure_streek", &["stuck_after_ms", "failure_streak"]), Some("failure_streak"));
        assert_eq!(nearest("colour", &["stuck_after_ms", "failure_streak"]), None);
    }
}
