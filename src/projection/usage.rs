//! What a task cost: sums of increases.
//!
//! Money is summed in whole billionths of a dollar: sums of binary fractions depend on their order.

use crate::projection::register::{Name, is_default};
use serde::{Deserialize, Serialize};

const NANOS_PER_USD: f64 = 1e9;

/// The sums of one task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Spent {
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) input_tokens: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) output_tokens: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) cache_read_tokens: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) cache_write_tokens: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    cost_nanos: Option<u64>,
    #[serde(default, skip_serializing_if = "is_default")]
    quality: Option<Name>,
}

impl Spent {
    /// Adds a cost; one below zero is ignored.
    pub(crate) fn add_cost(&mut self, cost_usd: f64) {
        let nanos = (cost_usd * NANOS_PER_USD).round();
        if (0.0..9e18).contains(&nanos) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "within the range of u64"
            )]
            let nanos = nanos as u64;
            self.cost_nanos = Some(self.cost_nanos.unwrap_or(0).saturating_add(nanos));
        }
    }

    /// Remembers the worst quality.
    pub(crate) fn add_quality(&mut self, quality: &str) {
        if self.quality().is_none_or(|known| (rank(known), known) < (rank(quality), quality)) {
            self.quality = Some(Name::from(quality));
        }
    }

    /// Dollars spent, where any record said so.
    pub(crate) fn cost_usd(&self) -> Option<f64> {
        self.cost_nanos.map(|nanos| to_number(nanos) / NANOS_PER_USD)
    }

    /// The worst quality among the records.
    pub(crate) fn quality(&self) -> Option<&str> {
        self.quality.as_ref().map(Name::as_str)
    }

    /// The sums of both.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.cache_read_tokens = self.cache_read_tokens.saturating_add(other.cache_read_tokens);
        self.cache_write_tokens = self.cache_write_tokens.saturating_add(other.cache_write_tokens);
        if let Some(nanos) = other.cost_nanos {
            self.cost_nanos = Some(self.cost_nanos.unwrap_or(0).saturating_add(nanos));
        }
        if let Some(quality) = other.quality() {
            self.add_quality(quality);
        }
    }
}

/// The nearest binary fraction of a count.
pub(crate) fn to_number(count: u64) -> f64 {
    let high = u32::try_from(count >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(count & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}

/// Measured figures are better than partial ones, and those better than estimates; an unknown word is the worst.
fn rank(quality: &str) -> u8 {
    match quality {
        "measured" => 0,
        "partial" => 1,
        "estimated" => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_adds_up_in_any_order() {
        let mut spent = Spent::default();
        for cost in [0.1, 0.2, 0.3, -1.0, f64::NAN, f64::INFINITY] {
            spent.add_cost(cost);
        }
        assert_eq!(spent.cost_usd(), Some(0.6));
        assert_eq!(Spent::default().cost_usd(), None);
    }

    #[test]
    fn the_worst_quality_is_kept() {
        let mut spent = Spent::default();
        for quality in ["partial", "measured"] {
            spent.add_quality(quality);
        }
        assert_eq!(spent.quality(), Some("partial"));
    }
}
