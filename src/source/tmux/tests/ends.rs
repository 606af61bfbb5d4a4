//! How tasks in panes end: by the status of their process, by what they print, by someone's hand, by the clock.

use super::*;

const BEGUN: [&str; 2] = ["task.created agent-x", "task.started agent-x attempt=1"];

fn ended(watcher: &Watcher) -> Vec<String> {
    let said = watcher.said(&COURSE);
    assert_eq!(said[..2], BEGUN);
    said[2..].to_vec()
}

fn is_dead(server: &Server) {
    await_that("the end", || server.tmux(&["list-panes", "-t", "agent-x", "-F", "#{pane_dead}"]) == "1");
}

#[test]
fn a_process_that_ends_leaves_its_exit_code() {
    for (script, expected) in [
        ("echo working; exit 3", "task.failed agent-x attempt=1 exit_code=3"),
        ("echo DONE; exit 0", "task.completed agent-x attempt=1 exit_code=0"),
        ("kill -9 $$", "task.failed agent-x attempt=1 signal 9"),
    ] {
        let Some(server) = Server::new() else { return };
        server.session("agent-x", script);
        is_dead(&server);
        let config = server.config();
        let mut watcher = Watcher::of(&config);
        // The status may be told a moment after the end.
        watcher.look_until("a result", |log| {
            log.count(|event| event["exit_code"] != Value::Null || event["reason"] != Value::Null) > 0
        });
        watcher.look();
        assert_eq!(ended(&watcher), [expected]);
        let mut watcher = watcher.restarted(&config);
        watcher.look();
        assert_eq!(ended(&watcher), [expected]);
        assert!(!watcher.log.lines.concat().contains("Pane is dead"));
    }
}

#[test]
fn a_process_that_is_started_again_in_its_pane_is_the_next_attempt() {
    let Some(server) = Server::new() else { return };
    server.session("agent-x", "echo DONE; exit 3");
    is_dead(&server);
    let config = server.config();
    let mut watcher = Watcher::of(&config);
    watcher.look_until("a result", |log| log.count(|event| event["type"] == "task.failed") == 1);
    server.tmux(&["respawn-pane", "-t", "agent-x", "echo again; exec sleep 600"]);
    server.shows("agent-x", "again");
    watcher.look();
    let expected = [
        "task.failed agent-x attempt=1 exit_code=3",
        "task.created agent-x",
        "task.started agent-x attempt=2",
    ];
    assert_eq!(ended(&watcher), expected);
    let mut watcher = watcher.restarted(&config);
    watcher.look();
    assert_eq!(ended(&watcher), expected);
}

#[test]
fn a_session_that_is_closed_without_a_word_was_cancelled() {
    let Some(server) = Server::new() else { return };
    server.session("agent-x", "echo working; sleep 600");
    server.session("other", "sleep 600");
    server.shows("agent-x", "working");
    let mut watcher = Watcher::of(&server.config());
    watcher.look();
    server.tmux(&["kill-session", "-t", "agent-x"]);
    watcher.look();
    watcher.look();
    assert_eq!(ended(&watcher), ["task.cancelled agent-x attempt=1 session closed"]);
}

#[test]
fn a_server_that_dies_takes_its_sessions_with_it_and_a_new_one_is_another_attempt() {
    let Some(server) = Server::new() else { return };
    server.session("agent-x", "echo working; sleep 600");
    server.shows("agent-x", "working");
    let mut watcher = Watcher::of(&server.config());
    watcher.look();
    server.tmux(&["kill-server"]);
    watcher.look_until("the end", |log| log.count(|event| event["type"] == "task.cancelled") == 1);
    await_that("a new server", || {
        let words =
            ["-S", &server.socket(), "-f", "/dev/null", "new-session", "-d", "-s", "agent-x", "sleep 600"];
        Command::new("tmux").args(words).output().unwrap().status.success()
    });
    watcher.look();
    let again = [
        "task.cancelled agent-x attempt=1 session closed",
        "task.created agent-x",
        "task.started agent-x attempt=2",
    ];
    assert_eq!(ended(&watcher), again);
}

#[test]
fn a_command_that_is_typed_has_not_ended_and_its_marker_has() {
    let Some(server) = Server::new() else { return };
    server.tmux(&["new-session", "-d", "-x", "80", "-y", "10", "-s", "agent-x", "env PS1='$ ' sh"]);
    server.tmux(&["send-keys", "-t", "agent-x", "sleep 600; echo DONE", "Enter"]);
    server.shows("agent-x", "echo DONE");
    let mut watcher = Watcher::of(&server.config());
    watcher.look();
    watcher.look();
    assert_eq!(ended(&watcher), [""; 0]);
    server.tmux(&["send-keys", "-t", "agent-x", "C-c"]);
    // What is typed before the prompt is flushed with the interrupt.
    server.shows("agent-x", "^C\n$");
    server.tmux(&["send-keys", "-t", "agent-x", "echo DO''NE", "Enter"]);
    server.shows("agent-x", "\nDONE");
    watcher.look_until("the end", |log| log.count(|event| event["type"] == "task.completed") == 1);
    assert_eq!(ended(&watcher), ["task.completed agent-x attempt=1 marker DONE"]);
}

#[test]
fn a_session_is_closed_when_its_time_is_up_only_if_that_is_asked_for() {
    for kill in [false, true] {
        let Some(server) = Server::new() else { return };
        server.session("other", "sleep 600");
        server.session("agent-x", "echo working; sleep 600");
        server.shows("agent-x", "working");
        let config = TmuxConfig { max_run_seconds: Some(1800.0), kill, ..server.config() };
        let mut watcher = Watcher::of(&config);
        watcher.look();
        watcher.look_at(now().plus_millis(1_900_000));
        watcher.look_at(now().plus_millis(2_000_000));
        assert_eq!(ended(&watcher), ["task.timed_out agent-x attempt=1 max run time 1800 s"]);
        let is_there = server.tmux(&["list-sessions", "-F", "#{session_name}"]).contains("agent-x");
        assert_eq!(is_there, !kill);
    }
}

#[test]
fn only_the_pane_whose_time_is_up_is_closed() {
    let Some(server) = Server::new() else { return };
    server.session("agent-x", "echo working; sleep 600");
    server.tmux(&["split-window", "-d", "-t", "agent-x", "exec sleep 600"]);
    let panes = Some(r":0\.0$".to_owned());
    let config = TmuxConfig { max_run_seconds: Some(1800.0), kill: true, panes, ..server.config() };
    let panes = || server.tmux(&["list-panes", "-t", "agent-x", "-F", "#{pane_id}"]);
    let (mut watcher, before) = (Watcher::of(&config), panes());
    watcher.look();
    watcher.look_at(now().plus_millis(1_900_000));
    assert_eq!((before.as_str(), panes().as_str()), ("%0\n%1", "%1"));
    let closed = watcher.log.events.iter().find(|event| event["type"] == "note.logged").unwrap();
    assert_eq!(closed["text"], "`kill-pane -t %0`, as the section's `kill` asks");
}

#[test]
fn the_process_of_a_pane_is_measured() {
    let Some(server) = Server::new() else { return };
    server.session("agent-x", "sleep 600");
    let pid: u64 = server.tmux(&["list-panes", "-t", "agent-x", "-F", "#{pane_pid}"]).parse().unwrap();
    let mut watcher = Watcher::of(&server.config());
    watcher.look();
    let sampled = watcher.log.events.iter().find(|event| event["type"] == "process.sampled").unwrap();
    assert_eq!((sampled["pid"].as_u64(), sampled["task"].as_str()), (Some(pid), Some("agent-x")));
}

#[test]
fn a_session_that_was_closed_while_nobody_watched_is_missed_by_who_remembers_it() {
    let Some(server) = Server::new() else { return };
    server.session("agent-x", "echo working; sleep 600");
    server.session("agent-y", "sleep 600");
    server.shows("agent-x", "working");
    let config = server.config();
    let mut watcher = Watcher::of(&config);
    watcher.look();
    let mut watcher = watcher.resumed(&config);
    watcher.look();
    assert_eq!(watcher.said(&["task.cancelled"]), [""; 0]);
    server.tmux(&["kill-session", "-t", "agent-x"]);
    let mut watcher = watcher.resumed(&config);
    watcher.look();
    let mut watcher = watcher.resumed(&config);
    watcher.look();
    assert_eq!(watcher.said(&["task.cancelled"]), ["task.cancelled agent-x attempt=1 session closed"]);
    assert_eq!(watcher.said(&["task.started"]).len(), 2);
}

#[test]
fn a_server_that_does_not_answer_is_reported_once_and_its_sessions_are_not_gone() {
    let Some(server) = Server::new() else { return };
    server.session("agent-x", "echo working; sleep 600");
    server.shows("agent-x", "working");
    let mut watcher = Watcher::of(&server.config());
    watcher.look();
    let before = watcher.count();
    let pid = server.tmux(&["display-message", "-p", "#{pid}"]);
    let signal = |name: &str| assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    signal("-STOP");
    let poll = |watcher: &mut Watcher, seconds: i64| {
        let at = now().plus_millis(100_000 + seconds * 1000);
        watcher.source.poll(at, &mut watcher.log).1.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let name = format!("tmux -S {}", server.socket());
    assert_eq!(poll(&mut watcher, 0), [format!("{name}: the tmux server did not answer within 2 s")]);
    let began = Instant::now();
    assert_eq!(poll(&mut watcher, 30), [""; 0]);
    assert!(began.elapsed() < Duration::from_secs(1), "it was asked again");
    assert_eq!(poll(&mut watcher, 61), [""; 0]);
    signal("-CONT");
    assert_eq!(poll(&mut watcher, 200), [""; 0]);
    assert_eq!((watcher.count(), ended(&watcher)), (before, vec![]));
}

#[test]
fn a_shell_that_waits_for_a_command_is_at_rest() {
    let Some(server) = Server::new() else { return };
    server.tmux(&["new-session", "-d", "-x", "80", "-y", "10", "-s", "agent-x", "env PS1='$ ' sh"]);
    server.shows("agent-x", "$");
    let config = server.config();
    let mut watcher = Watcher::of(&config);
    let turns = ["turn.started", "turn.ended"];
    watcher.look();
    let second = || now().millis() / 1000;
    watcher.look();
    assert_eq!(watcher.said(&turns), ["turn.ended agent-x done"]);
    let activity = server.activity();
    await_that("the next second", || second() > activity);
    server.tmux(&["send-keys", "-t", "agent-x", "sleep 600", "Enter"]);
    let command = ["list-panes", "-t", "agent-x", "-F", "#{pane_current_command}"];
    await_that("the command", || server.tmux(&command) == "sleep");
    watcher.look();
    let mut watcher = watcher.restarted(&config);
    watcher.look();
    assert_eq!(watcher.said(&turns), ["turn.ended agent-x done", "turn.started agent-x"]);
}
