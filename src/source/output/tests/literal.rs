//! What the documents that this program is made for show, as it is written there: lines, markers, patterns and objects.

use super::*;

/// What these lines claim of the end and how far they say the work is, without any configuration.
fn plainly(lines: &[&str]) -> (Option<f64>, Vec<Ended>) {
    let mut job = Job::new("");
    let ended = job.lines(lines);
    (job.output.progress().percent, ended)
}

#[test]
fn the_structured_log_ends_by_its_last_message() {
    let lines = [
        r#"{"timestamp": "2025-10-28T14:30:52Z", "level": "INFO", "message": "Agent started"}"#,
        r#"{"timestamp": "2025-10-28T14:30:55Z", "level": "INFO", "message": "Processing file 1/10"}"#,
        r#"{"timestamp": "2025-10-28T14:31:00Z", "level": "ERROR", "message": "Failed to parse file"}"#,
        r#"{"timestamp": "2025-10-28T14:31:05Z", "level": "INFO", "message": "Agent completed"}"#,
    ];
    let (said, ended) = read("", &lines);
    let mut first = progress(1, 10, 10.0);
    first["step"] = json!("Processing file 1/10");
    let error = json!({"type": "error.matched", "pattern": "ERROR", "category": "unknown_error", "message": "Failed to parse file"});
    assert_eq!((said, ended), (vec![first, error], completed("Agent completed")));
}

#[test]
fn only_a_message_of_nothing_but_these_words_ends_and_only_where_no_other_sign_is_named() {
    let line = |message: &str| format!(r#"{{"level": "INFO", "message": "{message}"}}"#);
    for message in ["Agent completed 3 of 5 files", "Subagent completed", "completed", "Agent started"] {
        assert_eq!(plainly(&[&line(message)]).1, [], "{message}");
    }
    assert_eq!(plainly(&[&line("Task completed successfully")]).1, completed("Task completed successfully"));
    assert_eq!(plainly(&[&line("Task failed")]).1, failed("Task failed"));
    for config in ["success = 'fine'", "markers = 'DONE'", "preset = 'mqi'"] {
        assert_eq!(read(config, &[&line("Agent completed")]).1, [], "{config}");
    }
}

#[test]
fn progress_in_a_structured_log_ends_at_a_hundred_percent() {
    let half = r#"{"event": "progress", "current": 5, "total": 10, "percent": 50}"#;
    let whole = r#"{"event": "progress", "current": 10, "total": 10, "percent": 100}"#;
    assert_eq!(plainly(&[half]), (Some(50.0), Vec::new()));
    assert_eq!(plainly(&[half, whole]), (Some(100.0), completed("progress 100 %")));
    assert_eq!(read("success = 'fine'", &[whole]).1, [], "another sign of the end is named");
    let tasks = r#"{"total_tasks": 10, "completed_tasks": 5, "current_task": "Processing file 6", "percent_complete": 50}"#;
    assert_eq!(plainly(&[tasks]), (Some(50.0), Vec::new()));
}

#[test]
fn a_percentage_that_is_called_progress_is_one_and_no_end() {
    assert_eq!(plainly(&["Progress: 45%"]), (Some(45.0), Vec::new()));
    assert_eq!(plainly(&["Progress: 100%"]), (Some(100.0), Vec::new()));
    assert_eq!(plainly(&["45% of the disk"]), (None, Vec::new()));
}

#[test]
fn the_completion_markers_are_found() {
    assert_eq!(plainly(&["DONE"]).1, completed("marker DONE"));
    let line = r#"{"status": "completed", "timestamp": "2025-10-28T14:35:00Z"}"#;
    assert_eq!(plainly(&[line]).1, completed("status completed"));
}

#[test]
fn lines_may_stand_behind_a_time_in_brackets() {
    assert_eq!(plainly(&["[2025-10-28 14:30:52] DONE"]).1, completed("marker DONE"));
    let line = r#"[2025-10-28 14:30:52] {"timestamp": "2025-10-28T14:31:05Z", "level": "INFO", "message": "Agent completed"}"#;
    assert_eq!(plainly(&[line]).1, completed("Agent completed"));
    assert_eq!(parse_time(line), Timestamp::parse("2025-10-28T14:31:05Z"));
}

#[test]
fn the_message_of_a_tracker_is_progress_and_says_its_end() {
    let message = |status: &str, percent: u32| {
        format!(
            r#"{{"type": "progress", "data": {{"taskId": "task_1", "agentId": "agent_1", "status": "{status}", "iteration": 2, "maxIterations": 20, "progress": {percent}, "criteriaVerified": 1, "criteriaTotal": 4, "filesCreated": [], "logs": [], "completedAt": null}}}}"#
        )
    };
    assert_eq!(plainly(&[&message("in_progress", 25)]), (Some(25.0), Vec::new()));
    assert_eq!(plainly(&[&message("complete", 25)]).1, completed("status complete"));
    assert_eq!(plainly(&[&message("failed", 25)]).1, failed("status failed"));
}

#[test]
fn the_markers_of_the_simulation_are_its_ends() {
    let config = r#"
        success_pattern = "Simulation completed successfully"
        failure_patterns = ["FATAL ERROR", "ERROR:", "Segmentation fault"]
    "#;
    assert_eq!(
        read(config, &["Simulation completed successfully"]).1,
        completed("Simulation completed successfully")
    );
    for line in ["FATAL ERROR", "ERROR: no beam", "Segmentation fault"] {
        assert_eq!(read(config, &[line]).1, failed(line));
    }
}
