//! Where settings come from, and which goes before which: flags, then variables, then the project's file, then the user's,
//! then the defaults. Tables are merged key by key; a value or an array replaces the one below it as a whole. Judges nothing.

use crate::app::config::complaint;
use crate::app::config::shape::Key;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

/// One text of settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Where it comes from.
    pub from: Place,
    /// TOML.
    pub text: String,
}

/// Where a text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file.
    File(PathBuf),
    /// A variable of the environment.
    Variable(String),
    /// `--set`, as it was typed.
    Flag(String),
}

/// Where the value of a key comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum Origin {
    /// Nobody said it.
    Default,
    /// A line of a file.
    File {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
    },
    /// A variable of the environment.
    Variable {
        /// Its name.
        name: String,
    },
    /// `--set`.
    Flag,
}

impl Layer {
    /// What a variable says, if it is one of these keys'.
    #[must_use]
    pub fn of_variable(name: &str, value: &str, keys: &[Key]) -> Option<Self> {
        let key = keys.iter().find(|key| key.variable().as_deref() == Some(name))?;
        let is_text = key.kind == "text" || key.kind.starts_with("one of");
        Some(Self { from: Place::Variable(name.to_owned()), text: pair(&key.path(), value, is_text) })
    }

    /// What `--set KEY=VALUE` says; a value that is no TOML is a text.
    #[must_use]
    pub fn of_flag(typed: &str) -> Self {
        let (key, value) = typed.split_once('=').unwrap_or((typed, ""));
        let (key, value) = (key.trim(), value.trim());
        let is_toml = !value.is_empty() && pair(key, value, false).parse::<Table>().is_ok();
        Self { from: Place::Flag(typed.to_owned()), text: pair(key, value, !is_toml) }
    }
}

/// All layers in one, the later ones before the earlier.
///
/// # Errors
/// When one is no TOML; the error is that of the parser.
pub fn merged(layers: &[Layer]) -> Result<Table, Box<toml::de::Error>> {
    let mut merged = Table::new();
    for layer in layers {
        merge(&mut merged, layer.text.parse::<Table>()?);
    }
    Ok(merged)
}

/// Where each value comes from, by its path (`health.failure_streak`). What is not in it is a default.
#[must_use]
pub fn origins(layers: &[Layer]) -> BTreeMap<String, Origin> {
    let mut origins = BTreeMap::new();
    for layer in layers {
        if let Ok(document) = DeTable::parse(&layer.text) {
            note(document.get_ref(), "", layer, &mut origins);
        }
    }
    origins
}

fn note(table: &DeTable<'_>, prefix: &str, layer: &Layer, origins: &mut BTreeMap<String, Origin>) {
    for (name, value) in table {
        let path = format!("{prefix}{}", name.get_ref());
        if let DeValue::Table(inner) = value.get_ref() {
            note(inner, &format!("{path}."), layer, origins);
            continue;
        }
        let origin = match &layer.from {
            Place::File(file) => {
                let (line, _) = complaint::place(&layer.text, name.span().start);
                Origin::File { path: file.clone(), line }
            }
            Place::Variable(name) => Origin::Variable { name: name.clone() },
            Place::Flag(_) => Origin::Flag,
        };
        origins.insert(path, origin);
    }
}

fn merge(below: &mut Table, above: Table) {
    for (name, value) in above {
        match (below.get_mut(&name), value) {
            (Some(Value::Table(inner)), Value::Table(table)) => merge(inner, table),
            (_, value) => {
                below.insert(name, value);
            }
        }
    }
}

/// `key = value`. What is quoted has no control character that would end it.
fn pair(key: &str, value: &str, is_text: bool) -> String {
    if is_text {
        format!("{key} = {}", serde_json::Value::from(value))
    } else {
        // One line only: a value is never another key.
        format!("{key} = {}", value.replace(['\n', '\r'], " "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> Layer {
        Layer { from: Place::File(name.into()), text: text.to_owned() }
    }

    #[test]
    fn a_later_layer_goes_before_an_earlier_one_key_by_key() {
        let layers = [
            file("user", "[a]\nx = 1\ny = 1\n[[job]]\nname = 'u'\n"),
            file("project", "[a]\ny = 2\n[[job]]\nname = 'p'\n"),
            Layer::of_flag("a.z = three"),
            Layer::of_flag("a.w=[1, 2]"),
        ];
        let expected: Table =
            "job = [{ name = 'p' }]\n[a]\nx = 1\ny = 2\nz = 'three'\nw = [1, 2]".parse().unwrap();
        assert_eq!(merged(&layers).unwrap(), expected);
        let at = |path: &str, line| Origin::File { path: path.into(), line };
        let expected = [
            ("a.w".to_owned(), Origin::Flag),
            ("a.x".to_owned(), at("user", 2)),
            ("a.y".to_owned(), at("project", 2)),
            ("a.z".to_owned(), Origin::Flag),
            ("job".to_owned(), at("project", 3)),
        ];
        assert_eq!(origins(&layers), expected.into());
    }

    #[test]
    fn a_value_cannot_end_its_line_and_begin_another() {
        assert_eq!(pair("a.b", "1\nc = 2", false), "a.b = 1 c = 2");
        assert_eq!(pair("a.b", "x\"\nc = 2", true), "a.b = \"x\\\"\\nc = 2\"");
        assert!(merged(&[Layer::of_flag("a.b=1\nc = 2")]).unwrap().get("c").is_none());
    }
}
