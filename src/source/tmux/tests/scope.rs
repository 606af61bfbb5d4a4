//! Which panes are watched, and as which tasks.

use super::*;

#[test]
fn only_sessions_of_agents_are_watched_unless_others_are_named() {
    let Some(server) = Server::new() else { return };
    server.session("agent-x", "sleep 600");
    server.session("code-generator-20251028-143052", "sleep 600");
    let mut watcher = Watcher::of(&server.config());
    watcher.look();
    assert_eq!(watcher.said(&["task.started"]), ["task.started agent-x attempt=1"]);
    let config = TmuxConfig { sessions: "^code-".to_owned(), ..server.config() };
    let mut watcher = Watcher::of(&config);
    watcher.look();
    assert_eq!(watcher.said(&["task.started"]), ["task.started code-generator-20251028-143052 attempt=1"]);
    assert_eq!(
        watcher.log.events.iter().find(|event| event["type"] == "task.started").unwrap()["agent"],
        "code-generator"
    );
}

#[test]
fn a_project_takes_the_sessions_in_its_folders() {
    let Some(server) = Server::new() else { return };
    server.session("agent-x", "cd /; sleep 600");
    let mut watcher = Watcher::with(&server.config(), in_project(server.folder.path()), Log::default());
    watcher.look();
    assert_eq!(watcher.said(&["task.started"]), ["task.started agent-x attempt=1"]);
    let elsewhere = tempfile::tempdir().unwrap();
    let mut watcher = Watcher::with(&server.config(), in_project(elsewhere.path()), Log::default());
    watcher.look();
    assert_eq!(watcher.log.events, [] as [Value; 0]);
}

#[test]
fn several_panes_of_a_session_are_tasks_of_their_own() {
    let Some(server) = Server::new() else { return };
    server.session("agent-x", "echo ERROR: first; sleep 600");
    server.shows("agent-x", "first");
    server.tmux(&["split-window", "-d", "-t", "agent-x", "echo ERROR: second; exec sleep 600"]);
    server.shows("agent-x:0.1", "second");
    let config = server.config();
    let mut watcher = Watcher::of(&config);
    watcher.look();
    let started = ["task.started agent-x:0.0 attempt=1", "task.started agent-x:0.1 attempt=1"];
    assert_eq!(watcher.said(&["task.started"]), started);
    let created: Vec<&Value> = watcher
        .log
        .events
        .iter()
        .filter(|event| event["type"] == "task.created")
        .map(|event| &event["parent"])
        .collect();
    assert_eq!(created, ["agent-x", "agent-x"]);
    assert_eq!(watcher.said(&["error.matched"]), ["error.matched agent-x:0.0", "error.matched agent-x:0.1"]);
    // One that is left keeps its name, also for another process.
    server.tmux(&["kill-pane", "-t", "agent-x:0.1"]);
    watcher.look();
    assert_eq!(watcher.said(&["task.cancelled"]), ["task.cancelled agent-x:0.1 attempt=1 pane closed"]);
    let mut watcher = watcher.restarted(&config);
    watcher.look();
    assert_eq!(watcher.said(&["task.started"]), started);

    let second = TmuxConfig { panes: Some(r":0\.1$".to_owned()), ..server.config() };
    server.tmux(&["split-window", "-d", "-t", "agent-x", "exec sleep 600"]);
    let mut watcher = Watcher::of(&second);
    watcher.look();
    assert_eq!(watcher.said(&["task.started"]), ["task.started agent-x attempt=1"]);
}

#[test]
fn a_session_that_is_split_later_keeps_its_task() {
    let Some(server) = Server::new() else { return };
    server.session("agent-x", "sleep 600");
    let config = server.config();
    let mut watcher = Watcher::of(&config);
    watcher.look();
    server.tmux(&["split-window", "-d", "-t", "agent-x", "exec sleep 600"]);
    watcher.look();
    let started = ["task.started agent-x attempt=1", "task.started agent-x:0.1 attempt=1"];
    assert_eq!(watcher.said(&["task.started"]), started);
    let mut watcher = watcher.restarted(&config);
    watcher.look();
    assert_eq!(watcher.said(&["task.started"]), started);
}

#[test]
fn without_a_server_there_is_nothing_and_no_complaint() {
    let folder = tempfile::tempdir().unwrap();
    let socket_path = Some(folder.path().join("none").to_str().unwrap().to_owned());
    let mut watcher = Watcher::of(&TmuxConfig { socket_path, ..TmuxConfig::default() });
    watcher.look();
    watcher.look();
    assert_eq!(watcher.log.events, [] as [Value; 0]);
}

#[test]
fn an_answer_in_another_form_is_a_complaint_and_no_pane_is_gone() {
    let complaint = crate::source::tmux::understood("%0 agent-x 4711\n").unwrap_err().to_string();
    assert_eq!(complaint, "what `list-panes` says is not understood");
    assert_eq!(crate::source::tmux::understood("\n").unwrap(), []);
}

#[test]
fn files_that_are_named_by_hand_are_no_sessions() {
    let Some(server) = Server::new() else { return };
    server.session("agent-x", "sleep 600");
    let scope = Scope::Paths(vec![server.folder.path().to_owned()]);
    let mut watcher = Watcher::with(&server.config(), env(scope), Log::default());
    watcher.look();
    assert_eq!(watcher.log.events, [] as [Value; 0]);
}

#[test]
fn a_section_that_cannot_be_used_is_reported_and_the_others_are_used() {
    let bad = TmuxConfig { sessions: "agent-(".to_owned(), ..TmuxConfig::default() };
    let worse = TmuxConfig { interval_seconds: -1.0, ..TmuxConfig::default() };
    let mut source = Tmux::new(&[bad, worse]);
    let problems = source.discover(&env(Scope::Global)).problems;
    let messages: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            "[[tmux]] agent-(: `sessions` is no regular expression: unclosed group",
            "[[tmux]] ^agent-: `interval_seconds` is no number of seconds",
        ]
    );
}

#[test]
fn the_server_is_asked_less_often_while_nothing_happens() {
    let Some(server) = Server::new() else { return };
    server.session("agent-x", "echo a; while [ ! -e more ]; do sleep 0.02; done; echo b; sleep 600");
    server.shows("agent-x", "a");
    let mut watcher = Watcher::of(&server.config());
    let begin = now().plus_millis(60_000);
    let asked = |watcher: &mut Watcher, seconds: std::ops::Range<i64>| -> Vec<i64> {
        let mut asked = Vec::new();
        for second in seconds {
            watcher.look_at(begin.plus_millis(second * 1000));
            if watcher.source.servers[0].asked_at == Some(begin.plus_millis(second * 1000)) {
                asked.push(second);
            }
        }
        asked
    };
    assert_eq!(asked(&mut watcher, 0..100), [0, 5, 10, 15, 25, 40, 60, 85]);
    server.touch("more");
    server.shows("agent-x", "b");
    assert_eq!(asked(&mut watcher, 100..130), [115, 120, 125]);
}
