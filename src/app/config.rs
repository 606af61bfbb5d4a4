//! The settings. `--set` goes before `AGENTLOG_*`, these before `.agents/agentlog.toml`, this before the user's own file,
//! and that before the defaults. A setting that is not known is refused, never passed over.

pub mod command;
pub mod complaint;
pub mod layer;
pub mod sections;
pub mod shape;

use crate::alert::rule::Rule as AlertRule;
use crate::app::completion::config::{Rule, VerifyConfig};
use crate::app::config::complaint::Complaint;
use crate::app::config::layer::{Layer, Place};
use crate::app::config::sections::{Findings, Sections};
use crate::app::config::shape::{Key, Shape};
use crate::app::environment::{self, variable};
use crate::app::exit::{Exit, Failure};
use crate::app::project::Project;
use crate::app::summarise::config::SummaryConfig;
use crate::base::limits::{SEAL_AFTER, SEGMENT_BYTES_MAX};
use crate::base::{fs, text};
use crate::journal::retention::Retention;
use crate::journal::rotate::Rotation;
use crate::projection::policy::Policy;
use crate::source::generic_jsonl::{Jsonl, Section};
use crate::source::job::JobConfig;
use crate::source::remote::RemoteConfig;
use crate::source::slurm::SlurmConfig;
use crate::source::tmux::TmuxConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SECONDS_PER_HOUR: f64 = 3600.0;

/// What `agentlog init` writes: every key with its default, commented out.
pub const TEMPLATE: &str = include_str!("agentlog.toml");

/// The settings of a project.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whom to tell of which changes of health, and how.
    pub alert: Vec<AlertRule>,
    /// The limits of the health rules.
    pub health: Policy,
    /// How the log is kept.
    pub journal: Journal,
    /// Summaries of what each agent does.
    pub summary: SummaryConfig,
    /// The batch jobs that are watched by what they write.
    pub job: Vec<JobConfig>,
    /// Logs of other programs, and what their records mean.
    pub jsonl: Vec<Jsonl>,
    /// Jobs of the Slurm workload manager.
    pub slurm: SlurmConfig,
    /// The tmux sessions that are watched; none: those of this user's server that begin with `agent-`.
    pub tmux: Vec<TmuxConfig>,
    /// The batch jobs on other machines, watched over SSH.
    pub remote: Vec<RemoteConfig>,
    /// What must be so when a task claims that it has completed.
    pub verify: Vec<VerifyConfig>,
}

/// How the log is kept.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Journal {
    /// A segment that would grow beyond this is closed.
    pub segment_bytes: u64,
    /// Whether a new day (UTC) begins a new segment.
    pub daily: bool,
    /// Closed segments that have not grown for so many hours are sealed.
    pub seal_after_hours: f64,
    /// `prune` removes sealed segments that are older than so many days; none: it keeps them all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_days: Option<f64>,
    /// `prune` removes the oldest sealed segments while all of them together are bigger than this; none: it keeps them all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_bytes: Option<u64>,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES_MAX,
            daily: false,
            seal_after_hours: SEAL_AFTER.as_secs_f64() / SECONDS_PER_HOUR,
            keep_days: None,
            keep_bytes: None,
        }
    }
}

impl Journal {
    /// When segments are closed.
    #[must_use]
    pub const fn rotation(&self) -> Rotation {
        Rotation { segment_bytes: self.segment_bytes, daily: self.daily }
    }

    /// When closed segments are sealed.
    #[must_use]
    pub fn seal_after(&self) -> Duration {
        duration(self.seal_after_hours * SECONDS_PER_HOUR)
    }

    /// What `prune` keeps.
    #[must_use]
    pub fn retention(&self) -> Retention {
        let older_than = self.keep_days.map(|days| duration(days * 24.0 * SECONDS_PER_HOUR));
        Retention { older_than, max_bytes: self.keep_bytes }
    }
}

/// Seconds as a duration; what is no duration at all never comes.
fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

impl Config {
    /// The JSON Schema of the file.
    #[must_use]
    pub fn schema(id: &str) -> serde_json::Value {
        let mut schema = schemars::schema_for!(Self).to_value();
        if let Some(members) = schema.as_object_mut() {
            members.insert("$id".to_owned(), id.into());
            members.insert("title".to_owned(), "agentlog configuration, version 1".into());
        }
        schema
    }
}

/// What may say settings, beside the project's file.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The user's own file.
    pub user: Option<PathBuf>,
    /// The variables of the environment that begin with `AGENTLOG_`.
    pub variables: Vec<(String, String)>,
    /// What was typed after `--set`.
    pub set: Vec<String>,
}

impl Inputs {
    /// Those of this process.
    #[must_use]
    pub fn of_process(set: &[String]) -> Self {
        let text =
            |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        let variables =
            std::env::vars_os().filter_map(text).filter(|(name, _)| name.starts_with("AGENTLOG_"));
        let folder =
            variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
        Self {
            user: folder.map(|folder| folder.join("agentlog/config.toml")),
            variables: variables.collect(),
            set: set.to_vec(),
        }
    }
}

/// The settings of this project.
///
/// # Errors
/// When something cannot be read or does not fit; the message names every place.
pub fn load(project: &Project, inputs: &Inputs) -> Result<Config, Failure> {
    let config = typed(&layers(project, inputs)?)?;
    check(&config).map_err(|message| Failure::new(Exit::Configuration, message))?;
    Ok(config)
}

/// All texts that say something, the least first.
///
/// # Errors
/// When a file cannot be read, the one that was named on the command line is missing, or a variable is not known.
pub fn layers(project: &Project, inputs: &Inputs) -> Result<Vec<Layer>, Failure> {
    let mut layers = Vec::new();
    layers.extend(inputs.user.as_deref().map(|path| file(path, false)).transpose()?.flatten());
    layers.extend(file(&project.config, project.config_is_named)?);
    if !inputs.variables.is_empty() {
        let keys = shape::keys(&Config::schema(""));
        for (name, value) in &inputs.variables {
            match Layer::of_variable(name, value, &keys) {
                Some(layer) => layers.push(layer),
                None => known(name, &keys)?,
            }
        }
    }
    layers.extend(inputs.set.iter().map(|typed| Layer::of_flag(typed)));
    Ok(layers)
}

/// The settings that these texts say together.
///
/// # Errors
/// When one does not fit; the message names every place.
pub fn typed(layers: &[Layer]) -> Result<Config, Failure> {
    let all = layer::merged(layers).map_err(|error| *error);
    all.and_then(toml::Table::try_into).map_err(|error| {
        let found = complaints(layers);
        let message = if found.is_empty() { error.to_string().trim_end().to_owned() } else { found.join("\n") };
        Failure::new(Exit::Configuration, message)
            .hint("docs/CONFIGURATION.md lists every key; `agentlog config show --origin` says where each value comes from")
    })
}

/// Everything that is wrong with these texts, each thing with the file, line and column, variable or flag it stands in.
#[must_use]
pub fn complaints(layers: &[Layer]) -> Vec<String> {
    let schema = Config::schema("");
    let shape = Shape::of_document(&schema);
    let mut told = Vec::new();
    for Layer { from, text } in layers {
        // What can be read is well-formed, also where it uses another name of a key that the schema does not tell.
        let Err(error) = toml::from_str::<Config>(text) else { continue };
        let mut found = complaint::complaints(text, &shape);
        if found.is_empty() {
            // What only the type itself knows.
            let place = error.span().map(|span| complaint::place(text, span.start));
            found.push(Complaint { place, message: error.message().to_owned() });
        }
        told.extend(found.iter().map(|complaint| placed(from, complaint)));
    }
    told
}

/// What the sources would say of what these texts name to be watched, at its places: what cannot be used, and what may be
/// meant otherwise. Relative paths begin at `base`.
#[must_use]
pub fn objections(layers: &[Layer], base: &Path) -> (Vec<String>, Vec<String>) {
    let (mut complaints, mut warnings) = (Vec::new(), Vec::new());
    for Layer { from, text } in layers {
        let Ok(config) = toml::from_str::<Config>(text) else { continue };
        let sections =
            Sections { job: &config.job, jsonl: &config.jsonl, tmux: &config.tmux, remote: &config.remote };
        let Findings { complaints: wrong, warnings: doubtful } = sections.findings(text, base);
        complaints.extend(wrong.iter().map(|complaint| placed(from, complaint)));
        warnings.extend(doubtful.iter().map(|complaint| placed(from, complaint)));
    }
    (complaints, warnings)
}

fn placed(from: &Place, complaint: &Complaint) -> String {
    match from {
        Place::File(path) => {
            let colon = if complaint.place.is_some() { ":" } else { ": " };
            format!("{}{colon}{complaint}", text::path(path))
        }
        Place::Variable(name) => format!("{name}: {}", complaint.message),
        Place::Flag(typed) => format!("--set {typed}: {}", complaint.message),
    }
}

fn file(path: &Path, is_named: bool) -> Result<Option<Layer>, Failure> {
    match fs::read_regular_text(path) {
        Ok(text) => Ok(Some(Layer { from: Place::File(path.to_owned()), text })),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_named => Ok(None),
        Err(error) => Err(Failure::new(Exit::Configuration, error.to_string())),
    }
}

/// A variable that begins like those of a section and is none of them was meant to say something.
fn known(name: &str, keys: &[Key]) -> Result<(), Failure> {
    let variables: Vec<String> = keys.iter().filter_map(Key::variable).collect();
    let sections = keys.iter().filter(|key| key.is_scalar).map(|key| format!("AGENTLOG_{}_", key.section));
    if !sections.into_iter().any(|section| name.starts_with(&section.to_uppercase())) {
        return Ok(());
    }
    let failure =
        Failure::new(Exit::Configuration, format!("the variable {name} says no setting that is known"));
    let names: Vec<&str> = variables.iter().map(String::as_str).collect();
    Err(match shape::nearest(name, &names) {
        Some(near) => failure.hint(format!("did you mean {near}?")),
        None => failure.hint("docs/CONFIGURATION.md lists every variable"),
    })
}

/// What one key alone does not show to be wrong.
///
/// # Errors
/// The first thing that does not hold.
fn check(config: &Config) -> Result<(), String> {
    let known: Vec<&str> =
        environment::sources(&Config::default()).iter().map(|source| source.name()).collect();
    for (place, rule) in config.alert.iter().enumerate() {
        rule.check().map_err(|error| format!("alert {}: {error}", place + 1))?;
    }
    let mut names = Vec::new();
    for section in &config.jsonl {
        Section::check(section).map_err(|error| error.to_string())?;
        let name = section.name.as_str();
        if known.contains(&name) || names.contains(&name) {
            return Err(format!("jsonl `{name}`: name: another source is called so"));
        }
        names.push(name);
    }
    config.verify.iter().try_for_each(|section| Rule::of(section).map(drop))?;
    config.summary.model.check()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_says_nothing_and_its_comments_say_the_defaults() {
        let said: Config = toml::from_str(TEMPLATE).unwrap();
        assert_eq!(said.health, Policy::default());
        let keys = TEMPLATE.lines().map(|line| match line.strip_prefix("# ") {
            Some(pair) if pair.contains(" = ") && !pair.starts_with("Sleep") => pair,
            _ => line,
        });
        let spelt_out: String = keys.collect::<Vec<_>>().join("\n");
        assert_ne!(spelt_out, TEMPLATE);
        let spelt_out: toml::Table = toml::from_str(&spelt_out).unwrap();
        let mut journal = toml::Table::try_from(Journal::default()).unwrap();
        journal.insert("keep_days".into(), toml::Value::Float(365.0));
        journal.insert("keep_bytes".into(), toml::Value::Integer(10_737_418_240));
        assert_eq!(spelt_out["journal"], toml::Value::Table(journal));
        let mut slurm = toml::Table::try_from(SlurmConfig::default()).unwrap();
        slurm.insert("enabled".into(), toml::Value::Boolean(true));
        let patterns = slurm["patterns"].as_table_mut().unwrap();
        for (key, value) in
            [("preset", "mqi"), ("total_batches", "with (\\d+) batches"), ("time_zone", "local")]
        {
            patterns.insert(key.into(), toml::Value::String(value.into()));
        }
        let current = "Generating particles for \\((\\d+) of \\d+ batches\\)";
        patterns.insert("current_batch".into(), toml::Value::String(current.into()));
        assert_eq!(spelt_out["slurm"], toml::Value::Table(slurm));
        let mut summary = toml::Table::try_from(SummaryConfig::default()).unwrap();
        let model = summary["model"].as_table_mut().unwrap();
        for (key, value) in [
            ("url", "https://api.example.org/v1".into()),
            ("model", "small".into()),
            ("key_env", "SUMMARY_KEY".into()),
            ("input_usd_per_million", toml::Value::Float(0.25)),
            ("output_usd_per_million", toml::Value::Float(1.25)),
        ] {
            model.insert(key.into(), value);
        }
        assert_eq!(spelt_out["summary"], toml::Value::Table(summary));
        assert_eq!(spelt_out["health"], toml::Value::try_from(Policy::default()).unwrap());
    }

    #[test]
    fn the_examples_of_jobs_and_sessions_in_the_template_have_every_key_and_can_be_used() {
        let example = TEMPLATE.lines().filter_map(|line| line.strip_prefix('#'));
        let example: Vec<&str> =
            example.filter(|line| !line.starts_with([' ', '#']) && !line.is_empty()).collect();
        let example = example.join("\n");
        let used: Config = toml::from_str(&example).unwrap();
        assert_eq!((used.job.len(), used.tmux.len(), used.remote.len()), (1, 1, 1), "{example}");
        assert_eq!((used.verify.len(), check(&used)), (1, Ok(())), "{example}");
        let table: toml::Table = toml::from_str(&example).unwrap();
        let schemas = [
            ("job", schemars::schema_for!(JobConfig)),
            ("tmux", schemars::schema_for!(TmuxConfig)),
            ("remote", schemars::schema_for!(RemoteConfig)),
            ("verify", schemars::schema_for!(VerifyConfig)),
        ];
        for (section, schema) in schemas {
            let keys: Vec<&String> = table[section][0].as_table().unwrap().keys().collect();
            let schema = schema.to_value();
            let mut known: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
            known.sort();
            assert_eq!(keys, known);
        }
    }

    #[test]
    fn the_logs_of_the_template_are_an_example_that_works() {
        let example = TEMPLATE.split_once("\n#[[jsonl]]").unwrap().1;
        let example: String =
            example.lines().map(|line| line.trim_start_matches('#').to_owned() + "\n").collect();
        let mut config: Config = toml::from_str(&format!("[[jsonl]]{example}")).unwrap();
        assert_eq!(check(&config), Ok(()));
        config.jsonl.extend_from_within(..);
        assert_eq!(check(&config), Err("jsonl `nightly`: name: another source is called so".to_owned()));
        config.jsonl.truncate(1);
        config.jsonl[0].name = "worktree".to_owned();
        assert_eq!(check(&config), Err("jsonl `worktree`: name: another source is called so".to_owned()));
    }

    #[test]
    fn every_key_stands_in_the_template() {
        let keys = shape::keys(&Config::schema(""));
        assert!(keys.len() > 15, "{keys:?}");
        let lacks = |key: &&Key| {
            let name = key.name.rsplit('.').find(|name| *name != "NAME").unwrap();
            let name = name.trim_end_matches("[]");
            let is_there = |line: &str| {
                let line = line.trim_start_matches(['#', ' ']);
                line.starts_with(&format!("{name} =")) || line.starts_with('[') && line.contains(name)
            };
            !TEMPLATE.lines().any(is_there)
        };
        assert_eq!(keys.iter().filter(lacks).map(Key::path).collect::<Vec<_>>(), Vec::<String>::new());
    }

    #[test]
    fn every_key_has_a_meaning_and_every_variable_one_key() {
        let keys = shape::keys(&Config::schema(""));
        let silent: Vec<String> = keys.iter().filter(|key| key.meaning.is_empty()).map(Key::path).collect();
        assert_eq!(silent, Vec::<String>::new());
        let mut variables: Vec<String> = keys.iter().filter_map(Key::variable).collect();
        let count = variables.len();
        variables.sort();
        variables.dedup();
        assert_eq!(variables.len(), count);
    }

    fn layer(text: &str) -> Layer {
        Layer { from: Place::File("agentlog.toml".into()), text: text.to_owned() }
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place_and_what_was_meant() {
        let error =
            typed(&[layer("[health]\nfailure_streek = 2\n"), Layer::of_flag("health.x=1")]).unwrap_err();
        assert_eq!(error.exit, Exit::Configuration);
        assert_eq!(
            error.message,
            "agentlog.toml:2:1: unknown key `failure_streek` in [health]; did you mean `failure_streak`?\n\
             --set health.x=1: unknown key `x` in [health]"
        );
    }

    #[test]
    fn other_names_of_keys_and_presets_are_no_complaint() {
        let text = "[[job]]\nname = 'a'\nlog = 'x'\npatterns = { preset = 'tps_env', success_pattern = 'a', failure_patterns = ['b'] }\n";
        assert_eq!(complaints(&[layer(text)]), Vec::<String>::new());
    }

    #[test]
    fn what_is_wrong_with_a_section_is_told_with_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let text =
            "[[job]]\nname = 'a'\nlog = 'x'\npatterns = { failure = '(' }\n[[job]]\nname = 'b'\nlog = 'y'\n";
        let (complaints, warnings) = objections(&[layer(text)], folder.path());
        assert!(complaints[0].starts_with("agentlog.toml:4:24: job[0].patterns.failure: "), "{complaints:?}");
        assert!(
            warnings[0].starts_with("agentlog.toml:7:7: job[1].log: nothing is there yet: "),
            "{warnings:?}"
        );
        assert_eq!((complaints.len(), warnings.len()), (1, 1));
    }

    #[test]
    fn flags_go_before_variables_and_these_before_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::replace(&folder.path().join(name), text.as_bytes()).unwrap();
        write(
            "user.toml",
            "[health]\nfailure_streak = 10\nstuck_after_ms = 10\nstale_after_ms = 10\nidentical_calls = 10\n",
        );
        write("project.toml", "[health]\nfailure_streak = 20\nstuck_after_ms = 20\nstale_after_ms = 20\n");
        let mut project = Project::in_directory(folder.path());
        project.config = folder.path().join("project.toml");
        let variables = [
            ("STREAK", "30"),
            ("AGENTLOG_HEALTH_FAILURE_STREAK", "30"),
            ("AGENTLOG_HEALTH_STUCK_AFTER_MS", "30"),
        ];
        let inputs = Inputs {
            user: Some(folder.path().join("user.toml")),
            variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            set: vec!["health.failure_streak=40".to_owned()],
        };
        let policy = load(&project, &inputs).unwrap().health;
        let default = Policy::default();
        assert_eq!(
            policy,
            Policy {
                failure_streak: 40,
                stuck_after_ms: 30,
                stale_after_ms: 20,
                identical_calls: 10,
                ..default
            }
        );
    }

    #[test]
    fn a_variable_that_nearly_says_a_setting_is_refused() {
        let project = Project::in_directory(Path::new("nowhere"));
        let load = |name: &str, value: &str| {
            let inputs = Inputs { variables: vec![(name.to_owned(), value.to_owned())], ..Inputs::default() };
            load(&project, &inputs)
        };
        let error = load("AGENTLOG_HEALTH_FAILURE_STREEK", "3").unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("did you mean AGENTLOG_HEALTH_FAILURE_STREAK?"));
        let error = load("AGENTLOG_HEALTH_FAILURE_STREAK", "many").unwrap_err();
        assert!(error.message.starts_with("AGENTLOG_HEALTH_FAILURE_STREAK: "), "{error}");
        assert_eq!(load("AGENTLOG_TZ", "utc").unwrap(), Config::default());
    }
}
