//! `agentlog positions`: how far each source file was read, and making agentlog read it again.
//!
//! The positions are a cache of what the log itself says: where the cache is missing, damaged or silent about a file, the
//! log's word is shown. Nothing here changes the log, and nothing that is removed here can lose or double an event.

pub mod cache;

use crate::app::Context;
use crate::app::exit::{Exit, Failure};
use crate::app::log::Reader;
use crate::app::positions::cache::{CacheError, Positions};
use crate::base::lock::FileLock;
use crate::base::text;
use crate::cli::command::{Positions as Arguments, PositionsAction, TextOutput};
use crate::event::codec::Decoded;
use crate::event::envelope::Stream;
use crate::projection::cursor::{Cursors, FileCursorView};
use crate::view::table::{self, Cell, Column};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Who says how far a file was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum From {
    Cache,
    Log,
}

/// How far one file was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Row {
    /// Its path.
    path: PathBuf,
    /// The first byte not read; null for what is not read by offset.
    offset_bytes: Option<u64>,
    /// How long it is now; null where it is gone.
    size_bytes: Option<u64>,
    source: Option<String>,
    from: From,
    session: Option<String>,
    /// Its id in the provenance of events.
    file: String,
}

/// Shows or removes positions.
///
/// # Errors
/// The log cannot be read, the cache cannot be written, or nothing matches.
pub fn run(context: &Context, arguments: &Arguments) -> anyhow::Result<Exit> {
    match &arguments.action {
        None | Some(PositionsAction::List) => show(context, arguments.output, None),
        Some(PositionsAction::Get { path }) => show(context, arguments.output, Some(path)),
        Some(PositionsAction::Remove { path }) => remove(context, arguments.output, Some(path)),
        Some(PositionsAction::Clear) => remove(context, arguments.output, None),
    }
}

fn show(context: &Context, output: TextOutput, path: Option<&Path>) -> anyhow::Result<Exit> {
    let (cached, reason) = match cache::read(&context.project) {
        Ok(positions) => (positions, None),
        Err(error) => (Positions::default(), Some(error)),
    };
    let mut rows = rows(cached, &cursors(context)?);
    if let Some(path) = path {
        let wanted = absolute(context, path);
        rows.retain(|row| row.path.starts_with(&wanted));
        if rows.is_empty() {
            return Err(nothing(format!("{}: no position of it is known", wanted.display())));
        }
    }
    match output {
        TextOutput::Json => {
            let document = serde_json::json!({
                "positions": rows,
            });
            context.print_document(document)?;
        }
        TextOutput::Text if rows.is_empty() => {}
        TextOutput::Text => write!(context.out(), "{}", draw(context, &rows))?,
    }
    match reason {
        Some(error @ CacheError::Unusable { .. }) => {
            context.warn(&format!(
                "{error}; this is what the log says, the next `watch` or `import` writes it anew"
            ));
        }
        Some(error @ CacheError::Missing(_)) if !rows.is_empty() => {
            context.note(&format!("{error}; this is what the log says"));
        }
        _ => {}
    }
    if rows.is_empty() {
        context.note("no file was read yet; `agentlog watch` or `agentlog import PATH` reads some");
        return Ok(Exit::NothingMatched);
    }
    Ok(Exit::Done)
}

fn remove(context: &Context, output: TextOutput, path: Option<&Path>) -> anyhow::Result<Exit> {
    let wanted = path.map(|path| absolute(context, path));
    if let Some(wanted) = &wanted {
        // Nothing is written when there is nothing to remove.
        let all = cache::read(&context.project).map_err(|error| nothing(error.to_string()))?;
        if !all.values().flatten().any(|position| position.path.starts_with(wanted)) {
            return Err(nothing(format!("{}: the cache holds no position of it", wanted.display())));
        }
    } else if matches!(cache::read(&context.project), Err(CacheError::Missing(_))) {
        return Err(nothing("there are no positions to clear".to_owned()));
    }
    let mut removed: Vec<PathBuf> = Vec::new();
    cache::change(&context.project, |all| {
        for positions in all.values_mut() {
            positions.retain(|position| {
                let goes = wanted.as_ref().is_none_or(|wanted| position.path.starts_with(wanted));
                if goes {
                    removed.push(position.path.clone());
                }
                !goes
            });
        }
    })?;
    removed.sort();
    match output {
        TextOutput::Json => {
            let document = serde_json::json!({
                "removed": removed,
            });
            context.print_document(document)?;
        }
        TextOutput::Text => {
            let mut out = context.out();
            for path in removed.iter().filter(|_| wanted.is_some()) {
                writeln!(out, "{}", text::sanitize(&path.to_string_lossy()))?;
            }
            let count = text::plural(u64::try_from(removed.len())?, "position");
            writeln!(
                out,
                "removed {count}; reading starts from byte 0, and what the log holds is filtered out"
            )?;
        }
    }
    if FileLock::acquire(&context.project.state.join("watch.lock"), Duration::ZERO)
        .is_ok_and(|lock| lock.is_none())
    {
        context.hint("a watcher is running and remembers its own positions; stop it first to read again");
    }
    Ok(Exit::Done)
}

fn nothing(message: String) -> anyhow::Error {
    Failure::new(Exit::NothingMatched, message).hint("`agentlog positions` lists what there is").into()
}

/// What the log says of all files.
fn cursors(context: &Context) -> anyhow::Result<Cursors> {
    let mut cursors = Cursors::default();
    Reader::new(&context.project.logs).advance(&mut |location, decoded, _| {
        if let Decoded::Known(line) = decoded {
            cursors.apply(location.stream, &line.event);
        }
    })?;
    Ok(cursors)
}

/// One row per path: the cache's word, else the log's about its last generation.
fn rows(cached: Positions, cursors: &Cursors) -> Vec<Row> {
    let said: BTreeMap<&str, FileCursorView<'_>> = cursors.files().collect();
    let mut rows: BTreeMap<PathBuf, (u64, Row)> = BTreeMap::new();
    for (file, cursor) in &said {
        let (Some(path), Some(generation)) = (cursor.path(), cursor.generation()) else { continue };
        let row = row(PathBuf::from(path), logged_offset(*cursor), From::Log, file, Some(*cursor));
        let place = rows.entry(row.path.clone()).or_insert_with(|| (generation, row.clone()));
        if place.0 <= generation {
            *place = (generation, row);
        }
    }
    for (source, positions) in cached {
        for position in positions {
            let cursor = said.get(position.file.as_str()).copied();
            let offset = Some(position.offset_bytes);
            let mut row = row(position.path, offset, From::Cache, &position.file, cursor);
            row.source = Some(source.clone());
            rows.insert(row.path.clone(), (u64::MAX, row));
        }
    }
    rows.into_values().map(|(_, row)| row).collect()
}

fn row(
    path: PathBuf,
    offset_bytes: Option<u64>,
    from: From,
    file: &str,
    cursor: Option<FileCursorView<'_>>,
) -> Row {
    Row {
        size_bytes: std::fs::metadata(&path).ok().map(|metadata| metadata.len()),
        path,
        offset_bytes,
        source: cursor.and_then(FileCursorView::source).map(str::to_owned),
        from,
        session: cursor.and_then(FileCursorView::session).map(str::to_owned),
        file: file.to_owned(),
    }
}

/// Up to where the log vouches for a file: what was advanced over, or else the last line that an event was read from.
fn logged_offset(cursor: FileCursorView<'_>) -> Option<u64> {
    let advanced = cursor.advanced().map(|(offset, _)| offset);
    let at = Stream::ALL.into_iter().filter_map(|stream| cursor.position(stream)).map(|(at, _)| at).max();
    advanced.max(at)
}

/// The path as positions name it: absolute and, where there is something, without links.
fn absolute(context: &Context, path: &Path) -> PathBuf {
    let joined = context.directory.join(path);
    std::fs::canonicalize(&joined).unwrap_or(joined)
}

fn draw(context: &Context, rows: &[Row]) -> String {
    let columns = [
        Column::new("FILE").shrink_to(16),
        Column::new("OFFSET").right(),
        Column::new("SIZE").right().drop_rank(1),
        Column::new("SOURCE").drop_rank(3),
        Column::new("FROM"),
        Column::new("SESSION").drop_rank(2).shrink_to(8),
    ];
    let number = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
    let cells: Vec<Vec<Cell>> = rows
        .iter()
        .map(|row| {
            let from = match row.from {
                From::Cache => "cache",
                From::Log => "log",
            };
            [
                row.path.to_string_lossy().into_owned(),
                number(row.offset_bytes),
                row.size_bytes.map_or_else(|| "gone".to_owned(), |size| size.to_string()),
                row.source.clone().unwrap_or_default(),
                from.to_owned(),
                row.session.clone().unwrap_or_default(),
            ]
            .iter()
            .map(|text| Cell::plain(text::sanitize(text)))
            .collect()
        })
        .collect();
    table::render(&columns, &cells, true, &context.style)
}
