//! The whole source over programs that answer as Slurm's do.

use super::*;
use std::fs;
use std::io::ErrorKind;
use std::process::Command;

/// A folder with programs, and one for the job.
struct Cluster {
    folder: tempfile::TempDir,
}

impl Cluster {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program that writes down how it was called, then does this.
    fn program(&self, name: &str, script: &str) {
        let path = self.path(&format!("bin/{name}"));
        let calls = self.path("calls");
        let probe = "[ \"$1\" = probe ] && exit";
        let script = format!("#!/bin/sh\n{probe}\necho {name} \"$@\" >> {}\n{script}\n", calls.display());
        write(&path, &script);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        // Until the processes that other tests start at this moment have closed their copy of our file, it cannot be run.
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Err(error) = Command::new(&path).arg("probe").status() {
            assert!(error.kind() == ErrorKind::ExecutableFileBusy && Instant::now() < deadline, "{error}");
        }
    }

    fn says(&self, name: &str, text: &str) {
        write(&self.path(&format!("{name}.txt")), text);
        self.program(name, &format!("cat {}", self.path(&format!("{name}.txt")).display()));
    }

    fn env(&self) -> Env {
        let mut env = env(Scope::Global);
        let path = format!("{}:/usr/bin:/bin", self.path("bin").display());
        env.variables.insert("PATH".to_owned(), PathBuf::from(path));
        env
    }

    fn slurm(&self, config: &str) -> Slurm {
        let mut slurm = Slurm::new(&toml::from_str(config).unwrap(), []);
        slurm.discover(&self.env());
        slurm
    }

    fn calls(&self) -> Vec<String> {
        fs::read_to_string(self.path("calls")).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

fn kinds(log: &EventLog) -> Vec<&str> {
    log.events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .filter(|kind| *kind != "source.opened")
        .collect()
}

#[test]
fn a_job_is_followed_with_its_output() {
    let cluster = Cluster::new();
    let output = cluster.path("slurm-123.out");
    write(&output, "with 4 batches\nGenerating particles for (2 of 4 batches)\n");
    cluster.says("squeue", &queued("123", "RUNNING", 0, 0, [SUBMIT, START, "N/A"]));
    cluster.program("sacct", "echo Slurm accounting storage is disabled >&2; exit 1");
    cluster.says("scontrol", &format!("JobId=123 JobName=x StdOut={} Power=\n", output.display()));
    let mut slurm = cluster.slurm("jobs = [123]\npatterns.preset = \"mqi\"");
    let mut log = EventLog::default();
    assert_eq!(drain(&mut slurm, &mut log), []);
    assert_eq!(
        kinds(&log),
        ["task.created", "task.started", "note.logged", "output.grew", "progress.reported"]
    );
    let progress = log.events.iter().find(|event| event["type"] == "progress.reported").unwrap();
    assert_eq!((progress["task"].as_str(), progress["percent"].as_f64()), (Some("slurm-123"), Some(50.0)));
    let calls = cluster.calls();
    assert_eq!(calls.len(), 3, "one question to each program: {calls:?}");
    assert!(calls[0].ends_with("-j 123"), "{}", calls[0]);
    assert_eq!(drain(&mut slurm, &mut log), []);
    assert_eq!(cluster.calls().len(), 3, "not before the interval is over");

    cluster.says("squeue", &queued("123", "COMPLETED", 0, 0, [SUBMIT, START, END]));
    let later = now().plus_millis(31_000);
    let deadline = Instant::now() + Duration::from_secs(10);
    while log.count(|event| event["type"] == "task.completed") == 0 {
        assert!(Instant::now() < deadline);
        slurm.poll(later, &mut log);
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let count = log.events.len();
    let mut again = cluster.slurm("jobs = [123]\npatterns.preset = \"mqi\"");
    drain(&mut again, &mut log);
    assert_eq!(log.events.len(), count, "a restart adds nothing");
}

#[test]
fn where_nothing_is_named_nothing_is_asked() {
    let cluster = Cluster::new();
    cluster.says("squeue", "");
    for config in ["", "enabled = true", "enabled = false\njobs = [1]"] {
        let mut log = EventLog::default();
        assert_eq!(drain(&mut cluster.slurm(config), &mut log), []);
        assert_eq!((log.events.len(), cluster.calls()), (0, Vec::new()), "{config}");
    }
    let mut slurm = Slurm::new(&toml::from_str("jobs = [1]").unwrap(), []);
    let paths = Env { scope: Scope::Paths(vec![cluster.path("x")]), ..cluster.env() };
    slurm.discover(&paths);
    drain(&mut slurm, &mut EventLog::default());
    assert_eq!(cluster.calls(), Vec::<String>::new(), "an import asks nothing");
}

#[test]
fn a_machine_without_slurm_is_told_of_once_where_a_job_is_named() {
    let cluster = Cluster::new();
    let mut slurm = cluster.slurm("jobs = [1]");
    slurm.shell.path = Some(cluster.path("bin"));
    let problems = drain(&mut slurm, &mut EventLog::default());
    let messages: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(messages, ["squeue: there is neither squeue nor sacct on this machine"]);
}

#[test]
fn a_command_that_hangs_is_killed_and_told_of() {
    let cluster = Cluster::new();
    cluster.program("squeue", "sleep 100 & sleep 100");
    cluster.program("sacct", "echo no >&2; exit 3");
    let mut slurm = cluster.slurm("jobs = [1]");
    slurm.shell.limit = Duration::from_millis(300);
    let begin = Instant::now();
    let problems = drain(&mut slurm, &mut EventLog::default());
    assert!(begin.elapsed() < Duration::from_secs(10));
    let messages: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(messages, ["squeue: squeue took longer than 300ms", "sacct: no"]);
}

#[test]
fn the_jobs_of_the_user_in_a_project_are_those_below_it() {
    let cluster = Cluster::new();
    let elsewhere =
        queued("124", "RUNNING", 0, 0, [SUBMIT, START, "N/A"]).replace("/scratch/app", "/elsewhere");
    let here = queued("123", "RUNNING", 0, 0, [SUBMIT, START, "N/A"]);
    cluster.says("squeue", &format!("{here}{elsewhere}"));
    let mut slurm = Slurm::new(&toml::from_str("user = true").unwrap(), []);
    slurm.discover(&Env { scope: Scope::Project(vec![PathBuf::from("/scratch/app")]), ..cluster.env() });
    let mut log = EventLog::default();
    drain(&mut slurm, &mut log);
    assert_eq!(log.count(|event| event["task"] == "slurm-123"), 3);
    assert_eq!(log.count(|event| event["task"] == "slurm-124"), 0);
    assert!(cluster.calls()[0].ends_with("--me"), "{:?}", cluster.calls());
}
