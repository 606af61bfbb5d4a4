//! A notification as people and programs read it: one line, harmless for a terminal, and a JSON document.

use crate::alert::router::{Change, Held, Kind, Notification};
use crate::base::text::{first_line, plural, sanitize, truncate_to_width};
use crate::view::palette::short_id;
use serde_json::{Value, json};

/// Columns of a task's name.
const NAME_WIDTH_MAX: usize = 40;
/// Columns of a line: what is longer is not read in a notification.
const LINE_WIDTH_MAX: usize = 200;

/// One line: `Fix the build (22222222) is struggling: 3 tool failures in a row`. Sanitised and cut.
#[must_use]
pub fn line(notification: &Notification) -> String {
    let line = match &notification.kind {
        Kind::Fired => fired(&notification.change),
        Kind::Resolved { over } => resolved(&notification.change, over),
        Kind::Summary { held } => {
            let told: Vec<String> = held.iter().map(one_held).collect();
            format!("{} in quiet hours: {}", plural(held.len() as u64, "alert"), told.join("; "))
        }
    };
    truncate_to_width(&line, LINE_WIDTH_MAX).into_owned()
}

/// The document that a command is given and a webhook is sent. `text` is [`line`], which is what chat services show.
#[must_use]
pub fn document(notification: &Notification) -> Value {
    let mut document = of_change(&notification.change);
    if let Some(members) = document.as_object_mut() {
        members.insert("schema_version".to_owned(), 1.into());
        members.insert("tool_version".to_owned(), env!("CARGO_PKG_VERSION").into());
        members.insert("kind".to_owned(), notification.word().into());
        members.insert("text".to_owned(), line(notification).into());
        match &notification.kind {
            Kind::Fired => {}
            Kind::Resolved { over } => drop(members.insert("over".to_owned(), of_change(over))),
            Kind::Summary { held } => {
                let one = |held: &Held| {
                    let mut change = of_change(&held.change);
                    if let Some(members) = change.as_object_mut() {
                        members.insert("is_over".to_owned(), held.is_over.into());
                    }
                    change
                };
                members.insert("held".to_owned(), held.iter().map(one).collect());
            }
        }
    }
    document
}

fn of_change(change: &Change) -> Value {
    json!({
        "id": change.id,
        "at": change.ts,
        "task": change.task,
        "name": change.name,
        "agent": change.agent,
        "project": change.project,
        "from_health": change.from_health,
        "health": change.health,
        "reason": change.reason,
        "message": change.text,
    })
}

fn fired(change: &Change) -> String {
    let text = sanitize(first_line(&change.text));
    let about = who(change);
    // The sentence about an end says itself how it ended.
    if change.health.0.is_live() {
        format!("{about} is {}: {text}", change.health.0.word())
    } else {
        format!("{about} {text}")
    }
}

fn resolved(change: &Change, over: &Change) -> String {
    let (now, before) = (change.health.0.word(), over.health.0.word());
    format!("{} is {now}, no longer {before}", who(change))
}

fn one_held(held: &Held) -> String {
    let over = if held.is_over { ", over" } else { "" };
    format!("{} {}{over}", who(&held.change), held.change.health.0.word())
}

fn who(change: &Change) -> String {
    let name = sanitize(first_line(&change.name));
    format!("{} ({})", truncate_to_width(&name, NAME_WIDTH_MAX), short_id(&change.task))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::rule::{Cause, State};
    use crate::base::clock::Timestamp;
    use crate::projection::health::{Health, Reason};

    fn change(health: Health, text: &str) -> Change {
        Change {
            id: "0193a000-0000-7000-8000-000000000000".to_owned(),
            ts: Timestamp::parse("2026-11-16T09:00:00Z").unwrap(),
            task: "22222222-2222-4222-8222-222222222222".to_owned(),
            name: "Fix the build\nand the rest".to_owned(),
            agent: Some("claude-code".to_owned()),
            project: None,
            folder: None,
            from_health: Some(State(Health::Healthy)),
            health: State(health),
            reason: (health == Health::Struggling).then_some(Cause(Reason::ConsecutiveFailures)),
            text: text.to_owned(),
        }
    }

    fn notification(kind: Kind, change: Change) -> Notification {
        Notification { rule: 0, kind, change }
    }

    #[test]
    fn a_line_says_who_how_and_why() {
        let struggling = change(Health::Struggling, "3 tool failures in a row");
        let fired = line(&notification(Kind::Fired, struggling.clone()));
        assert_eq!(fired, "Fix the build (22222222) is struggling: 3 tool failures in a row");
        let failed = line(&notification(Kind::Fired, change(Health::Failed, "failed after 2 minutes")));
        assert_eq!(failed, "Fix the build (22222222) failed after 2 minutes");
        let over = Kind::Resolved { over: Box::new(struggling.clone()) };
        let resolved = line(&notification(over, change(Health::Healthy, "working")));
        assert_eq!(resolved, "Fix the build (22222222) is healthy, no longer struggling");
        let held = vec![
            Held { change: struggling.clone(), is_over: false },
            Held { change: change(Health::Stuck, ""), is_over: true },
        ];
        assert_eq!(
            line(&notification(Kind::Summary { held }, struggling)),
            "2 alerts in quiet hours: Fix the build (22222222) struggling; Fix the build (22222222) stuck, over"
        );
    }

    #[test]
    fn what_an_agent_wrote_is_harmless_and_cut() {
        let mut evil = change(Health::Struggling, "\u{1b}]0;x\u{7} \u{202e}");
        evil.name = "\u{1b}[2J".repeat(30);
        evil.task = "\u{9b}1m".to_owned();
        let line = line(&notification(Kind::Fired, evil));
        assert!(!line.chars().any(crate::base::text::is_unsafe), "{line:?}");
        assert!(line.len() < 200 && line.contains('…'), "{line}");
    }

    #[test]
    fn a_document_has_its_version_its_kind_and_the_change() {
        let told = notification(Kind::Fired, change(Health::Struggling, "3 tool failures in a row"));
        let expected = json!({
            "schema_version": 1,
            "tool_version": env!("CARGO_PKG_VERSION"),
            "kind": "fired",
            "id": "0193a000-0000-7000-8000-000000000000",
            "at": "2026-11-16T09:00:00.000Z",
            "task": "22222222-2222-4222-8222-222222222222",
            "name": "Fix the build\nand the rest",
            "agent": "claude-code",
            "project": null,
            "from_health": "healthy",
            "health": "struggling",
            "reason": "consecutive_failures",
            "message": "3 tool failures in a row",
            "text": "Fix the build (22222222) is struggling: 3 tool failures in a row",
        });
        assert_eq!(document(&told), expected);
    }
}
