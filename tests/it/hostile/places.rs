//! What a stranger may put where the log is: every command refuses it or passes over it, soon, and touches no victim.

use crate::support::sandbox::Sandbox;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A refusal must not take longer.
const SOON: Duration = Duration::from_secs(2);
const VICTIM: &str = "not to be touched\n";
const STREAM: &str = "tool_calls";

/// What stands in the place of a stream's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trap {
    Link,
    LinkToNothing,
    Pipe,
    Zero,
    Folder,
    Socket,
    SecondName,
    OtherOwner,
}

impl Trap {
    const ALL: [Self; 8] = [
        Self::Link,
        Self::LinkToNothing,
        Self::Pipe,
        Self::Zero,
        Self::Folder,
        Self::Socket,
        Self::SecondName,
        Self::OtherOwner,
    ];

    /// Sets the trap at `path`; `false` where this machine does not let us.
    fn set(self, path: &Path, victim: &Path) -> bool {
        match self {
            Self::Link => symlink(victim, path).unwrap(),
            Self::LinkToNothing => symlink(victim.with_extension("none"), path).unwrap(),
            Self::Pipe => {
                let status = Command::new("mkfifo").arg(path).status().unwrap();
                assert!(status.success());
            }
            Self::Zero => symlink("/dev/zero", path).unwrap(),
            Self::Folder => fs::create_dir(path).unwrap(),
            Self::Socket => drop(std::os::unix::net::UnixListener::bind(path).unwrap()),
            Self::SecondName => fs::hard_link(victim, path).unwrap(),
            Self::OtherOwner => {
                fs::copy(victim, path).unwrap();
                return std::os::unix::fs::chown(path, Some(12_345), None).is_ok();
            }
        }
        true
    }

    /// A second name hurts nobody who only reads; a rotation gives a file one for a moment.
    fn refused_by_readers(self) -> bool {
        self != Self::SecondName && self != Self::LinkToNothing
    }
}

/// How a command ended that had to end soon.
struct Ended {
    code: Option<i32>,
    said: String,
}

fn soon(sandbox: &Sandbox, args: &[&str]) -> Ended {
    let mut child = sandbox.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = err.read_to_string(&mut text);
        let _ = out.read_to_string(&mut text);
        text
    });
    let start = Instant::now();
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        if start.elapsed() > SOON {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{args:?} has not ended after {SOON:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Ended { code, said: reader.join().unwrap() }
}

fn trapped(trap: Trap) -> Option<(Sandbox, PathBuf, PathBuf)> {
    let sandbox = Sandbox::new().with_file("home/victim", VICTIM);
    let good = "{\"ts\":\"2026-11-20T16:59:00Z\",\"type\":\"task.started\",\"task\":\"good\"}\n";
    sandbox.write("project/.agents/logs/delegation_requests.jsonl", good);
    let folder = sandbox.project().join(".agents");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(folder.join("logs"), fs::Permissions::from_mode(0o700)).unwrap();
    let (path, victim) = (folder.join(format!("logs/{STREAM}.jsonl")), sandbox.home().join("victim"));
    trap.set(&path, &victim).then_some((sandbox, path, victim))
}

const READERS: [&[&str]; 12] = [
    &["status", "--all"],
    &["tail", "-n", "all"],
    &["tail"],
    &["verify"],
    &["query", "SELECT COUNT(*) AS n FROM events"],
    &["report", "-o", "md"],
    &["explain", "good"],
    &["diff", "--from", "2026-11-20T16:00:00Z"],
    &["replay", "--speed", "max"],
    &["rules", "test"],
    &["inbox"],
    &["doctor"],
];

#[test]
fn writers_refuse_what_is_no_file_of_their_own_and_name_it() {
    for trap in Trap::ALL {
        let Some((sandbox, path, victim)) = trapped(trap) else {
            eprintln!("skipped {trap:?}: only root can give a file away");
            continue;
        };
        let emitted = soon(&sandbox, &["emit", "tool.started", "tool=t", "call=c", "--task", "x"]);
        assert_eq!(emitted.code, Some(5), "{trap:?}: {}", emitted.said);
        assert!(emitted.said.contains(&format!("{STREAM}.jsonl")), "{trap:?}: {}", emitted.said);
        assert_eq!(fs::read_to_string(&victim).unwrap(), VICTIM, "{trap:?}");
        assert!(!victim.with_extension("none").exists(), "{trap:?}");
        assert!(fs::symlink_metadata(&path).is_ok(), "{trap:?}: it was removed");
        // Another stream is not concerned.
        let other = soon(&sandbox, &["emit", "note.logged", "text=x"]);
        assert_eq!(other.code, Some(0), "{trap:?}: {}", other.said);
    }
}

#[test]
fn the_watcher_ends_soon_and_touches_no_victim() {
    for trap in Trap::ALL {
        let Some((sandbox, _, victim)) = trapped(trap) else { continue };
        let watched = soon(&sandbox, &["watch", "--once"]);
        assert!(watched.code.is_some(), "{trap:?}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), VICTIM, "{trap:?}");
        assert!(!victim.with_extension("none").exists(), "{trap:?}");
    }
}

/// Readers end soon, show nothing of the victim, and say which file they do not read.
#[test]
fn readers_refuse_what_is_no_file_of_their_own_and_name_it() {
    let mut wrong = Vec::new();
    for trap in Trap::ALL {
        let Some((sandbox, _, victim)) = trapped(trap) else { continue };
        for args in READERS {
            let read = soon(&sandbox, args);
            if trap.refused_by_readers() && !read.said.contains(&format!("{STREAM}.jsonl")) {
                wrong.push(format!("{trap:?} {args:?}: does not name it: {}", read.said));
            }
            if read.said.contains(VICTIM.trim()) || read.said.contains("panicked") {
                wrong.push(format!("{trap:?} {args:?}: {}", read.said));
            }
            if args == ["verify"] && trap.refused_by_readers() {
                // A strange file is reported, and the other streams are checked all the same.
                let others = read.said.contains("delegation_requests.jsonl");
                if read.code != Some(31) || !others {
                    wrong.push(format!("{trap:?} {args:?}: {:?}: {}", read.code, read.said));
                }
            }
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), VICTIM, "{trap:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_log_folder_that_is_a_link_is_refused_by_writers() {
    let sandbox = Sandbox::new().with_file("home/elsewhere/x", "");
    let elsewhere = sandbox.home().join("elsewhere");
    fs::create_dir(sandbox.project().join(".agents")).unwrap();
    symlink(&elsewhere, sandbox.project().join(".agents/logs")).unwrap();
    for args in [&["emit", "note.logged", "text=x"][..], &["watch", "--once"]] {
        let ended = soon(&sandbox, args);
        assert_eq!(ended.code, Some(5), "{args:?}: {}", ended.said);
        assert!(ended.said.contains("symbolic link"), "{args:?}: {}", ended.said);
    }
    for args in READERS {
        assert!(soon(&sandbox, args).code.is_some());
    }
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1);
}

#[test]
fn a_log_folder_that_others_may_write_to_is_refused_by_writers() {
    let sandbox = Sandbox::new();
    let logs = sandbox.project().join(".agents/logs");
    fs::create_dir_all(&logs).unwrap();
    fs::set_permissions(&logs, fs::Permissions::from_mode(0o777)).unwrap();
    for args in [&["emit", "note.logged", "text=x"][..], &["watch", "--once"]] {
        let ended = soon(&sandbox, args);
        assert_eq!(ended.code, Some(5), "{args:?}: {}", ended.said);
        assert!(ended.said.contains("chmod go-w"), "{args:?}: {}", ended.said);
    }
    assert_eq!(fs::read_dir(&logs).unwrap().count(), 0);
}

/// The other files that are read: a pipe in their place must stop nobody.
#[test]
fn a_pipe_in_the_place_of_any_file_stops_no_command() {
    let places = [
        "project/.agents/agentlog.toml",
        "project/.agents/state/positions.json",
        "project/.agents/state/ingest.lock",
        "project/.worktrees/one/status.json",
        "project/.gitignore",
        "home/.local/state/agentlog/hash_key",
        "home/.claude/projects/x/55555555-5555-4555-8555-555555555555.jsonl",
        "project/.git",
    ];
    places.into_iter().for_each(a_pipe_stops_no_command);
}

#[test]
fn a_pipe_in_the_place_of_the_checkpoint_stops_no_command() {
    a_pipe_stops_no_command("project/.agents/state/checkpoint.hot");
}

fn a_pipe_stops_no_command(place: &str) {
    let sandbox = Sandbox::new();
    let path = sandbox.home().parent().unwrap().join(place);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    for folder in path
        .ancestors()
        .skip(1)
        .take_while(|folder| folder.file_name().is_some_and(|name| name != "project" && name != "home"))
    {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    }
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    for args in [&["status"][..], &["watch", "--once"], &["import", "."], &["doctor"], &["init"]] {
        let ended = soon(&sandbox, args);
        assert!(ended.code.is_some() && !ended.said.contains("panicked"), "{place} {args:?}: {}", ended.said);
    }
}
