//! `.agents/state/quarantine.jsonl`: one record for each damaged place that a command met.
//!
//! The log itself is never edited, so the records are notes: where, how long, what is wrong, and the beginning of what
//! stands there, redacted and made harmless. They are kept by place; a failure to write them is ignored.

use crate::app::Context;
use crate::app::log::DamagedPlace;
use crate::app::writer::known_secrets;
use crate::base::fs::{ReadAt as _, create_private_dir, read_regular_text, replace};
use crate::base::text;
use crate::event::redact;
use crate::journal::segment;
use crate::journal::verify::{Damage, SegmentReport};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How much of a damaged place is shown.
const SAMPLE_BYTES_MAX: u64 = 512;

/// One damaged place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    stream: String,
    seg: String,
    offset: u64,
    length: u64,
    reason: String,
    sample: String,
}

/// The damaged places that a check of a segment lists.
#[must_use]
pub fn places(report: &SegmentReport) -> Vec<DamagedPlace> {
    let place = |damage: &Damage| DamagedPlace {
        stream: report.stream.clone(),
        seg: report.seg.clone(),
        offset: damage.offset,
        length: damage.length.saturating_sub(1),
        reason: damage.reason.clone(),
    };
    report.damages.iter().map(place).collect()
}

/// Adds what is not noted yet. Nothing is told: it is a cache of what `verify` finds.
pub fn note(context: &Context, places: &[DamagedPlace]) {
    let path = path(context);
    let mut known = read(&path);
    let before = known.len();
    for place in places {
        let key = (place.seg.clone(), place.offset);
        if !known.contains_key(&key)
            && let Some(record) = record(context, place)
        {
            known.insert(key, record);
        }
    }
    if known.len() > before {
        let _ignored = write(context, &path, known.values());
    }
}

/// Passes the samples through the present rules once more.
///
/// # Errors
/// When the file cannot be replaced.
pub fn scrub(context: &Context, redact: &dyn Fn(&str) -> Option<String>) -> std::io::Result<()> {
    let path = path(context);
    let mut records = read(&path);
    let mut changed = false;
    for record in records.values_mut() {
        if let Some(sample) = redact(&record.sample) {
            record.sample = sample;
            changed = true;
        }
    }
    if changed { write(context, &path, records.values()) } else { Ok(()) }
}

fn record(context: &Context, place: &DamagedPlace) -> Option<Record> {
    let segments = segment::segments(&context.project.logs, &place.stream).ok()?;
    let segment = segments.iter().find(|segment| segment.seg == place.seg)?;
    let mut bytes = vec![0; usize::try_from(place.length.min(SAMPLE_BYTES_MAX)).ok()?];
    segment.open(&context.project.logs).ok()?.read_exact_at(&mut bytes, place.offset).ok()?;
    let sample = String::from_utf8_lossy(&bytes).into_owned();
    Some(Record {
        stream: place.stream.clone(),
        seg: place.seg.clone(),
        offset: place.offset,
        length: place.length,
        reason: place.reason.clone(),
        sample: text::sanitize(&redact::redact_knowing(&sample, known_secrets())).into_owned(),
    })
}

fn read(path: &Path) -> BTreeMap<(String, u64), Record> {
    let text = read_regular_text(path).unwrap_or_default();
    let records = text.lines().filter_map(|line| serde_json::from_str::<Record>(line).ok());
    records.map(|record| ((record.seg.clone(), record.offset), record)).collect()
}

fn write<'r>(
    context: &Context,
    path: &Path,
    records: impl Iterator<Item = &'r Record>,
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    for record in records {
        serde_json::to_writer(&mut bytes, record)?;
        bytes.push(b'\n');
    }
    create_private_dir(&context.project.state)?;
    replace(path, &bytes)
}

fn path(context: &Context) -> PathBuf {
    context.project.state.join("quarantine.jsonl")
}
