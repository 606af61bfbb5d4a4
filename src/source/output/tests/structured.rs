//! Lines of JSON, and the times at the beginning of lines.

use super::*;
use crate::base::zone::Zone;

#[test]
fn the_structured_log_of_the_seed_is_read() {
    let lines = [
        r#"{"timestamp": "2025-10-28T14:30:52Z", "level": "INFO", "message": "Agent started"}"#,
        r#"{"timestamp": "2025-10-28T14:30:55Z", "level": "INFO", "message": "Processing file 1/10"}"#,
        r#"{"timestamp": "2025-10-28T14:31:00Z", "level": "ERROR", "message": "Failed to parse file"}"#,
        r#"{"timestamp": "2025-10-28T14:31:05Z", "level": "INFO", "message": "Agent completed"}"#,
        "{not json",
    ];
    let config = "progress = 'Processing file (\\d+)/(\\d+)'\nsuccess = '^Agent completed$'";
    let error = json!({"type": "error.matched", "pattern": "ERROR", "category": "unknown_error", "message": "Failed to parse file"});
    assert_eq!(read(config, &lines), (vec![progress(1, 10, 10.0), error], completed("Agent completed")));
}

#[test]
fn progress_and_ends_are_said_by_their_keys() {
    let line = r#"{"event": "progress", "current": 5, "total": 10, "percent": 50}"#;
    assert_eq!(read("", &[line]).0, [progress(5, 10, 50.0)]);
    let line = r#"{"total_tasks": 10, "completed_tasks": 5, "current_task": "Processing file 6", "percent_complete": 50}"#;
    let mut expected = progress(5, 10, 50.0);
    expected["step"] = json!("Processing file 6");
    assert_eq!(read("", &[line]).0, [expected]);
    let end = |line: &str| read("", &[line]).1;
    assert_eq!(
        end(r#"{"status": "completed", "timestamp": "2025-10-28T14:35:00Z"}"#),
        completed("status completed")
    );
    assert_eq!(end(r#"{"status": "FAILED", "error": "no disk"}"#), failed("status failed: no disk"));
    assert_eq!(end(r#"{"level": "info", "msg": "request", "status": "completed"}"#), []);
    assert_eq!(end(r#"{"status": "running"}"#), []);
    assert_eq!(end(r#"{"status": 200}"#), []);
}

#[test]
fn an_object_over_several_lines_is_put_together() {
    let lines = ["{", "  \"status\": \"completed\",", "  \"files\": 3", "}"];
    assert_eq!(read("", &lines), (Vec::new(), completed("status completed")));
    let many: Vec<_> = std::iter::once("{").chain(std::iter::repeat_n("\"x\": 1,", 10_000)).collect();
    let mut job = Job::new("");
    job.lines(&many);
    assert!(job.output.open.len() <= OPEN_BYTES_MAX);
    assert_eq!(job.lines(&lines), completed("status completed"));
}

#[test]
fn the_level_decides_what_is_an_error_and_not_the_words() {
    let said = |line: &str| read("", &[line]).0;
    assert_eq!(said(r#"{"level":"info","msg":"ERROR count: 0"}"#), Vec::<Value>::new());
    for level in ["\"error\"", "\"FATAL\"", "\"Critical\"", "50", "60"] {
        assert_eq!(said(&format!(r#"{{"level":{level},"msg":"x"}}"#)).len(), 1, "{level}");
    }
    assert_eq!(said(r#"{"msg":"ERROR x"}"#).len(), 1, "without a level the words decide");
}

#[test]
fn a_time_with_a_zone_is_the_time_of_its_line() {
    let expected = Timestamp::parse("2025-10-28T14:30:52Z");
    for line in [
        "2025-10-28T14:30:52Z x",
        "[2025-10-28T14:30:52Z] x",
        "2025-10-28 14:30:52+00:00 x",
        "2025-10-28T15:30:52+0100",
        "(2025-10-28 14:30:52 UTC) x",
        "<34>1 2025-10-28T14:30:52Z host app - - - x",
        r#"{"timestamp":"2025-10-28T14:30:52Z"}"#,
        r#"{"ts":1761661852}"#,
        r#"{"time":1761661852000}"#,
        r#"{"ts":"1761661852"}"#,
    ] {
        assert_eq!(parse_time(line), expected, "{line}");
    }
    let fraction = Timestamp::parse("2025-10-28T14:30:52.125Z");
    assert_eq!(parse_time("2025-10-28 13:30:52,125 -0100 x"), fraction);
    assert_eq!(parse_time(r#"{"ts":1761661852.125}"#), fraction);
}

#[test]
fn a_time_without_a_zone_is_used_only_where_the_zone_is_configured() {
    for line in
        ["[2025-10-28 14:30:52] x", "2025-10-28 14:30:52,000 x", r#"{"timestamp":"2025-10-28T14:30:52.000"}"#]
    {
        assert_eq!(parse_time(line), None, "{line}");
        let zoned = |zone: &str| {
            let config = PatternsConfig { time_zone: Some(zone.to_owned()), ..PatternsConfig::default() };
            Patterns::compile(&config).unwrap().time(line)
        };
        assert_eq!(zoned("utc"), Timestamp::parse("2025-10-28T14:30:52Z"), "{line}");
        assert_eq!(zoned("Europe/Berlin"), Timestamp::parse("2025-10-28T13:30:52Z"), "{line}");
    }
    for line in [
        "",
        "14:30:52 x",
        "Oct 28 14:30:52 host x",
        "2025-13-28 14:30:52 x",
        "1761661852 x",
        "{\"ts\":3}",
        "[é",
    ] {
        assert_eq!(time::time_in(line, Some(Zone::Utc)), None, "{line}");
    }
}
