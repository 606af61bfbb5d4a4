//! The to-do list an agent keeps, and the progress that is to be read from it.

use crate::event::scan::{Raw, RawKind};
use crate::source::text::{beginning, captured, elements, member, members, word};
use serde::{Deserialize, Serialize};

/// How far an agent is, by its own list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    pub(super) current: u64,
    pub(super) total: u64,
    pub(super) step: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Item {
    id: String,
    text: String,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Pending,
    InProgress,
    Completed,
}

/// The list as it stands, and what was said of it last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TodoList {
    items: Vec<Item>,
    reported: Option<Progress>,
}

/// What `TaskCreate` and `TaskUpdate` ask for; kept until their result says that it was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change {
    id: Option<String>,
    text: Option<String>,
    status: Option<String>,
}

impl Change {
    /// Reads the input of the tool.
    pub(super) fn of_input(input: Raw<'_>) -> Self {
        let entries = members(input);
        Self {
            id: member(&entries, "taskId").map(name),
            text: line_of(&entries, &["activeForm", "subject"]),
            status: member(&entries, "status").and_then(word).map(str::to_owned),
        }
    }
}

impl TodoList {
    /// Takes the whole list, as `TodoWrite` gives it.
    pub(super) fn replace(&mut self, todos: Raw<'_>) {
        self.items = elements(todos)
            .into_iter()
            .enumerate()
            .map(|(idx, todo)| {
                let entries = members(todo);
                Item {
                    id: idx.to_string(),
                    text: line_of(&entries, &["activeForm", "content"]).unwrap_or_default(),
                    state: member(&entries, "status").and_then(word).map_or(State::Pending, state_of),
                }
            })
            .collect();
    }

    /// A task was created; its result names its id.
    pub(super) fn created(&mut self, change: Change, result: Raw<'_>) {
        let entries = members(result);
        let task = member(&entries, "task").map(members).unwrap_or_default();
        let Some(id) = member(&task, "id").map(name).filter(|id| !id.is_empty()) else { return };
        let text = change.text.or_else(|| line_of(&task, &["subject"])).unwrap_or_default();
        self.items.retain(|item| item.id != id);
        self.items.push(Item { id, text, state: State::Pending });
    }

    /// A task was updated; what the result says goes before what was asked for.
    pub(super) fn updated(&mut self, change: Change, result: Option<Raw<'_>>) {
        let entries = result.map(members).unwrap_or_default();
        if member(&entries, "success").is_some_and(|raw| raw.text == "false") {
            return;
        }
        let Some(id) = change.id.or_else(|| member(&entries, "taskId").map(name)) else { return };
        let new = member(&entries, "statusChange").map(members).unwrap_or_default();
        let status = member(&new, "to").and_then(word).map(str::to_owned).or(change.status);
        if status.as_deref() == Some("deleted") {
            self.items.retain(|item| item.id != id);
            return;
        }
        if let Some(item) = self.items.iter_mut().find(|item| item.id == id) {
            item.state = status.as_deref().map_or(item.state, state_of);
            item.text = change.text.unwrap_or_else(|| item.text.clone());
        }
    }

    /// The progress, if it differs from what was said last. An emptied list says nothing.
    pub(super) fn news(&mut self) -> Option<Progress> {
        if self.items.is_empty() {
            return None;
        }
        let count = |state| self.items.iter().filter(|item| item.state == state).count();
        let step =
            self.items.iter().find(|item| item.state == State::InProgress).map(|item| item.text.clone());
        let progress = Progress {
            current: u64::try_from(count(State::Completed)).unwrap_or(u64::MAX),
            total: u64::try_from(self.items.len()).unwrap_or(u64::MAX),
            step: step.filter(|step| !step.is_empty()),
        };
        (self.reported.as_ref() != Some(&progress)).then(|| {
            self.reported = Some(progress.clone());
            progress
        })
    }
}

fn state_of(status: &str) -> State {
    match status {
        "completed" => State::Completed,
        "in_progress" => State::InProgress,
        _ => State::Pending,
    }
}

/// An id is a string in some versions and a number in others.
fn name(raw: Raw<'_>) -> String {
    if raw.kind == RawKind::Number { raw.text.to_owned() } else { beginning(raw) }
}

fn line_of(entries: &[crate::event::scan::Entry<'_>], names: &[&str]) -> Option<String> {
    names.iter().filter_map(|name| member(entries, name)).find_map(|raw| captured(&beginning(raw)))
}
