//! What must outlive the segments that go: how far each source was read, and the beginnings of tasks that still live.
//!
//! Everything is written again as ordinary events before the first segment is removed; killed in between, it stands in the
//! log twice, which changes nothing: cursors are maxima, and a task is created once.

use crate::app::load::Live;
use crate::app::log::Reader;
use crate::app::writer::{Batch, Syncing, Writer};
use crate::app::{Context, ingest};
use crate::event::body::Body;
use crate::event::codec::Decoded;
use crate::event::envelope::Event;
use crate::event::owned::IntoStatic as _;
use crate::journal::retention::Decision;
use crate::projection::cursor::Cursors;
use crate::projection::health::Health;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

/// Writes again what the segments that go hold alone.
///
/// # Errors
/// When the log cannot be read or written, or another process is ingesting for long.
pub(super) fn carry_over(context: &Context, going: &[&Decision]) -> anyhow::Result<()> {
    let project = &context.project;
    let _guard = ingest::lock(project)?;
    let going: HashSet<&str> = going.iter().map(|decision| decision.segment.seg.as_str()).collect();
    let live = live_tasks(context)?;
    let mut rest = Cursors::default();
    let mut opened: BTreeMap<String, Event<'static>> = BTreeMap::new();
    let mut created: Vec<Event<'static>> = Vec::new();
    let mut staying: BTreeSet<String> = BTreeSet::new();
    Reader::new(&project.logs).advance(&mut |location, decoded, _| {
        let Decoded::Known(line) = decoded else { return };
        let event = &line.event;
        let is_going = going.contains(location.seg);
        if !is_going {
            rest.apply(location.stream, event);
        }
        match &event.body {
            Body::SourceOpened { file, .. } => {
                opened.insert(file.to_string(), event.clone().into_static());
            }
            Body::TaskCreated { .. } => {
                if let Some(task) = event.task.as_deref().filter(|task| live.contains(*task)) {
                    if is_going {
                        created.push(event.clone().into_static());
                    } else {
                        staying.insert(task.to_owned());
                    }
                }
            }
            _ => {}
        }
    })?;
    let mut batch = Batch::default();
    let now = context.now();
    let mut writer = Writer::new(project, Syncing::Live)?;
    created.retain(|event| event.task.as_deref().is_some_and(|task| !staying.contains(task)));
    created.into_iter().for_each(|event| batch.push(event));
    for (file, event) in opened {
        let Body::SourceOpened { path, .. } = &event.body else { continue };
        // A file that is gone will not be read again.
        if path.as_deref().is_some_and(|path| !Path::new(path).exists()) {
            continue;
        }
        if rest.known(&file).is_none() {
            batch.push(event);
        }
    }
    writer.append(&mut batch, now)?;
    writer.sync()?;
    Ok(())
}

/// The tasks that have not ended.
fn live_tasks(context: &Context) -> anyhow::Result<HashSet<String>> {
    let tasks = Live::load(context)?.tasks(context.now());
    let has_ended =
        |health| matches!(health, Health::Completed | Health::Failed | Health::TimedOut | Health::Cancelled);
    Ok(tasks.into_iter().filter(|task| !has_ended(task.verdict.health)).map(|task| task.task).collect())
}
