//! The configuration file. Flags go before `AGENTLOG_*`, these before `.agents/agentlog.toml`.

use crate::app::exit::{Exit, Failure};
use crate::app::project::Project;
use crate::base::{fs, text};
use crate::projection::policy::Policy;
use serde::Deserialize;

/// What `agentlog init` writes: every key with its default, commented out.
pub const TEMPLATE: &str = include_str!("agentlog.toml");

/// The settings of a project.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The limits of the health rules.
    pub health: Policy,
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
        assert_eq!(spelt_out["health"], toml::Value::try_from(Policy::default()).unwrap());
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place() {
        let error = toml::from_str::<Config>("[health]\nfailure_streek = 2\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("failure_streek"), "{error}");
    }
}
