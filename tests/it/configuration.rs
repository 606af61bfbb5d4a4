//! Settings from all their sources, as the real program takes and shows them; and the page that lists them.

use crate::support::repository;
use crate::support::sandbox::Sandbox;
use agentlog::app::config::layer::{Layer, Place};
use agentlog::app::config::{self, Config, shape};
use serde_json::Value;
use std::fmt::Write as _;

const PAGE: &str = "docs/CONFIGURATION.md";

#[test]
fn every_setting_is_shown_with_where_it_comes_from() {
    let sandbox = Sandbox::new()
        .with_file(
            "home/.config/agentlog/config.toml",
            "[health]\nfailure_streak = 10\nidentical_calls = 11\n",
        )
        .with_file(
            "project/.agents/agentlog.toml",
            "[health]\nfailure_streak = 20\n\n[health.tool_budgets_ms]\n\"a.b\" = 1\n",
        );
    let mut command = sandbox.command(&["--set", "health.stale_after_ms=4", "config", "show", "-o", "json"]);
    let shown = crate::support::sandbox::run(command.env("AGENTLOG_HEALTH_STUCK_AFTER_MS", "30"));
    assert_eq!(shown.status, Some(0), "{}", shown.stderr);
    let document: Value = serde_json::from_str(&shown.stdout).unwrap();
    let of = |key: &str| {
        let settings = document["settings"].as_array().unwrap();
        let setting = settings.iter().find(|setting| setting["key"] == key).unwrap();
        let origin = &setting["origin"];
        let path = origin["path"].as_str().unwrap_or("").rsplit('/').next().unwrap_or("").to_owned();
        (
            setting["value"].to_string(),
            origin["from"].as_str().unwrap().to_owned(),
            path,
            origin["line"].as_u64(),
        )
    };
    let told = |value: &str, from: &str, file: &str, line| {
        (value.to_owned(), from.to_owned(), file.to_owned(), line)
    };
    assert_eq!(of("health.failure_streak"), told("20", "file", "agentlog.toml", Some(2)));
    assert_eq!(of("health.identical_calls"), told("11", "file", "config.toml", Some(3)));
    assert_eq!(of("health.stuck_after_ms"), told("30", "variable", "", None));
    assert_eq!(of("health.stale_after_ms"), told("4", "flag", "", None));
    assert_eq!(of("health.tool_budgets_ms.a.b"), told("1", "file", "agentlog.toml", Some(5)));
    assert_eq!(of("journal.daily"), told("false", "default", "", None));
    assert_eq!(of("journal.keep_days"), told("null", "default", "", None));

    let text = sandbox.run(&["config", "show"]);
    assert_eq!(text.status, Some(0), "{}", text.stderr);
    let layer = Layer { from: Place::File("shown".into()), text: text.stdout };
    assert_eq!(config::complaints(&[layer]), Vec::<String>::new(), "what is shown is a configuration");
}

#[test]
fn what_is_wrong_is_named_and_other_commands_refuse_to_go_on() {
    let sandbox = Sandbox::new()
        .with_file("project/.agents/agentlog.toml", "[health]\nfailure_streek = 2\nstuck_after_ms = \"x\"\n")
        .with_file("project/good.toml", "[journal]\ndaily = true\n");
    let expected = [
        "agentlog.toml:2:1: unknown key `failure_streek` in [health]; did you mean `failure_streak`?",
        "agentlog.toml:3:18: health.stuck_after_ms is a text, but must be a whole number ≥ 0",
    ];
    let check = sandbox.run(&["config", "check"]);
    assert_eq!(check.status, Some(3), "{}", check.stderr);
    let lines: Vec<&str> = check.stdout.lines().map(|line| line.rsplit('/').next().unwrap()).collect();
    assert_eq!(lines, expected);
    let status = sandbox.run(&["status"]);
    assert_eq!((status.status, status.stdout.as_str()), (Some(3), ""));
    assert!(status.stderr.contains("did you mean `failure_streak`?"), "{}", status.stderr);
    let good = sandbox.run(&["config", "check", "good.toml"]);
    assert_eq!((good.status, good.stdout.as_str()), (Some(0), "all is well in 1 file\n"));
    assert_eq!(sandbox.run(&["config", "path"]).status, Some(0));
    assert_eq!(sandbox.run(&["--set", "nonsense", "status"]).status, Some(2));
}

/// The table of the keys of a section.
fn table(section: &str) -> String {
    let mut table = String::from("| key | value | default | variable | meaning |\n|---|---|---|---|---|\n");
    for key in shape::keys(&Config::schema("")).iter().filter(|key| key.section == section) {
        let default = match &key.default {
            _ if key.is_required => "must be set".to_owned(),
            None => "not set".to_owned(),
            Some(Value::Array(items)) if items.is_empty() => "`[]`".to_owned(),
            Some(default) => format!("`{default}`"),
        };
        let variable = key.variable().map_or_else(String::new, |variable| format!("`{variable}`"));
        let meaning = key.meaning.replace('|', "\\|");
        writeln!(table, "| `{}` | {} | {default} | {variable} | {meaning} |", key.name, key.kind).unwrap();
    }
    table
}

/// The page with the tables that the code makes, each between its two marks; what is missing is added at the end.
fn page(written: &str) -> String {
    let mut page = written.trim_end().to_owned() + "\n";
    let keys = shape::keys(&Config::schema(""));
    let mut sections: Vec<(&str, bool)> =
        keys.iter().map(|key| (key.section.as_str(), key.is_list)).collect();
    sections.dedup();
    for (section, is_list) in sections {
        let (begin, end) = (format!("<!-- keys of {section} -->\n"), "<!-- end of keys -->\n");
        if !page.contains(&begin) {
            let heading = if is_list { format!("[[{section}]]") } else { format!("[{section}]") };
            let meaning = shape::meaning_of(&Config::schema(""), section);
            write!(page, "\n## `{heading}`\n\n{meaning}\n\n{begin}{end}").unwrap();
        }
        let start = page.find(&begin).unwrap() + begin.len();
        let stop = start + page[start..].find(end).unwrap_or_else(|| panic!("{begin} has no end"));
        page.replace_range(start..stop, &table(section));
    }
    page
}

#[test]
fn the_page_about_settings_lists_those_that_the_code_knows() {
    let path = repository::root().join(PAGE);
    let written = std::fs::read_to_string(&path).unwrap();
    if std::env::var_os("UPDATE").is_some() {
        agentlog::base::fs::replace(&path, page(&written).as_bytes()).unwrap();
    }
    let hint = "run `UPDATE=1 cargo test --test it configuration`";
    assert_eq!(std::fs::read_to_string(&path).unwrap(), page(&written), "{hint}");
}

/// The examples: what stands between ```toml and ```.
fn examples(page: &str) -> Vec<&str> {
    page.split("```toml\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(text, _)| text).collect()
}

#[test]
fn every_example_of_the_page_is_understood_and_every_section_has_one() {
    let page = std::fs::read_to_string(repository::root().join(PAGE)).unwrap();
    let examples = examples(&page);
    for text in &examples {
        let layer = Layer { from: Place::File(PAGE.into()), text: (*text).to_owned() };
        assert_eq!(config::complaints(&[layer]), Vec::<String>::new(), "{text}");
    }
    let keys = shape::keys(&Config::schema(""));
    let lacks = |section: &&str| !examples.iter().any(|text| text.contains(&format!("[{section}")));
    let mut without: Vec<&str> = keys.iter().map(|key| key.section.as_str()).filter(lacks).collect();
    without.dedup();
    assert_eq!(without, Vec::<&str>::new(), "sections without an example in {PAGE}");
}
