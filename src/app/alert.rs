//! `agentlog alert test`, and what the watcher needs to tell people: the outbox, the courier, the ways to deliver.

pub mod courier;
pub mod delivery;
pub mod dispatch;
pub mod history;
pub mod outbox;
pub mod program;
pub mod terminal;

use crate::alert::router::{Change, Kind, Notification};
use crate::alert::rule::{Cause, Rule, State, Via};
use crate::app::Context;
use crate::app::alert::delivery::{Delivered, deliver};
use crate::app::exit::Exit;
use crate::app::interrupt;
use crate::base::{random, text};
use crate::cli::alert::{Alert, AlertAction};
use crate::event::ids::EventId;
use crate::projection::health::{Health, Reason};
use std::io::Write as _;
use std::time::Instant;

/// Sends a sample through every rule and says what became of it.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(context: &Context, arguments: &Alert) -> anyhow::Result<Exit> {
    let AlertAction::Test(test) = &arguments.action;
    let stop = interrupt::flag()?;
    let attempts = attempts(&context.config.alert, &test.via);
    if attempts.is_empty() {
        let config = text::path(&context.project.config);
        let wanted = if test.via.is_empty() { "" } else { " that is told this way" };
        context.note(&format!("no [[alert]] in {config}{wanted}; docs/CONFIGURATION.md has examples"));
        return Ok(Exit::NothingMatched);
    }
    let mut random_bits = [0; 10];
    random::fill(&mut random_bits)?;
    let id = EventId::at(context.now(), random_bits).to_string();
    let mut has_failed = false;
    for (place, rule, via) in &attempts {
        let start = Instant::now();
        let sample = Notification { rule: *place, kind: Kind::Fired, change: sample(context, id.clone()) };
        let (symbol, outcome) = match deliver(&sample, rule, *via, &stop) {
            Ok(Delivered::Done) => {
                let took =
                    text::human_elapsed(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX));
                (if context.style.ascii { "[ok]" } else { "✓" }, format!("delivered in {took}"))
            }
            Ok(Delivered::Nobody(why)) => (if context.style.ascii { "[--]" } else { "·" }, why),
            Ok(Delivered::Interrupted) => return Ok(Exit::Interrupted),
            Err(error) => {
                has_failed = true;
                (if context.style.ascii { "[xx]" } else { "✗" }, error)
            }
        };
        let (number, outcome) = (place + 1, text::sanitize(&outcome));
        writeln!(context.out(), "{symbol} alert {number} {:<8} {outcome}", via.word())?;
    }
    Ok(if has_failed { Exit::Io } else { Exit::Done })
}

/// Which rules are tried which way. Ways that need no setting can be tried without a rule.
fn attempts(rules: &[Rule], wanted: &[Via]) -> Vec<(usize, Rule, Via)> {
    let is_wanted = |via: &Via| wanted.is_empty() || wanted.contains(via);
    let ways = |(place, rule): (usize, &Rule)| {
        let ways = rule.ways().into_iter().filter(is_wanted);
        ways.map(|via| (place, rule.clone(), via)).collect::<Vec<_>>()
    };
    let mut attempts: Vec<(usize, Rule, Via)> = rules.iter().enumerate().flat_map(ways).collect();
    let is_there = |via: &Via| attempts.iter().any(|(.., there)| there == via);
    let bare: Vec<Via> = wanted
        .iter()
        .copied()
        .filter(|via| !matches!(via, Via::Command | Via::Webhook) && !is_there(via))
        .collect();
    attempts.extend(bare.into_iter().map(|via| (rules.len(), Rule::default(), via)));
    attempts
}

fn sample(context: &Context, id: String) -> Change {
    Change {
        id,
        ts: context.now(),
        task: "alert-test".to_owned(),
        name: "A sample of an alert".to_owned(),
        agent: Some("agentlog".to_owned()),
        project: context
            .project
            .root
            .as_deref()
            .and_then(std::path::Path::file_name)
            .map(|name| name.display().to_string()),
        folder: context.project.root.as_ref().map(|root| root.display().to_string()),
        from_health: Some(State(Health::Healthy)),
        health: State(Health::Struggling),
        reason: Some(Cause(Reason::ConsecutiveFailures)),
        text: "3 tool failures in a row".to_owned(),
    }
}
