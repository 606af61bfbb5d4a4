//! Small files of another form than they must have: told once, until they were right in between.

use super::*;

/// How often it was said that a file has changed its form.
fn drifted(world: &World) -> Vec<String> {
    let events = world.log.events.iter().filter(|event| event["type"] == "source.drifted");
    events.map(|event| event["text"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_status_and_a_progress_of_another_form_have_drifted_once() {
    for (key, right, wrong, text) in [
        (
            "status_file",
            "{\"status\":\"running\"}",
            "{\"phase\":\"running\"}",
            "this is no status file any more: it has no `status`, but `phase`",
        ),
        (
            "progress_file",
            "{\"percent\":5}",
            "{\"share\":5}",
            "this is no progress file any more: it has neither a count nor a percentage, but `share`",
        ),
    ] {
        let mut world = World::new(&format!("[[job]]\nname = \"j\"\n{key} = \"f\"\n"));
        let mut told = Vec::new();
        for (seconds, text) in (1..).zip([right, wrong, wrong, wrong, right, wrong]) {
            world.write("f", text, seconds);
            assert_eq!(world.look(seconds), [""; 0]);
            // The third time what is remembered gets lost, and the log alone knows.
            world.restart(seconds != 3);
            told.push(drifted(&world).len());
        }
        assert_eq!((told.first(), told.last()), (Some(&0), Some(&2)), "{key}: {told:?}");
        assert_eq!(told[1], 1);
        assert_eq!(drifted(&world)[0], text);
    }
}

#[test]
fn a_process_that_begins_again_does_not_repeat_what_is_broken_or_has_drifted() {
    for (text, problems, drifts) in [("{\"status\":\"run", 1, 0), ("{\"phase\":\"running\"}", 0, 1)] {
        let mut world = World::new("[[job]]\nname = \"j\"\nstatus_file = \"f\"\n");
        world.write("f", text, 1);
        let mut told = 0;
        for seconds in 2..7 {
            told += world.look(seconds).len();
            world.restart(true);
        }
        assert_eq!((told, drifted(&world).len()), (problems, drifts), "{text}");
    }
}

#[test]
fn each_member_is_needed_or_nothing_is_lost_without_it() {
    // What is left tells the same: a count with its total, or the percentage.
    let whole = "{\"total_tasks\": 10, \"completed_tasks\": 5, \"current_task\": \"Processing file 6\", \"percent_complete\": 50}";
    for name in ["total_tasks", "completed_tasks", "current_task", "percent_complete"] {
        let mut world = World::new("[[job]]\nname = \"j\"\nprogress_file = \"f\"\n");
        world.write("f", &whole.replace(name, "renamed"), 1);
        world.look(2);
        assert_eq!(drifted(&world), [""; 0], "{name}");
        assert_eq!(world.of("progress.reported", "j")[0]["percent"], 50.0, "{name}");
    }
}
