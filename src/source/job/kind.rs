//! A `[[job]]` section made ready: patterns compiled, paths taken apart, and checked that they fit together.

use crate::source::batch::course::Rules;
use crate::source::batch::template::{PathTemplate, TemplateError, TextTemplate, Values, names_of};
use crate::source::job::config::JobConfig;
use crate::source::output::{PatternError, Patterns};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The keys of the paths.
const PATHS: [&str; 5] = ["log", "status_file", "progress_file", "exit_code_file", "pid_file"];
/// Where the log stands among them.
const LOG: usize = 0;

/// Jobs of one section.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub(super) config: JobConfig,
    pub(super) rules: Rules,
    pub(super) patterns: Arc<Patterns>,
    pub(super) throttle_percent: f64,
    pub(super) name: TextTemplate,
    pub(super) parent: Option<TextTemplate>,
    pub(super) title: Option<TextTemplate>,
    pub(super) workspace: PathTemplate,
    pub(super) log: Option<PathTemplate>,
    pub(super) status: Option<PathTemplate>,
    pub(super) progress: Option<PathTemplate>,
    pub(super) exit_code: Option<PathTemplate>,
    pub(super) pid: Option<PathTemplate>,
    pub(super) required_files: Vec<TextTemplate>,
}

/// The files by which a job was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) files: Vec<PathBuf>,
    /// Those of them that are logs.
    pub(super) logs: Vec<PathBuf>,
}

/// Why a section cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum KindError {
    #[error("has no `name`")]
    Nameless,
    #[error(
        "names nothing to watch: `log`, `status_file`, `progress_file`, `exit_code_file`, `pid_file` or `pid`"
    )]
    Nothing,
    #[error("`{key}` is no number of seconds")]
    Seconds { key: &'static str },
    #[error("is there twice with this name: only the first one is watched")]
    Twice,
    #[error("{error}")]
    Template { key: &'static str, error: TemplateError },
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

impl KindError {
    /// The key that is wrong.
    pub(super) fn key(&self) -> Option<String> {
        match self {
            Self::Nameless | Self::Twice => Some("name".to_owned()),
            Self::Nothing => None,
            Self::Seconds { key } | Self::Template { key, .. } => Some((*key).to_owned()),
            Self::Pattern(error) => Some(error.path()),
        }
    }
}

impl Kind {
    /// Makes a section ready; relative paths begin at `base`.
    pub(super) fn of(config: &JobConfig, base: &Path) -> Result<Self, KindError> {
        check(config)?;
        let base = base.to_string_lossy();
        let root = config.workspace.as_deref().unwrap_or_default();
        let folder = if root.is_empty() {
            base.clone().into_owned()
        } else {
            Path::new(&*base).join(root).to_string_lossy().into_owned()
        };
        let at = |key| move |error| KindError::Template { key, error };
        let path = |place: usize, text: &Option<String>| {
            let key = PATHS.get(place).copied().unwrap_or_default();
            let parsed = text.as_deref().map(|text| PathTemplate::parse(&folder, text, place == LOG));
            parsed.transpose().map_err(at(key))
        };
        let workspace = PathTemplate::parse("", &folder, false).map_err(at("workspace"))?;
        let log = path(LOG, &config.log)?;
        let [status, progress] = [path(1, &config.status_file)?, path(2, &config.progress_file)?];
        let [exit_code, pid] = [path(3, &config.exit_code_file)?, path(4, &config.pid_file)?];
        let paths = [&log, &status, &progress, &exit_code, &pid];
        let known = names_of(&paths.into_iter().flatten().collect::<Vec<_>>()).map_err(|error| {
            let is_it = |path: &PathTemplate| matches!(&error, TemplateError::Unmatched { text, .. } if path.to_string() == *text);
            let place = paths.into_iter().position(|path| path.as_ref().is_some_and(is_it));
            at(place.and_then(|place| PATHS.get(place).copied()).unwrap_or_default())(error)
        })?;
        let whole = |key, text: &String| TextTemplate::parse(text, &known).map_err(at(key));
        let name = whole("name", &config.name)?;
        let parent = config.parent.as_ref().map(|text| whole("parent", text)).transpose()?;
        let title = config.title.as_ref().map(|text| whole("title", text)).transpose()?;
        let required = config.required_files.iter().map(|name| whole("required_files", name));
        let required_files = required.collect::<Result<_, _>>()?;
        let patterns = config.all_patterns();
        let (declares_exit_code, declares_status) =
            (config.exit_code_file.is_some(), config.status_file.is_some());
        let tells_its_end = declares_exit_code || declares_status || patterns.says_its_end();
        Ok(Self {
            rules: Rules {
                declares_exit_code,
                declares_status,
                asks_for_marker: !config.markers_of_completion().is_empty(),
                ends_by_progress: config.progress_file.is_some() && !tells_its_end,
                max_run_seconds: config.max_run_seconds,
                idle_seconds: config.idle_seconds,
            },
            throttle_percent: patterns.update_throttle_percent,
            patterns: Arc::new(Patterns::compile(&patterns)?),
            config: config.clone(),
            name,
            parent,
            title,
            workspace,
            log,
            status,
            progress,
            exit_code,
            pid,
            required_files,
        })
    }

    /// The jobs that are there, by what any of the paths finds that have all placeholders; where no path has placeholders
    /// there is one job.
    pub(super) fn jobs(&self) -> BTreeMap<Values, Found> {
        let paths: Vec<&PathTemplate> = self.paths().into_iter().flatten().collect();
        let names = names_of(&paths).unwrap_or_default();
        let mut jobs: BTreeMap<Values, Found> = BTreeMap::new();
        for (place, path) in self.paths().into_iter().enumerate() {
            let Some(path) = path.filter(|path| path.tells_all(&names)) else { continue };
            for (file, values) in path.found(&Values::new()) {
                let found = jobs.entry(values).or_default();
                if place == LOG {
                    found.logs.push(file.clone());
                }
                found.files.push(file);
            }
        }
        if names.is_empty() {
            jobs.entry(Values::new()).or_default();
        }
        if let Some(log) = self.log.as_ref().filter(|log| !log.tells_all(&names)) {
            for (values, found) in &mut jobs {
                found.logs = log.found(values).into_iter().map(|(path, _)| path).collect();
            }
        }
        jobs
    }

    /// The keys whose files are not there, each with the path that is waited for.
    pub(super) fn absent(&self) -> impl Iterator<Item = (&'static str, &PathTemplate)> {
        let named = PATHS.into_iter().zip(self.paths()).filter_map(|(key, path)| Some((key, path?)));
        named.filter(|(_, path)| path.found(&Values::new()).is_empty())
    }

    /// The folders in which its files come and go.
    pub(super) fn roots(&self) -> impl Iterator<Item = PathBuf> {
        self.paths().into_iter().flatten().map(PathTemplate::root)
    }

    /// The log is the one at [`LOG`].
    const fn paths(&self) -> [Option<&PathTemplate>; 5] {
        [
            self.log.as_ref(),
            self.status.as_ref(),
            self.progress.as_ref(),
            self.exit_code.as_ref(),
            self.pid.as_ref(),
        ]
    }
}

fn check(config: &JobConfig) -> Result<(), KindError> {
    if config.name.trim().is_empty() {
        return Err(KindError::Nameless);
    }
    let files =
        [&config.log, &config.status_file, &config.progress_file, &config.exit_code_file, &config.pid_file];
    if files.iter().all(|file| file.is_none()) && config.pid.is_none() {
        return Err(KindError::Nothing);
    }
    let seconds = BTreeMap::from([
        ("max_run_seconds", config.max_run_seconds),
        ("idle_seconds", config.idle_seconds),
        ("max_duration_seconds", config.max_duration_seconds),
        ("poll_interval_seconds", Some(config.poll_interval_seconds)),
        ("timeout_seconds", Some(config.timeout_seconds)),
    ]);
    let is_wrong = |seconds: &Option<f64>| seconds.is_some_and(|seconds| !(0.0..1e12).contains(&seconds));
    let wrong = seconds.into_iter().find(|(_, seconds)| is_wrong(seconds));
    wrong.map_or(Ok(()), |(key, _)| Err(KindError::Seconds { key }))
}
