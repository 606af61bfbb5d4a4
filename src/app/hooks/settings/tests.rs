//! Settings files as people have them.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn wanted() -> Wanted {
    Wanted {
        agent: "claude-code",
        events: &["Stop", "SessionEnd"],
        handler: vec![
            ("type", json!("command")),
            ("command", json!("agentlog")),
            ("args", json!(["hook", "claude-code"])),
            ("async", json!(true)),
            ("timeout", json!(5)),
        ],
    }
}

fn value(text: &str) -> Value {
    plain(&parse(text.trim_start_matches(BYTE_ORDER_MARK)).unwrap().value().unwrap())
}

/// Files in which every value has lines of its own, as editors and the agents themselves write them.
const SHAPES: [&str; 9] = [
    "{}\n",
    "{\n  \"model\": \"opus\"\n}\n",
    "{\n\t\"model\": \"opus\",\n\t\"env\": {\n\t\t\"A\": \"1\"\n\t}\n}",
    "{\r\n    \"model\": \"opus\"\r\n}\r\n",
    "\u{feff}{\n  \"model\": \"opus\"\n}\n",
    "// mine\n{\n  // which\n  \"model\": \"opus\", // this\n  /* end */\n}\n",
    "{\n  \"model\": \"opus\" // note\n}\n",
    "{\n      \"hooks\": {\n         \"Stop\": [\n      {\n        \"matcher\": \"\",\n \"hooks\": [\n   { \"type\": \"command\", \"command\": \"say done\" }\n ]\n      }\n         ]\n      },\n  \"z\": 1e3\n}\n",
    "{\n  \"hooks\": {\n    \"PreToolUse\": [\n      {\n        \"hooks\": [\n          {\n            \"type\": \"command\",\n            \"command\": \"lint\",\n          },\n        ],\n      },\n    ],\n  },\n}\n",
];

#[test]
fn a_file_that_was_installed_into_and_out_of_is_as_before_byte_by_byte() {
    for text in SHAPES {
        let installed = install(text, &wanted()).unwrap();
        assert_ne!(installed, text);
        assert_eq!(uninstall(&installed, "claude-code").unwrap(), text);
    }
}

#[test]
fn everything_else_stands_where_and_as_it_stood() {
    for text in SHAPES.into_iter().skip(1) {
        let installed = install(text, &wanted()).unwrap();
        let mut lines = installed.lines();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let stem = line.trim_end_matches(',');
            let found =
                lines.any(|other| other.starts_with(stem) || other.replace(',', "") == line.replace(',', ""));
            assert!(found, "{line:?} of {text:?} is not in {installed}");
        }
        assert_eq!(installed.contains("\r\n"), text.contains("\r\n"));
        assert_eq!(
            installed.matches("\r\n").count(),
            if text.contains("\r\n") { installed.lines().count() } else { 0 }
        );
    }
}

#[test]
fn nothing_and_one_line_become_files_with_our_hooks() {
    let ours =
        json!({"Stop": [{"hooks": [wanted().handler()]}], "SessionEnd": [{"hooks": [wanted().handler()]}]});
    for (text, expected) in [
        ("", json!({"hooks": ours})),
        (" \n", json!({"hooks": ours})),
        ("{}", json!({"hooks": ours})),
        ("{\"a\":[1,2]}", json!({"a": [1, 2], "hooks": ours})),
        ("{\"hooks\":{\"Stop\":[]}}", json!({"hooks": ours})),
    ] {
        assert_eq!(value(&install(text, &wanted()).unwrap()), expected, "{text:?}");
    }
}

#[test]
fn installing_twice_is_installing_once() {
    for text in SHAPES {
        let once = install(text, &wanted()).unwrap();
        assert_eq!(install(&once, &wanted()).unwrap(), once);
    }
}

#[test]
fn an_older_form_of_our_hook_is_replaced() {
    let old = Wanted {
        handler: vec![("type", json!("command")), ("command", json!("/old/agentlog hook claude-code"))],
        ..wanted()
    };
    let text = install("{\n  \"a\": 1\n}\n", &old).unwrap();
    let stands = standing(&text, &wanted()).unwrap();
    assert_eq!((stands.current.len(), stands.other.len()), (0, 2));
    assert_eq!(stands.programs, ["/old/agentlog"]);
    let renewed = install(&text, &wanted()).unwrap();
    assert_eq!(renewed, install("{\n  \"a\": 1\n}\n", &wanted()).unwrap());
    assert_eq!(standing(&renewed, &wanted()).unwrap().current, ["Stop", "SessionEnd"]);
}

#[test]
fn hooks_of_others_are_not_ours() {
    let handlers = [
        json!({"type": "command", "command": "agentlog status"}),
        json!({"type": "command", "command": "agentlog hook codex"}),
        json!({"type": "command", "command": "notagentlog hook claude-code"}),
        json!({"type": "command", "command": "echo hook claude-code"}),
        json!({"type": "command", "command": "agentlog", "args": ["hook", "claude-code", "more"]}),
        json!({"type": "http", "url": "http://localhost"}),
        json!("text"),
    ];
    for handler in handlers {
        assert!(!is_ours(&handler, "claude-code"), "{handler}");
        let text = json!({"hooks": {"Stop": [{"hooks": [handler]}]}}).to_string();
        assert_eq!(uninstall(&text, "claude-code").unwrap(), text);
    }
    let ours = json!({"type": "command", "command": "'/my bin/agentlog' hook claude-code"});
    assert_eq!(program_of(&ours, "claude-code").as_deref(), Some("/my bin/agentlog"));
}

#[test]
fn of_a_group_with_two_handlers_only_ours_goes() {
    let text =
        json!({"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "a"}, wanted().handler()]}]}})
            .to_string();
    let expected = json!({"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "a"}]}]}});
    assert_eq!(value(&uninstall(&text, "claude-code").unwrap()), expected);
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    for (text, told) in [
        ("{\n  \"a\": 1\n  \"b\": 2\n}", "2:9: is no JSON: expected comma"),
        ("{\"a\": }", "1:"),
        ("{", "1:1: is no JSON: "),
        ("[]", "`the file` is not an object"),
        ("{\"hooks\": []}", "`hooks` is not an object"),
        ("{\"hooks\": {\"Stop\": {}}}", "`hooks.Stop` is not an array"),
        ("{a: 1}", "1:2: is no JSON: "),
        ("{'a': 1}", "1:2: is no JSON: "),
    ] {
        let error = install(text, &wanted()).unwrap_err().to_string();
        assert!(error.starts_with(told), "{text:?}: {error}");
    }
}

#[test]
fn hooks_that_are_turned_off_are_told() {
    let text = install("{\n  \"disableAllHooks\": true\n}\n", &wanted()).unwrap();
    assert!(standing(&text, &wanted()).unwrap().disabled);
    assert!(!standing("{}", &wanted()).unwrap().is_any());
}

/// Any JSON, with whitespace wherever it may stand.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![Just("1".to_owned()), Just("\"x\"".to_owned()), Just("null".to_owned())];
    let gap = prop_oneof![Just(""), Just(" "), Just("\n  "), Just("\r\n"), Just(" // c\n")];
    leaf.prop_recursive(3, 12, 3, move |inner| {
        let gap = gap.clone();
        let name = prop_oneof![Just("hooks"), Just("Stop"), Just("a"), Just("command")];
        prop_oneof![
            prop::collection::vec((gap.clone(), inner.clone()), 0..3).prop_map(|items| {
                let items: Vec<String> = items.iter().map(|(gap, item)| format!("{gap}{item}")).collect();
                format!("[{}]", items.join(","))
            }),
            prop::collection::vec((gap, name, inner), 0..3).prop_map(|items| {
                let items: Vec<String> = items
                    .iter()
                    .map(|(gap, name, item)| format!("{gap}\"{name}\":{gap}{item}{gap}"))
                    .collect();
                format!("{{{}}}", items.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn of_any_file_the_meaning_is_kept_and_nothing_panics(text in any_json()) {
        if let Ok(installed) = install(&text, &wanted()) {
            prop_assert_eq!(&install(&installed, &wanted()).unwrap(), &installed);
            let without = uninstall(&installed, "claude-code").unwrap();
            prop_assert!(!standing(&without, &wanted()).unwrap().is_any());
            let mut before = value(&text);
            let mut after = value(&without);
            for document in [&mut before, &mut after] {
                // An empty list that we filled is gone.
                if let Some(hooks) = document.get_mut("hooks").and_then(Value::as_object_mut) {
                    hooks.retain(|_, groups| groups.as_array().is_none_or(|groups| !groups.is_empty()));
                    if hooks.is_empty() {
                        document.as_object_mut().unwrap().remove("hooks");
                    }
                }
            }
            prop_assert_eq!(before, after);
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}|[{}\\[\\],:\"a1/* \n\\\\]{0,30}") {
        let _ = install(&text, &wanted());
        let _ = uninstall(&text, "claude-code");
        let _ = standing(&text, &wanted());
    }
}
