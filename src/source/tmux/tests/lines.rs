//! Which lines are read: each once, whatever scrolls, is cleared or redrawn, and whoever reads.

use super::*;

#[test]
fn only_new_lines_are_read_and_a_restart_reads_none_again() {
    let Some(server) = Server::new() else { return };
    server.session(
        "agent-x",
        "echo ERROR: one; while [ ! -e more ]; do sleep 0.02; done; echo ERROR: two; echo end; sleep 600",
    );
    let config = server.config();
    let mut watcher = Watcher::of(&config);
    server.shows("agent-x", "one");
    watcher.look();
    watcher.look();
    assert_eq!(watcher.errors(), ["ERROR: one"]);
    server.touch("more");
    server.shows("agent-x", "end");
    watcher.look();
    assert_eq!(watcher.errors(), ["ERROR: one", "ERROR: two"]);
    let before = watcher.count();
    let mut watcher = watcher.restarted(&config);
    watcher.look();
    watcher.look();
    assert_eq!((watcher.count(), watcher.errors().len()), (before, 2), "{:#?}", watcher.log.lines);
    assert_eq!(watcher.said(&COURSE), ["task.created agent-x", "task.started agent-x attempt=1"]);
}

#[test]
fn whoever_is_killed_before_it_says_how_far_it_read_leaves_nothing_to_be_repeated() {
    let Some(server) = Server::new() else { return };
    let script = "echo ERROR: one; echo plain; printf 'Progress: 10%%\\nProgress: 20%%\\nasking: '; \
                  while [ ! -e more ]; do sleep 0.02; done; echo; echo ERROR: two; echo end; sleep 600";
    server.session("agent-x", script);
    server.shows("agent-x", "asking");
    let mut config = server.config();
    config.patterns = toml::from_str("preset = \"percent\"").unwrap();
    let mut watcher = Watcher { is_killed: true, ..Watcher::of(&config) };
    watcher.look();
    let before = watcher.log.events.len();
    for _ in 0..3 {
        watcher = watcher.restarted(&config);
        watcher.look();
        let new: Vec<&Value> =
            watcher.log.events[before..].iter().filter(|event| event["type"] != "process.sampled").collect();
        assert_eq!(new, [] as [&Value; 0]);
    }
    server.touch("more");
    server.shows("agent-x", "end");
    watcher = watcher.restarted(&config);
    watcher.look();
    watcher = watcher.restarted(&config);
    watcher.look();
    assert_eq!(watcher.errors(), ["ERROR: one", "ERROR: two"]);
}

#[test]
fn what_is_written_while_it_is_looked_at_is_read_once_and_in_order() {
    let Some(server) = Server::new() else { return };
    let script = "for i in $(seq 60); do echo ERROR: no $(echo $i | tr 0-9 a-j); seq 7; sleep 0.02; done; echo end; sleep 600";
    server.session("agent-x", script);
    let config = server.config();
    let mut watcher = Watcher::of(&config);
    let mut looks = 0;
    await_that("the end", || {
        let is_over = server.tmux(&["capture-pane", "-p", "-t", "agent-x"]).contains("end");
        watcher.look();
        looks += 1;
        if looks % 3 == 0 {
            let empty = Watcher::of(&config);
            watcher = std::mem::replace(&mut watcher, empty).restarted(&config);
        }
        is_over
    });
    watcher.look();
    let letters = |number: u32| {
        number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect::<String>()
    };
    let expected: Vec<String> = (1..=60).map(|number| format!("ERROR: no {}", letters(number))).collect();
    assert_eq!(watcher.errors(), expected);
    assert!(looks > 5, "{looks} looks are too few to be in between");
}

#[test]
fn lines_that_the_scrollback_drops_do_not_disturb_the_count() {
    let Some(server) = Server::new() else { return };
    server.tmux(&[
        "start-server",
        ";",
        "set-option",
        "-g",
        "history-limit",
        "50",
        ";",
        "new-session",
        "-d",
        "-s",
        "hold",
    ]);
    let script = "for i in $(seq 200); do echo line $i; [ $((i % 10)) = 0 ] && echo Exception: no$(echo $i | tr 0-9 a-j); done; \
         echo half; while [ ! -e more ]; do sleep 0.02; done; for i in $(seq 30); do echo more $i; done; echo ERROR: last; sleep 600";
    server.session("agent-x", script);
    server.shows("agent-x", "half");
    let config = server.config();
    let mut watcher = Watcher::of(&config);
    watcher.look();
    let first = watcher.errors();
    assert!(first.len() < 8 && first.last().is_some_and(|last| last == "Exception: nocaa"), "{first:?}");
    let mut watcher = watcher.restarted(&config);
    watcher.look();
    assert_eq!(watcher.errors(), first);
    server.touch("more");
    server.shows("agent-x", "last");
    watcher.look();
    watcher.look();
    assert_eq!(watcher.errors(), [first, vec!["ERROR: last".to_owned()]].concat());
}

#[test]
fn a_progress_bar_is_the_newest_state_of_its_line() {
    let Some(server) = Server::new() else { return };
    let script = "printf 'Progress: 10%%'; while [ ! -e more ]; do sleep 0.02; done; printf '\\rProgress: 45%%'; \
         while [ ! -e all ]; do sleep 0.02; done; printf '\\rProgress: 100%%\\nDONE\\n'; sleep 600";
    server.session("agent-x", script);
    let mut config = server.config();
    config.patterns = toml::from_str("preset = \"percent\"").unwrap();
    let mut watcher = Watcher::of(&config);
    let percents = |log: &Log| -> Vec<i64> {
        let all = log.events.iter().filter_map(|event| event["percent"].as_f64());
        let mut all: Vec<i64> = all.map(|percent| format!("{percent:.0}").parse().unwrap()).collect();
        all.dedup();
        all
    };
    watcher.look_until("10 %", |log| percents(log) == [10]);
    // tmux tells activity to the second, and these looks are further apart.
    let (activity, second) = (server.activity(), || now().millis() / 1000);
    await_that("the next second", || second() > activity);
    server.touch("more");
    watcher.look_until("45 %", |log| percents(log) == [10, 45]);
    let activity = server.activity();
    await_that("the next second", || second() > activity);
    server.touch("all");
    watcher.look_until("the end", |log| percents(log) == [10, 45, 100]);
    watcher.look();
    let expected = [
        "task.created agent-x",
        "task.started agent-x attempt=1",
        "task.completed agent-x attempt=1 marker DONE",
    ];
    assert_eq!(watcher.said(&COURSE), expected);
}

#[test]
fn a_cleared_history_and_a_redrawn_screen_bring_nothing_back() {
    let Some(server) = Server::new() else { return };
    let script = "for i in $(seq 30); do echo line $i; done; echo ERROR: one; while [ ! -e more ]; do sleep 0.02; done; \
         printf '\\033[H\\033[2J'; echo ERROR: two; while [ ! -e all ]; do sleep 0.02; done; \
         printf '\\033[H'; echo ERROR: two; echo ERROR: three; sleep 600";
    server.session("agent-x", script);
    server.shows("agent-x", "one");
    let config = server.config();
    let mut watcher = Watcher::of(&config);
    watcher.look();
    server.tmux(&["clear-history", "-t", "agent-x"]);
    watcher.look();
    server.touch("more");
    server.shows("agent-x", "two");
    watcher.look();
    server.touch("all");
    server.shows("agent-x", "three");
    watcher.look();
    watcher.look();
    assert_eq!(watcher.errors(), ["ERROR: one", "ERROR: two", "ERROR: three"]);
}

#[test]
fn a_full_screen_program_is_alive_and_its_lines_are_no_output() {
    let Some(server) = Server::new() else { return };
    let script = "echo before; printf '\\033[?1049h\\033[HERROR in a list\\n'; while [ ! -e more ]; do sleep 0.02; done; \
         printf '\\033[?1049l'; echo ERROR: after; sleep 600";
    server.session("agent-x", script);
    server.shows("agent-x", "ERROR in a list");
    let config = server.config();
    let mut watcher = Watcher::of(&config);
    watcher.look();
    let mut watcher = watcher.restarted(&config);
    watcher.look();
    assert_eq!(watcher.said(&["error.matched", "output.grew"]), ["output.grew agent-x"]);
    assert_eq!(watcher.said(&["progress.reported"]), ["progress.reported agent-x ERROR in a list"]);
    server.touch("more");
    server.shows("agent-x", "after");
    watcher.look();
    watcher.look();
    let mut watcher = watcher.restarted(&config);
    watcher.look();
    assert_eq!(watcher.errors(), ["ERROR: after"]);
}

#[test]
fn only_the_last_lines_are_looked_at_where_that_is_asked_for() {
    let Some(server) = Server::new() else { return };
    server.session(
        "agent-x",
        "echo ERROR: early; for i in $(seq 30); do echo line $i; done; echo ERROR: late; sleep 600",
    );
    server.shows("agent-x", "late");
    let config = TmuxConfig { last_lines: Some(5), ..server.config() };
    let mut watcher = Watcher::of(&config);
    watcher.look();
    watcher.look();
    assert_eq!(watcher.errors(), ["ERROR: late"]);
}

#[test]
fn the_latest_line_is_the_present_step_and_secrets_stay_out_of_it() {
    let Some(server) = Server::new() else { return };
    let script = "echo reading files; while [ ! -e more ]; do sleep 0.02; done; \
         echo key ghp_abcdefghijklmnopqrstuvwxyz0123456789; sleep 600";
    server.session("agent-x", script);
    server.shows("agent-x", "files");
    let config = server.config();
    let mut watcher = Watcher::of(&config);
    watcher.look();
    server.touch("more");
    server.shows("agent-x", "ghp_");
    watcher.look();
    let steps = watcher.said(&["progress.reported"]);
    assert_eq!(steps.first().map(String::as_str), Some("progress.reported agent-x reading files"));
    assert_eq!(steps.len(), 2);
    assert!(!watcher.log.lines.concat().contains("ghp_"));
    let mut watcher = watcher.restarted(&config);
    watcher.look();
    assert_eq!(watcher.said(&["progress.reported"]), steps);
}

#[test]
fn a_wrapped_line_is_one_line() {
    let Some(server) = Server::new() else { return };
    let script =
        "printf 'ERROR: '; for i in $(seq 30); do printf '%s' 'abcdefgh '; done; echo; echo end; sleep 600";
    server.session("agent-x", script);
    server.shows("agent-x", "end");
    let mut watcher = Watcher::of(&server.config());
    watcher.look();
    assert_eq!(watcher.errors(), [format!("ERROR: {}", "abcdefgh ".repeat(30).trim_end())]);
}
