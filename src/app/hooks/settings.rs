//! Our hooks in the text of a settings file: put in and taken out as a person would, so that comments, order, indentation and
//! line ends of everything else stay byte for byte. Text in, text out; no file is touched here, and a text that is no JSON, or
//! whose `hooks` are something else than this kind of file has, is refused with its place.

use crate::app::config::complaint::place;
use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstArray, CstInputValue, CstNode, CstObject, CstRootNode};
use serde_json::{Map, Value};

/// What Windows editors put before a text.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// What is to stand in a settings file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The agent's name, which is our hook's argument.
    pub agent: &'static str,
    /// The events it is called at.
    pub events: &'static [&'static str],
    /// The members of the handler of one event, in the order in which they are written.
    pub handler: Vec<(&'static str, Value)>,
}

impl Wanted {
    fn handler(&self) -> Value {
        self.handler
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect::<Map<_, _>>()
            .into()
    }
}

/// Why a settings file is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// It cannot be read as JSON.
    #[error("{line}:{column}: is no JSON: {message}")]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// Something of the name is not what the agent expects there.
    #[error("`{0}` is not {1}")]
    Unexpected(String, &'static str),
}

/// How our hooks stand in a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Events at which exactly the wanted handler is called.
    pub current: Vec<&'static str>,
    /// Events at which another form of it is called: another path of this program, another time limit.
    pub other: Vec<&'static str>,
    /// All hooks of the file are turned off.
    pub disabled: bool,
    /// The programs that our handlers call.
    pub programs: Vec<String>,
}

impl Standing {
    /// Whether any of our hooks is there.
    #[must_use]
    pub fn is_any(&self) -> bool {
        !(self.current.is_empty() && self.other.is_empty())
    }
}

/// The text with our hooks.
///
/// # Errors
/// When it cannot be read.
pub fn install(text: &str, wanted: &Wanted) -> Result<String, SettingsError> {
    edit(text, |root| {
        let top = root.object_value_or_create().ok_or_else(|| unexpected("the file", "an object"))?;
        let hooks = top.object_value_or_create("hooks").ok_or_else(|| unexpected("hooks", "an object"))?;
        let handler = wanted.handler();
        for event in wanted.events {
            let groups = hooks
                .array_value_or_create(event)
                .ok_or_else(|| unexpected(&format!("hooks.{event}"), "an array"))?;
            let ours: Vec<CstNode> =
                handlers(&groups).into_iter().filter(|node| is_ours(&plain(node), wanted.agent)).collect();
            if ours.iter().any(|node| plain(node) == handler) {
                continue;
            }
            remove(&hooks, event, wanted.agent);
            let groups = hooks.array_value_or_create(event);
            let members =
                wanted.handler.iter().map(|(name, value)| ((*name).to_owned(), input(value))).collect();
            let group = CstInputValue::Object(vec![(
                "hooks".to_owned(),
                CstInputValue::Array(vec![CstInputValue::Object(members)]),
            )]);
            groups.map(|groups| groups.append(group));
        }
        Ok(())
    })
}

/// The text without our hooks.
///
/// # Errors
/// When it cannot be read.
pub fn uninstall(text: &str, agent: &str) -> Result<String, SettingsError> {
    edit(text, |root| {
        let Some(top) = root.object_value() else { return Ok(()) };
        let Some(hooks) = top.object_value("hooks") else { return Ok(()) };
        let mut is_changed = false;
        for property in hooks.properties() {
            if let Some(event) = property.decoded_name() {
                is_changed |= remove(&hooks, &event, agent);
            }
        }
        if is_changed
            && hooks.properties().is_empty()
            && let Some(property) = top.get("hooks")
        {
            property.remove();
        }
        Ok(())
    })
}

/// How our hooks stand in the text.
///
/// # Errors
/// When it cannot be read.
pub fn standing(text: &str, wanted: &Wanted) -> Result<Standing, SettingsError> {
    let root = parse(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text))?;
    let mut standing = Standing::default();
    let Some(top) = root.object_value() else { return Ok(standing) };
    let flag = top.get("disableAllHooks").and_then(|property| property.value());
    standing.disabled = flag.is_some_and(|flag| plain(&flag) == Value::Bool(true));
    let Some(hooks) = top.object_value("hooks") else { return Ok(standing) };
    for event in wanted.events {
        let found: Vec<Value> =
            hooks.array_value(event).iter().flat_map(handlers).map(|node| plain(&node)).collect();
        let ours: Vec<Value> = found.into_iter().filter(|handler| is_ours(handler, wanted.agent)).collect();
        standing.programs.extend(ours.iter().filter_map(|handler| program_of(handler, wanted.agent)));
        if ours.contains(&wanted.handler()) {
            standing.current.push(event);
        } else if !ours.is_empty() {
            standing.other.push(event);
        }
    }
    standing.programs.sort();
    standing.programs.dedup();
    Ok(standing)
}

/// Whether a text holds nothing but an empty object.
#[must_use]
pub fn is_empty(text: &str) -> bool {
    text.split_whitespace().collect::<String>() == "{}"
}

fn edit(
    text: &str,
    change: impl FnOnce(&CstRootNode) -> Result<(), SettingsError>,
) -> Result<String, SettingsError> {
    let (mark, rest) = match text.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => (BYTE_ORDER_MARK, rest),
        None => ("", text),
    };
    let root = parse(rest)?;
    change(&root)?;
    Ok(format!("{mark}{root}"))
}

fn parse(text: &str) -> Result<CstRootNode, SettingsError> {
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    CstRootNode::parse(text, &options).map_err(|error| {
        let (line, column) = place(text, error.range().start);
        SettingsError::NotJson { line, column, message: error.kind().to_string().to_lowercase() }
    })
}

/// Takes our handlers out of one event, and what is empty then; tells whether there were any.
fn remove(hooks: &CstObject, event: &str, agent: &str) -> bool {
    let Some(groups) = hooks.array_value(event) else { return false };
    let mut is_changed = false;
    for group in groups.elements() {
        let Some(list) = group.as_object().and_then(|group| group.array_value("hooks")) else { continue };
        let ours: Vec<CstNode> =
            list.elements().into_iter().filter(|node| is_ours(&plain(node), agent)).collect();
        if ours.is_empty() {
            continue;
        }
        is_changed = true;
        ours.into_iter().for_each(CstNode::remove);
        if list.elements().is_empty() {
            group.remove();
        }
    }
    if is_changed
        && groups.elements().is_empty()
        && let Some(property) = hooks.get(event)
    {
        property.remove();
    }
    is_changed
}

fn handlers(groups: &CstArray) -> Vec<CstNode> {
    let lists = groups.elements().into_iter().filter_map(|group| group.as_object()?.array_value("hooks"));
    lists.flat_map(|list| list.elements()).collect()
}

/// Whether a handler calls this program's `hook AGENT`, wherever it lies.
fn is_ours(handler: &Value, agent: &str) -> bool {
    program_of(handler, agent).is_some()
}

/// The program that a handler of ours calls.
fn program_of(handler: &Value, agent: &str) -> Option<String> {
    let command = handler.get("command")?.as_str()?;
    let program = match handler.get("args") {
        Some(arguments) => (*arguments == serde_json::json!(["hook", agent])).then_some(command)?,
        None => command.trim_end().strip_suffix(agent)?.trim_end().strip_suffix("hook")?.trim(),
    };
    let program = program.trim_matches(['"', '\'']);
    let name = program.rsplit(['/', '\\']).next().unwrap_or(program);
    name.starts_with("agentlog").then(|| program.to_owned())
}

fn unexpected(what: &str, wanted: &'static str) -> SettingsError {
    SettingsError::Unexpected(what.to_owned(), wanted)
}

/// The value of a node, without its layout.
fn plain(node: &CstNode) -> Value {
    if let Some(object) = node.as_object() {
        let members = object.properties().into_iter();
        let members =
            members.filter_map(|property| Some((property.decoded_name()?, plain(&property.value()?))));
        return Value::Object(members.collect());
    }
    if let Some(array) = node.as_array() {
        return array.elements().iter().map(plain).collect();
    }
    if let Some(text) = node.as_string_lit() {
        return text.decoded_value().map_or(Value::Null, Value::from);
    }
    if let Some(flag) = node.as_boolean_lit() {
        return Value::Bool(flag.value());
    }
    node.as_number_lit()
        .and_then(|number| serde_json::from_str(&number.to_string()).ok())
        .unwrap_or(Value::Null)
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(flag) => CstInputValue::Bool(*flag),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Value::Object(members) => {
            CstInputValue::Object(members.iter().map(|(name, value)| (name.clone(), input(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests;
