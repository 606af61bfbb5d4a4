//! The documents, as tests: a document that nobody executes will lie.

use crate::support::repository::{self, RepositoryFile};
use agentlog::query::table::Table;
use std::fmt::Write as _;
use std::path::Path;

/// Folders that exist on the machine of whoever wrote the program, and on no other. Split, so that this file does not
/// break its own rule.
const MACHINE_FOLDERS: [&str; 4] =
    [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/fa", "rm/"), concat!("/tmp/", "wt")];

/// Links of markdown files to files that are not there.
fn dead_links(files: &[RepositoryFile], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut dead = Vec::new();
    for file in files {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for target in link_targets(&file.text) {
            let path = target.split('#').next().unwrap_or("");
            if path.is_empty() || path.contains("://") || path.starts_with("mailto:") {
                continue;
            }
            if !exists(&resolve(folder, path)) {
                dead.push(format!("{}: the link to {target} leads nowhere", file.path));
            }
        }
    }
    dead
}

/// What stands in `](…)`, outside code blocks.
fn link_targets(text: &str) -> Vec<&str> {
    let mut in_code = false;
    let prose = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    });
    prose
        .flat_map(|line| line.split("](").skip(1))
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.split_whitespace().next().unwrap_or(""))
        .collect()
}

fn resolve(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// Words in backticks that have the form of a test's name (a sentence of four words or more), and are none.
fn unknown_tests(document: &str, sources: &[RepositoryFile]) -> Vec<String> {
    let is_sentence = |word: &&str| {
        word.matches('_').count() >= 3
            && word.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    let words = document.split('`').skip(1).step_by(2).filter(is_sentence);
    words
        .filter(|word| !sources.iter().any(|file| file.text.contains(&format!("fn {word}("))))
        .map(|word| format!("no test is called `{word}`"))
        .collect()
}

/// Lines that name a folder of one particular machine.
fn machine_paths(files: &[RepositoryFile]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for (idx, line) in file.text.lines().enumerate() {
            for folder in MACHINE_FOLDERS {
                // In `https://host/work/x` or `../work/` the slash does not begin an absolute path.
                let is_absolute = |(place, _): (usize, &str)| {
                    let before = line.get(..place).unwrap_or("").chars().next_back();
                    !before.is_some_and(|c| c.is_alphanumeric() || "._-~/}".contains(c))
                };
                if line.match_indices(folder).any(is_absolute) {
                    found.push(format!("{}:{}: names {folder}", file.path, idx + 1));
                }
            }
        }
    }
    found
}

fn assert_none(violations: &[String]) {
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn every_link_of_a_document_leads_to_a_file() {
    let root = repository::root();
    assert_none(&dead_links(&repository::files("", ".md"), |path| root.join(Path::new(path)).exists()));
}

#[test]
fn the_architecture_names_only_tests_that_exist() {
    let documents = repository::files("docs", "ARCHITECTURE.md");
    let sources = [repository::files("src", ".rs"), repository::files("tests", ".rs")].concat();
    assert_eq!(documents.len(), 1);
    for document in documents {
        assert_none(&unknown_tests(&document.text, &sources));
        assert!(document.text.contains("`modules_import_only_what_is_above_them`"));
    }
}

#[test]
fn the_changelog_knows_the_version() {
    let changelog = repository::files("", "CHANGELOG.md");
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        changelog.iter().any(|file| file.text.contains(version)),
        "CHANGELOG.md does not mention {version}"
    );
}

#[test]
fn no_file_names_a_folder_of_one_machine() {
    assert_none(&machine_paths(&repository::files("", "")));
}

#[test]
fn each_check_sees_what_it_is_for() {
    let file = |path: &str, text: &str| RepositoryFile { path: path.to_owned(), text: text.to_owned() };
    let text = "[a](b.md) [c](../d.md#e) [f](https://x/y)\n```\n[g](gone.md)\n```\n[h](#i)";
    assert_eq!(dead_links(&[file("docs/a.md", text)], |path| path == "docs/b.md").len(), 1);
    assert_eq!(dead_links(&[file("docs/a.md", text)], |path| path == "d.md" || path == "docs/b.md").len(), 0);

    let sources = [file("src/a.rs", "fn a_test_that_is_here() {}")];
    let text = "`a_test_that_is_here`, `a_test_that_is_gone`, `not_a_test`";
    assert_eq!(unknown_tests(text, &sources), ["no test is called `a_test_that_is_gone`"]);

    let [work, root, ..] = MACHINE_FOLDERS;
    let text = format!("cd {work}main\nhttps://x.org{work}\n\"{root}a\"\n..{work}a\n");
    let lines: Vec<String> = machine_paths(&[file("a", &text)]);
    assert_eq!(lines, [format!("a:1: names {work}"), format!("a:3: names {root}")]);
}

/// The page about the tables of `agentlog query`, from the tables themselves.
fn tables_page() -> String {
    let mut page = String::from(
        "# The tables of `agentlog query`\n\nGenerated from the code; `UPDATE=1 cargo test --test it docs` writes it anew. \
         `agentlog query 'SHOW TABLES'` prints the same.\nInstants are text, RFC 3339 in UTC with six digits of fraction, so \
         that they sort; weeks and days are those of `--tz`.\n",
    );
    for table in Table::ALL {
        let (name, row) = (table.name(), table.row());
        write!(page, "\n## {name}\n\nA row is {row}.\n\n| column | type | meaning |\n|---|---|---|\n")
            .unwrap();
        for column in table.columns() {
            let meaning = column.meaning.replace('|', "\\|");
            writeln!(page, "| `{}` | {} | {meaning} |", column.name, column.column_type.word()).unwrap();
        }
    }
    page
}

#[test]
fn the_page_about_the_tables_is_that_of_the_code() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/TABLES.md");
    if std::env::var_os("UPDATE").is_some() {
        agentlog::base::fs::replace(&path, tables_page().as_bytes()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), tables_page());
}
