//! What must hold for any bytes at all: one function per fuzz target, each panics where it does not.
//!
//! The fuzzers call them, and so does a test that replays the corpus.

use agentlog::base::clock::Timestamp;
use agentlog::base::fs::replace;
use agentlog::base::limits::LINE_BYTES_MAX;
use agentlog::base::lines::{LineReader, Piece};
use agentlog::base::zone::Zone;
use agentlog::event::codec::{self, Decoded, Decoder};
use agentlog::event::envelope::Event;
use agentlog::event::redact;
use agentlog::event::scan;
use agentlog::journal::content::Content;
use agentlog::journal::reverse::ReverseLines;
use agentlog::journal::segment;
use agentlog::journal::verify;
use agentlog::projection::checkpoint::Checkpoint;
use agentlog::projection::policy::Policy;
use agentlog::projection::state::Projection;
use agentlog::query::expression::Expression;
use agentlog::query::instant;

/// 2026-11-16T09:00:00Z.
const NOW: Timestamp = Timestamp::from_millis(1_794_819_600_000);

/// Any line is an event, an event of an unknown type, or malformed; and the strict check agrees with the decoder. What is
/// an event is the same event after it was written and read again, and redacting it twice is redacting it once.
pub fn decode(line: &[u8]) {
    let mut decoder = Decoder::after("segment", NOW);
    let decoded = decoder.decode(line, 0);
    let is_good = codec::validate(line).is_ok();
    match decoded {
        Decoded::Known(known) => {
            assert!(is_good, "the check refuses what the decoder takes");
            let mut written = Vec::new();
            codec::encode(&known.event, &mut written);
            let Decoded::Known(again) = Decoder::after("segment", NOW).decode(&written, 0) else {
                panic!("what was written is no event: {}", String::from_utf8_lossy(&written));
            };
            assert_eq!(again.event, Event { written: None, ..known.event.clone() });
            let secrets = redact::KnownSecrets::default();
            let (mut once, mut twice) = (known.event.clone(), known.event);
            redact::redact_event_knowing(&mut once, &secrets);
            redact::redact_event_knowing(&mut twice, &secrets);
            redact::redact_event_knowing(&mut twice, &secrets);
            assert_eq!(once, twice);
        }
        Decoded::Unknown(_) => assert!(is_good, "the check refuses what the decoder takes"),
        Decoded::Malformed(_) => assert!(!is_good, "the decoder refuses what the check takes"),
    }
}

/// Any file is accounted for to the last byte, in whatever portions it is read; and read backwards it has the same lines.
pub fn read(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = segment::active_path(folder.path(), "s");
    replace(&path, bytes).expect("a writable temporary folder");
    let segments = segment::segments(folder.path(), "s").expect("a listable folder");
    let report = verify::stream(folder.path(), &segments, &|line| {
        codec::validate(line).map_err(|error| error.to_string())
    });
    assert!(report.unreadable.is_empty() && report.segments.iter().all(verify::SegmentReport::is_conserved));
    let mut forwards = Vec::new();
    let mut lines = LineReader::new(bytes, 0, LINE_BYTES_MAX);
    while let Some(piece) = lines.next().expect("memory can be read") {
        if let Piece::Line { offset, bytes } = piece {
            forwards.push((offset, bytes.to_vec()));
        }
    }
    let content = Content::open(&path).expect("a readable file");
    let end = content.size().expect("a file with a size");
    let mut backwards: Vec<(u64, Vec<u8>)> =
        ReverseLines::new(content, end, LINE_BYTES_MAX).map(|line| line.expect("a readable file")).collect();
    backwards.reverse();
    assert_eq!(forwards, backwards);
}

/// Whatever is typed as a condition or a time is taken or refused.
pub fn query(typed: &[u8]) {
    let Ok(text) = std::str::from_utf8(typed) else { return };
    let _ = instant::parse(text, NOW, Zone::Utc);
    if let Ok(expression) = Expression::parse(text) {
        let line = r#"{"type":"tool.failed","tool":"Bash","duration_ms":312,"error":{"kind":"exit_code"}}"#;
        let mut entries = Vec::new();
        scan::object(line, &mut entries).expect("an object");
        let _ = expression.matches(&entries);
    }
}

/// Any lines fold to one state, whole or in two pieces, and the state survives its checkpoint. Any bytes as a checkpoint
/// are refused or taken.
pub fn fold(bytes: &[u8]) {
    let _ = Checkpoint::decode(bytes);
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let state = |lines: &[&[u8]]| {
        let mut decoder = Decoder::after("segment", NOW);
        let mut projection = Projection::default();
        for line in lines {
            // A line without a time takes that of the line before, so pieces would differ in that alone.
            if let Decoded::Known(known) = decoder.decode(line, 0)
                && !known.ts_inferred
            {
                projection.apply(&known.event);
            }
        }
        projection
    };
    let whole = state(&lines);
    let (first, second) = lines.split_at(lines.len() / 2);
    let mut merged = state(first);
    merged.merge(state(second));
    assert_eq!(merged, whole);
    let _ = whole.tasks(NOW, &Policy::default());
    let encoded = Checkpoint::of(whole.clone(), Vec::new()).encode(NOW);
    let mut decoded = Checkpoint::decode(&encoded.hot).expect("what was encoded is a checkpoint");
    if let Some((_, cold)) = &encoded.cold {
        decoded.join_cold(cold).expect("the cold part belongs to it");
    }
    assert_eq!(decoded.projection, whole);
}
