//! What happens to transcripts (cut, rewritten, renamed, copied, removed) and to the program (killed), end to end: every
//! event of every line that ever stood there is in the log exactly once, whatever became of the positions cache.

use crate::support::sandbox::{Sandbox, run};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const SESSION: &str = "33333333-3333-4333-8333-333333333333";
const A: &str = "33333333-3333-4333-8333-333333333333.jsonl";
const B: &str = "b.jsonl";

/// Lines of a story: `(story, from, to)`.
type Lines = (u32, u32, u32);

/// Something that happens to the files.
#[derive(Clone, Debug)]
enum Step {
    Write(&'static str, Vec<Lines>),
    Append(&'static str, Vec<Lines>),
    Remove(&'static str),
    Rename(&'static str, &'static str),
    Copy(&'static str, &'static str),
    HardLink(&'static str, &'static str),
    SymbolicLink(&'static str, &'static str),
}

use Step::{Append, Copy, HardLink, Remove, Rename, SymbolicLink, Write};

/// What became of the positions cache before a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cache {
    Kept,
    Deleted,
    Garbage,
    Empty,
}

/// One call per line, some 450 bytes; the call's id says which.
fn transcript(lines: &[Lines], cwd: &Path) -> String {
    let mut text = String::new();
    for (story, number) in
        lines.iter().flat_map(|(story, from, to)| (*from..*to).map(move |line| (story, line)))
    {
        writeln!(
            text,
            r#"{{"uuid":"{story:04}{number:04}-0000-4000-8000-000000000000","sessionId":"{SESSION}","timestamp":"2026-11-16T09:{:02}:{:02}.000Z","cwd":"{}","version":"2.1.100","isSidechain":false,"type":"assistant","requestId":"r{story}-{number}","message":{{"id":"m{story}-{number}","role":"assistant","model":"m","content":[{{"type":"tool_use","id":"{story}-{number}","name":"Bash","input":{{"command":"make {number}"}}}}],"usage":{{"input_tokens":1,"output_tokens":1}}}}}}"#,
            number / 60,
            number % 60,
            cwd.display()
        )
        .unwrap();
    }
    text
}

struct World {
    sandbox: Sandbox,
    cwd: PathBuf,
}

impl World {
    fn new() -> Self {
        let sandbox = Sandbox::new().with_file("project/.agents/agentlog.toml", "");
        let cwd = sandbox.project().canonicalize().unwrap();
        fs::create_dir_all(sandbox.claude().join("projects/-project")).unwrap();
        Self { sandbox, cwd }
    }

    fn folder(&self) -> PathBuf {
        self.sandbox.claude().join("projects/-project")
    }

    #[expect(clippy::disallowed_methods, reason = "the transcript is written as its owner likes")]
    fn take(&self, step: &Step) {
        let path = |name: &str| self.folder().join(name);
        match step {
            Write(name, lines) => fs::write(path(name), transcript(lines, &self.cwd)),
            Append(name, lines) => {
                let mut file = fs::OpenOptions::new().append(true).open(path(name)).unwrap();
                std::io::Write::write_all(&mut file, transcript(lines, &self.cwd).as_bytes())
            }
            Remove(name) => fs::remove_file(path(name)),
            Rename(from, to) => fs::rename(path(from), path(to)),
            Copy(from, to) => fs::copy(path(from), path(to)).map(|_| ()),
            HardLink(from, to) => fs::hard_link(path(from), path(to)),
            SymbolicLink(from, to) => std::os::unix::fs::symlink(path(from), path(to)),
        }
        .unwrap();
    }

    fn spoil(&self, cache: Cache) {
        let path = "project/.agents/state/positions.json";
        match cache {
            Cache::Kept => {}
            Cache::Deleted => {
                // There is none before the first run.
                let _none = fs::remove_file(self.sandbox.project().join(".agents/state/positions.json"));
            }
            Cache::Garbage => {
                self.sandbox.write(path, "{\"layout\":2,\"sources\":{\"claude-code\":[{\"file\":7");
            }
            Cache::Empty => self.sandbox.write(path, ""),
        }
    }

    fn ingest(&self, command: &str) {
        let folder = self.folder();
        let args = match command {
            "import" => vec!["import", folder.to_str().unwrap()],
            _ => vec!["watch", "--once"],
        };
        let mut command = self.sandbox.command(&args);
        // For the proof that a defence is missed; every other build ignores it.
        command.envs(std::env::var_os("AGENTLOG_WITHOUT").map(|names| ("AGENTLOG_WITHOUT", names)));
        let output = run(&mut command);
        // A folder without files has nothing to import, and an empty file is told.
        let is_told = output.status == Some(5) && output.stderr.contains("is empty");
        assert!(matches!(output.status, Some(0 | 4)) || is_told, "{args:?}: {output:?}");
    }

    /// All lines of the log that can be read, but for those of the monitor itself.
    fn events(&self) -> Vec<Value> {
        let logs = self.sandbox.project().join(".agents/logs");
        let paths = fs::read_dir(logs).unwrap().map(|entry| entry.unwrap().path());
        let texts = paths.filter(|path| path.is_file()).map(|path| fs::read(path).unwrap());
        let lines = texts.flat_map(|text| {
            let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
            lines.into_iter()
        });
        let events = lines.filter_map(|line| serde_json::from_slice::<Value>(&line).ok());
        events.filter(|event| !event["type"].as_str().unwrap().starts_with("monitor.")).collect()
    }
}

/// The ids of the events, each of them once.
fn ids(events: &[Value], situation: &str) -> BTreeSet<String> {
    let ids: BTreeSet<String> = events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), events.len(), "{situation}: an event stands in the log twice");
    ids
}

/// The table: a name, and what happens between one run and the next. `n` lines make the first file, `k` of them are
/// kept where a rewritten file begins as before.
fn rows(n: u32, k: u32) -> Vec<(&'static str, Vec<Vec<Step>>)> {
    let old = |from, to| (1, from, to);
    let new = |from, to| (2, from, to);
    let first = vec![Write(A, vec![old(0, n)])];
    vec![
        ("grown", vec![first.clone(), vec![Append(A, vec![old(n, 2 * n)])]]),
        (
            "cut in place, then grown",
            vec![
                first.clone(),
                vec![Write(A, vec![old(0, 1)])],
                vec![Append(A, vec![new(0, 1)])],
                vec![Append(A, vec![new(1, 3 * n)])],
            ],
        ),
        (
            "cut in place to nothing, then grown",
            vec![first.clone(), vec![Write(A, vec![])], vec![Append(A, vec![new(0, 3 * n)])]],
        ),
        (
            "cut and grown beyond its size at once",
            vec![first.clone(), vec![Write(A, vec![old(0, 1), new(0, 3 * n)])]],
        ),
        ("deleted, then made anew", vec![first.clone(), vec![Remove(A)], vec![Write(A, vec![new(0, n)])]]),
        (
            "deleted and made anew at once",
            vec![first.clone(), vec![Remove(A), Write(A, vec![new(0, n + 1)])]],
        ),
        (
            "renamed and made anew",
            vec![
                first.clone(),
                vec![Append(A, vec![old(n, n + 1)]), Rename(A, B), Write(A, vec![new(0, n)])],
                vec![Append(A, vec![new(n, n + 2)])],
            ],
        ),
        ("same beginning, longer", vec![first.clone(), vec![Write(A, vec![old(0, k), new(0, 2 * n)])]]),
        ("same beginning, shorter", vec![first.clone(), vec![Write(A, vec![old(0, k), new(0, 1)])]]),
        ("only the end is left", vec![first.clone(), vec![Write(A, vec![old(k, n), new(0, 2 * n)])]]),
        ("a copy beside it", vec![first.clone(), vec![Copy(A, B)], vec![Append(A, vec![old(n, n + 2)])]]),
        (
            "a hard link to it",
            vec![first.clone(), vec![HardLink(A, B)], vec![Append(A, vec![old(n, n + 2)])]],
        ),
        (
            "a symbolic link to it",
            vec![first.clone(), vec![SymbolicLink(A, B)], vec![Append(A, vec![old(n, n + 2)])]],
        ),
        ("moved, then grown", vec![first.clone(), vec![Rename(A, B)], vec![Append(B, vec![old(n, n + 2)])]]),
        ("deleted and restored unchanged", vec![first.clone(), vec![Remove(A)], first]),
    ]
}

fn check(what: &str, history: &[Vec<Step>], cache: Cache, command: &str, n: u32) {
    let situation = format!("{what}, {n} lines, positions {cache:?}, {command}");
    let world = World::new();
    let mut expected = BTreeSet::new();
    for steps in history {
        for step in steps {
            if let Write(_, lines) | Append(_, lines) = step {
                let calls = lines
                    .iter()
                    .flat_map(|(story, from, to)| (*from..*to).map(move |line| format!("{story}-{line}")));
                expected.extend(calls);
            }
            world.take(step);
        }
        world.spoil(cache);
        world.ingest(command);
    }
    let events = world.events();
    let before = ids(&events, &situation);
    let started: Vec<_> = events.iter().filter(|event| event["type"] == "tool.started").collect();
    let calls: BTreeSet<String> =
        started.iter().map(|event| event["call"].as_str().unwrap().to_owned()).collect();
    assert_eq!(calls, expected, "{situation}");
    assert_eq!(started.len(), expected.len(), "{situation}");
    assert_eq!(
        events.iter().filter(|event| event["type"] == "usage.recorded").count(),
        expected.len(),
        "{situation}"
    );
    world.spoil(Cache::Deleted);
    world.ingest(command);
    assert_eq!(ids(&world.events(), &situation), before, "{situation}: reading all of it again adds nothing");
}

/// Every row with every cache and command; names all that do not hold.
fn check_rows(n: u32, k: u32) {
    let check_all = |command: &str| {
        let mut failed = Vec::new();
        for (what, history) in rows(n, k) {
            for cache in [Cache::Kept, Cache::Deleted, Cache::Garbage, Cache::Empty] {
                if std::panic::catch_unwind(|| check(what, &history, cache, command, n)).is_err() {
                    failed.push(format!("{what}, positions {cache:?}, {command}"));
                }
            }
        }
        failed
    };
    let failed = std::thread::scope(|scope| {
        let running = ["import", "watch"].map(|command| scope.spawn(move || check_all(command)));
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(failed, [""; 0]);
}

#[test]
fn whatever_happens_to_a_short_transcript_every_event_is_recorded_once() {
    assert!(transcript(&[(1, 0, 2)], Path::new("/home/dev/shop")).len() < 1024);
    check_rows(2, 1);
}

#[test]
fn whatever_happens_to_a_transcript_every_event_is_recorded_once() {
    assert!(transcript(&[(1, 0, 4)], Path::new("/home/dev/shop")).len() > 1024);
    check_rows(8, 4);
}

#[test]
fn a_watcher_killed_at_any_moment_records_what_one_clean_import_records() {
    const KILLS: u32 = 60;
    let world = World::new();
    world.take(&Write(A, vec![(1, 0, 20)]));
    // A linear congruential generator: the moments differ from one to the next and are the same in every run.
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let start = Instant::now();
    let mut length = 20;
    for kill in 0..KILLS {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let more = 1 + u32::try_from(random >> 60).unwrap();
        world.take(&Append(A, vec![(1, length, length + more)]));
        length += more;
        if kill % 3 == 0 {
            world.spoil(Cache::Deleted);
        }
        let watch = world.sandbox.spawn(&["watch", "--once"]);
        // The moment is what is varied; nothing is awaited.
        std::thread::sleep(Duration::from_micros((random >> 40) % 60_000));
        drop(watch);
        if start.elapsed() > Duration::from_secs(8) {
            break;
        }
    }
    world.ingest("watch");
    let clean = World {
        sandbox: Sandbox::new().with_file("project/.agents/agentlog.toml", ""),
        cwd: world.cwd.clone(),
    };
    fs::create_dir_all(clean.folder()).unwrap();
    fs::copy(world.folder().join(A), clean.folder().join(A)).unwrap();
    clean.ingest("import");
    // Facts of the transcript say where they were read; the rest is the monitor's own and of its time.
    let facts = |world: &World| {
        world.events().into_iter().filter(|event| event["from"].is_object()).collect::<Vec<_>>()
    };
    let (killed, clean) = (facts(&world), facts(&clean));
    assert_eq!(ids(&killed, "killed"), ids(&clean, "clean"));
    assert_eq!(killed.iter().filter(|event| event["type"] == "tool.started").count(), length as usize);
}
