//! The appender against healthy files, files others have been at, and a kernel that fails.

use super::*;
use crate::base::frame;
use crate::base::fs::replace;
use crate::base::limits::BATCH_BYTES_MAX;
use crate::journal::segment::{closed, closed_dir, segments};
use crate::journal::verify::{self, SegmentReport};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt as _};
use std::sync::Mutex;

const NOW: Timestamp = Timestamp::from_millis(1_794_819_600_000);
const WRITER: &str = "k3q9k3q9k3q9k3q9";

/// What the kernel is told to do next; when the list is empty it works.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    Short(usize),
    Full,
    Interrupted,
}

#[derive(Debug, Default)]
struct Plan {
    writes: VecDeque<Fault>,
    syncs: VecDeque<Fault>,
    write_sizes: Vec<usize>,
    sync_count: usize,
}

#[derive(Clone, Debug, Default)]
struct Faulty(Arc<Mutex<Plan>>);

impl Storage for Faulty {
    fn write(&mut self, file: &File, bytes: &[u8]) -> io::Result<usize> {
        let mut plan = self.0.lock().unwrap();
        plan.write_sizes.push(bytes.len());
        match plan.writes.pop_front().unwrap_or(Fault::None) {
            Fault::None => Kernel.write(file, bytes),
            Fault::Short(count) => Kernel.write(file, &bytes[..count % bytes.len()]),
            Fault::Full => Err(io::ErrorKind::StorageFull.into()),
            Fault::Interrupted => Err(io::ErrorKind::Interrupted.into()),
        }
    }

    fn sync(&mut self, _: &File) -> io::Result<()> {
        let mut plan = self.0.lock().unwrap();
        plan.sync_count += 1;
        match plan.syncs.pop_front().unwrap_or(Fault::None) {
            Fault::None => Ok(()),
            _ => Err(io::Error::other("the disk is broken")),
        }
    }
}

struct Stage {
    directory: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn logs(&self) -> PathBuf {
        self.directory.path().join(".agents/logs")
    }

    fn path(&self) -> PathBuf {
        active_path(&self.logs(), "s")
    }

    fn options() -> AppendOptions {
        AppendOptions { lock_wait: Duration::from_millis(5), ..AppendOptions::new(WRITER.to_owned()) }
    }

    fn appender(&self) -> Appender {
        Appender::open(&self.logs(), "s", Self::options()).unwrap()
    }

    fn faulty(&self, durability: Durability) -> (Appender, Faulty) {
        let faults = Faulty::default();
        let options = AppendOptions { durability, ..Self::options() };
        (Appender::with_storage(&self.logs(), "s", options, Box::new(faults.clone())).unwrap(), faults)
    }

    /// What a stranger appends, with `>>` or by dying in the middle.
    fn scribble(&self, bytes: &[u8]) {
        crate::base::fs::create_private_dir(&self.logs()).unwrap();
        let mut file = OpenOptions::new().append(true).create(true).open(self.path()).unwrap();
        file.write_all(bytes).unwrap();
    }

    fn lines(&self) -> Vec<String> {
        std::fs::read_to_string(self.path()).unwrap().lines().map(str::to_owned).collect()
    }

    /// The values of `key` in the good lines of all segments, in order, with their numbers.
    fn values(&self) -> Vec<(u64, u64)> {
        let segments = segments(&self.logs(), "s").unwrap();
        let bytes =
            segments.iter().flat_map(|segment| std::fs::read(&segment.path).unwrap()).collect::<Vec<_>>();
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| frame::check(line).is_ok());
        let value = |line: &[u8]| {
            let object: serde_json::Value = serde_json::from_slice(line).ok()?;
            Some((frame::writer(line)?.1, object.get("key")?.as_u64()?))
        };
        lines.filter_map(value).collect()
    }

    fn report(&self) -> SegmentReport {
        self.reports().pop().unwrap()
    }

    /// All segments, oldest first.
    fn reports(&self) -> Vec<SegmentReport> {
        let report = verify::stream(&self.logs(), &segments(&self.logs(), "s").unwrap(), &validate);
        assert!(report.segments.iter().all(SegmentReport::is_conserved), "{report:?}");
        assert_eq!(report.unreadable, []);
        report.segments
    }
}

fn validate(line: &[u8]) -> Result<frame::Integrity, String> {
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(line)
        .map_err(|error| error.to_string())?;
    frame::check(line).map_err(|error| error.to_string())
}

fn object(key: u64) -> Vec<u8> {
    format!("{{\"key\":{key}}}").into_bytes()
}

fn append(appender: &mut Appender, keys: &[u64]) -> Result<Appended, AppendError> {
    let objects = keys.iter().map(|key| object(*key)).collect::<Vec<_>>();
    appender.append(&objects.iter().map(Vec::as_slice).collect::<Vec<_>>(), NOW)
}

#[test]
fn a_new_stream_begins_with_its_header_in_the_same_write() {
    let stage = Stage::new();
    let (mut appender, faults) = stage.faulty(Durability::None);
    let outcome = append(&mut appender, &[7, 8]).unwrap();
    assert_eq!(outcome, Appended { first_n: 2, last_n: 3, healed: None, degraded: false });
    assert_eq!(appender.last_n(), 3);
    let lines = stage.lines();
    assert!(header::parse(lines[0].as_bytes()).is_some(), "{}", lines[0]);
    assert_eq!(stage.values(), [(2, 7), (3, 8)]);
    let bytes = std::fs::metadata(stage.path()).unwrap();
    assert_eq!(faults.0.lock().unwrap().write_sizes, [usize::try_from(bytes.len()).unwrap()]);
    assert_eq!(bytes.mode() & 0o777, 0o600);
}

#[test]
fn a_second_writer_adds_no_header_and_has_numbers_of_its_own() {
    let stage = Stage::new();
    append(&mut stage.appender(), &[1]).unwrap();
    let options = AppendOptions { writer: "other".to_owned(), ..Stage::options() };
    let mut other = Appender::open(&stage.logs(), "s", options).unwrap();
    assert_eq!(append(&mut other, &[2]).unwrap().first_n, 1);
    assert_eq!(stage.lines().len(), 3);
    assert_eq!(stage.values(), [(2, 1), (1, 2)]);
}

#[test]
fn a_torn_line_is_terminated_and_reported_and_costs_only_itself() {
    let stage = Stage::new();
    let mut appender = stage.appender();
    append(&mut appender, &[1]).unwrap();
    let offset = std::fs::metadata(stage.path()).unwrap().len();
    stage.scribble(b"{\"torn\":");
    assert_eq!(append(&mut appender, &[2]).unwrap().healed, Some(offset));
    assert_eq!(append(&mut appender, &[3]).unwrap().healed, None);
    assert_eq!(stage.values(), [(2, 1), (3, 2), (4, 3)]);
    let report = stage.report();
    assert_eq!((report.ok, report.damaged, report.blank, report.pending_bytes), (4, 1, 0, 0));
    assert_eq!(report.damages[0].offset, offset);
}

#[test]
fn a_file_made_by_hand_gets_its_header_where_it_stands() {
    let stage = Stage::new();
    stage.scribble(b"{\"type\":\"note.logged\"}\n{\"type\":");
    append(&mut stage.appender(), &[1]).unwrap();
    append(&mut stage.appender(), &[2]).unwrap();
    let lines = stage.lines();
    let headers = lines.iter().map(|line| header::parse(line.as_bytes()).is_some()).collect::<Vec<_>>();
    assert_eq!(headers, [false, false, true, false, false]);
}

#[test]
fn without_the_lock_every_batch_begins_with_a_newline() {
    let stage = Stage::new();
    let mut appender = stage.appender();
    append(&mut appender, &[1]).unwrap();
    stage.scribble(b"torn");
    let held = FileLock::exclusive(File::open(stage.path()).unwrap(), Duration::ZERO).unwrap().unwrap();
    let outcome = append(&mut appender, &[2]).unwrap();
    assert!(outcome.degraded);
    assert!(append(&mut appender, &[3]).unwrap().degraded);
    drop(held);
    assert!(!append(&mut appender, &[4]).unwrap().degraded);
    assert_eq!(stage.values(), [(2, 1), (3, 2), (4, 3), (5, 4)]);
    let report = stage.report();
    assert_eq!((report.damaged, report.blank), (1, 1));
}

#[test]
fn a_file_that_was_moved_away_is_left_and_a_new_one_made() {
    let stage = Stage::new();
    let mut appender = stage.appender();
    append(&mut appender, &[1]).unwrap();
    let moved = stage.logs().join("moved");
    std::fs::rename(stage.path(), &moved).unwrap();
    append(&mut appender, &[2]).unwrap();
    std::fs::remove_dir_all(stage.logs()).unwrap();
    append(&mut appender, &[3]).unwrap();
    // Each new file has a header, and each header a number.
    assert_eq!(stage.values(), [(6, 3)]);
}

#[test]
fn a_file_unlinked_while_it_was_written_without_the_lock_is_written_again() {
    /// Replaces the file by another one in the moment before the write.
    #[derive(Debug)]
    struct Thief(PathBuf, bool);
    impl Storage for Thief {
        fn write(&mut self, file: &File, bytes: &[u8]) -> io::Result<usize> {
            if !std::mem::replace(&mut self.1, true) {
                std::fs::remove_file(&self.0)?;
            }
            Kernel.write(file, bytes)
        }
        fn sync(&mut self, file: &File) -> io::Result<()> {
            Kernel.sync(file)
        }
    }
    let stage = Stage::new();
    stage.scribble(b"{\"type\":\"note.logged\"}\n");
    let _held = FileLock::exclusive(File::open(stage.path()).unwrap(), Duration::ZERO).unwrap().unwrap();
    let thief = Box::new(Thief(stage.path(), false));
    let mut appender = Appender::with_storage(&stage.logs(), "s", Stage::options(), thief).unwrap();
    append(&mut appender, &[1]).unwrap();
    assert_eq!(stage.values(), [(2, 1)]);
}

#[test]
fn what_is_no_file_of_ours_is_refused_with_a_reason() {
    let refused = |make: &dyn Fn(&Path), reason: &str| {
        let stage = Stage::new();
        let mut appender = stage.appender();
        make(&stage.path());
        let error = append(&mut appender, &[1]).unwrap_err();
        assert_eq!((error.kind, error.written), (AppendErrorKind::Refused, 0), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    };
    let beside = |path: &Path| path.with_extension("victim");
    refused(&|path| std::os::unix::fs::symlink(beside(path), path).unwrap(), "is a symbolic link");
    refused(
        &|path| rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RWXU).unwrap(),
        "is not a regular file",
    );
    refused(
        &|path| {
            replace(&beside(path), b"victim").unwrap();
            std::fs::hard_link(beside(path), path).unwrap();
        },
        "second name",
    );
}

#[test]
fn the_second_name_of_an_interrupted_rotation_is_no_reason_to_stop() {
    let stage = Stage::new();
    append(&mut stage.appender(), &[1]).unwrap();
    std::fs::create_dir(stage.logs().join("closed")).unwrap();
    std::fs::hard_link(stage.path(), stage.logs().join("closed/s.20261116.001.jsonl")).unwrap();
    append(&mut stage.appender(), &[2]).unwrap();
    assert_eq!(stage.values().len(), 2);
}

#[test]
fn a_full_segment_is_closed_and_the_next_one_has_a_header_and_the_next_number() {
    let stage = Stage::new();
    let rotation = Rotation { segment_bytes: 1000, daily: false };
    let options = AppendOptions { rotation, ..Stage::options() };
    let mut appender = Appender::open(&stage.logs(), "s", options).unwrap();
    for key in 0..30 {
        append(&mut appender, &[key]).unwrap();
    }
    let reports = stage.reports();
    assert!(reports.len() > 2, "{reports:?}");
    assert!(reports.iter().all(|report| report.bytes <= 1000 && report.holes == 0 && report.repeats == 0));
    let lines = reports.iter().map(|report| report.ok).sum::<u64>();
    assert_eq!(lines, 30 + u64::try_from(reports.len()).unwrap());
    assert_eq!(appender.last_n(), lines);
    assert_eq!(stage.values().iter().map(|(_, key)| *key).collect::<Vec<_>>(), (0..30).collect::<Vec<_>>());
    for segment in segments(&stage.logs(), "s").unwrap() {
        let first = std::fs::read(&segment.path).unwrap();
        assert!(header::parse(first.split(|byte| *byte == b'\n').next().unwrap()).is_some());
        assert_eq!(std::fs::metadata(&segment.path).unwrap().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_new_day_begins_a_new_segment_where_that_is_wanted() {
    let stage = Stage::new();
    let rotation = Rotation { segment_bytes: 1 << 20, daily: true };
    let options = AppendOptions { rotation, ..Stage::options() };
    let mut appender = Appender::open(&stage.logs(), "s", options).unwrap();
    let day_ms = 24 * 60 * 60 * 1000;
    for (key, days) in [(0, 0), (1, 0), (2, 1), (3, -1), (4, 1)] {
        appender.append(&[&object(key)], NOW.plus_millis(days * day_ms)).unwrap();
    }
    assert_eq!(stage.reports().iter().map(|report| report.ok).collect::<Vec<_>>(), [3, 4]);
    let names = closed(&stage.logs(), "s").unwrap().into_iter();
    let names = names.map(|file| file.path.file_name().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(names, ["s.20261117.001.jsonl"]);
}

#[test]
fn an_interrupted_rotation_is_finished_by_the_next_writer() {
    let stage = Stage::new();
    append(&mut stage.appender(), &[0]).unwrap();
    std::fs::create_dir(closed_dir(&stage.logs())).unwrap();
    std::fs::hard_link(stage.path(), closed_dir(&stage.logs()).join("s.20261116.001.jsonl")).unwrap();
    append(&mut stage.appender(), &[1]).unwrap();
    let reports = stage.reports();
    assert_eq!(reports.iter().map(|report| report.ok).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(std::fs::metadata(stage.path()).unwrap().nlink(), 1);
}

#[test]
fn a_rotation_that_fails_costs_nothing_but_a_longer_segment() {
    let stage = Stage::new();
    let rotation = Rotation { segment_bytes: 600, daily: false };
    let options = AppendOptions { rotation, ..Stage::options() };
    let mut appender = Appender::open(&stage.logs(), "s", options).unwrap();
    append(&mut appender, &[0]).unwrap();
    std::fs::create_dir(closed_dir(&stage.logs())).unwrap();
    std::fs::set_permissions(closed_dir(&stage.logs()), std::fs::Permissions::from_mode(0o777)).unwrap();
    for key in 1..9 {
        append(&mut appender, &[key]).unwrap();
    }
    let report = stage.report();
    assert_eq!((report.ok, report.holes), (10, 0));
    let names = std::fs::read_dir(stage.logs()).unwrap().count();
    assert_eq!(names, 2);
}

#[test]
fn writers_with_files_of_their_own_are_one_stream_for_readers() {
    let stage = Stage::new();
    let rotation = Rotation { segment_bytes: 1000, daily: false };
    for writer in ["one", "two"] {
        let options = AppendOptions { own_file: true, rotation, ..AppendOptions::new(writer.to_owned()) };
        let mut appender = Appender::open(&stage.logs(), "s", options).unwrap();
        for key in 0..10 {
            append(&mut appender, &[key]).unwrap();
        }
    }
    append(&mut stage.appender(), &[10]).unwrap();
    let reports = stage.reports();
    assert_eq!(reports.iter().map(|report| (report.holes, report.repeats)).max(), Some((0, 0)));
    let mut keys: Vec<u64> = stage.values().iter().map(|(_, key)| *key).collect();
    keys.sort_unstable();
    assert_eq!(keys, (0..10).flat_map(|key| [key, key]).chain([10]).collect::<Vec<_>>());
    let names = segments(&stage.logs(), "s").unwrap().into_iter().rev().take(3);
    let names: Vec<_> = names.map(|segment| segment.path.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["s.jsonl", "s.two.jsonl", "s.one.jsonl"]);
    assert_eq!(crate::journal::segment::streams(&stage.logs()).unwrap(), ["s"]);
}

/// The segment is closed (and sealed) between the look at the name and the write.
#[derive(Debug)]
struct ClosedMeanwhile(PathBuf, PathBuf, bool);
impl Storage for ClosedMeanwhile {
    fn write(&mut self, file: &File, bytes: &[u8]) -> io::Result<usize> {
        if self.0.exists() && !self.1.exists() {
            std::fs::rename(&self.0, &self.1)?;
            if self.2 {
                File::create(crate::journal::segment::sealed_path(&self.1))?;
            }
        }
        Kernel.write(file, bytes)
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        Kernel.sync(file)
    }
}

#[test]
fn a_writer_without_the_lock_whose_segment_was_closed_is_still_read() {
    let stage = Stage::new();
    let mut slow = stage.appender();
    append(&mut slow, &[0]).unwrap();
    let closed_path = closed_dir(&stage.logs()).join("s.20261116.001.jsonl");
    std::fs::create_dir(closed_dir(&stage.logs())).unwrap();
    let _holder = FileLock::acquire(&stage.path(), Duration::ZERO).unwrap();
    slow.storage = Box::new(ClosedMeanwhile(stage.path(), closed_path.clone(), false));
    assert!(append(&mut slow, &[1]).unwrap().degraded);
    assert_eq!(std::fs::read_to_string(&closed_path).unwrap().matches("\"key\":1").count(), 1);
    assert!(!stage.path().exists());

    // The same while the segment is being sealed: what went into it is written again.
    std::fs::rename(&closed_path, stage.path()).unwrap();
    slow.storage = Box::new(ClosedMeanwhile(stage.path(), closed_path.clone(), true));
    append(&mut slow, &[2]).unwrap();
    assert_eq!(std::fs::read_to_string(stage.path()).unwrap().matches("\"key\":2").count(), 1);
}

#[test]
fn an_object_that_cannot_be_a_line_stops_the_whole_append_before_it_begins() {
    let stage = Stage::new();
    let mut appender = stage.appender();
    let error = appender.append(&[b"{\"key\":1}", b"{\"key\":\n2}"], NOW).unwrap_err();
    assert_eq!((error.kind, error.written, appender.last_n()), (AppendErrorKind::Object, 0, 0));
    assert!(error.to_string().contains("object 1 is not one JSON object"), "{error}");
    assert!(!stage.path().exists());
    assert!(Appender::open(&stage.logs(), "../s", Stage::options()).is_err());
}

#[test]
fn many_objects_go_out_in_writes_of_a_batch_each() {
    let stage = Stage::new();
    let (mut appender, faults) = stage.faulty(Durability::None);
    let keys = (0..3000).collect::<Vec<_>>();
    append(&mut appender, &keys).unwrap();
    assert_eq!(stage.values(), keys.iter().map(|key| (key + 2, *key)).collect::<Vec<_>>());
    let sizes = faults.0.lock().unwrap().write_sizes.clone();
    assert!(sizes.len() < 6 && sizes.iter().all(|size| *size <= BATCH_BYTES_MAX), "{sizes:?}");
}

#[test]
fn after_a_short_write_only_what_is_missing_is_sent_again_with_the_same_numbers() {
    let stage = Stage::new();
    let (mut appender, faults) = stage.faulty(Durability::None);
    append(&mut appender, &[1]).unwrap();
    // Each of these lines has 54 bytes and a newline; one whole line and all but the newline of the second are taken.
    let first = stage.lines()[1].len();
    faults.0.lock().unwrap().writes.push_back(Fault::Short(2 * first + 1));
    let error = append(&mut appender, &[2, 3, 4]).unwrap_err();
    assert_eq!((error.kind, error.written, appender.last_n()), (AppendErrorKind::Full, 2, 4));
    let outcome = append(&mut appender, &[4]).unwrap();
    assert_eq!((outcome.first_n, outcome.healed.is_some()), (5, true));
    assert_eq!(stage.values(), [(2, 1), (3, 2), (4, 3), (5, 4)]);
    assert_eq!(stage.report().damaged, 0);
}

#[test]
fn errors_have_a_kind_and_name_the_path() {
    let stage = Stage::new();
    let (mut appender, faults) = stage.faulty(Durability::None);
    faults.0.lock().unwrap().writes.extend([Fault::Interrupted, Fault::Full]);
    let error = append(&mut appender, &[1]).unwrap_err();
    assert_eq!((error.kind, error.written, appender.last_n()), (AppendErrorKind::Full, 0, 0));
    assert!(
        error.to_string().starts_with(&format!("cannot append to {}: ", stage.path().display())),
        "{error}"
    );
    let kind = |kind: io::ErrorKind| failure(&stage.path(), 0, &kind.into()).kind;
    assert_eq!(kind(io::ErrorKind::ReadOnlyFilesystem), AppendErrorKind::ReadOnly);
    assert_eq!(kind(io::ErrorKind::PermissionDenied), AppendErrorKind::Permission);
    assert_eq!(kind(io::ErrorKind::QuotaExceeded), AppendErrorKind::Full);
}

#[test]
fn each_syncs_every_append_and_an_interval_only_when_it_is_over() {
    let stage = Stage::new();
    let syncs = |faults: &Faulty| faults.0.lock().unwrap().sync_count;
    let (mut each, faults) = stage.faulty(Durability::Each);
    append(&mut each, &[1]).unwrap();
    append(&mut each, &[2]).unwrap();
    each.sync().unwrap();
    assert_eq!(syncs(&faults), 2);

    let long = Duration::from_hours(1);
    let (mut interval, faults) = stage.faulty(Durability::Interval(long));
    append(&mut interval, &[3]).unwrap();
    interval.sync_if_due(Instant::now()).unwrap();
    assert_eq!(syncs(&faults), 0);
    interval.sync_if_due(Instant::now() + long).unwrap();
    interval.sync_if_due(Instant::now() + long).unwrap();
    assert_eq!(syncs(&faults), 1);
}

#[test]
fn a_failed_sync_is_not_repeated_but_the_lines_are_written_again() {
    let stage = Stage::new();
    let (mut appender, faults) = stage.faulty(Durability::Interval(Duration::from_hours(1)));
    append(&mut appender, &[1]).unwrap();
    appender.sync().unwrap();
    append(&mut appender, &[2, 3]).unwrap();
    let opened = Arc::clone(&appender.target.as_ref().unwrap().file);
    faults.0.lock().unwrap().syncs.push_back(Fault::Full);
    let bytes = stage.lines()[2..].iter().map(|line| line.len() + 1).sum::<usize>();
    assert_eq!(appender.sync().unwrap(), Synced { again_bytes: bytes });
    assert!(!Arc::ptr_eq(&opened, &appender.target.as_ref().unwrap().file));
    assert_eq!(stage.values(), [(2, 1), (3, 2), (4, 3), (3, 2), (4, 3)]);
    assert_eq!(appender.sync().unwrap(), Synced::default());
    append(&mut appender, &[4]).unwrap();
    // The header of the new segment has number 5.
    assert_eq!(stage.values().last(), Some(&(6, 4)));
    let counts = stage.reports().into_iter().map(|report| (report.ok, report.repeats, report.holes));
    assert_eq!(counts.collect::<Vec<_>>(), [(4, 0, 0), (4, 2, 0)]);
}

#[test]
fn what_a_moved_file_may_have_lost_is_written_to_the_new_one() {
    let stage = Stage::new();
    let (mut appender, faults) = stage.faulty(Durability::Interval(Duration::from_hours(1)));
    append(&mut appender, &[1]).unwrap();
    std::fs::rename(stage.path(), stage.logs().join("moved")).unwrap();
    faults.0.lock().unwrap().syncs.push_back(Fault::Full);
    append(&mut appender, &[2]).unwrap();
    assert_eq!(stage.values(), [(4, 2)]);
    assert_eq!(faults.0.lock().unwrap().sync_count, 1);
    assert!(appender.sync().unwrap().again_bytes > 0);
    assert_eq!(stage.values(), [(4, 2), (2, 1), (4, 2)]);
}

#[test]
fn a_sync_that_keeps_failing_is_reported_and_tried_again_after_a_pause() {
    let stage = Stage::new();
    let (mut appender, faults) = stage.faulty(Durability::Interval(Duration::ZERO));
    faults.0.lock().unwrap().syncs.extend([Fault::Full; 2]);
    let error = append(&mut appender, &[1]).unwrap_err();
    assert_eq!((error.kind, error.written), (AppendErrorKind::Other, 1));
    assert!(error.to_string().contains("may not survive a power cut"), "{error}");
    append(&mut appender, &[2]).unwrap();
    assert_eq!(faults.0.lock().unwrap().sync_count, 2);
    appender.sync_if_due(Instant::now() + SYNC_PAUSE.0).unwrap();
    assert_eq!(faults.0.lock().unwrap().sync_count, 3);
    assert_eq!(stage.report().holes, 0);
}

#[test]
fn what_is_kept_for_writing_again_is_bounded_and_begins_at_a_line() {
    let mut lines = (0..300_000).flat_map(|n| format!("line {n}\n").into_bytes()).collect::<VecDeque<_>>();
    forget_oldest(&mut lines);
    let rest = String::from_utf8(lines.into()).unwrap();
    assert!(rest.len() <= UNSYNCED_BYTES_MAX && rest.len() > UNSYNCED_BYTES_MAX - 20);
    assert!(rest.starts_with("line ") && rest.ends_with("line 299999\n"));
}

#[test]
fn four_writers_at_once_tear_and_lose_nothing() {
    const LINES: u64 = 500;
    let stage = Stage::new();
    std::thread::scope(|scope| {
        for writer in 0..4_u64 {
            let logs = stage.logs();
            scope.spawn(move || {
                let options = AppendOptions {
                    rotation: Rotation { segment_bytes: 300_000, daily: false },
                    durability: Durability::None,
                    lock_wait: if writer == 0 { Duration::ZERO } else { LOCK_WAIT },
                    ..AppendOptions::new(format!("writer{writer}"))
                };
                let mut appender = Appender::open(&logs, "s", options).unwrap();
                for key in 0..LINES {
                    // From ten bytes to 64 KiB, most of them short.
                    let length =
                        usize::try_from((key * 7919 + writer * 104_729) % 65_000).unwrap() >> (key % 11);
                    let object = format!("{{\"key\":{key},\"text\":\"{}\"}}", "x".repeat(length));
                    appender.append(&[object.as_bytes()], NOW).unwrap();
                }
            });
        }
    });
    let reports = stage.reports();
    assert!(reports.len() > 5);
    for report in reports {
        assert_eq!((report.damaged, report.holes, report.repeats, report.pending_bytes), (0, 0, 0, 0));
    }
    assert_eq!(stage.values().len(), 4 * usize::try_from(LINES).unwrap());
}

#[test]
fn a_log_cut_at_any_byte_still_has_all_its_whole_lines_and_takes_new_ones() {
    let stage = Stage::new();
    append(&mut stage.appender(), &[1, 2]).unwrap();
    let bytes = std::fs::read(stage.path()).unwrap();
    for cut in 0..=bytes.len() {
        replace(&stage.path(), &bytes[..cut]).unwrap();
        let whole = memchr::memchr_iter(b'\n', &bytes[..cut]).count();
        let report = stage.report();
        assert_eq!((report.ok, report.damaged), (u64::try_from(whole).unwrap(), 0), "cut at {cut}");
        append(&mut stage.appender(), &[3]).unwrap();
        let values = stage.values();
        let kept = values.iter().filter(|(_, key)| *key < 3).count();
        // A line that lacked only its newline is whole again.
        assert!(kept >= whole.saturating_sub(1), "cut at {cut}");
        assert_eq!(values.last().map(|(_, key)| *key), Some(3), "cut at {cut}");
        assert!(stage.lines().iter().any(|line| header::parse(line.as_bytes()).is_some()), "cut at {cut}");
    }
}

/// One thing that happens to a log.
#[derive(Clone, Debug)]
enum Step {
    Append(Vec<usize>),
    Write(Fault),
    FailSync,
    Sync,
    /// A new process goes on.
    Restart,
    Torn(usize),
    Foreign,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(prop_oneof![0_usize..200, 0_usize..70_000], 1..6).prop_map(Step::Append),
        1 => (0_usize..200_000).prop_map(|count| Step::Write(Fault::Short(count))),
        1 => prop_oneof![Just(Fault::Full), Just(Fault::Interrupted)].prop_map(Step::Write),
        1 => Just(Step::FailSync),
        1 => Just(Step::Sync),
        1 => Just(Step::Restart),
        1 => (1_usize..300).prop_map(Step::Torn),
        1 => Just(Step::Foreign),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_happens_every_acknowledged_object_is_read_back_in_order(steps in prop::collection::vec(step(), 1..40)) {
        let stage = Stage::new();
        let long = Duration::from_hours(1);
        let (mut appender, mut faults) = stage.faulty(Durability::Interval(long));
        let (mut next, mut foreign, mut starts) = (0_u64, 0_u64, 0_u64);
        for step in steps {
            match step {
                Step::Append(lengths) => {
                    let text = |length: &usize| "x".repeat(*length);
                    let objects = lengths.iter().map(text).zip(next..);
                    let objects = objects.map(|(text, key)| format!("{{\"key\":{key},\"text\":\"{text}\"}}"));
                    let objects = objects.collect::<Vec<_>>();
                    let objects = objects.iter().map(String::as_bytes).collect::<Vec<_>>();
                    let mut written = 0;
                    // What every caller does: go on with what is not in the file.
                    while let Err(error) = appender.append(&objects[written..], NOW) {
                        written += error.written;
                    }
                    next += u64::try_from(objects.len()).unwrap();
                }
                Step::Write(fault) => faults.0.lock().unwrap().writes.push_back(fault),
                Step::FailSync => faults.0.lock().unwrap().syncs.push_back(Fault::Full),
                Step::Sync => while appender.sync().is_err() {},
                Step::Restart => {
                    starts += 1;
                    let options = AppendOptions {
                        writer: format!("writer{starts}"),
                        durability: Durability::Interval(long),
                        ..Stage::options()
                    };
                    faults = Faulty::default();
                    let storage = Box::new(faults.clone());
                    appender = Appender::with_storage(&stage.logs(), "s", options, storage).unwrap();
                }
                Step::Torn(length) => {
                    // The writer that was killed here had begun as every writer does: by ending the line before.
                    let unfinished = std::fs::read(stage.path()).is_ok_and(|bytes| bytes.last().is_some_and(|byte| *byte != b'\n'));
                    let torn = b"{\"torn\":\"........\"}".repeat(20);
                    stage.scribble(&[if unfinished { &b"\n"[..] } else { b"" }, &torn[..length]].concat());
                }
                Step::Foreign => {
                    stage.scribble(b"\n{\"type\":\"note.logged\"}\n");
                    foreign += 1;
                }
            }
        }
        if stage.path().exists() {
            let reports = stage.reports();
            prop_assert_eq!(reports.iter().map(|report| report.holes).sum::<u64>(), 0);
            prop_assert!(reports.iter().map(|report| report.unchecked).sum::<u64>() >= foreign);
            let mut seen = BTreeSet::new();
            let mut keys = stage.values().into_iter().map(|(_, key)| key).collect::<Vec<_>>();
            keys.retain(|key| seen.insert(*key));
            prop_assert_eq!(keys, (0..next).collect::<Vec<_>>());
        }
    }
}
