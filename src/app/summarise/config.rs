//! The settings of the summaries, and of the model that may be asked for them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Summaries of what each agent does and how well that fits its task.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SummaryConfig {
    /// Whether the watcher writes them into `.agents/summaries`.
    pub enabled: bool,
    /// The least time between two summaries of an agent, in milliseconds.
    pub interval_ms: u64,
    /// The model that is asked; without one rules decide.
    pub model: ModelConfig,
}

impl Default for SummaryConfig {
    fn default() -> Self {
        Self { enabled: true, interval_ms: 60_000, model: ModelConfig::default() }
    }
}

/// The model that is asked for summaries. What is sent is what stands in the log: names, counts, first lines.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Whether the watcher asks it.
    pub enabled: bool,
    /// Which interface the endpoint has.
    pub api: Api,
    /// Where it is, without the name of the call; not set: the endpoint of those who made the interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The name of the model; must be set to use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The variable of the environment that holds the key; not set: none is sent. Never the key itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_env: Option<String>,
    /// How long one attempt may take, in milliseconds.
    pub timeout_ms: u64,
    /// How often a question is repeated that was not answered.
    pub retries: u32,
    /// How many questions are asked in a minute.
    pub requests_per_minute: u32,
    /// How long an answer may be, in tokens.
    pub max_output_tokens: u32,
    /// What a million tokens of questions cost, in US dollars; not set: no cost is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_usd_per_million: Option<f64>,
    /// What a million tokens of answers cost, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_usd_per_million: Option<f64>,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            api: Api::Openai,
            url: None,
            model: None,
            key_env: None,
            timeout_ms: 30_000,
            retries: 2,
            requests_per_minute: 6,
            max_output_tokens: 500,
            input_usd_per_million: None,
            output_usd_per_million: None,
        }
    }
}

impl ModelConfig {
    /// What is wrong with it, beyond what its types say.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), String> {
        if self.enabled && self.model.is_none() {
            return Err("summary.model: model: must be set where it is enabled".to_owned());
        }
        let is_url = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if self.url.as_ref().is_some_and(|url| !is_url(url)) {
            return Err("summary.model: url: must begin with http:// or https://".to_owned());
        }
        Ok(())
    }

    /// How much time lies between two questions.
    #[must_use]
    pub fn pace(&self) -> Duration {
        Duration::from_mins(1) / self.requests_per_minute.max(1)
    }
}

/// The interface of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// Chat completions, as `OpenAI` and most others have them.
    Openai,
    /// Messages, as Anthropic has them.
    Anthropic,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_asked_is_refused() {
        let check = |config: ModelConfig| config.check();
        assert_eq!(check(ModelConfig::default()), Ok(()));
        let nameless = ModelConfig { enabled: true, ..ModelConfig::default() };
        assert_eq!(check(nameless), Err("summary.model: model: must be set where it is enabled".to_owned()));
        let elsewhere = ModelConfig { url: Some("api.example.org".to_owned()), ..ModelConfig::default() };
        assert_eq!(
            check(elsewhere),
            Err("summary.model: url: must begin with http:// or https://".to_owned())
        );
    }

    #[test]
    fn questions_are_spread_over_the_minute() {
        let pace = |requests_per_minute| ModelConfig { requests_per_minute, ..ModelConfig::default() }.pace();
        assert_eq!([pace(6), pace(0)], [Duration::from_secs(10), Duration::from_mins(1)]);
    }
}
