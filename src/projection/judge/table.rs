//! The table of cases: `cases.txt` says what happened, when to look, and the whole verdict that is due then.
//!
//! How a case is written stands at the head of that file. Here it is read: the words become events, the events a fold, and
//! the verdict a line to compare. Nothing is written for a case in Rust, so whoever doubts a rule can add one.

use crate::base::clock::Timestamp;
use crate::event::body::{Body, Criterion};
use crate::event::envelope::Event;
use crate::event::error::ErrorDetail;
use crate::event::field::Text;
use crate::projection::fixture::{self, described, folded, instant};
use crate::projection::policy::Policy;

const CASES: &str = include_str!("cases.txt");

/// Something that happened, and what is due at some instants.
struct Story {
    title: &'static str,
    events: Vec<Event<'static>>,
    policy: Policy,
    cases: Vec<Case>,
}

/// One instant, the task looked at, and its verdict.
struct Case {
    line: usize,
    at: &'static str,
    task: &'static str,
    verdict: &'static str,
}

fn stories() -> Vec<Story> {
    let mut stories: Vec<Story> = Vec::new();
    for (idx, line) in CASES.lines().enumerate() {
        let (mark, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        match mark {
            "" | "#" => {}
            "|" => stories.last_mut().unwrap().events.extend(happened(rest)),
            "!" => stories.last_mut().unwrap().policy = toml::from_str(&rest.replace("; ", "\n")).unwrap(),
            "@" => {
                let (when, verdict) =
                    rest.split_once("=>").unwrap_or_else(|| panic!("line {}: no =>", idx + 1));
                let (at, task) = when.trim().split_once(" of ").unwrap_or((when.trim(), "t"));
                let case = Case { line: idx + 1, at, task, verdict: verdict.trim() };
                stories.last_mut().unwrap().cases.push(case);
            }
            _ => stories.push(Story {
                title: line,
                events: Vec::new(),
                policy: Policy::default(),
                cases: Vec::new(),
            }),
        }
    }
    stories
}

/// The words of one event: its arguments, and its options `name=value`.
struct Words {
    plain: Vec<&'static str>,
    options: Vec<(&'static str, &'static str)>,
}

impl Words {
    fn argument(&self, place: usize) -> Option<&'static str> {
        self.plain.get(place).copied()
    }

    /// The value of an option; of several values in turn that of the `nth` event.
    fn option(&self, name: &str, nth: usize) -> Option<&'static str> {
        let (_, values) = self.options.iter().find(|(known, _)| *known == name)?;
        let values: Vec<&'static str> = values.split('/').collect();
        Some(values[nth % values.len()])
    }

    fn text(&self, name: &str, nth: usize) -> Option<Text<'static>> {
        self.option(name, nth).map(Into::into)
    }

    fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(&self, name: &str) -> Option<T> {
        self.option(name, 0).map(|value| value.parse().unwrap())
    }
}

/// The events of a line of a story, for whoever has more to say of them than verdicts.
pub(crate) fn happened(text: &'static str) -> Vec<Event<'static>> {
    text.split(';').flat_map(events).collect()
}

/// The events of `09:00 word …`, or of `09:00*3/10s word …`.
fn events(text: &'static str) -> Vec<Event<'static>> {
    let mut words = text.split_whitespace();
    let when = words.next().unwrap_or_else(|| panic!("nothing between two semicolons: {text}"));
    let word = words.next().unwrap_or_else(|| panic!("an instant and no event: {text}"));
    let (options, plain): (Vec<_>, Vec<_>) = words.partition(|word| word.contains('='));
    let options = options.into_iter().filter_map(|option| option.split_once('=')).collect();
    let words = Words { plain, options };
    let (first, times) = when.split_once('*').unwrap_or((when, "1"));
    let (times, step_s) = times.split_once('/').unwrap_or((times, "60s"));
    let step_ms = step_s.trim_end_matches('s').parse::<i64>().unwrap() * 1000;
    let event = |nth: usize| {
        let ts = instant(first).plus_millis(step_ms * i64::try_from(nth).unwrap());
        let mut event = fixture::event("00:00", body(word, &words, nth, ts));
        event.ts = ts;
        event.observed_at = words.option("observed", nth).map(instant);
        event.task = (word != "slept").then(|| words.text("task", nth).unwrap_or("t".into()));
        let (task, body) = (event.task.as_deref().unwrap_or_default(), format!("{:?}", event.body));
        event.id =
            crate::event::ids::EventId::of(&[task.as_bytes(), &ts.micros().to_le_bytes(), body.as_bytes()]);
        event
    };
    (0..times.parse().unwrap()).map(event).collect()
}

fn body(word: &'static str, words: &Words, nth: usize, ts: Timestamp) -> Body<'static> {
    let (attempt, exit_code, reason, duration_ms) =
        (words.number("attempt"), words.number("exit"), None, None);
    let thread = words.text("thread", nth);
    let on = || Text::from(words.argument(0).unwrap());
    match word {
        "created" => created(words),
        "started" => Body::TaskStarted { attempt },
        "completed" => Body::TaskCompleted { attempt, exit_code, reason, duration_ms },
        "failed" => Body::TaskFailed { attempt, exit_code, reason, duration_ms },
        "timed-out" => Body::TaskTimedOut { attempt, exit_code, reason, duration_ms },
        "cancelled" => Body::TaskCancelled { attempt, exit_code, reason, duration_ms },
        "checked" => {
            let criterion =
                |ok: &&str| Criterion { name: "tests pass".into(), ok: *ok == "met", message: None };
            Body::CompletionChecked { attempt, criteria: words.plain.iter().map(criterion).collect() }
        }
        "turn" => Body::TurnStarted { thread },
        "turn-ends" => Body::TurnEnded { thread, reason: Some("done".into()), duration_ms },
        "wait" => Body::WaitingStarted { on: on(), until_at: words.option("until", 0).map(instant) },
        "wait-ends" => Body::WaitingEnded { on: on() },
        "slept" => Body::HostSuspended { from_at: instant(words.option("from", 0).unwrap()), until_at: ts },
        "call" | "ok" | "fail" => tool(word, words, nth),
        _ => sign(word, words),
    }
}

fn created(words: &Words) -> Body<'static> {
    let parent: Option<&'static str> = words.option("parent", 0);
    fixture::created("00:00", "A task", parent).body
}

fn tool(word: &str, words: &Words, nth: usize) -> Body<'static> {
    let tool: Text<'static> = words.argument(0).unwrap_or("Bash").into();
    let call: Text<'static> = words.argument(1).unwrap_or("x").into();
    let (thread, attempt, model, duration_ms) =
        (words.text("thread", nth), words.number("attempt"), None, None);
    let (input_hash, result_hash) = (words.text("in", nth), words.text("out", nth));
    match word {
        "call" => Body::ToolStarted { tool, call, thread, attempt, model, input_hash },
        "ok" => {
            Body::ToolSucceeded { tool, call, thread, attempt, model, duration_ms, input_hash, result_hash }
        }
        _ => {
            let kind = words.text("kind", nth).unwrap_or("exit_code".into());
            let category = words.text("category", nth);
            let error = ErrorDetail { kind, category, message: None, exit_code: None };
            Body::ToolFailed {
                tool,
                call,
                thread,
                attempt,
                model,
                duration_ms,
                input_hash,
                result_hash,
                error,
            }
        }
    }
}

fn sign(word: &str, words: &Words) -> Body<'static> {
    match word {
        "message" => fixture::message("00:00").body,
        "output" => fixture::output_grew("00:00").body,
        "process" => fixture::sampled("00:00", words.argument(0).unwrap()).body,
        "progress" => Body::ProgressReported {
            current: words.number("current"),
            total: None,
            percent: None,
            step: None,
        },
        "action" => {
            Body::ActionLogged { action: "edit".into(), target: None, ok: words.argument(0) == Some("ok") }
        }
        "announced" => {
            Body::HealthChanged { from_health: None, to_health: "stuck".into(), reason: None, text: None }
        }
        "unseen" => Body::SourceFailed {
            file: None,
            path: None,
            error: ErrorDetail { kind: "environment".into(), category: None, message: None, exit_code: None },
        },
        "seen" => Body::SourceOpened {
            file: "f".into(),
            path: None,
            session: None,
            device: None,
            inode: None,
            head_bytes: None,
            head_hash: None,
            generation: None,
            forked_from: None,
            first_record: None,
        },
        _ => panic!("no event is called {word}"),
    }
}

impl Story {
    /// The verdict at an instant, of what had been written by then.
    fn verdict(&self, case: &Case) -> String {
        let now = instant(case.at);
        let known = self.events.iter().filter(|event| event.observed_at.unwrap_or(event.ts) <= now);
        match folded(known).task(case.task, now, &self.policy) {
            Some(status) => described(&status.verdict, &self.events),
            None => "nobody".to_owned(),
        }
    }
}

#[test]
fn every_case_of_the_table_has_its_verdict() {
    let stories = stories();
    let mut wrong: Vec<String> = Vec::new();
    for story in &stories {
        for case in &story.cases {
            let found = story.verdict(case);
            if found != case.verdict {
                let Case { line, at, task, verdict } = case;
                wrong.push(format!(
                    "cases.txt:{line}: {}\n  {task} at {at}\n  due   {verdict}\n  found {found}\n",
                    story.title
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_table_has_every_health_and_every_reason() {
    use crate::projection::health::{Health, Reason};
    let stories = stories();
    let verdicts: Vec<&str> =
        stories.iter().flat_map(|story| &story.cases).map(|case| case.verdict).collect();
    assert!(verdicts.len() >= 120, "{} cases", verdicts.len());
    let words =
        Health::ALL.iter().map(|health| health.word()).chain(Reason::ALL.iter().map(|reason| reason.word()));
    let missing: Vec<&str> = words
        .filter(|word| {
            !verdicts
                .iter()
                .any(|verdict| verdict.split(" | ").next().unwrap().split(' ').any(|one| one == *word))
        })
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
    for story in &stories {
        assert!(!story.events.is_empty() && !story.cases.is_empty(), "{} says nothing", story.title);
    }
}
