//! `agentlog config`: what the settings are, where each comes from, and what is wrong with a file. Works also where the
//! settings of the project are not valid. Changes nothing.

use crate::app::Context;
use crate::app::config::layer::{self, Layer, Origin, Place};
use crate::app::config::shape::{self, Key};
use crate::app::config::{self, Config, Inputs};
use crate::app::exit::{Exit, Failure};
use crate::base::{fs, text};
use crate::cli::command::TextOutput;
use crate::cli::config::{Config as Arguments, ConfigAction};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use toml::{Table, Value};

/// Does what was asked.
///
/// # Errors
/// When the settings are not valid or standard output cannot be written.
pub fn run(context: &Context, set: &[String], arguments: &Arguments) -> anyhow::Result<Exit> {
    let inputs = Inputs::of_process(set);
    match &arguments.action {
        ConfigAction::Show { origin } => show(context, &inputs, *origin, arguments.output),
        ConfigAction::Path => path(context, &inputs, arguments.output),
        ConfigAction::Check { file } => check(context, &inputs, file.as_deref(), arguments.output),
    }
}

/// One key and its value, as `config show -o json` prints it.
#[derive(Debug, Serialize)]
struct Setting {
    key: String,
    /// The table it stands in, and its name there, as TOML writes them.
    #[serde(skip)]
    place: (String, String),
    /// Null: not set.
    value: serde_json::Value,
    origin: Origin,
}

fn show(context: &Context, inputs: &Inputs, origin: bool, output: TextOutput) -> anyhow::Result<Exit> {
    let layers = config::layers(&context.project, inputs)?;
    let values = Table::try_from(config::typed(&layers)?)?;
    let origins = layer::origins(&layers);
    let mut settings = Vec::new();
    flatten(&values, &[], &origins, &mut settings);
    let mut keys = shape::keys(&Config::schema(""));
    keys.retain(|key| is_unset(key, &settings));
    settings.extend(keys.iter().map(|key| {
        Setting {
            key: key.path(),
            place: key
                .path()
                .rsplit_once('.')
                .map(|(table, name)| (table.to_owned(), name.to_owned()))
                .unwrap_or_default(),
            value: serde_json::Value::Null,
            origin: Origin::Default,
        }
    }));
    settings.sort_by(|one, other| one.place.cmp(&other.place));
    match output {
        TextOutput::Json => context.print_document(serde_json::json!({ "settings": settings }))?,
        TextOutput::Text => print(context, &settings, origin)?,
    }
    Ok(Exit::Done)
}

/// Whether a key may be said and is not: it has no default.
fn is_unset(key: &Key, settings: &[Setting]) -> bool {
    let path = key.path();
    !path.contains("[]") && !path.contains("NAME") && !settings.iter().any(|setting| setting.key == path)
}

fn print(context: &Context, settings: &[Setting], origin: bool) -> anyhow::Result<()> {
    let mut out = context.out();
    let mut section = "";
    for Setting { place: (table, name), value, origin: from, .. } in settings {
        if table != section {
            let gap = if section.is_empty() { "" } else { "\n" };
            writeln!(out, "{gap}[{table}]")?;
            section = table;
        }
        let line = match value {
            serde_json::Value::Null => format!("# {name} is not set"),
            value => format!("{name} = {}", toml_text(value)),
        };
        if origin {
            writeln!(out, "{line:<40} # {}", place_of(from))?;
        } else {
            writeln!(out, "{line}")?;
        }
    }
    out.flush()?;
    Ok(())
}

fn place_of(origin: &Origin) -> String {
    match origin {
        Origin::Default => "default".to_owned(),
        Origin::File { path, line } => format!("{}:{line}", text::path(path)),
        Origin::Variable { name } => name.clone(),
        Origin::Flag => "--set".to_owned(),
    }
}

fn flatten(table: &Table, path: &[&str], origins: &BTreeMap<String, Origin>, settings: &mut Vec<Setting>) {
    for (name, value) in table {
        let whole = [path, &[name.as_str()]].concat();
        let Value::Table(inner) = value else {
            let key = whole.join(".");
            settings.push(Setting {
                place: (path.iter().map(|name| bare(name)).collect::<Vec<_>>().join("."), bare(name)),
                value: serde_json::to_value(value).unwrap_or_default(),
                origin: origins.get(&key).cloned().unwrap_or(Origin::Default),
                key,
            });
            continue;
        };
        flatten(inner, &whole, origins, settings);
    }
}

/// A name as TOML writes it: quoted unless it is plain.
fn bare(name: &str) -> String {
    let is_plain =
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if is_plain { name.to_owned() } else { serde_json::Value::from(name).to_string() }
}

/// A value as it may stand in the file.
fn toml_text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Array(items) => {
            format!("[{}]", items.iter().map(toml_text).collect::<Vec<_>>().join(", "))
        }
        serde_json::Value::Object(members) => {
            let pairs = members.iter().map(|(name, value)| format!("{} = {}", bare(name), toml_text(value)));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
        // Numbers, truth values and quoted texts look alike in both.
        plain => plain.to_string(),
    }
}

/// A file that may say settings, as `config path -o json` prints it.
#[derive(Debug, Serialize)]
struct Candidate {
    path: String,
    exists: bool,
}

fn path(context: &Context, inputs: &Inputs, output: TextOutput) -> anyhow::Result<Exit> {
    let candidate = |path: &Path| Candidate { path: text::path(path), exists: path.exists() };
    let candidates: Vec<Candidate> = [Some(context.project.config.as_path()), inputs.user.as_deref()]
        .into_iter()
        .flatten()
        .map(candidate)
        .collect();
    if output == TextOutput::Json {
        context.print_document(serde_json::json!({ "files": candidates }))?;
        return Ok(Exit::Done);
    }
    let mut out = context.out();
    for Candidate { path, exists } in &candidates {
        writeln!(out, "{path}{}", if *exists { "" } else { " (is not there)" })?;
    }
    out.flush()?;
    context.hint("the first goes before the second; AGENTLOG_* variables and --set go before both");
    Ok(Exit::Done)
}

fn check(
    context: &Context,
    inputs: &Inputs,
    file: Option<&Path>,
    output: TextOutput,
) -> anyhow::Result<Exit> {
    let layers = match file {
        Some(path) => {
            let text =
                fs::read_regular_text(path).map_err(|error| Failure::new(Exit::Io, error.to_string()))?;
            vec![Layer { from: Place::File(path.to_owned()), text }]
        }
        None => config::layers(&context.project, inputs)?,
    };
    let mut complaints = config::complaints(&layers);
    let base = context.project.root.as_deref().unwrap_or(&context.directory);
    let (wrong, warnings) = config::objections(&layers, base);
    complaints.extend(wrong);
    if complaints.is_empty() {
        let checked = config::typed(&layers).map_err(|error| error.message);
        complaints.extend(checked.and_then(|config| config::check(&config)).err());
    }
    if output == TextOutput::Json {
        context.print_document(serde_json::json!({ "problems": complaints, "warnings": warnings }))?;
    } else {
        let mut out = context.out();
        for complaint in &complaints {
            writeln!(out, "{complaint}")?;
        }
        for warning in &warnings {
            writeln!(out, "warning: {warning}")?;
        }
        if complaints.is_empty() {
            let files = layers.iter().filter(|layer| matches!(layer.from, Place::File(_))).count();
            writeln!(out, "all is well in {}", text::plural(u64::try_from(files)?, "file"))?;
        }
        out.flush()?;
    }
    Ok(if complaints.is_empty() { Exit::Done } else { Exit::Configuration })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_as_it_may_stand_in_the_file() {
        let value = serde_json::json!([{ "name": "a \"b\"\n", "n": [1, 2.5, true] }]);
        let text = format!("job = {}", toml_text(&value));
        let read: Table = text.parse().unwrap();
        assert_eq!(serde_json::to_value(&read["job"]).unwrap(), value);
    }
}
