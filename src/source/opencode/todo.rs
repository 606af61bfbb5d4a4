//! The to-do list of a session, from the tool that writes it and from where it is stored.

use crate::base::clock::Timestamp;
use crate::source::opencode::json::{has_other, inner, text};
use crate::source::opencode::record::Teller;
use crate::source::session::Progress;
use crate::source::text::captured;
use serde_json::Value;

/// Says how far the session is by its list. The same list is said once, wherever it stands.
pub(super) fn say(items: &[Value], ts: Timestamp, teller: &mut Teller<'_, '_>) {
    let is_state = |item: &&Value, state: &str| text(item, "status") == Some(state);
    let live: Vec<&Value> = items.iter().filter(|item| !is_state(item, "cancelled")).collect();
    if live.is_empty() {
        return;
    }
    let done = live.iter().filter(|item| is_state(item, "completed")).count();
    let step = live.iter().find(|item| is_state(item, "in_progress"));
    let step = step.and_then(|item| captured(text(item, "content")?));
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let progress = Progress::of_steps(number(done), number(live.len()), step);
    let mut hasher = blake3::Hasher::new();
    for item in items {
        for name in ["status", "content"] {
            hasher.update(text(item, name).unwrap_or_default().as_bytes());
            hasher.update(&[0]);
        }
    }
    let mark: String = hasher.finalize().to_hex().chars().take(16).collect();
    let native = ["todo", teller.session, mark.as_str()];
    let key = format!("{} todo {mark}", teller.session);
    teller.scribe(&key, ts, &native).say_of(&native, "", progress.reported());
}

/// The list in the call of the tool that writes it.
pub(super) fn of_call(state: &Value) -> &[Value] {
    let list = |value: &'_ Value| value.get("todos").and_then(Value::as_array).is_some();
    let holder = [inner(state, "metadata"), inner(state, "input")].into_iter().find(|value| list(value));
    holder.map_or(&[], |holder| crate::source::opencode::json::list(holder, "todos"))
}

/// Whether the call that writes the list holds it, or what all its items say, under a name that nobody knows.
pub(super) fn is_renamed(state: &Value) -> bool {
    let todos = of_call(state);
    let lacks = |name: &str| {
        let is_other = |item: &Value| {
            text(item, name).is_none()
                && has_other(item, &["activeForm", "content", "id", "priority", "status"], Value::is_string)
        };
        !todos.is_empty() && todos.iter().all(is_other)
    };
    let (metadata, input) = (inner(state, "metadata"), inner(state, "input"));
    let holds = |value: &Value| value.get("todos").is_some();
    let is_elsewhere = [metadata, input].into_iter().any(|value| has_other(value, &[], Value::is_array));
    !holds(metadata) && !holds(input) && is_elsewhere || lacks("content") || lacks("status")
}
