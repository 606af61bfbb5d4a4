//! What is looked for in the output of a job, as the configuration says it. Says nothing of where the output comes from.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// What is looked for in the output of a job. Patterns are regular expressions in the syntax of the `regex` crate, which
/// runs in linear time; they are searched for anywhere in a line.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct PatternsConfig {
    /// The patterns of a common program, beside those given here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// Progress, by the named groups `current`, `total`, `percent`, `message` (the present step), `success` and `failure`;
    /// `part` names a part of the work whose counts are summed up with those of the others. Without names two groups are
    /// current and total; a single one is the total after `with`, `of`, `total` or `/`, percent before a `%`, else current.
    #[serde(deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany")]
    pub progress: Vec<String>,
    /// How many batches there are in all, by the pattern's first group: `with (\d+) batches`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_batches: Option<String>,
    /// Which batch is at work, by the first group, and the total, by a second one if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_batch: Option<String>,
    /// The job ended well.
    #[serde(alias = "success_pattern", deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany")]
    pub success: Vec<String>,
    /// The job failed.
    #[serde(alias = "failure_patterns", deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany")]
    pub failure: Vec<String>,
    /// Words that mark the end of the job: plain text, found as whole words. `DONE` where neither a preset nor a pattern
    /// of success says how the job ends well.
    #[serde(deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany")]
    pub markers: Vec<String>,
    /// Lines that tell of an error, without ending the job: `ERROR`, `FAILED`, `Exception`, `Traceback`, `CRITICAL` and
    /// `Fatal` where neither these nor the preset say otherwise.
    #[serde(deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany")]
    pub errors: Vec<String>,
    /// Lines that say nothing, whatever else matches them.
    #[serde(deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany")]
    pub ignore: Vec<String>,
    /// Progress is said again when it has changed by so many percent, or when its step has changed.
    pub update_throttle_percent: f64,
    /// The zone of times at the beginning of lines that have none: `utc`, `local` or a name such as `Europe/Berlin`. Not
    /// set: such times are not used, since a guess may be wrong by half a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// The patterns of a common program.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// The `tps_env` simulation: `with 18 batches`, `Generating particles for (5 of 18 batches)`.
    #[serde(alias = "tps_env", alias = "tps-env")]
    Mqi,
    /// The progress bars of Python's `tqdm`: `45%|████ | 45/100 [00:10<00:12, 4.4it/s]`.
    Tqdm,
    /// Cargo: `Building [==> ] 45/100: serde`, `Compiling serde v1.0`, `test result: FAILED`.
    Cargo,
    /// Pytest: `[ 45%]`, `3 failed, 10 passed in 2.5s`.
    Pytest,
    /// Snakemake: `5 of 10 steps (50%) done`.
    Snakemake,
    /// Nextflow: `process > ALIGN (3) [ 50%] 5 of 10`, summed over all processes.
    Nextflow,
    /// Any percentage: `Progress: 45%`, `45.5 %`.
    Percent,
}

impl Default for PatternsConfig {
    fn default() -> Self {
        Self {
            preset: None,
            progress: Vec::new(),
            total_batches: None,
            current_batch: None,
            success: Vec::new(),
            failure: Vec::new(),
            markers: Vec::new(),
            errors: Vec::new(),
            ignore: Vec::new(),
            update_throttle_percent: 1.0,
            time_zone: None,
        }
    }
}

impl PatternsConfig {
    /// Whether it says by what a job ends well; otherwise the usual signs of an end count.
    pub(crate) fn says_its_end(&self) -> bool {
        let by_preset = self.preset.is_some_and(|preset| !matches!(preset, Preset::Percent | Preset::Tqdm));
        by_preset || !self.success.is_empty() || !self.markers.is_empty()
    }

    /// Whether it says how progress is to be found; otherwise the usual words for it are.
    pub(super) const fn says_its_progress(&self) -> bool {
        let has_batches = self.total_batches.is_some() || self.current_batch.is_some();
        self.preset.is_some() || has_batches || !self.progress.is_empty()
    }
}

/// One text or a list of them.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum OneOrMany {
    /// A single one.
    One(String),
    /// Several.
    Many(Vec<String>),
}

fn one_or_many<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    Ok(match OneOrMany::deserialize(input)? {
        OneOrMany::One(text) => vec![text],
        OneOrMany::Many(texts) => texts,
    })
}
