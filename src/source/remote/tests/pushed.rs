//! What arrives makes the same events in whatever portions it comes, wherever the process begins again, whatever it is.

use super::*;
use crate::source::remote::host::News;
use proptest::prelude::*;

/// A machine that nobody connects to: what would arrive is handed in.
struct Pushed {
    source: Remote,
    log: EventLog,
}

impl Pushed {
    fn new(log: EventLog) -> Self {
        let config = RemoteConfig {
            host: "far".into(),
            name: "job".into(),
            log: Some("/x.log".into()),
            patterns: PatternsOf::counting(),
            ..RemoteConfig::default()
        };
        let mut source = Remote::new(&[config]);
        assert_eq!(source.discover(&fixture::env(Scope::Global)).problems, []);
        Self { source, log }
    }

    fn take(&mut self, news: News) {
        let Self { source, log } = self;
        let Remote { machines: Some(machines), resumable, .. } = source else { panic!("not discovered") };
        machines[0].take(news, resumable, fixture::now(), log, &mut Vec::new());
    }

    /// The log was found; what it may be is not looked at, since it is read from this candidate on.
    fn found(&mut self, candidate: Option<usize>, size: u64) {
        self.take(News::Listed { list: 0, paths: vec!["/x.log".into()] });
        self.take(News::Settled { key: 0, candidate, size });
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.take(News::Bytes { key: 0, bytes: bytes.to_vec(), modified: 1_700_000_000 });
    }
}

struct PatternsOf;

impl PatternsOf {
    fn counting() -> crate::source::output::PatternsConfig {
        let progress = vec![r"step (?<current>\d+) of (?<total>\d+)".to_owned()];
        crate::source::output::PatternsConfig { progress, update_throttle_percent: 0.0, ..Default::default() }
    }
}

fn lines_of(log: &[u8], cuts: &[usize], restarts: bool) -> Vec<String> {
    let mut pushed = Pushed::new(EventLog::default());
    pushed.found(None, 0);
    let mut from = 0;
    for cut in cuts.iter().copied().chain([log.len()]).filter(|cut| *cut <= log.len()) {
        if cut < from {
            continue;
        }
        pushed.bytes(&log[from..cut]);
        pushed.take(News::Round { order_count: 0 });
        from = cut;
        if restarts {
            let (positions, advances) = (pushed.source.positions(), pushed.source.advances());
            let resumes = !positions.is_empty() && !advances.is_empty();
            let mut events = std::mem::take(&mut pushed.log);
            events.advance(advances);
            events.restart();
            let knows = events
                .events
                .iter()
                .any(|event| event["type"] == "source.opened" && event["from"].is_object());
            pushed = Pushed::new(events);
            from = if resumes { usize::try_from(positions[0].offset_bytes).unwrap() } else { 0 };
            pushed.source.resume(positions);
            // With positions the first candidate is theirs; without, the file is the one the log knows, from its start.
            pushed.found((resumes || knows).then_some(0), log.len() as u64);
        }
    }
    pushed
        .log
        .events
        .iter()
        // By how much a log without times has grown is said when that is observed.
        .filter(|event| event["type"] != "output.grew" || event["from"]["at"].is_u64())
        .map(|event| format!("{} {} {}", event["type"], event["id"], event["from"]))
        .collect()
}

const SAMPLE: &[u8] = b"hello\nstep 1 of 3\nstep 2 of 3\r\nERROR: no beam\n\xff\xfe\0\n{\"level\":\"error\"}\nstep 3 of 3\nDONE\n";

#[test]
fn every_cut_gives_the_same_events() {
    let mut whole = lines_of(SAMPLE, &[], false);
    whole.sort();
    assert!(whole.len() >= 8, "{whole:#?}");
    for cut in 0..=SAMPLE.len() {
        for restarts in [false, true] {
            let mut cut_in_two = lines_of(SAMPLE, &[cut], restarts);
            cut_in_two.sort();
            assert_eq!(cut_in_two, whole, "cut at {cut}, restarts: {restarts}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_and_no_news_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), cut in 0..400_usize, key in 0..4_usize, modified in any::<i64>()) {
        let mut pushed = Pushed::new(EventLog::default());
        pushed.take(News::Bytes { key, bytes: bytes.clone(), modified });
        pushed.found(Some(key), modified.unsigned_abs());
        pushed.bytes(bytes.get(..cut).unwrap_or(&bytes));
        pushed.take(News::Rewritten { key, size: modified.unsigned_abs() });
        pushed.take(News::Small { key, found: Some((script::About { inode: 1, size: 2, modified }, bytes.clone())) });
        pushed.take(News::Unreadable { key });
        pushed.take(News::Online { clock: Some(modified) });
        pushed.take(News::Offline { why: String::from_utf8_lossy(&bytes).into_owned() });
        pushed.take(News::Listed { list: key, paths: vec![String::from_utf8_lossy(&bytes).into_owned()] });
        pushed.take(News::Settled { key, candidate: None, size: 0 });
        pushed.take(News::Round { order_count: 0 });
        for line in &pushed.log.lines {
            prop_assert!(line.len() < 4096);
        }
    }
}
