//! What files do: grow, be cut, come late, end without a newline, hold anything; and processes that begin again.

use super::*;
use proptest::prelude::*;

const PLAIN: &str =
    "[[job]]\nname = \"j\"\nlog = \"logs/j.log\"\nprogress_file = \"p\"\nexit_code_file = \"e\"\n";

/// A log with something of everything.
const LINES: [&str; 8] = [
    "[2026-11-16T09:00:01Z] Agent started\n",
    "Progress: 10%\n",
    "{\"event\": \"progress\", \"current\": 5, \"total\": 10, \"percent\": 50}\n",
    "ERROR: disk is nearly full\n",
    "60%|######    | 6/10\r70%|#######   | 7/10\r80%|########  | 8/10\r\n",
    "{\"timestamp\": \"2026-11-16T09:01:05Z\", \"level\": \"ERROR\", \"message\": \"Failed to parse file\"}\n",
    "{broken\n",
    "DONE\n",
];

#[test]
fn growth_in_steps_equals_the_whole_with_and_without_memory() {
    let config = "[[job]]\nname = \"j\"\nlog = \"j.log\"\npatterns = { preset = \"percent\" }\n";
    let text = LINES.concat();
    let lines_of = |world: &World| -> Vec<String> {
        let from_log = |event: &&Value| event["from"]["at"].is_u64() && event["type"] != "source.opened";
        let brief = |event: &Value| format!("{} {} {}", event["id"], event["type"], event["from"]);
        world.log.events.iter().filter(from_log).map(brief).collect()
    };
    // The id of a file has its place in it, so every way goes through the same one.
    let mut world = World::new(config);
    world.write("j.log", &text, 70);
    world.look(100);
    let whole = lines_of(&world);
    assert!(whole.len() > 6, "{whole:#?}");
    for (step, restarts) in [(1, None), (7, None), (30, Some(true)), (30, Some(false)), (90, Some(false))] {
        world.jobs = Jobs::new(&world.configs);
        world.log = Log::default();
        world.write("j.log", "", 1);
        let mut end = 0;
        while end < text.len() {
            end = (end + step).min(text.len());
            world.write("j.log", &text[..end], 70);
            // Growth is recorded by the clock, so it is the same only if the clock stands.
            world.look(100);
            if let Some(keeps_positions) = restarts {
                world.restart(keeps_positions);
            }
        }
        world.look(100);
        assert_eq!(lines_of(&world), whole, "in steps of {step}, restarting {restarts:?}");
    }
}

#[test]
fn a_process_that_begins_again_adds_nothing() {
    for keeps_positions in [true, false] {
        let mut world = World::new(PLAIN);
        world.write("logs/j.log", &LINES.concat(), 70);
        world.write("p", "100", 70);
        world.write("e", "0", 71);
        world.look(100);
        let recorded = world.log.events.len();
        assert_eq!(world.results().len(), 1);
        for seconds in [101, 200, 5000] {
            world.restart(keeps_positions);
            assert_eq!(world.look(seconds), [""; 0]);
            assert_eq!(world.log.events.len(), recorded, "{:#?}", world.log.events.last());
        }
    }
}

#[test]
fn updates_that_end_with_a_carriage_return_are_seen_at_once() {
    let mut world = World::new("[[job]]\nname = \"j\"\nlog = \"j.log\"\npatterns = { preset = \"tqdm\" }\n");
    let percents = |world: &World| -> Vec<f64> {
        world.of("progress.reported", "j").iter().map(|event| event["percent"].as_f64().unwrap()).collect()
    };
    world.write("j.log", " 10%|#         | 1/10 [00:01<00:09]\r", 1);
    world.look(2);
    assert_eq!(percents(&world), [10.0]);
    world.append("j.log", " 20%|##        | 2/10 [00:02<00:08]\r 30%|###       | 3/10 [00:03<00:07]\r", 3);
    world.look(4);
    assert_eq!(percents(&world), [10.0, 20.0, 30.0]);
    world.append("j.log", "\n 40%|####      | 4/10 [00:04<00:06]\r\n", 5);
    world.look(6);
    assert_eq!(percents(&world), [10.0, 20.0, 30.0, 40.0]);
    let places: Vec<_> =
        world.log.events.iter().filter(|event| event["type"] == "progress.reported").collect();
    let place = places[3]["from"]["at"].as_u64().unwrap();
    let text = std::fs::read_to_string(world.path("j.log")).unwrap();
    assert!(text[usize::try_from(place).unwrap()..].starts_with(" 40%"), "{place}");
}

#[test]
fn a_last_word_without_a_newline_counts_when_the_log_has_come_to_rest() {
    let mut world = World::new("[[job]]\nname = \"j\"\nlog = \"j.log\"\nmarker = \"DONE\"\n");
    world.write("j.log", "working\nDONE", 10);
    world.look(11);
    assert_eq!(world.results(), [""; 0]);
    world.look(12);
    assert_eq!(world.results(), ["1 completed: All criteria met"]);
    world.append("j.log", "\n", 20);
    world.look(30);
    world.restart(false);
    world.look(31);
    assert_eq!(world.results().len(), 1);
    assert_eq!(world.of("marker.seen", "j").len(), 1);
}

#[test]
fn a_log_that_does_not_come_is_reported_once_and_taken_when_it_comes() {
    let mut world = World::new("[[job]]\nname = \"j\"\nlog = \"late/j.log\"\ntimeout_seconds = 10.0\n");
    assert_eq!(world.look(0), [""; 0]);
    assert_eq!(world.look(10), [""; 0]);
    assert_eq!(world.look(11), ["log file not created within 10 s"]);
    assert_eq!(world.look(12), [""; 0]);
    world.write("late/j.log", "at last\n", 20);
    assert_eq!(world.look(21), [""; 0]);
    assert_eq!(world.of("task.started", "j").len(), 1);
}

#[test]
fn patterns_that_match_nothing_are_reported() {
    let config = "[[job]]\nname = \"j\"\nlog = \"j.log\"\npatterns = { current_batch = 'batch (\\d+)', total_batches = 'of (\\d+)' }\n";
    let mut world = World::new(config);
    world.write("j.log", &"step one\n".repeat(1000), 1);
    assert_eq!(world.look(2), ["none of its 1000 lines matches a pattern of progress"]);
    assert_eq!(world.look(3), [""; 0]);
}

#[test]
fn a_log_that_is_rotated_goes_on_in_the_same_attempt() {
    let mut world =
        World::new("[[job]]\nname = \"j\"\nlog = \"j.log\"\npatterns = { preset = \"percent\" }\n");
    world.write("j.log", "Progress: 10%\n", 1);
    world.look(2);
    std::fs::rename(world.path("j.log"), world.path("j.log.1")).unwrap();
    world.write("j.log", "Progress: 50%\n", 3);
    world.look(4);
    world.write("j.log", "90%\n", 5);
    world.look(6);
    let percents: Vec<_> =
        world.of("progress.reported", "j").iter().map(|event| event["percent"].clone()).collect();
    assert_eq!(percents, [10.0, 50.0, 90.0]);
    assert_eq!(world.of("task.started", "j").len(), 1);
}

#[test]
fn progress_is_said_again_when_it_has_changed_enough() {
    let mut world =
        World::new("[[job]]\nname = \"j\"\nprogress_file = \"p\"\nupdate_throttle_percent = 5.0\n");
    for (seconds, text) in
        [(1, "10"), (2, "14"), (3, "{\"percent\":"), (4, "15"), (5, "99"), (6, "100"), (7, "100")]
    {
        world.write("p", text, seconds);
        world.look(seconds);
    }
    let percents: Vec<_> =
        world.of("progress.reported", "j").iter().map(|event| event["percent"].clone()).collect();
    assert_eq!(percents, [10.0, 15.0, 99.0, 100.0]);
}

#[test]
fn a_job_without_a_log_lives_while_its_files_are_written() {
    let mut world = World::new("[[job]]\nname = \"j\"\nstatus_file = \"s\"\n");
    for seconds in [0, 10, 35, 40, 70] {
        world.write("s", "RUNNING", seconds);
        world.look(seconds);
    }
    let grew = world.log.events.iter().filter(|event| event["type"] == "output.grew");
    let instants: Vec<_> = grew.map(|event| event["ts"].as_str().unwrap().to_owned()).collect();
    assert_eq!(instants, ["2026-11-16T09:00:35.000Z", "2026-11-16T09:01:10.000Z"]);
}

#[test]
fn old_logs_are_left_alone_unless_they_are_named() {
    let mut world = World::new(
        "[[job]]\nname = \"{run}\"\nlog = \"logs/{run}.log\"\n[[job]]\nname = \"old\"\nlog = \"old.log\"\n",
    );
    for (name, seconds) in [("logs/a.log", -10), ("logs/b.log", 10), ("old.log", -10)] {
        world.write(name, "hello\n", seconds);
    }
    let env = Env { modified_since: Some(start()), ..world.env() };
    world.jobs.discover(&env);
    world.jobs.poll(at(20), &mut world.log);
    let mut tasks: Vec<_> = world.log.events.iter().filter_map(|event| event["task"].as_str()).collect();
    tasks.dedup();
    tasks.sort_unstable();
    tasks.dedup();
    assert_eq!(tasks, ["b", "old"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_in_any_file_hurt(
        log in prop::collection::vec(any::<u8>(), 0..200),
        cut in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        small in prop::collection::vec(any::<u8>(), 0..40),
        which in 0_usize..4,
    ) {
        let mut world = World::new(WHOLE);
        let folder = "agent-workspaces/code-generator";
        let mut text = LINES.concat().into_bytes();
        let place = place.index(text.len());
        text[place] = byte;
        text.truncate(cut.index(text.len()) + 1);
        text.extend(log);
        let bytes = |name: &str, bytes: &[u8]| {
            world.write(&format!("{folder}/{name}"), "", 1);
            std::io::Write::write_all(&mut File::options().write(true).open(world.path(&format!("{folder}/{name}"))).unwrap(), bytes).unwrap();
        };
        bytes("output.log", &text);
        bytes(["status.txt", "progress.txt", "exit-code.txt", "nothing"][which], &small);
        world.look(10_000_000);
        world.restart(false);
        let recorded = world.log.events.len();
        world.look(10_000_100);
        prop_assert_eq!(world.log.events.len(), recorded);
    }
}
