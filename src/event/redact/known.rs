//! Secrets that are known by their value: those that stand in the environment of this process under a telling name.
//!
//! An agent's error may quote what its environment holds, in no form that a rule knows. The environment is handed in; this
//! module reads nothing, and gives the values to nobody.

use crate::base::defence::Defence;
use crate::event::redact::rule;
use aho_corasick::AhoCorasick;
use std::borrow::Cow;
use std::fmt;

/// Shorter values stand in other texts by chance.
const VALUE_BYTES_MIN: usize = 10;
const REPLACEMENT: &str = "[redacted:environment]";

/// Values that must not be recorded.
#[derive(Default)]
pub struct KnownSecrets(Option<AhoCorasick>);

impl KnownSecrets {
    /// The values of these variables whose names say that they are secret. Paths, short values and plain words are not
    /// taken: they would be found in harmless text.
    #[must_use]
    pub fn of_environment(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let values: Vec<String> = variables
            .into_iter()
            .filter(|(name, value)| {
                value.len() >= VALUE_BYTES_MIN
                    && rule::is_secret_variable(name)
                    && rule::is_secret_value(value)
            })
            .map(|(_, value)| value)
            .collect();
        // Values too large for an automaton are no secrets of anybody.
        Self((!values.is_empty()).then(|| AhoCorasick::new(&values).ok()).flatten())
    }

    /// The text with every known secret replaced; borrowed where there is none.
    #[must_use]
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match &self.0 {
            Some(values) if Defence::Redaction.is_on() && values.is_match(text) => {
                let mut out = String::with_capacity(text.len());
                values.replace_all_with(text, &mut out, |_, _, out| {
                    out.push_str(REPLACEMENT);
                    true
                });
                Cow::Owned(out)
            }
            _ => Cow::Borrowed(text),
        }
    }
}

impl fmt::Debug for KnownSecrets {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "KnownSecrets({})", self.0.as_ref().map_or(0, AhoCorasick::patterns_len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_telling_names_go_and_others_stay() {
        let variables = [
            ("DEPLOY_TOKEN", "kT9vQ2mZx7Lr"),
            ("PWD", "/srv/kT9vQ2mZ"),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/t0ken"),
            ("MAX_OUTPUT_TOKENS", "32000"),
            ("EDITOR", "kakoune-2026x"),
            ("SESSION_SECRET", "correct horse battery staple"),
        ];
        let known = KnownSecrets::of_environment(variables.map(|(name, value)| (name.into(), value.into())));
        assert_eq!(
            known
                .redact("kT9vQ2mZx7Lr in /srv/kT9vQ2mZ by kakoune-2026x, correct horse battery staple 32000"),
            "[redacted:environment] in /srv/kT9vQ2mZ by kakoune-2026x, [redacted:environment] 32000"
        );
        assert!(matches!(known.redact("plain"), Cow::Borrowed("plain")));
        assert_eq!(format!("{known:?}"), "KnownSecrets(2)");
        assert_eq!(KnownSecrets::default().redact("kT9vQ2mZx7Lr"), "kT9vQ2mZx7Lr");
    }
}
