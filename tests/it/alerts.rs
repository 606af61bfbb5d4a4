//! Alerts from a real transcript to a real program and a real server: each once, whatever happens to the watcher.

use crate::support::sandbox::{Output, Sandbox};
use crate::support::transcript::Transcript;
use crate::support::wait::{await_condition, await_value};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

/// Appends each alert to a file beside the project, and its id to another.
const TO_A_FILE: &str = r#"
[[alert]]
command = "cat >> ../alerts.jsonl; echo \"$AGENTLOG_ALERT_ID\" >> ../ids"
cooldown_ms = 0
"#;

fn sandbox(config: &str) -> Sandbox {
    Sandbox::new().with_file("project/.agents/agentlog.toml", config)
}

/// The lines of a file beside the project; none if there is no such file.
fn lines(sandbox: &Sandbox, name: &str) -> Vec<String> {
    let path = sandbox.project().join("..").join(name);
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn alerts(sandbox: &Sandbox) -> Vec<Value> {
    lines(sandbox, "alerts.jsonl").iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ended_well(output: &Output) {
    assert_eq!(output.status, Some(0), "{}", output.stderr);
}

/// The changes of health in the log, as `id,from,to`.
fn changes(sandbox: &Sandbox) -> Vec<String> {
    let sql = "SELECT id, from_health, to_health FROM events WHERE type = 'health.changed' ORDER BY ts, id";
    sandbox.run(&["query", sql, "-o", "csv"]).stdout.lines().skip(1).map(str::to_owned).collect()
}

/// The names of the changes that wait to be told.
fn outbox(sandbox: &Sandbox) -> usize {
    let folder = sandbox.project().join(".agents/state/outbox");
    std::fs::read_dir(folder).map_or(0, |entries| {
        entries.flatten().filter(|entry| entry.path().extension().is_some_and(|is| is == "json")).count()
    })
}

#[test]
fn three_failures_are_one_alert_and_a_success_says_that_it_is_over() {
    let sandbox = sandbox(TO_A_FILE);
    let mut transcript = Transcript::begin(&sandbox);
    let watch = sandbox.spawn(&["watch", "--interval", "1h"]);
    watch.await_line("healthy task", |line| line.contains("Healthy"));
    for call in 0..5 {
        transcript.failing_call(call);
    }
    watch.await_line("struggling task", |line| line.contains("5 tool failures"));
    await_condition("alert", || alerts(&sandbox).len() == 1);
    transcript.succeeding_call(5);
    await_condition("end of it", || alerts(&sandbox).len() == 2);
    await_condition("empty outbox", || outbox(&sandbox) == 0);
    let told: Vec<String> = alerts(&sandbox)
        .iter()
        .map(|alert| format!("{} {} {}", alert["kind"], alert["reason"], alert["text"]).replace('"', ""))
        .collect();
    // How many had failed when it was noticed depends on how fast they came.
    let first = told[0].replace(['4', '5'], "3");
    assert_eq!(
        (first.as_str(), told[1].as_str()),
        (
            "fired consecutive_failures Fix the build (22222222) is struggling: 3 tool failures in a row",
            "resolved null Fix the build (22222222) is healthy, no longer struggling"
        )
    );
    let recorded = changes(&sandbox);
    let ids: Vec<&str> = recorded.iter().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(lines(&sandbox, "ids"), ids);
}

#[test]
fn a_watcher_killed_at_any_moment_tells_every_change_once_or_under_the_same_id() {
    let sandbox = sandbox(TO_A_FILE);
    let mut transcript = Transcript::begin(&sandbox);
    let mut call = 0;
    for round in 0..20 {
        let watch = sandbox.spawn(&["watch", "--interval", "1h"]);
        watch.await_line("task", |line| line.contains("Fix the build"));
        let (told, log) =
            (alerts(&sandbox).len(), sandbox.project().join(".agents/logs/background_monitoring.jsonl"));
        let size = || std::fs::metadata(&log).map_or(0, |metadata| metadata.len());
        let before = size();
        if round % 2 == 0 {
            for _ in 0..3 {
                transcript.failing_call(call);
                call += 1;
            }
        } else {
            transcript.succeeding_call(call);
            call += 1;
        }
        // Somewhere between the first byte that is read and the last file that is removed.
        let is_told = || alerts_or_ids(&sandbox) > told;
        match round % 5 {
            0 => {}
            1 => await_condition("growth of the log", || size() > before || is_told()),
            2 => await_condition("entry of the outbox", || outbox(&sandbox) > 0 || is_told()),
            3 => await_condition("alert", is_told),
            _ => await_condition("delivery", || is_told() && outbox(&sandbox) == 0),
        }
        drop(watch);
    }
    ended_well(&sandbox.run(&["watch", "--once"]));
    let wanted: Vec<String> = changes(&sandbox)
        .iter()
        .filter(|line| line.contains("struggling"))
        .map(|line| line.split(',').next().unwrap().to_owned())
        .collect();
    let mut told = lines(&sandbox, "ids");
    assert!(wanted.len() > 5 && told.len() <= 2 * wanted.len(), "{} of {}", told.len(), wanted.len());
    told.sort();
    told.dedup();
    assert_eq!(told, wanted);
    assert_eq!(outbox(&sandbox), 0);
    let again = sandbox.run(&["watch", "--once"]);
    ended_well(&again);
    let mut after = lines(&sandbox, "ids");
    after.sort();
    after.dedup();
    assert_eq!(after, wanted, "nothing is told again");
}

/// How many alerts there are, where the last one may be half written.
fn alerts_or_ids(sandbox: &Sandbox) -> usize {
    lines(sandbox, "ids").len()
}

/// A server that answers so, request by request, and then gives what it was sent.
fn server(statuses: &'static [&'static str]) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let serve = move |status: &&str| {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).unwrap();
            assert!(count > 0, "the request ends in the middle");
            request.extend_from_slice(bytes.get(..count).unwrap());
        }
        write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        String::from_utf8(request).unwrap()
    };
    (url, std::thread::spawn(move || statuses.iter().map(serve).collect()))
}

#[test]
fn a_server_that_stumbles_gets_one_alert_under_one_key() {
    let (url, requests) = server(&["500 Broken", "500 Broken", "200 OK"]);
    let sandbox = sandbox(&format!("[[alert]]\nwebhook = \"{url}\"\nheaders = {{ X-Token = \"t\" }}\n"));
    let mut transcript = Transcript::begin(&sandbox);
    for call in 0..3 {
        transcript.failing_call(call);
    }
    ended_well(&sandbox.run(&["watch", "--once"]));
    let requests = requests.join().unwrap();
    let id = changes(&sandbox)[0].split(',').next().unwrap().to_owned();
    for request in &requests {
        let head = request.to_lowercase();
        assert!(head.contains(&format!("idempotency-key: {id}\r\n")), "{request}");
        assert!(
            head.contains("x-token: t\r\n") && head.contains("content-type: application/json"),
            "{request}"
        );
    }
    let body: Value = serde_json::from_str(requests[2].split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(
        (&body["kind"], &body["id"], &body["schema_version"]),
        (&"fired".into(), &id.into(), &1.into())
    );
    assert_eq!((requests.len(), outbox(&sandbox)), (3, 0));
    // Nobody listens any more: a second request would be a failure that is told.
    let again = sandbox.run(&["watch", "--once"]);
    assert_eq!((again.status, again.stderr.as_str()), (Some(0), ""));
}

#[test]
fn an_alert_that_cannot_be_delivered_is_told_once_and_counted() {
    let sandbox = sandbox("[[alert]]\ncommand = [\"sh\", \"-c\", \"exit 3\"]\n");
    let mut transcript = Transcript::begin(&sandbox);
    for call in 0..3 {
        transcript.failing_call(call);
    }
    let watch = sandbox.run(&["watch", "--once"]);
    ended_well(&watch);
    let complaint = "warning: an alert could not be delivered: sh ended with exit code 3\n";
    assert_eq!(watch.stderr, complaint);
    assert_eq!(sandbox.run(&["watch", "--once"]).stderr, "");
    let doctor = sandbox.run(&["doctor"]).stdout;
    assert!(doctor.contains("alerts: 1 rule; 1 alert could not be delivered, the last at "), "{doctor}");
}

#[test]
fn a_sample_goes_through_every_rule_and_each_is_answered_for() {
    let sandbox = sandbox(
        "[[alert]]\ncommand = \"cat > ../sample\"\n[[alert]]\ncommand = \"exit 7\"\nvia = [\"bell\", \"command\"]\n",
    );
    let test = sandbox.run(&["alert", "test"]);
    let told: Vec<&str> = test.stdout.lines().map(|line| line.split(" in ").next().unwrap()).collect();
    let expected = [
        "✓ alert 1 command  delivered",
        "· alert 2 bell     neither standard error nor output is a terminal",
        "✗ alert 2 command  sh ended with exit code 7",
    ];
    assert_eq!((test.status, told), (Some(5), expected.to_vec()));
    let sample = await_value("sample", || lines(&sandbox, "sample").pop());
    let sample: Value = serde_json::from_str(&sample).unwrap();
    assert_eq!((&sample["task"], &sample["kind"]), (&"alert-test".into(), &"fired".into()));
    assert_eq!(sandbox.run(&["alert", "test", "--via", "osc9"]).status, Some(0));
    assert_eq!(sandbox.run(&["alert", "test", "--via", "webhook"]).status, Some(4));
    assert_eq!(sandbox.run(&["alert", "test", "--via", "pigeon"]).status, Some(2));
    assert_eq!(changes(&sandbox), Vec::<String>::new(), "a sample is no event");
}
