//! The configuration file. Flags go before `AGENTLOG_*`, these before `.agents/agentlog.toml`.

use crate::app::exit::{Exit, Failure};
use crate::app::project::Project;
use crate::base::limits::{SEAL_AFTER, SEGMENT_BYTES_MAX};
use crate::base::{fs, text};
use crate::journal::retention::Retention;
use crate::journal::rotate::Rotation;
use crate::projection::policy::Policy;
use crate::source::job::JobConfig;
use crate::source::remote::RemoteConfig;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const SECONDS_PER_HOUR: f64 = 3600.0;

/// What `agentlog init` writes: every key with its default, commented out.
pub const TEMPLATE: &str = include_str!("agentlog.toml");

/// The settings of a project.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The limits of the health rules.
    pub health: Policy,
    /// How the log is kept.
    pub journal: Journal,
    /// The batch jobs that are watched by what they write.
    pub job: Vec<JobConfig>,
    /// The batch jobs on other machines, watched over SSH.
    pub remote: Vec<RemoteConfig>,
}

/// How the log is kept.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
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

/// Reads the file; a missing one means the defaults, unless it was named on the command line.
///
/// # Errors
/// When the file cannot be read or does not fit; the message names the place.
pub fn load(project: &Project) -> Result<Config, Failure> {
    let path = &project.config;
    let text = match fs::read_regular_text(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !project.config_is_named => {
            return Ok(Config::default());
        }
        Err(error) => return Err(Failure::new(Exit::Configuration, error.to_string())),
    };
    toml::from_str(&text).map_err(|error| {
        Failure::new(Exit::Configuration, format!("{}: {}", text::path(path), error.to_string().trim_end()))
            .hint("`agentlog init` in an empty directory writes a file with every key and its default")
    })
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
        assert_eq!(spelt_out["health"], toml::Value::try_from(Policy::default()).unwrap());
    }

    #[test]
    fn the_examples_of_jobs_in_the_template_have_every_key_and_can_be_used() {
        let example = TEMPLATE.lines().filter_map(|line| line.strip_prefix('#'));
        let example: Vec<&str> =
            example.filter(|line| !line.starts_with([' ', '#']) && !line.is_empty()).collect();
        let example = example.join("\n");
        let config = toml::from_str::<Config>(&example).unwrap();
        assert_eq!((config.job.len(), config.remote.len()), (1, 1), "{example}");
        let table: toml::Table = toml::from_str(&example).unwrap();
        for (section, schema) in
            [("job", schemars::schema_for!(JobConfig)), ("remote", schemars::schema_for!(RemoteConfig))]
        {
            let keys: Vec<&String> = table[section][0].as_table().unwrap().keys().collect();
            let schema = schema.to_value();
            let mut known: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
            known.sort();
            assert_eq!(keys, known);
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place() {
        let error = toml::from_str::<Config>("[health]\nfailure_streek = 2\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("failure_streek"), "{error}");
    }
}
