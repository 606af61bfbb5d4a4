//! Many processes write to one stream at once, some of them killed in the middle; nothing acknowledged is lost or torn.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const PROCESSES: usize = 8;
const EVENTS_EACH: usize = 25;

fn emit(project: &Path, text: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_agentlog"))
        .args(["emit", "note.logged", &format!("text={text}"), "--task", "T"])
        .current_dir(project)
        .env_remove("AGENTLOG_DIR")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

fn project() -> tempfile::TempDir {
    let project = tempfile::tempdir().expect("a temporary directory");
    std::fs::create_dir(project.path().join(".agents")).expect("an empty .agents");
    project
}

/// All lines of all streams, and what stands in `text` of those that are JSON objects.
fn texts(project: &Path) -> (usize, Vec<String>) {
    let mut damaged = 0;
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(project.join(".agents/logs")).expect("there is a log") {
        let path = entry.expect("a name").path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        let bytes = std::fs::read(&path).expect("a readable log");
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice::<serde_json::Value>(line) {
                Ok(event) => {
                    texts.extend(event.get("text").and_then(|text| text.as_str()).map(str::to_owned));
                }
                Err(_) => damaged += 1,
            }
        }
    }
    (damaged, texts)
}

#[test]
fn events_of_many_processes_at_once_are_all_there_and_whole() {
    let project = project();
    std::thread::scope(|scope| {
        for process in 0..PROCESSES {
            let project = project.path();
            scope.spawn(move || {
                for event in 0..EVENTS_EACH {
                    let output =
                        emit(project, &format!("{process}-{event}")).wait_with_output().expect("an exit");
                    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                }
            });
        }
    });
    let (damaged, texts) = texts(project.path());
    let expected =
        (0..PROCESSES).flat_map(|process| (0..EVENTS_EACH).map(move |event| format!("{process}-{event}")));
    assert_eq!(damaged, 0);
    assert_eq!(texts.len(), PROCESSES * EVENTS_EACH);
    assert_eq!(texts.into_iter().collect::<BTreeSet<_>>(), expected.collect());
}

#[test]
fn what_was_acknowledged_survives_the_killing_of_others() {
    let project = project();
    let acknowledged = std::thread::scope(|scope| {
        let killed = scope.spawn(|| {
            for event in 0..EVENTS_EACH {
                let mut child = emit(project.path(), &format!("killed-{event}"));
                child.kill().expect("our own child can be killed");
                child.wait().expect("an exit");
            }
        });
        let mut acknowledged = BTreeSet::new();
        for event in 0..2 * EVENTS_EACH {
            let text = format!("kept-{event}");
            let output = emit(project.path(), &text).wait_with_output().expect("an exit");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            acknowledged.insert(text);
        }
        killed.join().expect("no panic");
        acknowledged
    });
    let (_, texts) = texts(project.path());
    let kept = texts.iter().filter(|text| text.starts_with("kept-"));
    assert_eq!(kept.clone().count(), acknowledged.len());
    assert_eq!(kept.cloned().collect::<BTreeSet<_>>(), acknowledged);
    assert!(texts.iter().all(|text| text.starts_with("kept-") || text.starts_with("killed-")));
}
