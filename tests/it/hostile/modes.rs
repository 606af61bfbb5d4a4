//! Who may read what the program writes, whatever mask it was started with.

use crate::support::sandbox::Sandbox;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs the program under a mask.
fn run_under(mask: &str, sandbox: &Sandbox, args: &[&str]) {
    let inner = sandbox.command(args);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("umask {mask}; exec \"$0\" \"$@\"")]).arg(inner.get_program()).args(args);
    command.current_dir(inner.get_current_dir().unwrap()).env_clear();
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
}

/// Every file and folder below, itself included, with its permissions.
fn modes(root: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    let mut pending = vec![root.to_path_buf()];
    while let Some(path) = pending.pop() {
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        found.push((path.clone(), metadata.permissions().mode() & 0o7777));
        if metadata.is_dir() {
            pending.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}

fn worked_in(mask: &str) -> Sandbox {
    let sandbox = Sandbox::new()
        .with_file("project/.git/HEAD", "ref: refs/heads/main\n")
        .with_file("project/.worktrees/one/status.json", r#"{"status":"running","title":"one"}"#)
        .with_file("home/.claude/projects/x/44444444-4444-4444-8444-444444444444.jsonl", concat!(
            r#"{"type":"user","uuid":"00000001-0000-4000-8000-000000000000","sessionId":"44444444-4444-4444-8444-444444444444","timestamp":"2026-11-16T09:00:00.000Z","cwd":"/srv/x","message":{"role":"user","content":"Go"}}"#, "\n"));
    let transcripts = sandbox.claude().join("projects");
    // Twice: what is there already stays as it is, and what is replaced is as it was.
    for _ in 0..2 {
        run_under(mask, &sandbox, &["init"]);
        run_under(mask, &sandbox, &["watch", "--once"]);
        run_under(mask, &sandbox, &["import", transcripts.to_str().unwrap()]);
        run_under(mask, &sandbox, &["emit", "note.logged", "text=x"]);
        run_under(mask, &sandbox, &["status", "--all"]);
        run_under(mask, &sandbox, &["report"]);
    }
    sandbox
}

#[test]
fn nobody_else_may_read_what_is_recorded_whatever_the_mask() {
    for mask in ["000", "022"] {
        let sandbox = worked_in(mask);
        let mut count = 0;
        for root in [sandbox.project().join(".agents"), sandbox.home().join(".local/state/agentlog")] {
            for (path, mode) in modes(&root) {
                assert_eq!(
                    mode,
                    if path.is_dir() { 0o700 } else { 0o600 },
                    "umask {mask}: {}",
                    path.display()
                );
                count += 1;
            }
        }
        assert!(count > 8, "only {count} files");
    }
}

#[test]
fn documents_for_people_are_as_readable_as_the_mask_says() {
    for (mask, file, folder) in [("000", 0o666, 0o777), ("022", 0o644, 0o755), ("077", 0o600, 0o700)] {
        let sandbox = worked_in(mask);
        let reports = modes(&sandbox.project().join("reports"));
        assert_eq!(reports.len(), 3, "{reports:?}");
        for (path, mode) in reports {
            assert_eq!(mode, if path.is_dir() { folder } else { file }, "umask {mask}: {}", path.display());
        }
        assert_eq!(modes(&sandbox.project().join(".gitignore")).pop().unwrap().1, file);
    }
}

#[test]
fn a_replaced_document_keeps_the_permissions_it_had() {
    let sandbox =
        Sandbox::new().with_file("project/.git/HEAD", "").with_file("project/.gitignore", "target\n");
    let path = sandbox.project().join(".gitignore");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o664)).unwrap();
    run_under("077", &sandbox, &["init"]);
    assert_eq!(sandbox.read("project/.gitignore"), "target\n.agents/\n");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o664);
}
