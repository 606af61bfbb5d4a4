//! Which jobs a section with placeholders has, and ends that nothing but progress tells.

use super::*;

const KEYS: [(&str, &str, &str); 5] = [
    ("log", "out/c1_b1.log", "hello\n"),
    ("status_file", "out/c1_b1.status", "RUNNING"),
    ("progress_file", "out/c1_b1.progress", "10"),
    ("exit_code_file", "out/c1_b1.exit", "0"),
    ("pid_file", "out/c1_b1.pid", "1"),
];

fn template(file: &str) -> String {
    file.replace("c1", "{case}").replace("b1", "{beam}")
}

#[test]
fn a_job_is_found_by_any_of_its_paths() {
    let keys: Vec<String> =
        KEYS.iter().map(|(key, file, _)| format!("{key} = \"{}\"\n", template(file))).collect();
    let section = format!("[[job]]\nname = \"{{case}}-{{beam}}\"\n{}", keys.concat());
    for (key, file, text) in KEYS {
        let mut world = World::new(&section);
        assert_eq!(world.look(0), [""; 0]);
        world.write(file, text, 1);
        assert_eq!(world.look(2), [""; 0], "{key}");
        let is_watched = world.jobs.watched.keys().eq(["c1-b1"]);
        let has_begun = world.of("task.started", "c1-b1").len() == 1;
        assert!(is_watched && (has_begun || key == "pid_file"), "{key}");
    }
}

#[test]
fn files_of_one_job_that_come_in_any_order_are_one_job() {
    let section = "[[job]]\nname = \"{case}/{beam}\"\nlog = \"logs/{case}_{beam}.log\"\nstatus_file = \"status/{case}/{beam}.txt\"\nprogress_file = \"{case}.progress\"\n";
    let mut world = World::new(section);
    world.write("status/c1/b1.txt", "RUNNING", 1);
    world.write("c1.progress", "5", 1);
    world.look(2);
    world.write("logs/c1_b1.log", "ERROR: no beam\n", 3);
    world.write("logs/c2_b1.log", "hello\n", 3);
    world.look(4);
    assert_eq!(world.jobs.watched.keys().collect::<Vec<_>>(), ["c1/b1", "c2/b1"]);
    assert_eq!(world.of("error.matched", "c1/b1").len(), 1);
    assert_eq!(world.of("progress.reported", "c1/b1").len(), 1);
    world.write("status/c1/b1.txt", "COMPLETED", 5);
    world.look(6);
    assert_eq!(world.results(), ["1 completed: Error patterns detected in logs"]);
}

#[test]
fn required_files_may_have_placeholders() {
    let mut world = World::new(
        "[[job]]\nname = \"{case}\"\nexit_code_file = \"{case}.exit\"\nrequired_files = [\"{case}/*.raw\"]\n",
    );
    world.write("a.exit", "0", 1);
    world.write("a/dose.raw", "", 1);
    world.write("b.exit", "0", 1);
    world.look(2);
    assert_eq!(
        world.results(),
        ["1 completed: All criteria met", "1 completed: Missing required file: b/*.raw"]
    );
}

#[test]
fn placeholders_that_do_not_match_between_paths_are_refused() {
    let mut world =
        World::new("[[job]]\nname = \"{case}\"\nlog = \"{case}.log\"\nstatus_file = \"{beam}.status\"\n");
    let problems = world.look(1);
    assert!(problems[0].contains("`{beam}` in") && problems[0].contains("cannot be filled"), "{problems:?}");
}

/// The job that writes nothing but its progress, as it is written there.
fn of_progress(texts: &[&str]) -> World {
    let mut world = World::new("[[job]]\nname = \"j\"\nprogress_file = \"progress.txt\"\n");
    for (seconds, text) in (1..).zip(texts) {
        world.write("progress.txt", text, seconds * 10);
        world.look(seconds * 10 + 1);
        world.restart(false);
        world.look(seconds * 10 + 2);
    }
    world
}

#[test]
fn a_progress_file_that_says_all_ends_the_job_where_nothing_else_does() {
    let object = |percent: u32| {
        format!(
            "{{\n  \"total_tasks\": 10,\n  \"completed_tasks\": 5,\n  \"current_task\": \"Processing file 6\",\n  \"percent_complete\": {percent}\n}}\n"
        )
    };
    let ended = ["1 completed: All criteria met"];
    for whole in ["100", "100\n", "100%", "10/10", "{\"progress\": 100}", "{\"percent\": 100}", &object(100)]
    {
        assert_eq!(of_progress(&["10", "20", whole]).results(), ended, "{whole}");
    }
    for less in ["99", "99.9%", "9/10", "{\"progress\": 99}", &object(50)] {
        assert_eq!(of_progress(&["10", less]).results(), [""; 0], "{less}");
    }
    assert_eq!(
        of_progress(&["100", "100", "20", "100"]).results().len(),
        2,
        "begun again, and through again"
    );
}

#[test]
fn other_signs_of_the_end_go_before_progress() {
    for sign in [
        "status_file = \"s\"",
        "exit_code_file = \"e\"",
        "marker = \"DONE\"",
        "patterns = { success = \"fine\" }",
        "patterns = { preset = \"mqi\" }",
    ] {
        let mut world =
            World::new(&format!("[[job]]\nname = \"j\"\nlog = \"l\"\nprogress_file = \"p\"\n{sign}\n"));
        world.write("p", "100", 1);
        world.write("l", "hello\n", 1);
        world.look(60);
        assert_eq!(world.results(), [""; 0], "{sign}");
    }
}

#[test]
fn what_the_agent_of_the_field_writes_ends_it() {
    let section = "[[job]]\nname = \"code-generator\"\nworkspace = \"agent-workspaces/code-generator\"\n";
    let folder = "agent-workspaces/code-generator/";
    for (key, file, running, ended, result) in [
        ("status_file", "status.txt", "RUNNING\n", "COMPLETED\n", "1 completed: All criteria met"),
        ("status_file", "status.txt", "RUNNING", "FAILED", "1 failed: Status is FAILED"),
        ("progress_file", "progress.txt", "10\n", "100\n", "1 completed: All criteria met"),
        ("exit_code_file", "exit-code.txt", "", "0\n", "1 completed: All criteria met"),
        ("exit_code_file", "exit-code.txt", "", "1\n", "1 failed: Exit code non-zero: 1"),
        (
            "log",
            "agent.log",
            "{\"timestamp\": \"2026-11-16T09:00:01Z\", \"level\": \"INFO\", \"message\": \"Agent started\"}\n",
            "{\"timestamp\": \"2026-11-16T09:00:05Z\", \"level\": \"INFO\", \"message\": \"Agent completed\"}\n",
            "1 completed: All criteria met",
        ),
        (
            "log",
            "output.log",
            "{\"event\": \"progress\", \"current\": 5, \"total\": 10, \"percent\": 50}\n",
            "{\"event\": \"progress\", \"current\": 10, \"total\": 10, \"percent\": 100}\n",
            "1 completed: All criteria met",
        ),
        (
            "log",
            "output.log",
            "working\n",
            "{\"status\": \"completed\", \"timestamp\": \"2026-11-16T09:00:05Z\"}\n",
            "1 completed: All criteria met",
        ),
    ] {
        let mut world = World::new(&format!("{section}{key} = \"{file}\"\n"));
        world.write(&format!("{folder}{file}"), running, 1);
        world.look(2);
        assert_eq!(world.results(), [""; 0], "{key} {running}");
        let text = if key == "log" { format!("{running}{ended}") } else { ended.to_owned() };
        world.write(&format!("{folder}{file}"), &text, 5);
        world.look(6);
        assert_eq!(world.results(), [result], "{key} {ended}");
    }
}
