//! What thresholds would have flagged, as a table for people and as the members of a JSON document. Counts nothing itself.

use crate::base::clock::Timestamp;
use crate::base::text::{human_duration, plural, sanitize};
use crate::report::backtest::{Backtest, Ends, Proportion, RuleResult};
use crate::view::palette::Style;
use crate::view::table::{Cell, Column, render};
use serde::Serialize;
use std::io::{self, Write};

/// What was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trial {
    /// The file with the thresholds; null: the present ones.
    pub file: Option<String>,
    /// The begin of the window.
    pub since: Timestamp,
    /// Its end.
    pub until: Timestamp,
    /// What they would have flagged.
    pub tested: Backtest,
    /// What the present ones flag, where others were tested.
    pub present: Option<Backtest>,
}

/// Writes the line that answers, the table by rule, and what the rates rest on.
///
/// # Errors
/// Those of `out`.
pub fn text(trial: &Trial, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", style.cut_line(&answer(trial, style)))?;
    let rules = trial.tested.rules.iter().chain([&trial.tested.any]);
    let present = |idx: usize| {
        let present = trial.present.as_ref()?;
        present.rules.iter().chain([&present.any]).nth(idx)
    };
    let rows: Vec<Vec<Cell>> = rules
        .enumerate()
        .filter(|(idx, rule)| {
            rule.episode_count > 0 || present(*idx).is_some_and(|rule| rule.episode_count > 0)
        })
        .map(|(idx, rule)| row(rule, present(idx), style))
        .collect();
    if !rows.is_empty() {
        write!(out, "\n{}", render(&COLUMNS, &rows, true, style))?;
    }
    let Ends { good, bad, cancelled, unknown } = trial.tested.ends;
    let known = format!("known ends: {bad} bad (failed, timed out, unverified), {good} good");
    let left_out = format!("left out: {cancelled} cancelled, {unknown} open or unknown");
    writeln!(out, "\n{}\n{}", style.cut_line(&known), style.cut_line(&left_out))
}

const COLUMNS: [Column; 6] = [
    Column::new("RULE"),
    Column::new("TIMES").right(),
    Column::new("TASKS").right(),
    Column::new("EARLY, P90").right().drop_rank(1),
    Column::new("PRECISION").right(),
    Column::new("RECALL").right(),
];

/// `9 tasks flagged since 2026-10-23; of 8 with a known end 7 ended badly`.
fn answer(trial: &Trial, style: &Style) -> String {
    let any = &trial.tested.any;
    let since = style.zone.local(trial.since).date();
    let flagged = format!("{} flagged", plural(any.task_count, "task"));
    let right = match any.precision.of {
        0 => String::new(),
        of => format!("; of {of} with a known end {} ended badly", any.precision.count),
    };
    match (&trial.file, &trial.present) {
        (Some(file), Some(present)) => {
            format!(
                "{}: {flagged} instead of {} since {since}{right}",
                sanitize(file),
                present.any.task_count
            )
        }
        _ => format!("{flagged} since {since}{right}"),
    }
}

fn row(rule: &RuleResult, present: Option<&RuleResult>, style: &Style) -> Vec<Cell> {
    let name = rule.reason.map_or_else(|| "any of them".to_owned(), |reason| reason.replace('_', " "));
    let compared = |count: u64, of: fn(&RuleResult) -> u64| match present.map(of) {
        Some(before) if count > before => format!("{count} (+{})", count - before),
        Some(before) if count < before => format!("{count} (-{})", before - count),
        _ => count.to_string(),
    };
    let early = rule.early.map_or_else(String::new, |early| {
        let (median, p90) = (human_duration(early.median_ms), human_duration(early.p90_ms));
        format!("{median}, {p90}")
    });
    vec![
        Cell::plain(name),
        Cell::plain(compared(rule.episode_count, |rule| rule.episode_count)),
        Cell::plain(compared(rule.task_count, |rule| rule.task_count)),
        Cell::plain(early),
        Cell::plain(proportion(&rule.precision, style)),
        Cell::plain(proportion(&rule.recall, style)),
    ]
}

/// `7/9 (45–94%)`, or `2/3 too few`.
fn proportion(proportion: &Proportion, style: &Style) -> String {
    let counts = format!("{}/{}", proportion.count, proportion.of);
    match (proportion.of, proportion.interval) {
        (0, _) => "none known".to_owned(),
        (_, Some(interval)) => {
            let dash = if style.ascii { "-" } else { "–" };
            format!("{counts} ({:.0}{dash}{:.0}%)", interval.low * 100.0, interval.high * 100.0)
        }
        (_, None) => format!("{counts} too few"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::backtest::Early;
    use crate::report::rate::Rate;
    use crate::view::fixture::{ago, now};

    fn proportion(count: u64, of: u64) -> Proportion {
        let rate = Rate { succeeded: count, counted: of };
        let is_too_few = rate.is_too_few();
        Proportion {
            count,
            of,
            rate: rate.proportion().filter(|_| !is_too_few),
            interval: rate.interval().filter(|_| !is_too_few),
            is_too_few,
        }
    }

    fn rule(
        rule: Option<(&'static str, &'static str)>,
        episode_count: u64,
        bad: u64,
        known: u64,
    ) -> RuleResult {
        RuleResult {
            health: rule.map(|(health, _)| health),
            reason: rule.map(|(_, reason)| reason),
            episode_count,
            task_count: episode_count.saturating_sub(1),
            early: (episode_count > 0).then_some(Early {
                count: known,
                median_ms: 840_000,
                p90_ms: 7_200_000,
            }),
            precision: proportion(bad, known),
            recall: proportion(bad, 20),
            left_out_count: 1,
        }
    }

    fn backtest(more: u64) -> Backtest {
        Backtest {
            rules: vec![
                rule(Some(("struggling", "consecutive_failures")), 12 + more, 7, 9),
                rule(Some(("struggling", "retrying")), 0, 0, 0),
                rule(Some(("stuck", "tool_over_budget")), 3, 1, 2),
            ],
            any: rule(None, 15 + more, 8, 11),
            ends: Ends { good: 300, bad: 20, cancelled: 4, unknown: 30 },
        }
    }

    fn shown(trial: &Trial, style: &Style) -> String {
        let mut out = Vec::new();
        text(trial, style, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_rule_has_its_counts_its_lead_and_its_rates() {
        let trial =
            Trial { file: None, since: ago(43_200), until: now(), tested: backtest(0), present: None };
        insta::assert_snapshot!(shown(&trial, &Style { width: Some(80), ..Style::plain() }), @r#"
        14 tasks flagged since 2026-10-17; of 11 with a known end 8 ended badly

        RULE                  TIMES  TASKS   EARLY, P90      PRECISION         RECALL
        consecutive failures     12     11  14m, 2h 00m   7/9 (45–94%)  7/20 (18–57%)
        tool over budget          3      2  14m, 2h 00m    1/2 too few   1/20 (1–24%)
        any of them              15     14  14m, 2h 00m  8/11 (43–90%)  8/20 (22–61%)

        known ends: 20 bad (failed, timed out, unverified), 300 good
        left out: 4 cancelled, 30 open or unknown
        "#);
    }

    #[test]
    fn other_thresholds_are_compared_with_the_present_ones() {
        let file = Some("stricter.toml".to_owned());
        let trial =
            Trial { file, since: ago(43_200), until: now(), tested: backtest(2), present: Some(backtest(0)) };
        insta::assert_snapshot!(shown(&trial, &Style { width: Some(100), ascii: true, ..Style::plain() }), @r#"
        stricter.toml: 16 tasks flagged instead of 14 since 2026-10-17; of 11 with a known end 8 ended badly

        RULE                    TIMES    TASKS   EARLY, P90      PRECISION         RECALL
        consecutive failures  14 (+2)  13 (+2)  14m, 2h 00m   7/9 (45-94%)  7/20 (18-57%)
        tool over budget            3        2  14m, 2h 00m    1/2 too few   1/20 (1-24%)
        any of them           17 (+2)  16 (+2)  14m, 2h 00m  8/11 (43-90%)  8/20 (22-61%)

        known ends: 20 bad (failed, timed out, unverified), 300 good
        left out: 4 cancelled, 30 open or unknown
        "#);
    }

    #[test]
    fn nothing_flagged_is_an_answer() {
        let nothing = |known| rule(None, 0, 0, known);
        let tested =
            Backtest { rules: vec![nothing(0)], any: nothing(0), ends: Ends { good: 3, ..Ends::default() } };
        let trial = Trial { file: None, since: ago(60), until: now(), tested, present: None };
        insta::assert_snapshot!(shown(&trial, &Style::plain()), @r#"
        0 tasks flagged since 2026-11-16

        known ends: 0 bad (failed, timed out, unverified), 3 good
        left out: 0 cancelled, 0 open or unknown
        "#);
    }
}
