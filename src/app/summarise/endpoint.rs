//! One question to a model behind an HTTP endpoint: how the two usual interfaces spell it, and what their answers say.
//!
//! What the text of an answer is worth is not judged here. A key is only ever read from the environment and sent; it
//! stands in no message.

use crate::app::http::{self, HttpError, Limits, Post};
use crate::app::summarise::config::{Api, ModelConfig};
use crate::base::clock::Timestamp;
use crate::summary::prompt::Prompt;
use serde_json::{Value, json};
use std::time::Duration;

/// The longest pause between two attempts; the watcher has rules to go on with.
const PAUSE_MAX: Duration = Duration::from_mins(1);
/// A longer answer is none.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;
/// The version of Anthropic's interface that is spoken.
const ANTHROPIC_VERSION: &str = "2023-06-01";
/// About so many bytes make a token.
const BYTES_PER_TOKEN: usize = 4;

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The text of the answer.
    pub text: String,
    /// What it cost.
    pub spent: Spent,
}

/// What one answer cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spent {
    /// The model that answered.
    pub model: Option<String>,
    /// The id of the answer.
    pub request: Option<String>,
    /// Tokens of the question, without those from the cache.
    pub input_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
    /// Tokens read from the provider's cache.
    pub cache_read_tokens: Option<u64>,
    /// Tokens written to it.
    pub cache_write_tokens: Option<u64>,
    /// US dollars, where prices are set; tokens from the cache at the full price.
    pub cost_usd: Option<f64>,
    /// `measured`, as the endpoint says, or `estimated` from the sizes, where it says nothing.
    pub quality: &'static str,
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// Nothing was answered.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// What was answered is not of this interface.
    #[error("{url} answered {problem}")]
    Answer {
        /// Whom was asked.
        url: String,
        /// What is wrong.
        problem: &'static str,
        /// What it cost all the same.
        spent: Option<Box<Spent>>,
    },
    /// The variable that should hold the key is not set.
    #[error("the variable {0} holds no key")]
    NoKey(String),
}

impl EndpointError {
    /// How long the endpoint wants to be left alone.
    #[must_use]
    pub const fn pause(&self) -> Option<Duration> {
        match self {
            Self::Http(HttpError::Busy { pause, .. }) => Some(*pause),
            _ => None,
        }
    }
}

/// What a question cost, whether or not the answer is of any use.
#[must_use]
pub fn spent_on(reply: &Result<Reply, EndpointError>) -> Option<&Spent> {
    match reply {
        Ok(reply) => Some(&reply.spent),
        Err(EndpointError::Answer { spent, .. }) => spent.as_deref(),
        Err(_) => None,
    }
}

/// Asks. `pause` waits between two attempts, and says whether to go on.
///
/// # Errors
/// When there is no answer of the interface.
pub fn ask(
    config: &ModelConfig,
    key: Option<&str>,
    prompt: &Prompt,
    now: &dyn Fn() -> Timestamp,
    pause: &mut dyn FnMut(Duration) -> bool,
) -> Result<Reply, EndpointError> {
    let url = url(config);
    let bearer = key.map(|key| format!("Bearer {key}"));
    let mut headers: Vec<(&str, &str)> = Vec::new();
    match config.api {
        Api::Openai => headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer))),
        Api::Anthropic => {
            headers.push(("anthropic-version", ANTHROPIC_VERSION));
            headers.extend(key.map(|key| ("x-api-key", key)));
        }
    }
    let body = question(config, &url, prompt).to_string();
    let limits = Limits {
        timeout: Duration::from_millis(config.timeout_ms),
        attempts: config.retries.saturating_add(1),
        pause_max: PAUSE_MAX,
        answer_bytes: ANSWER_BYTES_MAX,
    };
    let answer = http::post(Post { url: &url, headers: &headers, body: &body }, limits, now, pause)?;
    let failure = |problem, spent| EndpointError::Answer { url: url.clone(), problem, spent };
    let answer: Value = serde_json::from_str(&answer).map_err(|_| failure("with what is not JSON", None))?;
    let text = text(config.api, &answer);
    let spent = spent(config, &answer, body.len(), text.as_ref().map_or(0, String::len));
    let Some(text) = text else {
        // A guess is made only of what was answered.
        let is_paid = answer.get("usage").is_some_and(Value::is_object);
        return Err(failure("without a text", is_paid.then(|| Box::new(spent))));
    };
    Ok(Reply { text, spent })
}

/// The key, from the variable that is named for it.
///
/// # Errors
/// When a variable is named and holds nothing.
pub fn key(
    config: &ModelConfig,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<String>, EndpointError> {
    let Some(name) = &config.key_env else { return Ok(None) };
    let key = environment(name).map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
    key.map(Some).ok_or_else(|| EndpointError::NoKey(name.clone()))
}

fn url(config: &ModelConfig) -> String {
    let (usual, call) = match config.api {
        Api::Openai => ("https://api.openai.com/v1", "/chat/completions"),
        Api::Anthropic => ("https://api.anthropic.com", "/v1/messages"),
    };
    let base = config.url.as_deref().unwrap_or(usual).trim_end_matches('/');
    match config.api {
        Api::Openai => format!("{base}{call}"),
        Api::Anthropic => format!("{}{call}", base.strip_suffix("/v1").unwrap_or(base)),
    }
}

fn question(config: &ModelConfig, url: &str, prompt: &Prompt) -> Value {
    let model = config.model.as_deref().unwrap_or_default();
    let user = json!({"role": "user", "content": prompt.user});
    match config.api {
        Api::Openai => {
            // Only its makers have renamed the limit; those who speak their interface know the old name.
            let is_makers = url.starts_with("https://api.openai.com/");
            let limit = if is_makers { "max_completion_tokens" } else { "max_tokens" };
            let system = json!({"role": "system", "content": prompt.system});
            json!({"model": model, "messages": [system, user], limit: config.max_output_tokens})
        }
        Api::Anthropic => json!({
            "model": model, "system": prompt.system, "messages": [user], "max_tokens": config.max_output_tokens,
        }),
    }
}

fn text(api: Api, answer: &Value) -> Option<String> {
    match api {
        Api::Openai => Some(answer.pointer("/choices/0/message/content")?.as_str()?.to_owned()),
        Api::Anthropic => {
            let parts = answer.get("content")?.as_array()?.iter();
            let texts = parts.filter(|part| part.get("type").is_some_and(|kind| kind == "text"));
            let texts: Vec<&str> = texts.filter_map(|part| part.get("text")?.as_str()).collect();
            (!texts.is_empty()).then(|| texts.concat())
        }
    }
}

fn spent(config: &ModelConfig, answer: &Value, question_bytes: usize, answer_bytes: usize) -> Spent {
    let count = |pointer: &str| answer.pointer(pointer).and_then(Value::as_u64);
    let name = |key: &str| answer.get(key).and_then(Value::as_str).map(str::to_owned);
    let (input, output, read, written) = match config.api {
        Api::Openai => {
            let read = count("/usage/prompt_tokens_details/cached_tokens");
            let input = count("/usage/prompt_tokens").map(|all| all.saturating_sub(read.unwrap_or(0)));
            (input, count("/usage/completion_tokens"), read, None)
        }
        Api::Anthropic => (
            count("/usage/input_tokens"),
            count("/usage/output_tokens"),
            count("/usage/cache_read_input_tokens"),
            count("/usage/cache_creation_input_tokens"),
        ),
    };
    let about = |bytes: usize| u64::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u64::MAX);
    let quality = if input.is_some() && output.is_some() { "measured" } else { "estimated" };
    let input_tokens = input.unwrap_or_else(|| about(question_bytes));
    let output_tokens = output.unwrap_or_else(|| about(answer_bytes));
    let all_input = input_tokens.saturating_add(read.unwrap_or(0)).saturating_add(written.unwrap_or(0));
    let prices = config.input_usd_per_million.zip(config.output_usd_per_million);
    Spent {
        model: name("model").or_else(|| config.model.clone()),
        request: name("id"),
        input_tokens,
        output_tokens,
        cache_read_tokens: read,
        cache_write_tokens: written,
        cost_usd: prices
            .map(|(input, output)| millions(all_input) * input + millions(output_tokens) * output),
        quality,
    }
}

fn millions(tokens: u64) -> f64 {
    u32::try_from(tokens).map_or(f64::from(u32::MAX), f64::from) / 1_000_000.0
}

#[cfg(test)]
pub(in crate::app::summarise) mod tests;
