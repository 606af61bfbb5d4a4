//! What becomes of status files, seen from the log.

use super::*;
use crate::source::KnownFile;
use std::collections::HashMap;
use std::fs;

/// What the log would do: keeps events, and drops those whose key its stream holds already.
#[derive(Default)]
struct Log {
    keys: HashMap<(Stream, String), (String, u64)>,
    lines: Vec<String>,
    known: bool,
    drifts: std::collections::HashSet<String>,
}

impl Emit for Log {
    fn emit(&mut self, event: Event<'_>) {
        let Some(from) = event.from.clone() else {
            self.known = true;
            return;
        };
        if matches!(event.body, Body::SourceOpened { .. }) {
            self.known = true;
            return;
        }
        if matches!(event.body, Body::SourceDrifted { .. }) && !self.drifts.insert(event.id.to_string()) {
            return;
        }
        let place = (event.body.stream(), from.file.into_owned());
        let key = from.key.unwrap().into_owned();
        if self.keys.get(&place).is_some_and(|(last, i)| *last == key && from.i <= *i) {
            return;
        }
        self.keys.insert(place, (key, from.i));
        let mut line = Vec::new();
        event.body.write(&mut line);
        let fields = String::from_utf8(line).unwrap();
        self.lines.push(format!("{} {}{fields}", event.task.unwrap_or_default(), event.body.type_name()));
    }

    fn known(&self, _: &str) -> Option<KnownFile> {
        self.known.then(KnownFile::default)
    }

    fn with_first_record(&self, _: &str, _: &str) -> Vec<KnownFile> {
        Vec::new()
    }

    fn exclude(&mut self, _: &str, _: &str) {}

    fn last_key(&self, stream: Stream, file: &str) -> Option<String> {
        self.keys.get(&(stream, file.to_owned())).map(|(key, _)| key.clone())
    }
}

/// A project with one worktree whose status file says `status` at `second`.
struct Project {
    root: tempfile::TempDir,
}

impl Project {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join(".worktrees/alpha")).unwrap();
        Self { root }
    }

    #[expect(clippy::disallowed_methods, reason = "a worktree manager need not write atomically")]
    fn write(&self, text: &str) {
        fs::write(self.root.path().join(".worktrees/alpha/status.json"), text).unwrap();
    }

    fn status(&self, status: &str, second: u32) {
        self.write(&format!("{{\"status\":\"{status}\",\"updatedAt\":\"2026-11-16T09:00:{second:02}Z\"}}"));
    }

    fn poll(&self, source: &mut Worktree, log: &mut Log) -> (Vec<String>, Vec<String>) {
        let roots = vec![self.root.path().canonicalize().unwrap()];
        source.discover(&Env { scope: Scope::Project(roots), ..Env::default() });
        log.lines.clear();
        let (_, problems) = source.poll(Timestamp::default(), log);
        let short = |line: &String| line.split(",\"project\"").next().unwrap_or_default().to_owned();
        let lines = log.lines.iter().map(short).map(|line| line.split(",\"cwd\"").next().unwrap().to_owned());
        (lines.collect(), problems.into_iter().map(|problem| problem.message).collect())
    }
}

#[test]
fn a_worktree_becomes_a_task_that_starts_works_and_ends() {
    let (project, mut source, mut log) = (Project::new(), Worktree::new(), Log::default());
    project.status("running", 1);
    let (lines, _) = project.poll(&mut source, &mut log);
    assert_eq!(
        lines,
        [
            "worktree-alpha task.created,\"title\":\"alpha\"",
            "worktree-alpha task.started,\"attempt\":1",
            "worktree-alpha progress.reported"
        ]
    );
    assert_eq!(project.poll(&mut source, &mut log).0, [""; 0], "an unchanged file is no event");
    project.status("running", 2);
    assert_eq!(project.poll(&mut source, &mut log).0, ["worktree-alpha progress.reported"]);
    project.status("completed", 3);
    assert_eq!(
        project.poll(&mut source, &mut log).0,
        ["worktree-alpha progress.reported", "worktree-alpha task.completed,\"attempt\":1"]
    );
}

#[test]
fn a_new_process_repeats_nothing_and_sees_what_it_missed() {
    let (project, mut log) = (Project::new(), Log::default());
    project.status("running", 1);
    project.poll(&mut Worktree::new(), &mut log);
    assert_eq!(project.poll(&mut Worktree::new(), &mut log).0, [""; 0]);
    project.status("failed", 2);
    assert_eq!(
        project.poll(&mut Worktree::new(), &mut log).0,
        ["worktree-alpha progress.reported", "worktree-alpha task.failed,\"attempt\":1"]
    );
}

#[test]
fn running_again_after_a_result_is_the_next_attempt() {
    let (project, mut source, mut log) = (Project::new(), Worktree::new(), Log::default());
    project.status("failed", 1);
    project.poll(&mut source, &mut log);
    project.status("running", 2);
    assert_eq!(
        project.poll(&mut source, &mut log).0,
        ["worktree-alpha task.started,\"attempt\":2", "worktree-alpha progress.reported"]
    );
    project.status("completed", 3);
    assert_eq!(
        project.poll(&mut source, &mut log).0,
        ["worktree-alpha progress.reported", "worktree-alpha task.completed,\"attempt\":2"]
    );
}

#[test]
fn a_half_written_file_is_reported_once_and_read_when_it_is_whole() {
    let (project, mut source, mut log) = (Project::new(), Worktree::new(), Log::default());
    project.write("{\"status\":\"run");
    assert_eq!(project.poll(&mut source, &mut log), (Vec::new(), Vec::new()), "it may become whole");
    let (lines, problems) = project.poll(&mut source, &mut log);
    assert_eq!((lines, problems.len()), (Vec::new(), 1));
    assert_eq!(project.poll(&mut source, &mut log).1, [""; 0]);
    project.status("running", 1);
    assert_eq!(project.poll(&mut source, &mut log).0.len(), 3);
}

/// Another process goes on with what this one remembers.
fn again(source: &Worktree) -> Worktree {
    let saved = serde_json::to_string(&source.positions()).unwrap();
    let mut next = Worktree::new();
    next.resume(serde_json::from_str(&saved).unwrap());
    next
}

#[test]
fn what_stays_broken_is_reported_once_by_however_many_processes() {
    let (project, mut source, mut log) = (Project::new(), Worktree::new(), Log::default());
    project.write("{\"status\":\"run");
    let mut reported = Vec::new();
    for _ in 0..5 {
        reported.push(project.poll(&mut source, &mut log).1.len());
        source = again(&source);
    }
    assert_eq!(reported, [0, 1, 0, 0, 0]);
}

#[test]
fn a_document_of_another_form_has_drifted_once_until_it_was_right() {
    let (project, mut source, mut log) = (Project::new(), Worktree::new(), Log::default());
    let drifted = |(lines, problems): (Vec<String>, Vec<String>)| {
        assert_eq!(problems, [""; 0]);
        lines.iter().filter(|line| line.contains("source.drifted")).count()
    };
    let phase = |word: &str| format!("{{\"phase\":\"{word}\",\"updatedAt\":\"2026-11-16T09:00:01Z\"}}");
    project.write(&phase("running"));
    assert_eq!(drifted(project.poll(&mut source, &mut log)), 1);
    assert_eq!(drifted(project.poll(&mut source, &mut log)), 0);
    project.write(&phase("still running"));
    assert_eq!(drifted(project.poll(&mut source, &mut log)), 0, "written again, and no better");
    source = again(&source);
    project.write(&phase("even now running"));
    assert_eq!(drifted(project.poll(&mut source, &mut log)), 0, "by another process");
    project.status("running", 2);
    assert_eq!(project.poll(&mut source, &mut log).0.len(), 3);
    source = again(&source);
    project.write(&phase("and again"));
    assert_eq!(drifted(project.poll(&mut source, &mut log)), 1);
    assert_eq!(drifted(project.poll(&mut Worktree::new(), &mut log)), 0, "the log knows it, too");
}

#[test]
fn only_the_status_is_needed_of_a_document() {
    let whole = "{\"status\":\"running\",\"timestamp\":\"2026-11-16T09:00:01Z\",\"updatedAt\":\"2026-11-16T09:00:01Z\"}";
    for (name, is_needed) in [("status", true), ("timestamp", false), ("updatedAt", false)] {
        let (project, mut source, mut log) = (Project::new(), Worktree::new(), Log::default());
        project.write(&whole.replace(&format!("\"{name}\":"), &format!("\"{name}2\":")));
        let (lines, _) = project.poll(&mut source, &mut log);
        let is_lost = lines.iter().all(|line| line.contains("source.drifted"));
        assert_eq!((is_lost, lines.len()), (is_needed, if is_needed { 1 } else { 3 }), "{name}");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "git's own files are written as git writes them")]
fn work_trees_of_git_are_found_from_its_own_files() {
    let root = tempfile::tempdir().unwrap();
    let (main, tree) = (root.path().join("main"), root.path().join("tree"));
    fs::create_dir_all(main.join(".git/worktrees/tree")).unwrap();
    fs::create_dir_all(&tree).unwrap();
    fs::write(tree.join(".git"), format!("gitdir: {}\n", main.join(".git/worktrees/tree").display()))
        .unwrap();
    fs::write(main.join(".git/worktrees/tree/gitdir"), format!("{}\n", tree.join(".git").display())).unwrap();
    fs::write(main.join(".git/worktrees/tree/commondir"), "../..\n").unwrap();
    let (main, tree) = (main.canonicalize().unwrap(), tree.canonicalize().unwrap());
    assert_eq!(git_worktrees(&main), std::slice::from_ref(&tree));
    assert_eq!(
        git_worktrees(&tree),
        [""; 0].map(PathBuf::from),
        "the tree itself is not listed, the main tree is no linked one"
    );
    assert_eq!(main_tree(&tree.join("below")), Some(main));
}
