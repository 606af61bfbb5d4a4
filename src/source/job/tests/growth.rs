//! By how much a log has grown: the bytes said are those of the log, whoever reads it and however often.

use super::*;

const CONFIG: &str = "[[job]]\nname = \"j\"\nlog = \"j.log\"\nexit_code_file = \"j.exit\"\n";

fn grown(world: &World) -> u64 {
    let events = world.log.events.iter().filter(|event| event["type"] == "output.grew");
    events.map(|event| event["output_bytes"].as_u64().unwrap()).sum()
}

fn size(world: &World) -> u64 {
    std::fs::metadata(world.path("j.log")).unwrap().len()
}

/// A line written at this second, with its time or without.
fn line(seconds: i64, has_time: bool) -> String {
    let time = at(seconds).to_chrono().format("[%Y-%m-%dT%H:%M:%SZ] ").to_string();
    format!("{}line of {seconds}\n\n", if has_time { &time } else { "" })
}

#[test]
fn the_bytes_said_are_those_of_the_log_when_it_has_come_to_rest() {
    for has_time in [true, false] {
        for restarts in [None, Some(true), Some(false)] {
            let mut world = World::new(CONFIG);
            for seconds in (0..40).map(|step| step * 7) {
                world.append("j.log", &line(seconds, has_time), seconds);
                world.look(seconds + 1);
                if let Some(keeps_positions) = restarts {
                    world.restart(keeps_positions);
                }
            }
            assert!(grown(&world) > size(&world) / 2, "said as it grows: {has_time} {restarts:?}");
            world.append("j.log", "no end of the line", 400);
            world.look(410);
            assert_eq!(grown(&world), size(&world), "{has_time} {restarts:?}");
            world.append("j.log", " until now\n", 420);
            world.look(500);
            world.restart(false);
            world.look(5000);
            assert_eq!(grown(&world), size(&world), "{has_time} {restarts:?}");
        }
    }
}

#[test]
fn what_is_left_is_said_when_the_job_ends() {
    let mut world = World::new(CONFIG);
    for seconds in 0..10 {
        world.append("j.log", &line(seconds, true), seconds);
        world.look(seconds);
    }
    assert!(grown(&world) < size(&world));
    world.write("j.exit", "0", 10);
    world.look(10);
    assert_eq!(grown(&world), size(&world));
}

#[test]
fn lines_that_tell_their_time_say_the_same_growth_however_they_are_read() {
    let text: String = (0..40).map(|step| line(step * 7, true)).collect();
    let of_lines = |world: &World| -> Vec<String> {
        let events = world.log.events.iter();
        let events = events.filter(|event| event["type"] == "output.grew" && event["from"]["at"].is_u64());
        events.map(|event| format!("{} {} {}", event["id"], event["ts"], event["output_bytes"])).collect()
    };
    let mut world = World::new(CONFIG);
    world.write("j.log", &text, 280);
    world.look(281);
    let whole = of_lines(&world);
    assert!(whole.len() > 7, "{whole:#?}");
    world.jobs = Jobs::new(&world.configs);
    world.log = Log::default();
    world.write("j.log", "", 0);
    for end in (0..text.len()).step_by(61).chain([text.len()]) {
        // It never comes to rest in between.
        world.write("j.log", &text[..end], 280);
        world.look(281);
        world.restart(end % 2 == 0);
    }
    assert_eq!(of_lines(&world), whole);
}
