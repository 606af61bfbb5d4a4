//! A log whose streams cannot be written for a while.

use super::*;
use crate::base::limits::{BACKLOG_BYTES_MAX, RETRY_PAUSE};
use serde_json::Value;

const NOW: Timestamp = Timestamp::from_millis(1_794_819_600_000);

struct Log {
    directory: tempfile::TempDir,
    writer: Writer,
}

impl Log {
    fn new(syncing: Syncing) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let writer = Writer::new(&Project::in_directory(directory.path()), syncing).unwrap();
        fs::create_private_dir(&directory.path().join(".agents/logs")).unwrap();
        Self { directory, writer }
    }

    fn path(&self, stream: Stream) -> PathBuf {
        self.directory.path().join(".agents/logs").join(format!("{}.jsonl", stream.name()))
    }

    /// Puts a directory where the stream should be, which no user can write to, root included.
    fn obstruct(&self, stream: Stream) {
        std::fs::create_dir(self.path(stream)).unwrap();
    }

    fn clear(&self, stream: Stream) {
        std::fs::remove_dir(self.path(stream)).unwrap();
    }

    fn call(&mut self, call: &str) -> u64 {
        let body = Body::ToolStarted {
            tool: "t".into(),
            call: call.to_owned().into(),
            thread: None,
            attempt: None,
            model: None,
            input_hash: None,
        };
        let (stream, object) = encoded(self.writer.event(NOW, body, None).unwrap());
        self.writer.keep(stream, object)
    }

    fn note(&mut self, text: &str) -> u64 {
        let body = Body::NoteLogged { text: text.to_owned().into() };
        let (stream, object) = encoded(self.writer.event(NOW, body, None).unwrap());
        self.writer.keep(stream, object)
    }

    fn flush(&mut self) -> Flushed {
        self.writer.flush(NOW, Instant::now())
    }

    /// As if the pause after the failure were over.
    fn flush_later(&mut self) -> Flushed {
        self.writer.flush(NOW, Instant::now() + RETRY_PAUSE.1)
    }

    /// The type of each line, with its call, stream or text.
    fn lines(&self, stream: Stream) -> Vec<String> {
        let text = std::fs::read_to_string(self.path(stream)).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let text = |line: &Value, key: &str| line.get(key).and_then(Value::as_str).map(str::to_owned);
        lines
            .map(|line| {
                let what = ["call", "text", "stream"].into_iter().find_map(|key| text(&line, key));
                format!("{} {}", text(&line, "type").unwrap(), what.unwrap_or_default())
            })
            .collect()
    }
}

#[test]
fn what_cannot_be_written_waits_and_the_other_streams_go_on() {
    let mut log = Log::new(Syncing::Live);
    log.obstruct(Stream::ToolCalls);
    let (first, second, note) = (log.call("1"), log.call("2"), log.note("n"));
    let flushed = log.flush();
    assert_eq!(flushed.settled, [note]);
    assert!(flushed.failure.is_some());
    assert!(!log.writer.is_settled());
    log.clear(Stream::ToolCalls);
    assert_eq!(log.flush().settled, Vec::<u64>::new(), "the pause is not over");
    let third = log.call("3");
    let flushed = log.flush_later();
    assert_eq!(flushed.settled, [first, second, third]);
    assert!(flushed.failure.is_none() && flushed.dropped.is_empty() && log.writer.is_settled());
    assert_eq!(
        log.lines(Stream::ToolCalls),
        ["segment.opened tool_calls", "tool.started 1", "tool.started 2", "tool.started 3"]
    );
}

#[test]
fn what_was_dropped_is_the_first_thing_the_log_says_when_it_can_be_written() {
    let mut log = Log::new(Syncing::Live);
    log.obstruct(Stream::ToolCalls);
    log.obstruct(Stream::BackgroundMonitoring);
    let dropped = [log.call("dropped"), log.note("dropped")];
    assert_eq!(log.flush().dropped, Vec::<u64>::new());
    log.writer.keep(Stream::ToolCalls, vec![b'x'; BACKLOG_BYTES_MAX - 300]);
    let last = log.note("kept");
    // The big one cannot be a line: found out when it is tried, it costs itself only.
    assert_eq!(log.flush().dropped, dropped);
    log.clear(Stream::ToolCalls);
    log.clear(Stream::BackgroundMonitoring);
    let mut settled = log.flush_later().settled;
    settled.extend(log.flush_later().settled);
    assert_eq!(settled, [last]);
    assert_eq!(
        log.lines(Stream::BackgroundMonitoring),
        [
            "segment.opened background_monitoring",
            "log.gap tool_calls",
            "log.gap background_monitoring",
            "note.logged kept",
            "log.gap tool_calls",
        ]
    );
    assert!(log.writer.is_settled());
}

#[test]
fn a_note_about_a_healed_line_that_cannot_be_written_fails_nothing() {
    let mut log = Log::new(Syncing::Live);
    log.obstruct(Stream::BackgroundMonitoring);
    log.call("1");
    assert!(log.flush().failure.is_none());
    let mut torn = std::fs::OpenOptions::new().append(true).open(log.path(Stream::ToolCalls)).unwrap();
    std::io::Write::write_all(&mut torn, b"{\"torn").unwrap();
    let mut batch = Batch::default();
    let body = Body::ToolStarted {
        tool: "t".into(),
        call: "2".into(),
        thread: None,
        attempt: None,
        model: None,
        input_hash: None,
    };
    batch.push(log.writer.event(NOW, body, None).unwrap());
    log.writer.append(&mut batch, NOW).unwrap();
    assert_eq!(batch.objects(Stream::ToolCalls), Vec::<Vec<u8>>::new());
    assert_eq!(log.writer.waiting_count(), 1);
    log.clear(Stream::BackgroundMonitoring);
    log.flush_later();
    assert_eq!(log.lines(Stream::BackgroundMonitoring).last().unwrap(), "log.healed tool_calls");
    assert_eq!(
        log.lines(Stream::ToolCalls),
        ["segment.opened tool_calls", "tool.started 1", "tool.started 2"]
    );
}

#[test]
fn a_removed_directory_is_made_again() {
    let mut log = Log::new(Syncing::Each);
    log.call("1");
    assert_eq!(log.flush().settled, [1]);
    std::fs::remove_dir_all(log.directory.path().join(".agents/logs")).unwrap();
    log.call("2");
    let mut settled = log.flush().settled;
    settled.extend(log.flush_later().settled);
    assert_eq!(settled, [2]);
    assert_eq!(log.lines(Stream::ToolCalls), ["segment.opened tool_calls", "tool.started 2"]);
}

#[test]
fn a_sync_is_due_after_the_interval_though_nothing_more_comes() {
    let mut log = Log::new(Syncing::Live);
    assert_eq!(log.writer.next_due(Instant::now()), None);
    log.call("1");
    log.flush();
    let due = log.writer.next_due(Instant::now());
    assert!(due.is_some_and(|due| due <= SYNC_INTERVAL), "{due:?}");
    log.writer.flush(NOW, Instant::now() + SYNC_INTERVAL);
    assert_eq!(log.writer.next_due(Instant::now()), None);
}
