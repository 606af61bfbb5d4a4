//! Paths and names with placeholders: `logs/{case}_{beam}.log` finds files and says what each is called.
//!
//! A placeholder stands for at least one character of a name, as few as possible, so `{case}_{beam}` takes `a_b_c` apart as
//! `a` and `b_c`. Used twice it must be the same text. Beside placeholders a path may have the wildcards of the shell.

use crate::base::text::did_you_mean;
use regex::Regex;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The values of placeholders by name.
pub(crate) type Values = BTreeMap<String, String>;

/// A path, absolute, that may have placeholders and wildcards.
#[derive(Clone, Debug)]
pub(crate) struct PathTemplate {
    pieces: Vec<Piece>,
    matcher: Option<Matcher>,
}

#[derive(Clone, Debug)]
struct Matcher {
    regex: Regex,
    names: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// Text in which wildcards mean something.
    Pattern(String),
    Placeholder(String),
}

/// Why a template cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    #[error("`{{` without `}}` at byte {at} of `{text}`")]
    Open { at: usize, text: String },
    #[error("`{{{name}}}` in `{text}` is no placeholder of its paths; {known}")]
    Unknown { name: String, text: String, known: String },
    #[error("`{{{name}}}` in `{text}` cannot be filled: no path has it together with {names}")]
    Unmatched { name: String, text: String, names: String },
    #[error("`{text}` is no path: {reason}")]
    Pattern { text: String, reason: String },
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Text(text) | Piece::Pattern(text) => out.write_str(text),
            Piece::Placeholder(name) => write!(out, "{{{name}}}"),
        })
    }
}

impl PathTemplate {
    /// Reads a path that begins at `folder` where it is relative. `is_pattern`: wildcards mean something.
    pub(crate) fn parse(folder: &str, text: &str, is_pattern: bool) -> Result<Self, TemplateError> {
        let mut all = Vec::new();
        if !Path::new(text).is_absolute() {
            all.extend(pieces(folder)?);
            all.push(Piece::Text("/".to_owned()));
        }
        all.extend(pieces(text)?.into_iter().map(|piece| match piece {
            Piece::Text(text) if is_pattern && text.contains(['*', '?', '[']) => Piece::Pattern(text),
            piece => piece,
        }));
        let has_wildcards = all.iter().any(|piece| matches!(piece, Piece::Pattern(_)));
        let has_placeholders = all.iter().any(|piece| matches!(piece, Piece::Placeholder(_)));
        let matcher = if has_wildcards || has_placeholders { Some(Matcher::of(&all, text)?) } else { None };
        Ok(Self { pieces: all, matcher })
    }

    /// The names of its placeholders.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Placeholder(name) => Some(name.as_str()),
            Piece::Text(_) | Piece::Pattern(_) => None,
        })
    }

    /// Whether it has placeholders, and all of these.
    pub(crate) fn tells_all(&self, names: &[&str]) -> bool {
        !names.is_empty() && names.iter().all(|name| self.names().any(|own| own == *name))
    }

    /// The path with these values.
    pub(crate) fn filled(&self, values: &Values) -> PathBuf {
        PathBuf::from(fill(&self.pieces, values))
    }

    /// All paths that are there and fit, also those of any `values` given, with the values of their placeholders.
    pub(crate) fn found(&self, values: &Values) -> Vec<(PathBuf, Values)> {
        let Some(matcher) = &self.matcher else {
            let path = self.filled(values);
            return if path.exists() { vec![(path, Values::new())] } else { Vec::new() };
        };
        let pattern: String = self
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => glob::Pattern::escape(text),
                Piece::Pattern(text) => text.clone(),
                Piece::Placeholder(name) => {
                    values.get(name).map_or_else(|| "*".to_owned(), |value| glob::Pattern::escape(value))
                }
            })
            .collect();
        let paths = glob::glob(&pattern).into_iter().flatten().flatten();
        let fits = |path: PathBuf| {
            let found = matcher.values(&path.to_string_lossy())?;
            // `{a}_{b}` can be taken apart in several ways; the values that are given are one of them.
            let agrees = matcher.names.iter().all(|name| values.contains_key(name))
                || found.iter().all(|(name, value)| values.get(name).is_none_or(|given| given == value));
            agrees.then_some((path, found))
        };
        paths.filter_map(fits).collect()
    }

    /// The values of the placeholders in a path that was found elsewhere; `None` where it does not fit.
    pub(crate) fn values_of(&self, path: &Path) -> Option<Values> {
        match &self.matcher {
            Some(matcher) => matcher.values(&path.to_string_lossy()),
            None => (self.filled(&Values::new()) == path).then(Values::new),
        }
    }

    /// The pattern for a POSIX shell that all its paths fit; every other text in it is quoted.
    pub(crate) fn shell_pattern(&self) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let of_wildcards = |text: &str| {
            let mut pattern = String::new();
            let mut literal = String::new();
            for character in text.chars() {
                if matches!(character, '*' | '?' | '[' | ']' | '-' | '!') {
                    if !literal.is_empty() {
                        pattern.push_str(&quoted(&std::mem::take(&mut literal)));
                    }
                    pattern.push(character);
                } else {
                    literal.push(character);
                }
            }
            if !literal.is_empty() {
                pattern.push_str(&quoted(&literal));
            }
            pattern
        };
        let of_piece = |piece: &Piece| match piece {
            Piece::Text(text) => quoted(text),
            Piece::Pattern(text) => of_wildcards(text),
            Piece::Placeholder(_) => "*".to_owned(),
        };
        self.pieces.iter().map(of_piece).collect()
    }

    /// The deepest folder that all its paths lie in.
    pub(crate) fn root(&self) -> PathBuf {
        let mut fixed = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => fixed.push_str(text),
                Piece::Pattern(text) => {
                    fixed.push_str(text.split(['*', '?', '[']).next().unwrap_or_default());
                    break;
                }
                Piece::Placeholder(_) => break,
            }
        }
        let end = fixed.rfind('/').unwrap_or(0).max(1);
        PathBuf::from(fixed.get(..end).unwrap_or("/"))
    }
}

/// The names of all placeholders of some paths of one job, checked that one path has them all: a path that has them all
/// says which jobs there are, the others take the values found there.
///
/// # Errors
/// A name that the path with the most names lacks.
pub(crate) fn names_of<'p>(paths: &[&'p PathTemplate]) -> Result<Vec<&'p str>, TemplateError> {
    let mut fullest: Vec<&str> = Vec::new();
    for path in paths {
        let mut names: Vec<&str> = path.names().collect();
        names.sort_unstable();
        names.dedup();
        if names.len() > fullest.len() {
            fullest = names;
        }
    }
    for path in paths {
        if let Some(name) = path.names().find(|name| !fullest.contains(name)) {
            return Err(TemplateError::Unmatched {
                name: name.to_owned(),
                text: path.to_string(),
                names: listed(&fullest),
            });
        }
    }
    Ok(fullest)
}

/// A text with placeholders, such as a name or a title.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TextTemplate {
    pieces: Vec<Piece>,
}

impl TextTemplate {
    /// Reads a text whose placeholders must be among `known`.
    pub(crate) fn parse(text: &str, known: &[&str]) -> Result<Self, TemplateError> {
        let pieces = pieces(text)?;
        for piece in &pieces {
            if let Piece::Placeholder(name) = piece
                && !known.contains(&name.as_str())
            {
                let known = told(known, name);
                return Err(TemplateError::Unknown { name: name.clone(), text: text.to_owned(), known });
            }
        }
        Ok(Self { pieces })
    }

    /// The text with these values.
    pub(crate) fn filled(&self, values: &Values) -> String {
        fill(&self.pieces, values)
    }
}

impl Matcher {
    fn of(pieces: &[Piece], whole: &str) -> Result<Self, TemplateError> {
        let mut names = Vec::new();
        let mut pattern = String::from("(?s)^");
        for piece in pieces {
            match piece {
                Piece::Text(text) => pattern.push_str(&regex::escape(text)),
                Piece::Pattern(text) => push_wildcards(text, &mut pattern),
                Piece::Placeholder(name) => {
                    names.push(name.clone());
                    pattern.push_str("([^/]+?)");
                }
            }
        }
        pattern.push('$');
        let refused = |reason: String| TemplateError::Pattern { text: whole.to_owned(), reason };
        let regex = Regex::new(&pattern).map_err(|error| refused(error.to_string()))?;
        let globbed: String =
            pieces.iter().map(|piece| if let Piece::Pattern(text) = piece { text } else { "x" }).collect();
        glob::Pattern::new(&globbed).map_err(|error| refused(error.to_string()))?;
        Ok(Self { regex, names })
    }

    /// The values of the placeholders in a path; `None` where it does not fit, or one would have two values.
    fn values(&self, path: &str) -> Option<Values> {
        let captures = self.regex.captures(path)?;
        let mut values = Values::new();
        for (name, value) in self.names.iter().zip(captures.iter().skip(1)) {
            let value = value?.as_str().to_owned();
            if values.get(name).is_some_and(|known| *known != value) {
                return None;
            }
            values.insert(name.clone(), value);
        }
        Some(values)
    }
}

/// Which placeholders there are, the likeliest where one is meant.
fn told(known: &[&str], name: &str) -> String {
    match did_you_mean(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{{{near}}}`?"),
        None if known.is_empty() => "they have none".to_owned(),
        None => format!("they have {}", listed(known)),
    }
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("{{{name}}}")).collect::<Vec<_>>().join(", ")
}

fn pieces(text: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let at = text.len() - after.len() - 1;
        let (name, behind) =
            after.split_once('}').ok_or_else(|| TemplateError::Open { at, text: text.to_owned() })?;
        if !before.is_empty() {
            pieces.push(Piece::Text(before.to_owned()));
        }
        pieces.push(Piece::Placeholder(name.trim().to_owned()));
        rest = behind;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_owned()));
    }
    Ok(pieces)
}

fn fill(pieces: &[Piece], values: &Values) -> String {
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) | Piece::Pattern(text) => text.as_str(),
            Piece::Placeholder(name) => values.get(name).map_or("", String::as_str),
        })
        .collect()
}

/// Writes the wildcards of a shell as a regular expression.
fn push_wildcards(text: &str, pattern: &mut String) {
    let mut rest = text;
    while let Some((literal, wild)) = rest.find(['*', '?', '[']).and_then(|at| rest.split_at_checked(at)) {
        pattern.push_str(&regex::escape(literal));
        rest = if let Some(after) = wild.strip_prefix("**/") {
            pattern.push_str("(?:.*/)?");
            after
        } else if let Some(after) = wild.strip_prefix('*') {
            pattern.push_str("[^/]*");
            after
        } else if let Some(after) = wild.strip_prefix('?') {
            pattern.push_str("[^/]");
            after
        } else if let Some((_, after)) = wild.get(1..).and_then(|inner| inner.split_once(']')) {
            // The expansion of the pattern has matched the class already.
            pattern.push_str("[^/]");
            after
        } else {
            pattern.push_str("\\[");
            wild.get(1..).unwrap_or_default()
        };
    }
    pattern.push_str(&regex::escape(rest));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::fixture::write;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn placeholders_find_files_and_what_they_are_called() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().to_str().unwrap();
        for name in
            ["logs/c1_b1.log", "logs/c1_b_2.log", "logs/c1.log", "logs/deep/c1_b1.log", "logs/c1_b1.txt"]
        {
            write(&folder.path().join(name), "");
        }
        let template = PathTemplate::parse(base, "logs/{case}_{beam}.log", true).unwrap();
        let found = template.found(&Values::new());
        let expected = [
            ("logs/c1_b1.log", values(&[("beam", "b1"), ("case", "c1")])),
            ("logs/c1_b_2.log", values(&[("beam", "b_2"), ("case", "c1")])),
        ];
        assert_eq!(found, expected.map(|(name, values)| (folder.path().join(name), values)));
        assert_eq!(template.found(&values(&[("beam", "b1")])).len(), 1);
        assert_eq!(template.names().collect::<Vec<_>>(), ["case", "beam"]);
        assert_eq!(
            template.filled(&values(&[("case", "x"), ("beam", "y")])),
            folder.path().join("logs/x_y.log")
        );
        assert_eq!(template.root(), folder.path().join("logs"));
    }

    #[test]
    fn a_placeholder_used_twice_is_one_text() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().to_str().unwrap();
        for name in ["c1/c1.log", "c1/c2.log"] {
            write(&folder.path().join(name), "");
        }
        let template = PathTemplate::parse(base, "{case}/{case}.log", true).unwrap();
        let found = template.found(&Values::new());
        assert_eq!(found, [(folder.path().join("c1/c1.log"), values(&[("case", "c1")]))]);
    }

    #[test]
    fn wildcards_are_those_of_the_shell_also_beside_placeholders() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().to_str().unwrap();
        for name in ["a/x/run-1.log", "a/run-2.log", "a/runs.log", "a/run-3.txt"] {
            write(&folder.path().join(name), "");
        }
        let found = |text: &str| {
            let template = PathTemplate::parse(base, text, true).unwrap();
            let found = template.found(&Values::new()).into_iter();
            found
                .map(|(path, values)| {
                    (path.strip_prefix(folder.path()).unwrap().to_str().unwrap().to_owned(), values)
                })
                .collect::<Vec<_>>()
        };
        let both = [
            ("a/run-2.log".to_owned(), values(&[("n", "2")])),
            ("a/x/run-1.log".to_owned(), values(&[("n", "1")])),
        ];
        assert_eq!(found("a/**/run-{n}.log"), both);
        assert_eq!(found("a/run[-s]*.l?g").len(), 2);
        assert_eq!(found("a/nothing-*.log"), []);
    }

    #[test]
    fn without_wildcards_a_path_is_itself_and_need_not_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().to_str().unwrap();
        write(&folder.path().join("a[1].log"), "");
        let template = PathTemplate::parse(base, "a[1].log", false).unwrap();
        assert!(template.matcher.is_none());
        assert_eq!(template.found(&Values::new()), [(folder.path().join("a[1].log"), Values::new())]);
        assert_eq!(
            PathTemplate::parse(base, "/tmp/x/y.log", true).unwrap().filled(&Values::new()),
            Path::new("/tmp/x/y.log")
        );
        assert_eq!(PathTemplate::parse("/p", "none.log", true).unwrap().found(&Values::new()), []);
        assert_eq!(PathTemplate::parse("/p", "none.log", true).unwrap().root(), Path::new("/p"));
    }

    #[test]
    fn one_path_of_a_job_has_all_placeholders() {
        let path = |text: &str| PathTemplate::parse("/p", text, true).unwrap();
        let (both, one, other, none) = (path("{a}_{b}"), path("x/{b}"), path("{c}.log"), path("log"));
        assert_eq!(names_of(&[&none, &one, &both]), Ok(vec!["a", "b"]));
        assert_eq!(names_of(&[&none]), Ok(vec![]));
        assert!(both.tells_all(&["a", "b"]) && !one.tells_all(&["a", "b"]) && !none.tells_all(&[]));
        let error = names_of(&[&both, &other]).unwrap_err().to_string();
        assert_eq!(error, "`{c}` in `/p/{c}.log` cannot be filled: no path has it together with {a}, {b}");
    }

    #[test]
    fn values_that_are_given_decide_how_a_name_is_taken_apart() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("x_y_z.log"), "");
        let template =
            PathTemplate::parse(folder.path().to_str().unwrap(), "{case}_{beam}.log", true).unwrap();
        let found = |case, beam| template.found(&values(&[("case", case), ("beam", beam)])).len();
        assert_eq!((found("x", "y_z"), found("x_y", "z"), found("x", "z")), (1, 1, 0));
    }

    #[test]
    fn what_is_no_template_says_where() {
        let error = |text: &str| PathTemplate::parse("/p", text, true).unwrap_err().to_string();
        assert_eq!(error("{case.log"), "`{` without `}` at byte 0 of `{case.log`");
        assert!(error("a/b**c.log").starts_with("`a/b**c.log` is no path: "));
        let unknown = TextTemplate::parse("{case}_{baem}", &["case", "beam"]).unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "`{baem}` in `{case}_{baem}` is no placeholder of its paths; did you mean `{beam}`?"
        );
        assert_eq!(
            TextTemplate::parse("n-{case}", &["case"]).unwrap().filled(&values(&[("case", "1")])),
            "n-1"
        );
    }
}
