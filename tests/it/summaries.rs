//! Summaries of agents, by the real program: the command, the files beside the watcher, and who may read them.

use crate::support::sandbox::Sandbox;
use agentlog::summary::record::{AgentSummary, schema};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

/// A project with an agent that does something else than it was told.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new().with_file("project/.agents/agentlog.toml", "");
    let emit = |arguments: &[&str]| {
        let all = [&["emit"], arguments, &["--task", "bg_1", "--agent", "explore"]].concat();
        let done = sandbox.run(&all);
        assert_eq!(done.status, Some(0), "{}", done.stderr);
    };
    emit(&["task.created", "title=Task A", "assigned_task=make the header parser faster"]);
    emit(&["turn.started"]);
    for idx in 0..11 {
        emit(&["file.changed", &format!("path=notes/mail{idx}.rs"), "change=modified"]);
    }
    sandbox
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn an_agent_that_drifts_is_shown_with_its_reasons_and_written_beside_the_watcher() {
    let sandbox = sandbox();
    let shown = sandbox.run(&["summary", "-o", "json"]);
    assert_eq!(shown.status, Some(0), "{}", shown.stderr);
    let document = json(&shown.stdout);
    assert!(jsonschema::draft202012::new(&schema()).unwrap().is_valid(&document), "{document}");
    let now = &document["summaries"][0];
    assert_eq!((&now["instance_id"], &now["on_track_status"]), (&"bg_1".into(), &"drifting".into()));
    assert_eq!(now["drift_reasons"][0], "0 of the last 11 files share a word with the task");
    let page = sandbox.run(&["summary", "bg_1"]);
    assert!(page.stdout.contains("alignment         drifting, 26% sure"), "{}", page.stdout);

    let watched = sandbox.run(&["watch", "--once"]);
    assert_eq!(watched.status, Some(0), "{}", watched.stderr);
    let latest: AgentSummary =
        serde_json::from_str(&sandbox.read("project/.agents/summaries/bg_1/latest_summary.json")).unwrap();
    assert_eq!((latest.on_track_status.as_str(), latest.confidence_score), ("drifting", 0.26));
    let history = sandbox.read("project/.agents/summaries/bg_1/summary_history.jsonl");
    assert_eq!(serde_json::from_str::<AgentSummary>(&history).unwrap(), latest);
    let status = json(&sandbox.run(&["status", "-o", "json"]).stdout);
    assert_eq!(status["tasks"][0]["alignment"], "drifting");
    assert!(sandbox.run(&["show", "bg_1"]).stdout.contains("  alignment         drifting\n"));
    let again = sandbox.run(&["watch", "--once"]);
    assert_eq!(again.status, Some(0), "{}", again.stderr);
    let sql = "SELECT COUNT(*) AS n FROM events WHERE type IN ('alignment.assessed', 'summary.written')";
    assert_eq!(sandbox.run(&["query", sql, "-o", "csv"]).stdout, "n\n2\n");
}

#[test]
fn what_reads_the_summaries_of_madrox_reads_ours_but_we_do_not_read_our_own() {
    let sandbox = sandbox();
    assert_eq!(sandbox.run(&["watch", "--once"]).status, Some(0));
    let latest = sandbox.read("project/.agents/summaries/bg_1/latest_summary.json");
    let other = Sandbox::new()
        .with_file("project/.agents/agentlog.toml", "")
        .with_file("project/.agents/summaries/bg_1/latest_summary.json", &latest)
        .with_file("project/madrox_logs/summaries/s/bg_1/latest_summary.json", &latest);
    let assessed = || {
        let sql = "SELECT source, task, alignment FROM events WHERE type = 'alignment.assessed'";
        other.run(&["query", sql, "-o", "csv"]).stdout
    };
    let own = other.run(&["import", ".agents/summaries"]);
    assert_ne!(own.status, Some(1), "{}", own.stderr);
    assert!(!assessed().contains("drifting"), "{}", assessed());
    let theirs = other.run(&["import", "madrox_logs"]);
    assert_eq!(theirs.status, Some(0), "{}", theirs.stderr);
    assert_eq!(assessed(), "source,task,alignment\nmadrox,bg_1,drifting\n");
}

#[test]
fn without_agents_and_without_a_model_it_says_so() {
    let sandbox = Sandbox::new().with_file("project/.agents/agentlog.toml", "");
    let none = sandbox.run(&["summary"]);
    assert_eq!((none.status, none.stdout.starts_with("no agent is at work\n")), (Some(4), true));
    let model = sandbox.run(&["summary", "--model"]);
    assert_eq!(
        (model.status, model.stderr.contains("no model is configured")),
        (Some(3), true),
        "{}",
        model.stderr
    );
}

/// A model on a port of its own that answers one request with this text; gives the request.
fn model(text: &str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let usage = serde_json::json!({"prompt_tokens": 10, "completion_tokens": 5});
    let answer = serde_json::json!({"choices": [{"message": {"content": text}}], "usage": usage}).to_string();
    let serve = move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = String::new();
        // The question is one JSON object: it has arrived when it is whole.
        while request
            .split_once("\r\n\r\n")
            .is_none_or(|(_, body)| serde_json::from_str::<Value>(body).is_err())
        {
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).unwrap();
            assert!(count > 0, "{request}");
            request.push_str(&String::from_utf8_lossy(bytes.get(..count).unwrap()));
        }
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
        stream.write_all(format!("{head}{answer}").as_bytes()).unwrap();
        request
    };
    (url, std::thread::spawn(serve))
}

#[test]
fn a_model_is_asked_where_it_is_wanted_and_paid_for_in_the_log() {
    let good = r#"{"current_activity":"Sorts mail.","on_track_status":"off_track","confidence_score":0.9,"drift_reasons":["mail"],"alignment_keywords":[],"recommended_action":null}"#;
    for (text, status, sure) in [(good, "off_track", 0.9), ("It is off track.", "drifting", 0.26)] {
        let sandbox = sandbox();
        let (url, request) = model(text);
        let settings =
            format!("[summary.model]\nmodel = \"small\"\nurl = \"{url}\"\nkey_env = \"MODEL_KEY\"\n");
        sandbox.write("project/.agents/agentlog.toml", &settings);
        let keyless = sandbox.run(&["summary", "--model"]);
        assert_eq!(keyless.status, Some(3), "{}", keyless.stderr);
        assert!(keyless.stderr.contains("the variable MODEL_KEY holds no key"), "{}", keyless.stderr);
        let mut command = sandbox.command(&["summary", "--model", "-o", "json"]);
        let shown = crate::support::sandbox::run(command.env("MODEL_KEY", "key-of-a-test"));
        assert_eq!(shown.status, Some(0), "{}", shown.stderr);
        let found = &json(&shown.stdout)["summaries"][0];
        assert_eq!((&found["on_track_status"], &found["confidence_score"]), (&status.into(), &sure.into()));
        assert_eq!(shown.stderr.contains("these are the summaries of the rules"), status == "drifting");
        let request = request.join().unwrap();
        assert!(request.contains("Bearer key-of-a-test") && request.contains("notes/mail10.rs"), "{request}");
        let sql = "SELECT task, source, input_tokens, output_tokens, quality FROM usage";
        let spent = sandbox.run(&["query", sql, "-o", "csv"]).stdout;
        assert_eq!(
            spent,
            "task,source,input_tokens,output_tokens,quality\nagentlog,agentlog,10,5,measured\n"
        );
    }
}
