//! A `[[remote]]` section made ready: patterns compiled, paths taken apart, and checked that they fit together.

use crate::source::batch::course::Rules;
use crate::source::batch::template::{PathTemplate, TemplateError, TextTemplate, names_of};
use crate::source::output::{PatternError, Patterns};
use crate::source::remote::RemoteConfig;
use std::sync::Arc;

/// Nobody is asked more often, …
const INTERVAL_SECONDS_MIN: f64 = 0.05;
/// … or so seldom that the other side takes us for gone.
const INTERVAL_SECONDS_MAX: f64 = 120.0;

/// Jobs of one section.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub(super) config: RemoteConfig,
    pub(super) rules: Rules,
    pub(super) patterns: Arc<Patterns>,
    pub(super) ssh: Vec<String>,
    pub(super) name: TextTemplate,
    pub(super) parent: Option<TextTemplate>,
    pub(super) title: Option<TextTemplate>,
    pub(super) log: Option<PathTemplate>,
    pub(super) status: Option<PathTemplate>,
    pub(super) exit_code: Option<PathTemplate>,
}

/// Why a section cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum KindError {
    #[error("has no `name`")]
    Nameless,
    #[error("has no `host`, or one that ssh would take for an option")]
    Hostless,
    #[error("names nothing to watch: `log`, `status_file` or `exit_code_file`")]
    Nothing,
    #[error("`{text}` cannot be asked for over a line: it has {what}")]
    Path { key: &'static str, text: String, what: &'static str },
    #[error("`interval_seconds` is no number of seconds")]
    Seconds,
    #[error("`ssh` is not well quoted")]
    Ssh,
    #[error("{error}")]
    Template { key: &'static str, error: TemplateError },
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

impl KindError {
    /// The key that is wrong.
    pub(super) fn key(&self) -> Option<String> {
        let key = match self {
            Self::Nothing => return None,
            Self::Pattern(error) => return Some(error.path()),
            Self::Nameless => "name",
            Self::Hostless => "host",
            Self::Path { key, .. } | Self::Template { key, .. } => key,
            Self::Seconds => "interval_seconds",
            Self::Ssh => "ssh",
        };
        Some(key.to_owned())
    }
}

impl Kind {
    /// Makes a section ready.
    pub(super) fn of(config: &RemoteConfig) -> Result<Self, KindError> {
        if config.name.trim().is_empty() {
            return Err(KindError::Nameless);
        }
        if config.host.trim().is_empty() || config.host.starts_with('-') {
            return Err(KindError::Hostless);
        }
        if !(0.0..1e12).contains(&config.interval_seconds) {
            return Err(KindError::Seconds);
        }
        let (log, status, exit_code) = (
            path("log", config.log.as_deref())?,
            path("status_file", config.status_file.as_deref())?,
            path("exit_code_file", config.exit_code_file.as_deref())?,
        );
        let paths = [&log, &status, &exit_code];
        if paths.iter().all(|path| path.is_none()) {
            return Err(KindError::Nothing);
        }
        let at = |key| move |error| KindError::Template { key, error };
        let known = names_of(&paths.into_iter().flatten().collect::<Vec<_>>()).map_err(at("log"))?;
        let whole = |key, text: &String| TextTemplate::parse(text, &known).map_err(at(key));
        let name = whole("name", &config.name)?;
        let parent = config.parent.as_ref().map(|text| whole("parent", text)).transpose()?;
        let title = config.title.as_ref().map(|text| whole("title", text)).transpose()?;
        Ok(Self {
            rules: Rules {
                declares_exit_code: config.exit_code_file.is_some(),
                declares_status: config.status_file.is_some(),
                asks_for_marker: !config.patterns.markers.is_empty(),
                ..Rules::default()
            },
            patterns: Arc::new(Patterns::compile(&config.patterns)?),
            ssh: words(&config.ssh).filter(|words| !words.is_empty()).ok_or(KindError::Ssh)?,
            config: config.clone(),
            name,
            parent,
            title,
            log,
            status,
            exit_code,
        })
    }

    /// The paths that say which jobs there are, each with whether it is that of logs; none: there is one job.
    pub(super) fn anchors(&self) -> Vec<(&PathTemplate, bool)> {
        let paths = [(&self.log, true), (&self.status, false), (&self.exit_code, false)];
        let paths: Vec<_> =
            paths.into_iter().filter_map(|(path, is_log)| Some((path.as_ref()?, is_log))).collect();
        let names = names_of(&paths.iter().map(|(path, _)| *path).collect::<Vec<_>>()).unwrap_or_default();
        paths.into_iter().filter(|(path, _)| path.tells_all(&names)).collect()
    }

    /// Whether the logs say which jobs there are, so that each belongs to one.
    pub(super) fn is_anchored_by_log(&self) -> bool {
        self.anchors().iter().any(|(_, is_log)| *is_log)
    }

    /// How often quiet files are looked at.
    pub(super) fn interval(&self) -> std::time::Duration {
        let seconds = self.config.interval_seconds.clamp(INTERVAL_SECONDS_MIN, INTERVAL_SECONDS_MAX);
        std::time::Duration::from_secs_f64(seconds)
    }
}

fn path(key: &'static str, text: Option<&str>) -> Result<Option<PathTemplate>, KindError> {
    let Some(text) = text else { return Ok(None) };
    let is_pattern = key == "log";
    let refused = |what| KindError::Path { key, text: text.to_owned(), what };
    if text.contains(['\n', '\r', '\0']) {
        return Err(refused("control characters"));
    }
    if is_pattern && text.contains("**") {
        return Err(refused("`**`, which shells do not have in common"));
    }
    let from_home = text.strip_prefix("~/").unwrap_or(text);
    let parsed = PathTemplate::parse(".", from_home, is_pattern);
    parsed.map(Some).map_err(|error| KindError::Template { key, error })
}

/// A command line taken apart as a shell does it, without anything that a shell would put in.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, character) if character.is_whitespace() => words.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (Some(open), character) if open == character => quote = None,
            (None | Some('"'), '\\') => word.get_or_insert_default().push(characters.next()?),
            (_, character) => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl Fn(&mut RemoteConfig)) -> String {
        let mut config = RemoteConfig {
            host: "cluster".into(),
            name: "{case}".into(),
            log: Some("/data/{case}.log".into()),
            ..RemoteConfig::default()
        };
        assert!(Kind::of(&config).is_ok());
        change(&mut config);
        Kind::of(&config).unwrap_err().to_string()
    }

    #[test]
    fn a_section_that_cannot_be_used_says_why() {
        assert_eq!(refused(|config| config.name.clear()), "has no `name`");
        let hostless = "has no `host`, or one that ssh would take for an option";
        assert_eq!(refused(|config| config.host.clear()), hostless);
        assert_eq!(refused(|config| config.host = "-oProxyCommand=x".into()), hostless);
        assert!(refused(|config| config.log = None).starts_with("names nothing to watch"));
        assert!(refused(|config| config.log = Some("a\nb".into())).ends_with("it has control characters"));
        assert!(refused(|config| config.log = Some("/d/**/{case}.log".into())).contains("`**`"));
        assert!(refused(|config| config.interval_seconds = -1.0).starts_with("`interval_seconds`"));
        assert_eq!(refused(|config| config.ssh = "ssh -F 'x".into()), "`ssh` is not well quoted");
        assert_eq!(refused(|config| config.ssh = " ".into()), "`ssh` is not well quoted");
        assert!(refused(|config| config.status_file = Some("{beam}.txt".into())).contains("`{beam}`"));
        assert!(refused(|config| config.patterns.success = vec!["(".into()]).contains("pattern `(`"));
    }

    #[test]
    fn the_program_may_have_arguments_with_spaces() {
        let words = |line| words(line).unwrap();
        assert_eq!(
            words("ssh  -F '/a b/c' -o \"X=\\\"y\" d\\ e ''"),
            ["ssh", "-F", "/a b/c", "-o", "X=\"y", "d e", ""]
        );
    }
}
