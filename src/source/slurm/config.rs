//! Which jobs of Slurm are watched, as the configuration says it.

use crate::source::output::PatternsConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// Jobs of the Slurm workload manager.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct SlurmConfig {
    /// Whether Slurm is asked; not set: where a job is named or those of the user are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The jobs to watch: `123`, a whole array `124`, one task of it `124_7`.
    #[serde(deserialize_with = "ids")]
    #[schemars(with = "Vec<JobId>")]
    pub jobs: Vec<String>,
    /// Whether all jobs of the user are watched; in a project those that were submitted below it.
    pub user: bool,
    /// How often Slurm is asked; one question is for all jobs.
    pub interval_seconds: f64,
    /// Whether the output of the jobs is read, where it can be reached from here.
    pub output: bool,
    /// What is looked for in the output.
    pub patterns: PatternsConfig,
}

impl Default for SlurmConfig {
    fn default() -> Self {
        Self {
            enabled: None,
            jobs: Vec::new(),
            user: false,
            interval_seconds: 30.0,
            output: true,
            patterns: PatternsConfig::default(),
        }
    }
}

/// A job as people write it.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum JobId {
    /// `123`
    Number(u64),
    /// `"124_7"`
    Text(String),
}

fn ids<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    let ids = Vec::<JobId>::deserialize(input)?;
    Ok(ids
        .into_iter()
        .map(|id| match id {
            JobId::Number(number) => number.to_string(),
            JobId::Text(text) => text.trim().to_owned(),
        })
        .collect())
}
