//! What breaks: the server, the network, we ourselves. Nothing is lost, nothing is doubled, nothing is left behind.

use super::*;
use crate::source::remote::tests::server::processes_with;

fn counting(config: &mut RemoteConfig) {
    config.patterns.progress = vec![r"step (?<current>\d+) of (?<total>\d+)".into()];
    config.patterns.update_throttle_percent = 0.0;
}

/// Waits until nothing of these is there any more.
fn gone(what: &str, found: impl Fn() -> Vec<String>) {
    let began = Instant::now();
    while !found().is_empty() {
        assert!(began.elapsed() < DEADLINE, "{what} is left behind: {:?}", found());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_is_written_while_the_server_is_away_arrives_once() {
    let Some(mut world) = World::new("{case}.log", counting) else { return };
    world.append("a.log", b"step 1 of 100\nstep 2 of ");
    world.until("the first step", |world| world.currents() == [1]);
    world.server.down();
    world.append("a.log", b"100\nstep 3 of 100\n");
    world.until("the outage", |world| !world.of("source.failed").is_empty());
    let failed = world.of("source.failed");
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["task"], "a");
    assert!(failed[0]["path"].as_str().unwrap().starts_with("far:/"));
    let message = failed[0]["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with("offline since 20") && message.contains("Z: "), "{message}");
    world.server.up();
    world.until("the rest", |world| world.currents() == [1, 2, 3]);
    let opened =
        |world: &World| world.of("source.opened").iter().filter(|event| event["task"] == "a").count();
    world.until("the task in sight again", |world| opened(world) == 1);
    world.append("a.log", b"step 4 of 100\n");
    world.until("the next step", |world| world.currents() == [1, 2, 3, 4]);
    assert_eq!((world.of("source.failed").len(), world.of("source.truncated").len()), (1, 0));
}

#[test]
fn an_unreachable_machine_is_told_once_and_costs_the_others_nothing() {
    let Some(mut world) = World::new("{case}.log", counting) else { return };
    // A port that nobody listens at, and one where nobody answers.
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let dead = |host: &str, port: u16| RemoteConfig {
        host: host.into(),
        name: host.into(),
        ssh: format!("{} -p {port} -o HostName=127.0.0.1", world.config.ssh),
        log: Some("/nowhere/x.log".into()),
        ..world.config.clone()
    };
    let configs =
        [dead("refusing", 1), dead("silent", silent.local_addr().unwrap().port()), world.config.clone()];
    world.source = Remote::new(&configs);
    world.append("a.log", b"step 1 of 100\n");
    let mut longest = Duration::ZERO;
    let began = Instant::now();
    while world.currents() != [1] || world.problems.is_empty() {
        assert!(began.elapsed() < DEADLINE, "{:?}", world.problems);
        let poll = Instant::now();
        world.look();
        longest = longest.max(poll.elapsed());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(longest < Duration::from_secs(1), "a poll took {longest:?}");
    world.until("the outage", |world| world.problems.iter().any(|problem| problem.starts_with("refusing:")));
    let refused: Vec<_> = world.problems.iter().filter(|problem| problem.contains("refusing")).collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(
        refused[0].starts_with("refusing:: offline since ") && refused[0].contains("Connection refused"),
        "{refused:?}"
    );
    let began = Instant::now();
    drop(std::mem::replace(&mut world.source, Remote::new(&[])));
    assert!(began.elapsed() < Duration::from_secs(10), "ending took {:?}", began.elapsed());
}

#[test]
fn nothing_is_left_behind_when_the_source_ends() {
    let Some(mut world) = World::new("{case}.log", counting) else { return };
    world.append("a.log", b"step 1 of 100\n");
    world.until("the first step", |world| world.currents() == [1]);
    assert!(!world.server.running().is_empty());
    let config = world.path("ssh_config").to_str().unwrap().to_owned();
    assert!(!processes_with(&config).is_empty());
    let sockets = || std::fs::read_dir(world.path("run/agentlog-ssh")).unwrap().count();
    assert_eq!(sockets(), 1);
    world.source = Remote::new(&[]);
    gone("ssh", || processes_with(&config).into_iter().map(|(_, command)| command).collect());
    gone("what sshd ran", || world.server.running());
    let sockets = std::fs::read_dir(world.path("run/agentlog-ssh")).unwrap().count();
    assert_eq!(sockets, 0);
}

#[test]
fn nothing_is_left_behind_on_the_other_side_when_ssh_is_killed() {
    let Some(mut world) = World::new("{case}.log", counting) else { return };
    world.append("a.log", b"step 1 of 100\n");
    world.until("the first step", |world| world.currents() == [1]);
    let shells = || -> Vec<String> {
        world.server.running().into_iter().filter(|command| command.starts_with("sh -c eval")).collect()
    };
    assert_eq!(shells().len(), 1, "{:?}", world.server.running());
    let config = world.path("ssh_config").to_str().unwrap().to_owned();
    for (pid, _) in processes_with(&config) {
        let _gone = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
    }
    gone("the script", shells);
    world.append("a.log", b"step 2 of 100\n");
    world.until("the next step", |world| world.currents() == [1, 2]);
}

/// Where the process that is to be killed finds what it is to watch.
const WATCHED: &str = "AGENTLOG_TEST_REMOTE";

/// Not a test by itself: the process that the next one kills.
#[test]
fn watches_until_it_is_killed_where_it_is_told_to() {
    let Some(config) = std::env::var_os(WATCHED) else { return };
    let text = std::fs::read_to_string(&config).unwrap();
    let mut source = Remote::new(&[serde_json::from_str(&text).unwrap()]);
    let mut env = fixture::env(Scope::Global);
    env.variables.insert("XDG_RUNTIME_DIR".to_owned(), Path::new(&config).with_file_name("run"));
    source.discover(&env);
    let (began, mut log) = (Instant::now(), EventLog::default());
    while began.elapsed() < DEADLINE * 3 {
        source.poll(SystemClock.now(), &mut log);
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn nothing_is_left_behind_when_the_watching_process_is_killed() {
    let Some(world) = World::new("{case}.log", counting) else { return };
    world.append("a.log", b"step 1 of 100\n");
    write(&world.path("watched.json"), &serde_json::to_string(&world.config).unwrap());
    let mut watcher = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "source::remote::tests::outage::watches_until_it_is_killed_where_it_is_told_to"])
        .env(WATCHED, world.path("watched.json"))
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let shells = || -> Vec<String> {
        world.server.running().into_iter().filter(|command| command.starts_with("sh -c eval")).collect()
    };
    let config = world.path("ssh_config").to_str().unwrap().to_owned();
    // The master of the shared connection calls itself otherwise, and ends a minute after the last who used it.
    let clients =
        || -> Vec<String> { processes_with(&config).into_iter().map(|(_, command)| command).collect() };
    let began = Instant::now();
    while shells().is_empty() || clients().is_empty() {
        assert!(began.elapsed() < DEADLINE, "nobody watches: {:?}", world.server.running());
        std::thread::sleep(Duration::from_millis(20));
    }
    watcher.kill().unwrap();
    watcher.wait().unwrap();
    gone("the script", shells);
    gone("ssh", || clients().into_iter().filter(|command| !command.contains("[mux]")).collect());
}

#[test]
fn a_login_that_is_refused_says_so_and_a_program_that_is_missing_too() {
    let Some(mut world) = World::new("{case}.log", counting) else { return };
    write(&world.path("authorized"), "");
    world.until("the refusal", |world| !world.problems.is_empty());
    assert!(world.problems[0].contains("Permission denied"), "{:?}", world.problems);
    world.config.ssh = "/nowhere/ssh".into();
    world.restart(false);
    world.until("the lack", |world| world.problems.len() > 1);
    assert!(world.problems[1].contains("`/nowhere/ssh` cannot be run"), "{:?}", world.problems);
}
