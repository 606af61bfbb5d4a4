//! The shape of the code, as tests: who may import whom, what a pure module may touch, how long a file may be.
//!
//! Each rule is a function from files to violations, so that the tests below can also feed it a file that breaks the
//! rule. The rules are textual ([`rust_text`]): a macro that builds a path from pieces slips through.

use crate::support::repository::{self, RepositoryFile};
use crate::support::rust_text::{self, NamedPath};

/// The modules in the order of the pipeline. A module imports only from rows above its own.
const ORDER: [&str; 13] = [
    "base",
    "event",
    "journal",
    "source",
    "projection",
    "alert",
    "query",
    "summary",
    "report",
    "view",
    "serve",
    "cli",
    "app",
];

/// Modules that may import less than everything above them, and what they may import.
const NARROWER: [(&str, &[&str], &str); 3] = [
    ("journal", &["base"], "it knows lines and bytes, not events"),
    ("source", &["base", "event"], "it emits and does not know where to"),
    ("event", &["base"], "the vocabulary depends on nothing that uses it"),
];

/// Modules that do no I/O, ask no clock, start no thread and draw no random number.
const PURE: [&str; 7] = ["event", "projection", "alert", "query", "summary", "report", "view"];

/// Paths and methods that touch the world.
const WORLD: [&str; 28] = [
    "std::fs",
    "std::env",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "io::stdin",
    "io::stdout",
    "io::stderr",
    "Instant::now",
    "SystemTime",
    "Utc::now",
    "Local",
    "SystemClock",
    "Uuid::new_v4",
    "Uuid::now_v7",
    "base::fs",
    "base::lock",
    "base::random",
    "journal::append",
    "journal::follow",
    "journal::read",
    "journal::reverse",
    "notify",
    "rayon",
    "rustix",
    "signal_hook",
    "terminal_size",
];

/// Methods of `Path` that ask the file system.
const WORLD_METHODS: [&str; 8] = [
    ".exists(",
    ".try_exists(",
    ".is_file(",
    ".is_dir(",
    ".metadata(",
    ".read_dir(",
    ".read_link(",
    ".canonicalize(",
];

/// A file that may touch one thing of the world after all.
struct Exception {
    file: &'static str,
    word: &'static str,
    #[expect(dead_code, reason = "read by people: an exception without a reason is a hole")]
    reason: &'static str,
}

/// Every hole in the purity rule. An exception that is not needed any more is a violation too.
const EXCEPTIONS: &[Exception] = &[];

/// Files may have so many lines, tests not counted.
const FILE_LINES_MAX: usize = 500;

fn modules_import_only_from_above(files: &[RepositoryFile]) -> Vec<String> {
    let mut violations = Vec::new();
    for (file, module, path) in named(files) {
        let [root, target, ..] = path.segments.as_slice() else { continue };
        if root != "crate" || target == module || module == "lib" || module == "main" {
            continue;
        }
        let place = |name: &str| ORDER.iter().position(|row| *row == name);
        let narrower = NARROWER.iter().find(|(row, ..)| *row == module);
        let at = format!("{}:{}: `{module}` imports `{target}`", file.path, path.line);
        match (place(module), place(target), narrower) {
            (None, ..) => violations.push(format!("{at}: `{module}` is in no row of the order")),
            (_, None, _) => violations.push(format!("{at}, which is in no row of the order")),
            (Some(own), Some(other), _) if other > own => {
                violations.push(format!("{at}, which stands below it"));
            }
            (_, _, Some((_, allowed, reason))) if !allowed.contains(&target.as_str()) => {
                violations.push(format!("{at}, but {reason}"));
            }
            _ => {}
        }
    }
    violations
}

fn pure_modules_touch_nothing(files: &[RepositoryFile], exceptions: &[Exception]) -> Vec<String> {
    let mut touched = Vec::new();
    for (file, module, path) in named(files) {
        if PURE.contains(&module) {
            touched.extend(
                WORLD.iter().filter(|word| path.contains(word)).map(|word| (&file.path, path.line, *word)),
            );
        }
    }
    for file in production(files).filter(|file| PURE.contains(&module_of(&file.path))) {
        for (idx, line) in rust_text::production_code(&file.text).lines().enumerate() {
            touched.extend(
                WORLD_METHODS
                    .iter()
                    .filter(|word| line.contains(**word))
                    .map(|word| (&file.path, idx + 1, *word)),
            );
        }
    }
    let excused = |file: &str, word: &str| exceptions.iter().any(|one| one.file == file && one.word == word);
    let unused = exceptions
        .iter()
        .filter(|one| !touched.iter().any(|(file, _, word)| file.as_str() == one.file && *word == one.word));
    let unused = unused.map(|one| format!("{}: the exception for `{}` is not needed", one.file, one.word));
    touched
        .iter()
        .filter(|(file, _, word)| !excused(file, word))
        .map(|(file, line, word)| format!("{file}:{line}: a pure module names `{word}`"))
        .chain(unused)
        .collect()
}

fn every_file_says_what_it_is_for(files: &[RepositoryFile]) -> Vec<String> {
    let silent = files.iter().filter(|file| !file.text.starts_with("//! "));
    silent.map(|file| format!("{}: does not begin with `//!`", file.path)).collect()
}

fn anyhow_stays_in_app(files: &[RepositoryFile]) -> Vec<String> {
    named(files)
        .filter(|(_, module, path)| {
            !matches!(*module, "app" | "main") && path.segments.first().is_some_and(|root| root == "anyhow")
        })
        .map(|(file, _, path)| format!("{}:{}: `anyhow` outside `app` and `main.rs`", file.path, path.line))
        .collect()
}

fn paths_start_at_the_crate_root(files: &[RepositoryFile]) -> Vec<String> {
    let relative = named(files)
        .filter(|(_, _, path)| path.segments.iter().any(|segment| segment == "super"))
        .map(|(file, _, path)| format!("{}:{}: `super::` outside tests", file.path, path.line));
    let mut violations: Vec<String> = relative.collect();
    for file in production(files) {
        let code = rust_text::production_code(&file.text);
        let children: Vec<&str> = code.lines().filter_map(declared_module).collect();
        for (idx, line) in code.lines().enumerate() {
            let used = line.trim_start().trim_start_matches("pub ").strip_prefix("use ");
            let head = used.and_then(|path| path.split("::").next());
            if let Some(child) = head.filter(|head| children.contains(head)) {
                violations.push(format!("{}:{}: `use {child}::` without `crate::`", file.path, idx + 1));
            }
        }
    }
    violations
}

fn files_fit_in_the_head(files: &[RepositoryFile]) -> Vec<String> {
    let sizes = production(files).map(|file| (&file.path, rust_text::line_count_without_tests(&file.text)));
    sizes
        .filter(|(_, lines)| *lines > FILE_LINES_MAX)
        .map(|(path, lines)| format!("{path}: {lines} lines without tests, more than {FILE_LINES_MAX}"))
        .collect()
}

/// `files` are those of one folder with a root file (`main.rs` or `mod.rs`) that must declare all others.
fn no_file_is_forgotten(files: &[RepositoryFile], root: &str) -> Vec<String> {
    let (folder, _) = root.rsplit_once('/').unwrap();
    let declared: Vec<&str> = files
        .iter()
        .filter(|file| file.path == root)
        .flat_map(|file| file.text.lines())
        .filter_map(declared_module)
        .collect();
    files
        .iter()
        .filter_map(|file| file.path.strip_prefix(folder)?.strip_prefix('/'))
        .filter(|path| !root.ends_with(path))
        .filter_map(|path| path.strip_suffix("/mod.rs").or_else(|| path.strip_suffix(".rs")))
        .filter(|name| !name.contains('/') && !declared.contains(name))
        .map(|name| format!("{folder}/{name}.rs is not declared in {root}"))
        .collect()
}

fn lib_declares_modules_in_the_order(files: &[RepositoryFile]) -> Vec<String> {
    let lib = files.iter().find(|file| file.path == "src/lib.rs");
    let declared: Vec<&str> =
        lib.iter().flat_map(|file| file.text.lines()).filter_map(declared_module).collect();
    let expected: Vec<&str> = ORDER.into_iter().filter(|row| declared.contains(row)).collect();
    if declared == expected { Vec::new() } else { vec![format!("src/lib.rs declares {declared:?}")] }
}

/// Every path named in production code, with its file and its top module.
fn named(files: &[RepositoryFile]) -> impl Iterator<Item = (&RepositoryFile, &str, NamedPath)> {
    production(files).flat_map(|file| {
        let module = module_of(&file.path);
        let paths = rust_text::named_paths(&rust_text::production_code(&file.text));
        paths.into_iter().map(move |path| (file, module, path))
    })
}

/// The files that are compiled into the program: without those that a parent declares under `#[cfg(test)]`.
fn production(files: &[RepositoryFile]) -> impl Iterator<Item = &RepositoryFile> {
    let tests: Vec<String> = files
        .iter()
        .flat_map(|file| {
            let folder = child_folder(&file.path);
            rust_text::test_items(&file.text).into_iter().flat_map(move |item| {
                item.lines()
                    .filter_map(declared_module)
                    .map(|name| format!("{folder}/{name}"))
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    files.iter().filter(move |file| {
        let is_below = |test: &String| {
            file.path.strip_prefix(test.as_str()).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        !tests.iter().any(is_below)
    })
}

/// Where the modules lie that a file declares.
fn child_folder(path: &str) -> &str {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    if ["mod.rs", "lib.rs", "main.rs"].contains(&name) { folder } else { path.trim_end_matches(".rs") }
}

/// `src/journal/append.rs` → `journal`, `src/lib.rs` → `lib`.
fn module_of(path: &str) -> &str {
    let path = path.strip_prefix("src/").unwrap_or(path);
    path.split('/').next().unwrap_or(path).trim_end_matches(".rs")
}

/// The name in `mod name;`, whatever its visibility.
fn declared_module(line: &str) -> Option<&str> {
    let (visibility, rest) = line.trim().split_once("mod ")?;
    (visibility.is_empty() || visibility.starts_with("pub")).then(|| rest.strip_suffix(';'))?
}

fn source() -> Vec<RepositoryFile> {
    repository::files("src", ".rs")
}

fn assert_none(violations: &[String]) {
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn modules_import_only_what_is_above_them() {
    assert_none(&modules_import_only_from_above(&source()));
    assert_none(&lib_declares_modules_in_the_order(&source()));
}

#[test]
fn pure_modules_do_not_touch_the_world() {
    assert_none(&pure_modules_touch_nothing(&source(), EXCEPTIONS));
}

#[test]
fn every_module_says_what_it_is_for() {
    for folder in ["src", "tests", "benches"] {
        assert_none(&every_file_says_what_it_is_for(&repository::files(folder, ".rs")));
    }
}

#[test]
fn anyhow_is_named_in_app_and_main_only() {
    assert_none(&anyhow_stays_in_app(&source()));
}

#[test]
fn every_path_starts_at_the_crate_root() {
    assert_none(&paths_start_at_the_crate_root(&source()));
}

#[test]
fn no_file_is_longer_than_one_can_hold_in_mind() {
    assert_none(&files_fit_in_the_head(&source()));
}

#[test]
fn no_test_file_is_forgotten() {
    let tests = repository::files("tests/it", ".rs");
    assert_none(&no_file_is_forgotten(&tests, "tests/it/main.rs"));
    assert_none(&no_file_is_forgotten(&tests, "tests/it/support/mod.rs"));
}

/// Rules that hold because they find nothing to complain about would also hold if they were blind. So each is shown a
/// file that breaks it, and one beside it that does not.
mod each_rule_sees_its_violation {
    use super::*;

    fn file(path: &str, text: &str) -> RepositoryFile {
        RepositoryFile { path: path.to_owned(), text: text.to_owned() }
    }

    /// The lines of `text`, each as a file of its own: those that `rule` complains about.
    fn complained<'a>(
        path: &str,
        lines: &[&'a str],
        rule: impl Fn(&[RepositoryFile]) -> Vec<String>,
    ) -> Vec<&'a str> {
        lines.iter().copied().filter(|line| !rule(&[file(path, line)]).is_empty()).collect()
    }

    #[test]
    fn imports() {
        let complaints =
            |path, lines: &[&'static str]| complained(path, lines, modules_import_only_from_above);
        let up = [
            "use crate::base::fs;",
            "use crate::{base::clock, journal::read};",
            "// crate::view",
            "use std::io;",
        ];
        assert_eq!(complaints("src/journal/append.rs", &up), Vec::<&str>::new());
        let down = [
            "use crate::event::body::Body;",
            "fn f() { crate::view::tail() }",
            "use crate::{base, projection::state};",
        ];
        assert_eq!(complaints("src/journal/append.rs", &down), down);
        let unknown = ["use crate::util::x;", "pub(in crate::app) fn f() {}"];
        assert_eq!(complaints("src/event/body.rs", &unknown), unknown);
        assert_eq!(complaints("src/manager/mod.rs", &["use crate::base::fs;"]), ["use crate::base::fs;"]);
        assert_eq!(
            complaints("src/source/tmux.rs", &["use crate::journal::append;"]),
            ["use crate::journal::append;"]
        );
        assert_eq!(
            complaints("src/view/tail.rs", &["#[cfg(test)] mod tests { use crate::app::x; }"]),
            Vec::<&str>::new()
        );
    }

    #[test]
    fn purity() {
        let complaints = |path, lines: &[&'static str]| {
            complained(path, lines, |files| pure_modules_touch_nothing(files, &[]))
        };
        let impure = [
            "use std::fs::File;",
            "use std::{collections::BTreeMap, env};",
            "fn f() { std::thread::spawn(g); }",
            "let now = Instant::now();",
            "let now = chrono::Utc::now();",
            "use std::time::SystemTime;",
            "use crate::base::{clock::SystemClock, text};",
            "let there = path.exists();",
            "std::io::stdout().write_all(b)",
        ];
        assert_eq!(complaints("src/projection/state.rs", &impure), impure);
        assert_eq!(complaints("src/journal/append.rs", &impure), Vec::<&str>::new());
        let pure = [
            "use std::io::Write;",
            "use std::time::Duration;",
            "use std::path::Path; // std::fs",
            "use crate::base::clock::Timestamp;",
        ];
        assert_eq!(complaints("src/projection/state.rs", &pure), Vec::<&str>::new());
    }

    #[test]
    fn an_exception_holds_for_one_file_and_must_be_needed() {
        let exceptions = [Exception { file: "src/report/cache.rs", word: "std::fs", reason: "the cache" }];
        let rule = |path| pure_modules_touch_nothing(&[file(path, "use std::fs::File;")], &exceptions);
        assert_eq!(rule("src/report/cache.rs"), Vec::<String>::new());
        assert_eq!(rule("src/report/weekly.rs").len(), 2);
    }

    #[test]
    fn manners_of_a_file() {
        assert_eq!(
            every_file_says_what_it_is_for(&[file("src/a.rs", "//! A.\n"), file("src/b.rs", "fn b() {}")])
                .len(),
            1
        );
        let lines = [
            "use anyhow::Context;",
            "fn f() -> anyhow::Result<()> {}",
            "use crate::base::fs; // anyhow::Result",
        ];
        assert_eq!(complained("src/journal/read.rs", &lines, anyhow_stays_in_app), &lines[..2]);
        assert_eq!(complained("src/app/tail.rs", &lines, anyhow_stays_in_app), Vec::<&str>::new());
        let lines = [
            "use super::state;",
            "pub mod state;\npub use state::State;",
            "pub(super) fn f() {}",
            "use crate::{a, super::b};",
        ];
        assert_eq!(
            complained("src/projection/mod.rs", &lines, paths_start_at_the_crate_root),
            [lines[0], lines[1], lines[3]]
        );
        let files = [
            file("src/projection/mod.rs", "#[cfg(test)]\nmod tests;\nmod state;"),
            file("src/projection/tests.rs", "use super::*;"),
            file("src/projection/tests/more.rs", "use super::*;"),
            file("src/projection/state.rs", "use super::*;"),
        ];
        assert_eq!(
            paths_start_at_the_crate_root(&files),
            ["src/projection/state.rs:1: `super::` outside tests"]
        );
    }

    #[test]
    fn size_and_completeness() {
        let long = "fn f() {}\n".repeat(FILE_LINES_MAX);
        let tests = format!("{long}#[cfg(test)]\nmod tests {{\n{long}}}\n");
        assert_eq!(files_fit_in_the_head(&[file("src/a.rs", &tests)]), Vec::<String>::new());
        assert_eq!(files_fit_in_the_head(&[file("src/a.rs", &format!("{long}fn g() {{}}\n"))]).len(), 1);

        let files = [
            file("t/it/main.rs", "mod one;\n"),
            file("t/it/one.rs", ""),
            file("t/it/two.rs", ""),
            file("t/it/three/mod.rs", ""),
        ];
        assert_eq!(no_file_is_forgotten(&files, "t/it/main.rs").len(), 2);
        assert_eq!(
            lib_declares_modules_in_the_order(&[file("src/lib.rs", "pub mod event;\npub mod base;\n")]).len(),
            1
        );
        assert_eq!(
            lib_declares_modules_in_the_order(&[file("src/lib.rs", "pub mod base;\npub mod event;\n")]),
            Vec::<String>::new()
        );
    }
}
