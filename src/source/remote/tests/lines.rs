//! What arrives: growth, names, rotation, truncation, garbage, bursts, small files, restarts.

use super::*;

fn steps(range: std::ops::RangeInclusive<u64>) -> String {
    range.fold(String::new(), |text, step| text + &format!("step {step} of 100\n"))
}

fn counting(config: &mut RemoteConfig) {
    config.patterns.progress = vec![r"step (?<current>\d+) of (?<total>\d+)".into()];
    config.patterns.update_throttle_percent = 0.0;
}

#[test]
fn a_growing_file_is_followed_and_its_end_is_told() {
    let Some(mut world) = World::new("logs/{case}_{beam}.log", |config| {
        counting(config);
        config.name = "{case}_{beam}".into();
        config.parent = Some("{case}".into());
        config.title = Some("Beam {beam}".into());
    }) else {
        return;
    };
    world.append("logs/c1_b1.log", steps(1..=3).as_bytes());
    world.until("the beginning", |world| world.currents() == [1, 2, 3]);
    world.append("logs/c1_b1.log", b"step 4 of");
    world.settle();
    assert_eq!(world.currents(), [1, 2, 3]);
    world.append("logs/c1_b1.log", b" 100\nDONE\n");
    world.until("the end", |world| !world.of("task.completed").is_empty());
    assert_eq!(world.currents(), [1, 2, 3, 4]);
    let created = world.of("task.created");
    assert_eq!(created.len(), 1);
    let said =
        ["task", "parent", "title", "host", "agent", "source"].map(|key| created[0][key].as_str().unwrap());
    assert_eq!(said, ["c1_b1", "c1", "Beam b1", "far", "job", "remote"]);
    assert_eq!(world.of("task.completed")[0]["reason"], "All criteria met");
    assert_eq!(world.problems, [""; 0]);
}

#[test]
fn a_restart_with_and_without_positions_adds_nothing() {
    let Some(mut world) = World::new("{case}.log", |config| {
        counting(config);
        config.exit_code_file = Some("unused".into());
    }) else {
        return;
    };
    world.config.exit_code_file = Some(world.path("{case}.exit").to_str().unwrap().to_owned());
    world.source = Remote::new(std::slice::from_ref(&world.config));
    world.append("a.log", steps(1..=40).as_bytes());
    world.append("a.log", b"half a line");
    world.until("the steps", |world| world.currents().len() == 40);
    world.settle();
    for keeps_positions in [true, false, true] {
        let before = world.log.lines.clone();
        world.restart(keeps_positions);
        world.settle();
        assert_eq!(world.log.lines, before, "with positions: {keeps_positions}");
    }
    world.append("a.log", b"\nstep 41 of 100\n");
    world.restart(true);
    world.append("a.log", b"step 42 of 100\n");
    world.until("the last step", |world| world.currents().ends_with(&[41, 42]));
    world.append("a.exit", b"3\n");
    world.until("the exit code", |world| !world.of("task.failed").is_empty());
    assert_eq!(world.of("task.failed")[0]["exit_code"], 3);
    assert_eq!(world.currents(), (1..=42).collect::<Vec<_>>());
    let before = world.log.lines.clone();
    world.restart(false);
    world.settle();
    assert_eq!(world.log.lines, before);
}

#[test]
fn rotation_and_truncation_are_told_and_reading_begins_again() {
    let Some(mut world) = World::new("{case}.log", counting) else { return };
    world.append("a.log", steps(1..=5).as_bytes());
    world.until("the first file", |world| world.currents() == [1, 2, 3, 4, 5]);
    world.settle();
    std::fs::rename(world.path("a.log"), world.path("a.log.1")).unwrap();
    world.settle();
    assert_eq!(world.of("source.truncated").len(), 0);
    world.append("a.log", steps(11..=40).as_bytes());
    world.until("the rotated file", |world| world.currents().ends_with(&[40]));
    let truncated = world.of("source.truncated");
    assert_eq!(truncated.len(), 1);
    assert_eq!(truncated[0]["offset_bytes"], steps(1..=5).len());
    // In place, as a truncated log is: the same inode, shorter.
    write(&world.path("a.log"), &steps(51..=52));
    world.until("the truncated file", |world| world.currents().ends_with(&[51, 52]));
    assert_eq!(world.of("source.truncated").len(), 2);
    let generations: Vec<_> =
        world.of("source.opened").iter().filter_map(|event| event["generation"].as_u64()).collect();
    assert!(generations.ends_with(&[1, 2]), "{generations:?}");
    let before = world.log.lines.clone();
    for keeps_positions in [true, false] {
        world.restart(keeps_positions);
        world.settle();
        assert_eq!(world.log.lines, before, "with positions: {keeps_positions}");
    }
    world.restart(true);
    write(&world.path("a.log"), &steps(61..=62));
    world.until("what was rewritten while nobody looked", |world| world.currents().ends_with(&[61, 62]));
    assert_eq!(world.of("source.truncated").len(), 3);
}

#[test]
fn names_may_have_spaces_quotes_and_a_leading_dash() {
    let Some(mut world) = World::new("d/{case}.log", counting) else { return };
    let names = ["-n it's \"a\" $(date) `id` \\x *", " two  spaces ", "ümläut", "[1]", "-rf"];
    for name in names {
        world.append(&format!("d/{name}.log"), b"step 1 of 2\n");
    }
    world.append("d/two\nlines.log", b"step 1 of 2\n");
    world.until("all of them", |world| world.of("task.created").len() == names.len());
    world.settle();
    assert_eq!(world.currents().len(), names.len());
    let mut tasks: Vec<_> =
        world.of("task.created").iter().map(|event| event["task"].as_str().unwrap().to_owned()).collect();
    tasks.sort();
    let mut expected = names.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(tasks, expected);
    // The same below the home directory, where nothing but the name tells it from an option.
    let relative = Kind::of(&RemoteConfig {
        host: "x".into(),
        name: "x".into(),
        log: Some("-n*.log".into()),
        ..RemoteConfig::default()
    });
    assert_eq!(relative.unwrap().log.unwrap().shell_pattern(), "'.''/'-'n'*'.log'");
}

#[test]
fn garbage_and_bursts_are_read_byte_by_byte() {
    let Some(mut world) = World::new("{case}.log", counting) else { return };
    let mut bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    bytes.extend(b"\nstep 1 of 100\n");
    let filler = format!("{}\n", "x".repeat(1023));
    for step in 2..=11_u64 {
        bytes.extend(filler.repeat(1024).as_bytes());
        bytes.extend(format!("step {step} of 100\n").as_bytes());
    }
    world.append("a.log", &bytes);
    world.append("b.log", b"step 1 of 100\n");
    world.until("the burst", |world| world.currents().contains(&11) && world.of("task.created").len() == 2);
    world.settle();
    let mut currents = world.currents();
    currents.sort_unstable();
    assert_eq!(currents, [1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    let read: u64 = world.source.advances().iter().map(|advance| advance.offset_bytes).sum();
    assert_eq!(read, bytes.len() as u64 + 14);
}

#[test]
fn a_status_file_alone_makes_a_job() {
    let Some(mut world) = World::new("none.log", |config| {
        config.log = None;
        config.name = "nightly".into();
        config.status_file = Some("unused".into());
    }) else {
        return;
    };
    world.config.status_file = Some(world.path("status.json").to_str().unwrap().to_owned());
    world.source = Remote::new(std::slice::from_ref(&world.config));
    world.settle();
    assert_eq!(world.log.lines.len(), 0);
    write(&world.path("status.json"), r#"{"status":"running","completed_tasks":1,"total_tasks":4}"#);
    world.until("progress", |world| world.currents() == [1]);
    write(&world.path("status.json"), r#"{"status":"failed","exitCode":2}"#);
    world.until("the end", |world| !world.of("task.failed").is_empty());
    assert_eq!(world.of("task.failed")[0]["exit_code"], 2);
}

#[test]
fn who_looks_once_is_told_when_everything_that_was_there_is_read() {
    let Some(mut world) = World::new("{case}.log", counting) else { return };
    world.append("a.log", steps(1..=40).as_bytes());
    world.append("b.log", &b"nothing of interest\n".repeat(300_000));
    world.append("b.log", b"step 77 of 100\n");
    assert!(!world.source.is_expecting(), "nobody was asked yet");
    let began = Instant::now();
    world.look();
    while world.source.is_expecting() {
        assert!(began.elapsed() < DEADLINE, "the machine is expected for ever: {:?}", world.problems);
        std::thread::sleep(Duration::from_millis(5));
        world.look();
    }
    let mut currents = world.currents();
    currents.sort_unstable();
    assert_eq!(currents, (1..=40).chain([77]).collect::<Vec<u64>>());
    let contacts = world.source.contacts(&world.env());
    assert_eq!(contacts, [Contact { place: "far".into(), state: Ok("connected, 2 files there".into()) }]);
}

#[test]
fn a_machine_that_refuses_is_not_expected_for_long() {
    let Some(mut world) = World::new("{case}.log", counting) else { return };
    world.server.down();
    world.look();
    world.until("the refusal", |world| !world.problems.is_empty());
    assert!(!world.source.is_expecting());
    let [Contact { place, state: Err(why) }] = &world.source.contacts(&world.env())[..] else { panic!() };
    assert!(place == "far" && why.contains("refused"), "{place}: {why}");
}
