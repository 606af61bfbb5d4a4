//! Rates, their intervals, and differences between them.
//!
//! Sources: Wilson, E. B. (1927), JASA 22, 209–212 (score interval of a proportion); Newcombe, R. G. (1998), Statistics in
//! Medicine 17, 873–890, method 10 (interval of a difference, from two score intervals, without continuity correction);
//! Holm, S. (1979), Scandinavian Journal of Statistics 6, 65–70 (step-down over several tests). The level is 95 % throughout.
//! Everything is a pure function of counts; no randomness, no simulation.

use schemars::JsonSchema;
use serde::Serialize;

/// The 97.5 % quantile of the standard normal distribution.
const Z: f64 = 1.959_963_984_540_054;
/// The chance of a false flag that is accepted for a whole table.
const ALPHA: f64 = 0.05;
/// With fewer counted outcomes than this, a rate is said to rest on too few.
pub const COUNTED_MIN: u64 = 5;
/// With fewer counted outcomes than this on either side, a change is not judged.
pub const COMPARED_MIN: u64 = 20;

/// `succeeded` out of `counted`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// The numerator.
    pub succeeded: u64,
    /// The denominator.
    pub counted: u64,
}

/// A closed interval of proportions (or of differences of proportions, from −1 to 1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// A rate compared with another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Change {
    /// Successes of the other side.
    pub succeeded_before: u64,
    /// Counted outcomes of the other side.
    pub counted_before: u64,
    /// This rate less the other, as a proportion.
    pub difference: f64,
    /// The 95 % interval of the difference (Newcombe, method 10).
    pub interval: Interval,
    /// Two-sided p-value of the two-proportion z test, not yet adjusted.
    pub p_value: f64,
    /// What may be said about it.
    pub verdict: Verdict,
}

/// What may be said about a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Fewer than 20 counted outcomes on one side: nothing is said.
    TooFew,
    /// It may well be chance.
    NotSignificant,
    /// Higher, and not by chance.
    Better,
    /// Lower, and not by chance.
    Worse,
}

impl Rate {
    /// The proportion; `None` when nothing was counted.
    #[must_use]
    pub fn proportion(&self) -> Option<f64> {
        (self.counted > 0).then(|| number(self.succeeded) / number(self.counted))
    }

    /// The Wilson 95 % interval; `None` when nothing was counted.
    ///
    /// (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n)
    #[must_use]
    pub fn interval(&self) -> Option<Interval> {
        let p = self.proportion()?;
        let n = number(self.counted);
        let scale = 1.0 + Z * Z / n;
        let centre = (p + Z * Z / (2.0 * n)) / scale;
        let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt() / scale;
        // At 0/n and n/n an end is 0 or 1 exactly; rounding must not move it past the proportion.
        Some(Interval { low: (centre - half).max(0.0).min(p), high: (centre + half).min(1.0).max(p) })
    }

    /// Whether too little was counted for the rate to mean anything.
    #[must_use]
    pub const fn is_too_few(&self) -> bool {
        self.counted < COUNTED_MIN
    }
}

/// The interval of `a − b` (Newcombe 1998, method 10); `None` when one of them counted nothing.
#[must_use]
pub fn difference_interval(a: Rate, b: Rate) -> Option<Interval> {
    let (p, q) = (a.proportion()?, b.proportion()?);
    let (of_a, of_b) = (a.interval()?, b.interval()?);
    let difference = p - q;
    Some(Interval {
        low: difference - (p - of_a.low).hypot(of_b.high - q),
        high: difference + (of_a.high - p).hypot(q - of_b.low),
    })
}

/// The two-sided p-value of the z test of equal proportions (pooled variance); 1 where both are all or nothing alike.
#[must_use]
pub fn difference_p_value(a: Rate, b: Rate) -> Option<f64> {
    let difference = a.proportion()? - b.proportion()?;
    let (counted_a, counted_b) = (number(a.counted), number(b.counted));
    let pooled = (number(a.succeeded) + number(b.succeeded)) / (counted_a + counted_b);
    let deviation = (pooled * (1.0 - pooled) * (1.0 / counted_a + 1.0 / counted_b)).sqrt();
    if deviation <= 0.0 {
        return Some(1.0);
    }
    Some(two_sided_tail(difference.abs() / deviation))
}

/// Which hypotheses Holm's step-down rejects at the level `alpha`, in the order given.
#[must_use]
pub fn holm(p_values: &[f64], alpha: f64) -> Vec<bool> {
    let mut order: Vec<(usize, f64)> = p_values.iter().copied().enumerate().collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut rejected = vec![false; p_values.len()];
    let mut left = p_values.len();
    for (idx, p) in order {
        if p > alpha / number(u64::try_from(left).unwrap_or(u64::MAX)) {
            break;
        }
        if let Some(flag) = rejected.get_mut(idx) {
            *flag = true;
        }
        left -= 1;
    }
    rejected
}

/// Compares each pair (now, before) of one table. A change is flagged only where all three hold: at least
/// [`COMPARED_MIN`] counted on each side, the interval of the difference excludes 0, and Holm over the judged rows rejects.
/// `None` where a side counted nothing.
#[must_use]
pub fn compare(pairs: &[(Rate, Rate)]) -> Vec<Option<Change>> {
    let mut changes: Vec<Option<Change>> =
        pairs.iter().map(|(now, before)| unjudged(*now, *before)).collect();
    let judged: Vec<&mut Change> =
        changes.iter_mut().flatten().filter(|change| change.verdict != Verdict::TooFew).collect();
    let p_values: Vec<f64> = judged.iter().map(|change| change.p_value).collect();
    for (change, rejected) in judged.into_iter().zip(holm(&p_values, ALPHA)) {
        change.verdict = match rejected {
            true if change.interval.low > 0.0 => Verdict::Better,
            true if change.interval.high < 0.0 => Verdict::Worse,
            _ => Verdict::NotSignificant,
        };
    }
    changes
}

fn unjudged(now: Rate, before: Rate) -> Option<Change> {
    let enough = now.counted >= COMPARED_MIN && before.counted >= COMPARED_MIN;
    Some(Change {
        succeeded_before: before.succeeded,
        counted_before: before.counted,
        difference: now.proportion()? - before.proportion()?,
        interval: difference_interval(now, before)?,
        p_value: difference_p_value(now, before)?,
        verdict: if enough { Verdict::NotSignificant } else { Verdict::TooFew },
    })
}

/// The probability that a standard normal variable lies further from 0 than `z`: erfc(z/√2), from the series of erf in
/// NIST DLMF 7.6.2, whose terms are all positive. Beyond 8 it is below 10⁻¹⁴ and taken as 0.
fn two_sided_tail(z: f64) -> f64 {
    if z > 8.0 {
        return 0.0;
    }
    let x = z / std::f64::consts::SQRT_2;
    let mut term = x;
    let mut sum = x;
    let mut denominator = 1.0;
    while term > sum * f64::EPSILON / 4.0 {
        denominator += 2.0;
        term *= 2.0 * x * x / denominator;
        sum += term;
    }
    (1.0 - std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum).clamp(0.0, 1.0)
}

/// A count as a number; from 2³² on as 2³² − 1, which no week reaches.
fn number(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rate(succeeded: u64, counted: u64) -> Rate {
        Rate { succeeded, counted }
    }

    fn rounded(interval: Option<Interval>) -> (String, String) {
        let Interval { low, high } = interval.unwrap();
        (format!("{low:.4}"), format!("{high:.4}"))
    }

    fn texts(low: &str, high: &str) -> (String, String) {
        (low.to_owned(), high.to_owned())
    }

    #[test]
    fn wilson_intervals_are_those_computed_by_hand() {
        assert_eq!(rounded(rate(0, 10).interval()), texts("0.0000", "0.2775"));
        assert_eq!(rounded(rate(8, 10).interval()), texts("0.4902", "0.9433"));
        assert_eq!(rounded(rate(10, 10).interval()), texts("0.7225", "1.0000"));
        assert_eq!(rounded(rate(412, 451).interval()), texts("0.8840", "0.9361"));
        assert_eq!(rate(0, 0).interval(), None);
    }

    #[test]
    fn wilson_intervals_are_those_of_the_literature() {
        // Newcombe (1998), Statistics in Medicine 17, 857–872, table I, method 3.
        assert_eq!(rounded(rate(81, 263).interval()), texts("0.2553", "0.3662"));
        assert_eq!(rounded(rate(15, 148).interval()), texts("0.0624", "0.1605"));
        assert_eq!(rounded(rate(0, 20).interval()), texts("0.0000", "0.1611"));
        assert_eq!(rounded(rate(1, 29).interval()), texts("0.0061", "0.1718"));
    }

    #[test]
    fn differences_have_the_intervals_of_the_literature() {
        // Newcombe (1998), Statistics in Medicine 17, 873–890, table II, method 10.
        for (a, b, low, high) in [
            (rate(56, 70), rate(48, 80), "0.0524", "0.3339"),
            (rate(9, 10), rate(3, 10), "0.1705", "0.8090"),
            (rate(5, 56), rate(0, 29), "-0.0381", "0.1926"),
            (rate(0, 10), rate(0, 10), "-0.2775", "0.2775"),
            (rate(10, 10), rate(0, 10), "0.6075", "1.0000"),
        ] {
            assert_eq!(rounded(difference_interval(a, b)), texts(low, high), "{a:?} {b:?}");
        }
        assert_eq!(difference_interval(rate(1, 2), rate(0, 0)), None);
    }

    #[test]
    fn p_values_are_those_of_the_normal_distribution() {
        for (z, p) in
            [(0.0, 1.0), (1.0, 0.317_310_507_863), (Z, 0.05), (3.0, 0.002_699_796_063), (6.0, 1.973e-9)]
        {
            assert!((two_sided_tail(z) - p).abs() < 1e-11, "{z}: {}", two_sided_tail(z));
        }
        // 56/70 against 48/80: pooled 104/150, z = 0.2 / √(0.6933·0.3067·(1/70 + 1/80)) = 2.650.
        let p = difference_p_value(rate(56, 70), rate(48, 80)).unwrap();
        assert!((p - 0.008_045_081).abs() < 1e-9, "{p}");
        assert_eq!(difference_p_value(rate(5, 5), rate(7, 7)), Some(1.0));
    }

    #[test]
    fn holm_steps_down_until_the_first_that_holds() {
        // Levels 0.05/4, /3, /2, /1: 0.005 ≤ 0.0125, 0.01 ≤ 0.0167, 0.03 > 0.025 stops, 0.04 is not looked at.
        assert_eq!(holm(&[0.01, 0.04, 0.03, 0.005], 0.05), [true, false, false, true]);
        assert_eq!(holm(&[0.04, 0.02], 0.05), [true, true]);
        assert_eq!(holm(&[0.04, 0.03], 0.05), [false, false]);
        assert_eq!(holm(&[], 0.05), Vec::<bool>::new());
    }

    #[test]
    fn a_change_is_flagged_only_with_enough_counted_and_past_chance_and_after_holm() {
        let verdicts = |pairs: &[(Rate, Rate)]| -> Vec<Option<Verdict>> {
            compare(pairs).into_iter().map(|change| change.map(|change| change.verdict)).collect()
        };
        assert_eq!(verdicts(&[(rate(60, 100), rate(90, 100))]), [Some(Verdict::Worse)]);
        assert_eq!(verdicts(&[(rate(90, 100), rate(60, 100))]), [Some(Verdict::Better)]);
        assert_eq!(verdicts(&[(rate(0, 19), rate(19, 19))]), [Some(Verdict::TooFew)]);
        assert_eq!(verdicts(&[(rate(90, 100), rate(92, 100))]), [Some(Verdict::NotSignificant)]);
        assert_eq!(verdicts(&[(rate(0, 0), rate(92, 100))]), [None]);
        // p = 0.027 alone is past 0.05, and among three rows it is not past 0.05/3.
        let single = (rate(80, 100), rate(91, 100));
        let quiet = (rate(50, 100), rate(50, 100));
        assert_eq!(verdicts(&[single]), [Some(Verdict::Worse)]);
        assert_eq!(verdicts(&[single, quiet, quiet]), [Some(Verdict::NotSignificant); 3]);
        // Rows that are not judged take nothing from the others.
        let few = (rate(1, 4), rate(3, 4));
        assert_eq!(verdicts(&[single, few, few])[0], Some(Verdict::Worse));
    }

    proptest! {
        #[test]
        fn an_interval_holds_its_proportion_and_lies_between_0_and_1(
            (counted, succeeded) in (1_u64..100_000).prop_flat_map(|counted| (Just(counted), 0..=counted)),
        ) {
            let rate = rate(succeeded, counted);
            let (p, interval) = (rate.proportion().unwrap(), rate.interval().unwrap());
            prop_assert!(0.0 <= interval.low && interval.low <= p && p <= interval.high && interval.high <= 1.0);
        }

        #[test]
        fn a_difference_turned_round_has_its_interval_turned_round(
            a in (0_u64..50, 50_u64..200), b in (0_u64..50, 50_u64..200),
        ) {
            let (a, b) = (rate(a.0, a.1), rate(b.0, b.1));
            let (there, back) = (difference_interval(a, b).unwrap(), difference_interval(b, a).unwrap());
            prop_assert!((there.low + back.high).abs() < 1e-12 && (there.high + back.low).abs() < 1e-12);
            prop_assert_eq!(difference_p_value(a, b), difference_p_value(b, a));
        }
    }
}
