//! The courses of jobs: the examples of the field, trees of them, attempts, timeouts, processes.

use super::*;
use std::process::{Child, Command};

const WORKSPACE: &str = "agent-workspaces/code-generator";

/// A job with everything declared, that has run to its end; `change` comes before it is looked at.
fn ended(change: impl Fn(&World)) -> World {
    let mut world = World::new(WHOLE);
    let name = |name: &str| format!("{WORKSPACE}/{name}");
    world.write(&name("output.log"), "[2026-11-16T09:00:00Z] Agent started\nDONE\n", 60);
    world.write(&name(".ctxpack"), "", 60);
    world.write(&name("exit-code.txt"), "0\n", 61);
    change(&world);
    world.look(100);
    world
}

#[test]
fn a_job_is_created_starts_comes_on_and_ends_verified() {
    let mut world = World::new(WHOLE);
    let name = |name: &str| format!("{WORKSPACE}/{name}");
    assert_eq!(world.look(0), [""; 0]);
    assert_eq!(world.said(), Vec::<Value>::new());

    world.write(&name("status.txt"), "RUNNING", 1);
    world.write(&name("progress.txt"), "10", 2);
    world.write(&name("output.log"), "[2026-11-16T09:00:01Z] Agent started\n", 2);
    world.look(3);
    world.write(&name("progress.txt"), "", 4);
    world.look(5);
    world.write(&name("progress.txt"), "60", 6);
    world.look(7);
    world.append(&name("output.log"), "DONE\n", 8);
    world.write(&name(".ctxpack"), "", 8);
    world.write(&name("exit-code.txt"), "0\n", 9);
    world.write(&name("status.txt"), "COMPLETED", 9);
    assert_eq!(world.look(10), [""; 0]);

    let cwd = world.path(WORKSPACE);
    let event = |ts: &str, rest: Value| {
        let mut event =
            json!({"ts": format!("2026-11-16T09:00:{ts}.000Z"), "task": "code-generator", "agent": "job"});
        event.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        event
    };
    let ok = |name: &str| json!({"name": name, "ok": true});
    let project = cwd.file_name().unwrap().to_str().unwrap();
    let expected = [
        event(
            "01",
            json!({"type": "task.created", "title": "Generate the parser", "host": "box", "project": project, "cwd": cwd}),
        ),
        event("01", json!({"type": "task.started", "attempt": 1})),
        event("02", json!({"type": "progress.reported", "percent": 10.0})),
        event("06", json!({"type": "progress.reported", "percent": 60.0})),
        event("08", json!({"type": "marker.seen", "marker": "DONE"})),
        event(
            "09",
            json!({"type": "completion.checked", "attempt": 1, "criteria": [
            ok("exit code"), ok("required files"), ok("error patterns"), ok("completion marker")]}),
        ),
        event(
            "09",
            json!({"type": "task.completed", "attempt": 1, "exit_code": 0, "reason": "All criteria met", "duration_ms": 8000}),
        ),
    ];
    assert_eq!(world.said(), expected);
}

#[test]
fn the_verdict_is_in_the_words_of_the_field() {
    let name = |name: &str| format!("{WORKSPACE}/{name}");
    let result = |change: &dyn Fn(&World)| ended(change).results().join(" | ");
    assert_eq!(result(&|_| ()), "1 completed: All criteria met");
    assert_eq!(
        result(&|world| world.write(&name("exit-code.txt"), "3", 61)),
        "1 failed: Exit code non-zero: 3"
    );
    let gone =
        |file: &'static str| move |world: &World| std::fs::remove_file(world.path(&name(file))).unwrap();
    assert_eq!(result(&gone("exit-code.txt")), "1 completed: Exit code file not found");
    assert_eq!(result(&gone(".ctxpack")), "1 completed: Missing required file: .ctxpack");
    let log = |text: &'static str| move |world: &World| world.write(&name("output.log"), text, 60);
    assert_eq!(result(&log("ERROR: no parser\nDONE\n")), "1 completed: Error patterns detected in logs");
    assert_eq!(result(&log("ABANDONED\n")), "1 completed: Completion marker not found");
    let status = |word: &'static str| {
        move |world: &World| {
            gone("exit-code.txt")(world);
            world.write(&name("status.txt"), word, 61);
        }
    };
    assert_eq!(result(&status("COMPLETED")), "1 completed: All criteria met");
    assert_eq!(result(&status("FAILED: disk full")), "1 failed: disk full");
    assert_eq!(result(&status(r#"{"status":"failed","exitCode":2}"#)), "1 failed: Exit code non-zero: 2");
    assert_eq!(result(&status("RUNNING")), "");
}

#[test]
fn a_criterion_that_is_not_met_is_recorded_beside_the_claim() {
    let world = ended(|world| world.write(&format!("{WORKSPACE}/output.log"), "nothing\n", 60));
    let [checked] = world.of("completion.checked", "code-generator").try_into().unwrap();
    assert_eq!(
        checked["criteria"][3],
        json!({"name": "completion marker", "ok": false, "message": "Completion marker not found"})
    );
    assert_eq!(world.of("task.completed", "code-generator").len(), 1);
}

const BEAMS: &str = r#"
[[job]]
name = "{case}_{beam}"
parent = "{case}"
title = "Beam {beam} of {case}"
log = "tps_env/logs/{case}_{beam}.log"
patterns = { preset = "mqi" }
"#;

#[test]
fn the_logs_of_a_case_are_its_beams() {
    let mut world = World::new(BEAMS);
    assert_eq!(world.look(0), [""; 0]);
    let upload = "Uploading particles with batch.. : Particle count --> 10000000 with 18 batches\n";
    world.write("tps_env/logs/c1_b1.log", upload, 1);
    world.write("tps_env/logs/c1_b2.log", upload, 1);
    world.look(2);
    world.append("tps_env/logs/c1_b1.log", "Generating particles for (5 of 18 batches) in CPU ..\n", 3);
    world.append("tps_env/logs/c1_b2.log", "FATAL ERROR: no beam data\n", 3);
    world.look(9);
    world.append("tps_env/logs/c1_b1.log", "Simulation completed successfully\n", 10);
    world.look(11);

    let created = world.of("task.created", "c1_b1");
    assert_eq!((&created[0]["parent"], &created[0]["title"]), (&json!("c1"), &json!("Beam b1 of c1")));
    let [progress] = world.of("progress.reported", "c1_b1").try_into().unwrap();
    let percent = progress["percent"].as_f64().unwrap();
    assert_eq!((&progress["current"], &progress["total"]), (&json!(5), &json!(18)));
    assert!((percent - 27.78).abs() < 0.01, "{percent}");
    assert_eq!(world.results(), ["1 failed: FATAL ERROR: no beam data", "1 completed: All criteria met"]);
}

#[test]
fn a_log_that_is_begun_anew_is_another_attempt_and_so_is_a_run_appended_to_it() {
    let run =
        "with 4 batches\nGenerating particles for (4 of 4 batches)\nSimulation completed successfully\n";
    let mut world = World::new(BEAMS);
    world.write("tps_env/logs/c_b.log", run, 10);
    world.look(11);
    world.append("tps_env/logs/c_b.log", "cleaning up\n", 12);
    world.look(30);
    assert_eq!(world.results(), ["1 completed: All criteria met"]);

    world.append("tps_env/logs/c_b.log", "Generating particles for (1 of 4 batches)\n", 40);
    world.look(41);
    world.append("tps_env/logs/c_b.log", "Simulation completed successfully\n", 50);
    world.look(51);
    assert_eq!(world.results(), ["1 completed: All criteria met", "2 completed: All criteria met"]);

    std::fs::remove_file(world.path("tps_env/logs/c_b.log")).unwrap();
    world.look(60);
    world.write("tps_env/logs/c_b.log", "with 9 batches\nERROR: no memory\n", 70);
    world.look(90);
    assert_eq!(world.results().last().unwrap(), "3 failed: ERROR: no memory");
    let attempts: Vec<_> =
        world.of("task.started", "c_b").iter().map(|event| event["attempt"].clone()).collect();
    assert_eq!(attempts, [1, 2, 3]);
}

#[test]
fn time_is_up_and_work_that_goes_on_is_another_attempt() {
    let config = "[[job]]\nname = \"j\"\nlog = \"j.log\"\nidle_seconds = 300.0\nmax_run_seconds = 1800.0\n";
    let mut world = World::new(config);
    world.write("j.log", "[2026-11-16T09:00:00Z] begin\n", 0);
    world.look(299);
    assert_eq!(world.results(), [""; 0]);
    world.look(301);
    assert_eq!(world.results(), ["1 timed_out: idle for 300 s without progress"]);
    world.look(400);
    world.append("j.log", "more\n", 500);
    world.look(501);
    assert_eq!(world.of("task.started", "j").last().unwrap()["attempt"], 2);
    for minutes in (9..60).step_by(3) {
        world.append("j.log", "more\n", minutes * 60);
        world.look(minutes * 60 + 1);
    }
    assert_eq!(world.results()[1], "2 timed_out: max run time 1800 s");
    assert_eq!(world.of("task.created", "j")[0]["timeout_ms"], 1_800_000);
}

fn sleeper() -> Child {
    Command::new("sleep").arg("600").spawn().unwrap()
}

/// The job `j` with this process, begun long ago; looked at now.
fn with_process(pid: u32, kill: bool) -> World {
    let config = format!(
        "[[job]]\nname = \"j\"\nlog = \"j.log\"\npid_file = \"j.pid\"\nidle_seconds = 60.0\nkill = {kill}\n"
    );
    let world = World::new(&config);
    write(&world.path("j.pid"), &pid.to_string());
    world.write("j.log", "begin\n", 0);
    world
}

fn look_now(world: &mut World) -> Vec<String> {
    let modified = std::fs::metadata(world.path("j.pid")).unwrap().modified().unwrap();
    let now = Timestamp::from_system(modified).millis_since(start()) / 1000;
    world.look(now + 100)
}

#[test]
fn only_a_job_that_asks_for_it_is_told_to_end_when_its_time_is_up() {
    let mut child = sleeper();
    let mut world = with_process(child.id(), false);
    look_now(&mut world);
    assert_eq!(world.results(), ["1 timed_out: idle for 60 s without progress"]);
    assert_eq!((child.try_wait().unwrap(), world.of("note.logged", "j").len()), (None, 0));

    let mut world = with_process(child.id(), true);
    look_now(&mut world);
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&child.wait().unwrap()), Some(15));
    let [note] = world.of("note.logged", "j").try_into().unwrap();
    assert_eq!(note["text"], format!("SIGTERM was sent to process {}, as the job's `kill` asks", child.id()));
}

#[test]
fn a_process_that_is_gone_is_recorded_once_whoever_looks() {
    let mut child = sleeper();
    let config = "[[job]]\nname = \"j\"\nlog = \"j.log\"\npid_file = \"j.pid\"\n";
    let mut world = World::new(config);
    write(&world.path("j.pid"), &child.id().to_string());
    world.write("j.log", "begin\n", 0);
    look_now(&mut world);
    child.kill().unwrap();
    child.wait().unwrap();
    // One that just began may sleep, run, or wait for the disk.
    let is_gone = |world: &World| -> Vec<_> {
        world.of("process.sampled", "j").iter().map(|event| event["process_state"] == "gone").collect()
    };
    for _ in 0..3 {
        world.restart(false);
        look_now(&mut world);
        assert_eq!(is_gone(&world), [false, true]);
    }
}

#[test]
fn a_process_that_was_gone_before_anybody_looked_is_gone() {
    let mut child = sleeper();
    let mut world = World::new("[[job]]\nname = \"j\"\nlog = \"j.log\"\npid_file = \"j.pid\"\n");
    write(&world.path("j.pid"), &child.id().to_string());
    world.write("j.log", "begin\n", 0);
    child.kill().unwrap();
    child.wait().unwrap();
    look_now(&mut world);
    let [sample] = world.of("process.sampled", "j").try_into().unwrap();
    assert_eq!((&sample["process_state"], &sample["process_started_at"]), (&json!("gone"), &Value::Null));
    // A number written down long before the process of that number began is not its.
    let mut child = sleeper();
    let mut world = World::new("[[job]]\nname = \"j\"\npid_file = \"j.pid\"\n");
    world.write("j.pid", &child.id().to_string(), 0);
    world.look(100);
    assert_eq!(world.of("process.sampled", "j").len(), 0);
    world.write("j.pid", &format!("{}\n", child.id()), 10_000_000);
    world.look(10_000_001);
    assert_ne!(world.of("process.sampled", "j")[0]["process_state"], "gone");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn errors_and_markers_of_an_earlier_run_do_not_judge_the_next_one() {
    let mut world = World::new(
        "[[job]]\nname = \"j\"\nlog = \"j.log\"\nexit_code_file = \"j.exit\"\nmarker = \"DONE\"\n",
    );
    world.write("j.log", "ERROR: no parser\nDONE\n", 10);
    world.write("j.exit", "0", 11);
    world.look(20);
    world.append("j.log", "all well\nDONE\n", 30);
    world.write("j.exit", "0", 31);
    world.look(40);
    world.restart(false);
    world.append("j.log", "no end\n", 50);
    world.write("j.exit", "0", 51);
    world.look(60);
    let expected = [
        "1 completed: Error patterns detected in logs",
        "2 completed: All criteria met",
        "3 completed: Completion marker not found",
    ];
    assert_eq!(world.results(), expected);
}

#[test]
fn a_run_appended_after_a_running_status_ends_by_its_own_claim() {
    let mut world = World::new("[[job]]\nname = \"j\"\nlog = \"j.log\"\nstatus_file = \"j.status\"\n");
    world.write("j.log", "DONE\n", 10);
    world.look(20);
    world.write("j.status", "RUNNING", 30);
    world.look(31);
    assert_eq!(world.results().len(), 1, "the marker of the first run ends no other");
    world.append("j.log", "DONE\n", 40);
    world.look(50);
    let ends: Vec<_> = world.results().iter().map(|end| end.split(':').next().unwrap().to_owned()).collect();
    assert_eq!(ends, ["1 completed", "2 completed"]);
}
