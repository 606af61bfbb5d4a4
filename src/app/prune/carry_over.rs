//! What must outlive the segments that go: how far each source was read, and the beginnings of tasks that still live.
//!
//! Everything is written again as ordinary events before the first segment is removed; killed in between, it stands in the
//! log twice, which changes nothing: cursors are maxima, and a task is created once.

use crate::app::load::Live;
use crate::app::log::Reader;
use crate::app::writer::{Batch, Syncing, Writer};
use crate::app::{Context, ingest};
use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::codec::Decoded;
use crate::event::envelope::{Event, Provenance, Stream};
use crate::event::owned::IntoStatic as _;
use crate::journal::content::Content;
use crate::journal::header::identify;
use crate::journal::retention::Decision;
use crate::journal::segment::closed_dir;
use crate::projection::cursor::{Cursors, FileCursorView};
use crate::projection::health::Health;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

/// Writes again what the segments that go hold alone.
///
/// # Errors
/// When the log cannot be read or written, or another process is ingesting for long.
pub(super) fn carry_over(context: &Context, going: &[&Decision]) -> anyhow::Result<()> {
    let project = &context.project;
    let _guard = ingest::lock(project)?;
    let going = identities(&project.logs, going)?;
    let live = live_tasks(context)?;
    let (mut all, mut rest) = (Cursors::default(), Cursors::default());
    let (mut opened, mut truncated) = (BTreeMap::new(), BTreeMap::new());
    let mut created: Vec<Event<'static>> = Vec::new();
    let mut staying: BTreeSet<String> = BTreeSet::new();
    // Streams are removed each by itself: without its result, a task whose beginning stays would be at work again.
    let mut ended: BTreeMap<String, Event<'static>> = BTreeMap::new();
    Reader::new(&project.logs).advance(&mut |location, decoded, _| {
        let Decoded::Known(line) = decoded else { return };
        let event = &line.event;
        all.apply(location.stream, event);
        let is_going = going.contains(location.seg);
        if !is_going {
            rest.apply(location.stream, event);
        }
        match &event.body {
            Body::SourceOpened { file, .. } => {
                opened.insert(file.to_string(), event.clone().into_static());
            }
            Body::SourceTruncated { file, .. } => {
                truncated.insert(file.to_string(), event.clone().into_static());
            }
            Body::TaskCreated { .. } => {
                let Some(task) = event.task.as_deref() else { return };
                if !is_going {
                    staying.insert(task.to_owned());
                } else if live.contains(task) {
                    created.push(event.clone().into_static());
                }
            }
            Body::TaskStarted { .. } if !is_going => {
                staying.extend(event.task.as_deref().map(str::to_owned));
            }
            Body::TaskCompleted { .. }
            | Body::TaskFailed { .. }
            | Body::TaskTimedOut { .. }
            | Body::TaskCancelled { .. } => {
                let Some(task) = event.task.as_deref() else { return };
                if is_going {
                    ended.insert(task.to_owned(), event.clone().into_static());
                } else {
                    ended.remove(task);
                }
            }
            _ => {}
        }
    })?;
    let mut batch = Batch::default();
    let now = context.now();
    let mut writer = Writer::new(project, Syncing::Live)?;
    created.retain(|event| event.task.as_deref().is_some_and(|task| !staying.contains(task)));
    ended.retain(|task, _| staying.contains(task));
    for event in created.into_iter().chain(ended.into_values()) {
        batch.push(event);
    }
    let staying: BTreeMap<&str, FileCursorView<'_>> = rest.files().collect();
    for (file, cursor) in all.files() {
        let staying = staying.get(file).copied();
        if staying.and_then(FileCursorView::path).is_none()
            && let Some(opened) = opened.remove(file)
        {
            batch.push(opened);
        }
        if !staying.is_some_and(FileCursorView::is_truncated)
            && let Some(truncated) = truncated.remove(file).filter(|_| cursor.is_truncated())
        {
            batch.push(truncated);
        }
        for (body, from, ts) in lost(file, cursor, staying) {
            let event = writer.event(now, body, None)?;
            batch.push(Event { from, ts: ts.unwrap_or(event.ts), ..event });
        }
    }
    writer.append(&mut batch, now)?;
    writer.sync()?;
    Ok(())
}

/// The identities of the segments that go, as they stand in the files: a manifest can be of an older writing.
fn identities(logs: &Path, going: &[&Decision]) -> anyhow::Result<HashSet<String>> {
    let mut segs = HashSet::new();
    for Decision { segment, .. } in going {
        let content = Content::open(&closed_dir(logs).join(&segment.file))?;
        segs.insert(identify(&content)?.0);
    }
    Ok(segs)
}

/// What says again how far a file was read, as far as the segments that stay do not say it.
fn lost<'f>(
    file: &'f str,
    all: FileCursorView<'f>,
    staying: Option<FileCursorView<'f>>,
) -> Vec<(Body<'f>, Option<Provenance<'f>>, Option<Timestamp>)> {
    let mut lost = Vec::new();
    let body = |offset_bytes, tail_hash: Option<&'f str>, stream: Option<Stream>| Body::SourceAdvanced {
        file: Cow::Borrowed(file),
        offset_bytes,
        tail_hash: tail_hash.map(Cow::Borrowed),
        stream: stream.map(|stream| Cow::Borrowed(stream.name())),
    };
    for stream in Stream::ALL {
        let from = |at, key: Option<&'f str>, i| Provenance {
            file: file.into(),
            at,
            key: key.map(Cow::Borrowed),
            i,
        };
        let position = all.position(stream);
        if position > staying.and_then(|staying| staying.position(stream))
            && let Some((at, i)) = position
        {
            lost.push((body(at, None, Some(stream)), Some(from(Some(at), None, i)), None));
        }
        // What has keys is known by its ids. Those of the lines that go are replaced by an instant: what is not younger was
        // in the log.
        let stays = staying.is_some_and(|staying| staying.keyed_count() == all.keyed_count());
        if let Some((key, i)) = all.key(stream).filter(|_| !stays) {
            let from = from(None, Some(key), i);
            lost.push((body(0, None, Some(stream)), Some(from), all.youngest(stream)));
        }
    }
    let advanced = all.advanced();
    if advanced > staying.and_then(FileCursorView::advanced)
        && let Some((offset, tail_hash)) = advanced
    {
        lost.push((body(offset, tail_hash, None), None, None));
    }
    lost
}

/// The tasks that have not ended.
fn live_tasks(context: &Context) -> anyhow::Result<HashSet<String>> {
    let tasks = Live::load(context)?.with_all()?.tasks(context.now());
    let has_ended =
        |health| matches!(health, Health::Completed | Health::Failed | Health::TimedOut | Health::Cancelled);
    Ok(tasks.into_iter().filter(|task| !has_ended(task.verdict.health)).map(|task| task.task).collect())
}
