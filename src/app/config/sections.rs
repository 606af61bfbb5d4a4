//! What is wrong with the sections that name what is watched (`[[job]]`, `[[jsonl]]`, `[[tmux]]`, `[[remote]]`): asked of
//! the sources themselves, and given the place in the text where it stands. Judges nothing by itself.

use crate::app::config::complaint::{Complaint, place};
use crate::source::Objection;
use crate::source::generic_jsonl::{self, Jsonl};
use crate::source::job::{self, JobConfig};
use crate::source::remote::{self, RemoteConfig};
use crate::source::tmux::{self, TmuxConfig};
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The sections of one text.
#[derive(Clone, Copy, Debug)]
pub struct Sections<'c> {
    /// `[[job]]`.
    pub job: &'c [JobConfig],
    /// `[[jsonl]]`.
    pub jsonl: &'c [Jsonl],
    /// `[[tmux]]`.
    pub tmux: &'c [TmuxConfig],
    /// `[[remote]]`.
    pub remote: &'c [RemoteConfig],
}

/// What was found in one text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What cannot be used.
    pub complaints: Vec<Complaint>,
    /// What may be meant otherwise.
    pub warnings: Vec<Complaint>,
}

impl Sections<'_> {
    /// What is wrong with them, each thing at its place in `text`; relative paths begin at `base`.
    #[must_use]
    pub fn findings(self, text: &str, base: &Path) -> Findings {
        let (document, _) = DeTable::parse_recoverable(text);
        let mut findings = Findings::default();
        for (kind, objections) in [
            ("job", job::objections(self.job, base)),
            ("jsonl", generic_jsonl::objections(self.jsonl, base)),
            ("tmux", tmux::objections(self.tmux)),
            ("remote", remote::objections(self.remote)),
        ] {
            for objection in objections {
                let is_warning = objection.is_warning;
                let complaint = complaint(text, document.get_ref(), kind, objection);
                let told = if is_warning { &mut findings.warnings } else { &mut findings.complaints };
                told.push(complaint);
            }
        }
        findings.complaints.sort_by_key(|complaint| complaint.place);
        findings.warnings.sort_by_key(|complaint| complaint.place);
        findings
    }
}

fn complaint(text: &str, document: &DeTable<'_>, kind: &str, objection: Objection) -> Complaint {
    let Objection { section, key, message, .. } = objection;
    let offset = offset(document, kind, section, key.as_deref().unwrap_or_default());
    let key = key.map_or_else(String::new, |key| format!(".{key}"));
    Complaint {
        place: offset.map(|offset| place(text, offset)),
        message: format!("{kind}[{section}]{key}: {message}"),
    }
}

/// Where a key of a section stands, or as much of its path as there is.
fn offset(document: &DeTable<'_>, kind: &str, section: usize, path: &str) -> Option<usize> {
    let mut at: &Spanned<DeValue<'_>> = document.get(kind)?.get_ref().as_array()?.get(section)?;
    for name in path.split('.').filter(|name| !name.is_empty()) {
        let next = match at.get_ref() {
            DeValue::Table(table) => table.get(name),
            DeValue::Array(array) => name.parse::<usize>().ok().and_then(|place| array.get(place)),
            _ => None,
        };
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    Some(at.span().start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct All {
        job: Vec<JobConfig>,
        jsonl: Vec<Jsonl>,
        tmux: Vec<TmuxConfig>,
        remote: Vec<RemoteConfig>,
    }

    fn findings(text: &str, base: &Path) -> (Vec<String>, Vec<String>) {
        let All { job, jsonl, tmux, remote } = toml::from_str(text).unwrap();
        let sections = Sections { job: &job, jsonl: &jsonl, tmux: &tmux, remote: &remote };
        let Findings { complaints, warnings } = sections.findings(text, base);
        let texts = |all: Vec<Complaint>| all.iter().map(ToString::to_string).collect();
        (texts(complaints), texts(warnings))
    }

    #[test]
    fn each_thing_that_is_wrong_stands_at_its_place() {
        let base = tempfile::tempdir().unwrap();
        let complaint = |text: &str| findings(text, base.path()).0.join("\n");
        let job = |more: &str| format!("[[job]]\nname = \"a\"\nlog = \"{{case}}.log\"\n{more}\n");
        for (text, expected) in [
            (job("patterns = { failure = \"(\" }"), "4:24: job[0].patterns.failure: `failure`: pattern `(`: "),
            (
                job("patterns = { progress = '\\d+' }"),
                "4:25: job[0].patterns.progress: `progress`: pattern `\\d+`: no group tells what is meant; name one of current, total",
            ),
            (
                job("title = \"{cas}\""),
                "4:9: job[0].title: `{cas}` in `{cas}` is no placeholder of its paths; did you mean `{case}`?",
            ),
            (job("status_file = \"{beam}.txt\""), "4:15: job[0].status_file: `{beam}` in `"),
            (job("idle_seconds = -1.0"), "4:16: job[0].idle_seconds: `idle_seconds` is no number of seconds"),
            ("[[job]]\nname = \"a\"\n".to_owned(), "1:1: job[0]: names nothing to watch: `log`"),
            ("[[job]]\nlog = \"a\"\n".to_owned(), "1:1: job[0].name: has no `name`"),
            (job("[[job]]\nname = \"a\"\nlog = \"b\""), "5:8: job[1].name: is there twice with this name"),
            (
                "[[tmux]]\nsessions = \"(\"\n".to_owned(),
                "2:12: tmux[0].sessions: `sessions` is no regular expression: ",
            ),
            ("[[tmux]]\npatterns = { success = \"[\" }\n".to_owned(), "2:24: tmux[0].patterns.success: "),
            ("[[remote]]\nname = \"a\"\nlog = \"x\"\n".to_owned(), "1:1: remote[0].host: has no `host`"),
            (
                "[[remote]]\nname = \"a\"\nhost = \"h\"\nlog = \"a/**/b\"\n".to_owned(),
                "4:7: remote[0].log: `a/**/b` cannot be asked for over a line",
            ),
            (
                "[[jsonl]]\nname = \"n\"\npaths = [\"x\"]\n[[jsonl.rule]]\nwhen = { a = 1 }\nemit = \"task.startd\"\n"
                    .to_owned(),
                "6:8: jsonl[0].rule.0.emit: \"task.startd\" is no event that a rule gives",
            ),
            ("[[jsonl]]\nname = \"N\"\n".to_owned(), "2:8: jsonl[0].name: must be 1 to 40 small letters"),
        ] {
            let told = complaint(&text);
            assert!(told.starts_with(expected), "{text}\n{told}\n{expected}");
            assert_eq!(told.lines().count(), 1, "{told}");
        }
    }

    #[test]
    fn a_path_at_which_nothing_is_yet_is_a_warning() {
        let base = tempfile::tempdir().unwrap();
        let text = "[[job]]\nname = \"a\"\nlog = \"logs/a.log\"\n[[job]]\nname = \"off\"\nlog = \"x\"\nenabled = false\n";
        let (complaints, warnings) = findings(text, base.path());
        assert_eq!(complaints, Vec::<String>::new());
        let path = base.path().join("logs/a.log");
        assert_eq!(warnings, [format!("3:7: job[0].log: nothing is there yet: {}", path.display())]);
        std::fs::create_dir(base.path().join("logs")).unwrap();
        crate::base::fs::replace(&path, b"").unwrap();
        assert_eq!(findings(text, base.path()), (Vec::new(), Vec::new()));
    }
}
