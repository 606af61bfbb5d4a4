//! Output that is streamed into files, and pipes that are left alone.

use super::*;

fn has_pipe(server: &Server) -> bool {
    server.tmux(&["list-panes", "-t", "agent-x", "-F", "#{pane_pipe}"]) == "1"
}

#[test]
fn a_pane_is_streamed_with_the_time_of_each_line_until_the_watcher_ends() {
    let Some(server) = Server::new() else { return };
    server.session("agent-x", "while [ ! -e more ]; do sleep 0.02; done; echo 100% of '#{it}'; sleep 600");
    let folder = server.folder.path().join("it's a folder");
    let config = TmuxConfig { stream_to: Some(folder.to_str().unwrap().to_owned()), ..server.config() };
    let mut watcher = Watcher::of(&config);
    watcher.look();
    assert!(has_pipe(&server));
    server.touch("more");
    let file = folder.join("agent-x-0.0.log");
    await_that("a line in the file", || {
        std::fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n'))
    });
    let text = std::fs::read_to_string(&file).unwrap();
    let form = regex::Regex::new(r"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] 100% of #\{it\}\r?\n$").unwrap();
    assert!(form.is_match(&text), "{text:?}");
    watcher.look();
    assert!(has_pipe(&server));
    drop(watcher);
    assert!(!has_pipe(&server));
}

#[test]
fn a_pipe_of_the_user_is_never_replaced() {
    let Some(server) = Server::new() else { return };
    server.session("agent-x", "while [ ! -e more ]; do sleep 0.02; done; echo mine; sleep 600");
    let own = server.folder.path().join("own");
    server.tmux(&["pipe-pane", "-t", "agent-x", &format!("cat >> {}", own.display())]);
    let folder = server.folder.path().join("streams");
    let config = TmuxConfig { stream_to: Some(folder.to_str().unwrap().to_owned()), ..server.config() };
    let mut watcher = Watcher::of(&config);
    watcher.look();
    drop(watcher);
    assert!(has_pipe(&server) && !folder.exists());
    server.touch("more");
    await_that("the user's file", || std::fs::read_to_string(&own).is_ok_and(|text| text.contains("mine")));
}

#[test]
fn without_being_asked_nothing_is_piped() {
    let Some(server) = Server::new() else { return };
    server.session("agent-x", "sleep 600");
    let mut watcher = Watcher::of(&server.config());
    watcher.look();
    assert!(!has_pipe(&server));
}
