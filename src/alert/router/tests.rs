//! What is told of which changes, minute by minute. One letter stands for one task, a change is written as its minute, task
//! and health.

use super::*;
use crate::projection::health::Reason;

/// The minutes are counted from here, a Monday.
const START: &str = "2026-11-16T09:00:00Z";

fn minute(minute: i64) -> Timestamp {
    Timestamp::parse(START).unwrap().plus_millis(minute * 60_000)
}

/// `5 a struggling` or `5 a waiting permission`.
fn change(written: &str) -> Change {
    let words: Vec<&str> = written.split_whitespace().collect();
    let at: i64 = words[0].parse().unwrap();
    Change {
        id: format!("{}{}", words[1], words[0]),
        ts: minute(at),
        task: words[1].to_owned(),
        name: format!("Task {}", words[1]),
        agent: Some("explore".to_owned()),
        project: None,
        folder: None,
        from_health: None,
        health: State(Health::of_word(words[2]).unwrap()),
        reason: words.get(3).map(|word| Cause(Reason::of_word(word).unwrap())),
        text: String::new(),
    }
}

fn told(notification: &Notification) -> String {
    let what = match &notification.kind {
        Kind::Fired => notification.change.health.0.word().to_owned(),
        Kind::Resolved { over } => format!("over {}", over.id),
        Kind::Summary { held } => {
            let one = |held: &Held| format!("{}{}", held.change.id, if held.is_over { " over" } else { "" });
            format!("[{}]", held.iter().map(one).collect::<Vec<_>>().join(", "))
        }
    };
    format!("{} {} {what}", notification.rule, notification.id())
}

/// What is told of these changes by rules, until a minute, looked at every minute.
fn run(rules: &[&str], changes: &[&str], until: i64) -> Vec<String> {
    run_in("utc", rules, changes, until)
}

fn run_in(zone: &str, rules: &[&str], changes: &[&str], until: i64) -> Vec<String> {
    let mut router = router(zone, rules);
    let changes: Vec<Change> = changes.iter().map(|written| change(written)).collect();
    let mut all = Vec::new();
    let mut say = |at: i64, notifications: Vec<Notification>| {
        all.extend(notifications.iter().map(|notification| format!("{at}: {}", told(notification))));
    };
    for at in 0..=until {
        say(at, router.advance(minute(at)));
        for change in changes.iter().filter(|change| change.ts == minute(at)) {
            say(at, router.take(change));
        }
    }
    all
}

fn router(zone: &str, rules: &[&str]) -> Router {
    let rules: Vec<Rule> = rules.iter().map(|text| toml::from_str(text).unwrap()).collect();
    Router::new(&rules, Zone::parse(zone).unwrap())
}

#[test]
fn it_fires_once_while_it_lasts_and_is_over_once() {
    let changes = ["0 a healthy", "1 a struggling", "9 a healthy", "12 a idle", "20 a completed"];
    assert_eq!(run(&[""], &changes, 60), ["1: 0 a1 struggling", "9: 0 a9 over a1"]);
    assert_eq!(run(&["resolve = false"], &changes, 60), ["1: 0 a1 struggling"]);
}

#[test]
fn a_worse_state_is_told_and_the_same_one_for_another_reason_is_not() {
    let changes = [
        "1 a struggling consecutive_failures",
        "2 a struggling retrying",
        "3 a stuck silent",
        "4 a stuck process_gone",
        "5 a failed",
        "6 a failed unverified",
    ];
    let expected = ["1: 0 a1 struggling", "3: 0 a3 stuck", "4: 0 a4 stuck", "5: 0 a5 failed"];
    assert_eq!(run(&[""], &changes, 60), expected);
}

#[test]
fn flapping_within_the_cooldown_fires_once() {
    let changes = [
        "0 a struggling",
        "1 a healthy",
        "2 a struggling",
        "3 a healthy",
        "4 a struggling",
        "4 b stuck",
        "4 a healthy",
    ];
    assert_eq!(run(&[""], &changes, 60), ["0: 0 a0 struggling", "1: 0 a1 over a0", "4: 0 b4 stuck"]);
}

#[test]
fn what_came_back_within_the_cooldown_and_stays_is_told_at_its_end() {
    let changes = ["0 a struggling", "1 a healthy", "2 a struggling"];
    assert_eq!(run(&[""], &changes, 60), ["0: 0 a0 struggling", "1: 0 a1 over a0", "5: 0 a2 struggling"]);
    assert_eq!(run(&["cooldown_ms = 0"], &changes, 3).last().unwrap(), "2: 0 a2 struggling");
}

#[test]
fn a_state_must_hold_before_it_is_told_and_be_over_before_that_is() {
    let rule = "for_ms = 180000\nkeep_ms = 120000";
    assert_eq!(run(&[rule], &["0 a stuck", "2 a healthy"], 60), Vec::<String>::new());
    let changes = ["0 a stuck", "10 a healthy", "11 a stuck", "20 a healthy", "21 a idle"];
    assert_eq!(run(&[rule], &changes, 60), ["3: 0 a0 stuck", "22: 0 a20 over a0"]);
}

#[test]
fn rules_choose_by_health_reason_task_agent_and_project() {
    let rules = [
        "on = ['waiting']\nreasons = ['permission']",
        "on = ['waiting']\ntask = 'b*'",
        "on = ['waiting']\nagent = 'expl?re'",
        "on = ['waiting']\nproject = '*'",
    ];
    let changes = ["1 a waiting permission", "2 b waiting child", "3 c stuck"];
    let expected = ["1: 0 a1 waiting", "1: 2 a1 waiting", "2: 1 b2 waiting", "2: 2 b2 waiting"];
    assert_eq!(run(&rules, &changes, 9), expected);
}

#[test]
fn quiet_hours_are_summed_up_at_their_end() {
    // 22:00 is minute 780, 07:00 the next day minute 1320.
    let rule = "quiet = '22:00-07:00'";
    let changes = [
        "700 d stuck",
        "790 a struggling",
        "800 b failed",
        "810 a healthy",
        "820 d healthy",
        "1330 b healthy",
        "1400 c stuck",
    ];
    let expected = [
        "700: 0 d700 stuck",
        "1320: 0 a790 [a790 over, b800, d820 over]",
        "1330: 0 b1330 over b800",
        "1400: 0 c1400 stuck",
    ];
    assert_eq!(run(&[rule], &changes, 1500), expected);
    let loud = run(&["", rule], &["790 a struggling"], 1500);
    assert_eq!(loud, ["790: 0 a790 struggling", "1320: 1 a790 [a790]"]);
}

#[test]
fn a_quiet_night_in_which_nothing_happened_says_nothing() {
    assert_eq!(run(&["quiet = '22:00-07:00'"], &["700 a stuck"], 3000), ["700: 0 a700 stuck"]);
}

#[test]
fn a_quiet_night_in_which_the_clock_is_set_ends_by_the_clock_on_the_wall() {
    let mut router = router("Europe/Berlin", &["quiet = '22:00-07:00'"]);
    let at = |text| Timestamp::parse(text).unwrap();
    let stuck = Change { ts: at("2026-10-24T21:00:00Z"), ..change("0 a stuck") };
    assert_eq!(router.take(&stuck), []);
    assert_eq!(router.deadline(), Some(at("2026-10-25T06:00:00Z")));
    assert_eq!(router.advance(at("2026-10-25T05:59:59Z")), []);
    assert_eq!(router.advance(at("2026-10-25T06:00:00Z")).len(), 1);
    assert_eq!(router.deadline(), None);
}

#[test]
fn what_is_replayed_is_told_the_same_however_often_it_is_looked() {
    let rules = ["for_ms = 120000", "quiet = '11:00-12:00'", "cooldown_ms = 600000\nkeep_ms = 60000"];
    let changes = [
        "0 a struggling",
        "1 b stuck",
        "5 a healthy",
        "6 a struggling",
        "30 b healthy",
        "130 a healthy",
        "140 a failed",
        "150 b stuck",
    ];
    let often: Vec<String> =
        run(&rules, &changes, 400).iter().map(|line| line.split_once(": ").unwrap().1.to_owned()).collect();
    let mut router = router("utc", &rules);
    let mut seldom: Vec<Notification> =
        changes.iter().flat_map(|written| router.take(&change(written))).collect();
    seldom.extend(router.advance(minute(400)));
    assert_eq!(seldom.iter().map(told).collect::<Vec<_>>(), often);
    assert!(often.len() > 8, "{often:?}");
}

#[test]
fn what_is_open_is_what_may_still_be_told() {
    let mut router = router("utc", &["for_ms = 120000\nkeep_ms = 60000"]);
    assert!(!router.concerns(&change("0 a healthy")));
    assert!(router.concerns(&change("0 a stuck")));
    assert_eq!(router.take(&change("0 a stuck")), []);
    assert_eq!((router.open(), router.deadline()), (["a0"].into(), Some(minute(2))));
    assert_eq!(router.advance(minute(2)).len(), 1);
    assert_eq!((router.open(), router.deadline()), (BTreeSet::new(), None));
    assert!(router.concerns(&change("3 a healthy")));
    assert_eq!(router.take(&change("3 a healthy")), []);
    assert_eq!(router.open(), ["a3"].into());
    assert_eq!(router.advance(minute(9)).len(), 1);
    assert!(router.open().is_empty() && !router.concerns(&change("10 a idle")));
    assert_eq!(router.memory_ms(), 300_000);
}

#[test]
fn a_project_is_known_by_its_name_and_by_its_folder() {
    let change = Change {
        project: Some("shop".to_owned()),
        folder: Some("/home/dev/shop/web".to_owned()),
        ..change("5 a stuck")
    };
    let fits = |pattern: &str| {
        let rule = Rule { project: Some(pattern.to_owned().try_into().unwrap()), ..Rule::default() };
        matches(&rule, &change)
    };
    assert_eq!(["shop", "*/shop", "/home/dev/shop", "*/bank"].map(fits), [true, true, true, false]);
}
