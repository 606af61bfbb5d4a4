//! `agentlog emit`: one event from the command line, or one per line of standard input, checked against the vocabulary
//! before it is written.

mod acknowledgements;
pub(super) mod input;
mod request;
mod stdin;
mod words;

use crate::app::Context;
use crate::app::emit::request::Defaults;
use crate::app::exit::Exit;
use crate::app::writer::{Batch, Syncing, Writer};
use crate::cli::command::Emit;

/// Appends the event and says nothing when all is well; with `--stdin`, see the module `stdin`.
///
/// # Errors
/// When the event is not one of the vocabulary, or cannot be written.
pub fn run(context: &Context, arguments: &Emit) -> anyhow::Result<Exit> {
    let defaults = Defaults {
        event_type: arguments.event_type.as_deref(),
        task: arguments.task.as_deref(),
        agent: arguments.agent.as_deref(),
    };
    if arguments.stdin {
        return stdin::run(context, defaults, arguments.durable);
    }
    let now = context.now();
    let row = request::known_type(arguments.event_type.as_deref().unwrap_or_default())?;
    let mut fields = arguments.fields.clone();
    if let Some(typed) = &arguments.ts {
        fields.push(format!("ts={}", context.instant(typed)?));
    }
    let object = request::object(row, &fields)?;
    let mut writer = Writer::new(&context.project, Syncing::Live)?;
    let prepared = request::of_object(&object, defaults, now, || writer.fresh_id(now))?;
    let mut batch = Batch::default();
    batch.push_encoded(prepared.stream, prepared.object);
    writer.append(&mut batch, now)?;
    writer.sync()?;
    Ok(Exit::Done)
}
