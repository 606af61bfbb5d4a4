use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_794_819_600_000);

fn id() -> EventId {
    EventId::at(NOW, [7; 10])
}

fn prepared(line: &str) -> Result<String, String> {
    let defaults = Defaults { event_type: None, task: Some("T"), agent: None };
    of_line(line, defaults, NOW, || Ok(id()))
        .map(|prepared| String::from_utf8(prepared.object).unwrap())
        .map_err(|error| error.to_string())
}

fn with_head(rest: &str) -> String {
    format!(r#"{{"v":1,"id":"{}","ts":"2026-11-16T09:00:00.000Z","type":{rest}"#, id())
}

#[test]
fn words_and_an_object_that_say_the_same_are_the_same_event() {
    let expected = with_head(r#""progress.reported","task":"T","current":2,"step":"two words"}"#);
    assert_eq!(prepared("progress.reported current=2 step='two words'"), Ok(expected.clone()));
    assert_eq!(
        prepared(r#"{"type":"progress.reported","st\u0065p":"two words","current":2,"total":null}"#),
        Ok(expected)
    );
}

#[test]
fn the_envelope_is_as_the_line_says() {
    assert_eq!(
        prepared(r#"{"type":"task.started","task":"U","agent":"a","id":"01234567-89ab-7fff-bfff-ffffffffffff","ts":"2026-11-16T08:00:00Z"}"#),
        Ok(r#"{"v":1,"id":"01234567-89ab-7fff-bfff-ffffffffffff","ts":"2026-11-16T08:00:00.000Z","observed_at":"2026-11-16T09:00:00.000Z","type":"task.started","task":"U","agent":"a"}"#.to_owned())
    );
}

#[test]
fn unknown_fields_are_kept_without_their_secrets() {
    let token = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
    let line = format!(
        r#"{{"type":"note.logged","text":"x","build":12345678901234567890123,"deep":{{"list":["{token}",true,null],"password":"correct horse"}},"long":"{}"}}"#,
        "y".repeat(1000)
    );
    let expected = with_head(&format!(
        r#""note.logged","task":"T","text":"x","build":12345678901234567890123,"deep":{{"list":["[redacted:github_token]",true,null],"password":"[redacted:named_value]"}},"long":"{}"}}"#,
        "y".repeat(1000)
    ));
    assert_eq!(prepared(&line), Ok(expected));
}

#[test]
fn what_is_no_event_is_refused_with_its_reason() {
    let long = format!(r#"{{"type":"note.logged","text":"x","pad":"{}"}}"#, "y".repeat(LINE_BYTES_MAX));
    for (line, reason) in [
        (r#"{"type":"note.loged","text":"x"}"#, "there is no event type `note.loged`"),
        (r#"{"type":"source.failed"}"#, "source.failed is written by agentlog itself only"),
        (r#"{"type":"note.logged"}"#, "note.logged: field `text` is missing or has the wrong type"),
        (r#"{"type":"note.logged","text":1}"#, "note.logged: field `text` is missing or has the wrong type"),
        (r#"{"text":"x"}"#, "the object has no `type`"),
        (r#"{"type":"note.logged","text":"x","w":"q"}"#, "`w` is written by agentlog itself only"),
        (r#"{"type":"note.logged","text":"x","id":"7"}"#, "`id` is no UUID"),
        (r#"{"type":"note.logged","text":"x","a":1,"\u0061":2}"#, "`a` stands there twice"),
        (r#"{"type":"note.logged","text":"x","v":2}"#, "`v` is 2; this program writes version 1"),
        (r#"{"type":"note.logged","text":"x","a":"\ud800"}"#, "`a` holds half a character"),
        (r#"{"type":"#, "not a JSON object: expected a value at byte 8"),
        (&long, "longer than a line may be (262144 bytes)"),
        ("note.logged txt=x", "note.logged has no field `txt`"),
        ("note.logged text='x", "a quote is not closed"),
        ("text=x", "the line names no type"),
    ] {
        assert_eq!(prepared(line), Err(reason.to_owned()));
    }
}
