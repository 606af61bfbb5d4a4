//! The table, the answer line and the order of tasks.

use super::*;
use crate::base::text::display_width;
use crate::view::fixture::{ago, crew, now, task, task_a};
use proptest::prelude::*;

fn shown(options: StatusOptions, style: &Style) -> String {
    let mut out = Vec::new();
    status(&crew(), now(), options, style, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn at(width: usize) -> Style {
    Style { width: Some(width), ..Style::plain() }
}

#[test]
fn eighty_columns_hold_what_matters() {
    insta::assert_snapshot!(shown(StatusOptions::default(), &at(80)), @r#"
        3 need attention · 1 healthy · 1 waiting · 1 idle · 1 ended · 1 unknown

        TASK            HEALTH        DETAIL              FAILS    LAST  TITLE
        4c8f6a2e        ⏸ Waiting     for a child task               1m  make the night…
        └ bg_0badcafe   ◌ Stuck       silent for 18m                18m  read the design
        └ bg_def456     ⚠ Struggling  3 tool failures         3      2m  Task B
        case-7/beam-03  ✗ Failed      after 1h 45m               1h 35m  beam 3 of 12
        bg_abc123       ✓ Healthy     2/5 steps, analyz…             0s  Task A
        019a1b2c-3d4e   ○ Idle        finished its turn             50m  codex
        bg_77aa77aa     ✓ Completed   after 10m                  1h 00m  第一章を翻訳す…
        9d2e0f11        ? Unknown     no activity for 3d             3d  forgotten
        "#);
}

#[test]
fn sixty_columns_hold_what_matters_most() {
    insta::assert_snapshot!(shown(StatusOptions::default(), &at(60)), @r#"
        3 need attention · 1 healthy · 1 waiting · 1 idle · 1 ended

        TASK            HEALTH        DETAIL                    LAST
        4c8f6a2e        ⏸ Waiting     for a child task            1m
        └ bg_0badcafe   ◌ Stuck       silent for 18m             18m
        └ bg_def456     ⚠ Struggling  3 tool failures             2m
        case-7/beam-03  ✗ Failed      after 1h 45m            1h 35m
        bg_abc123       ✓ Healthy     2/5 steps, analyzing …      0s
        019a1b2c-3d4e   ○ Idle        finished its turn          50m
        bg_77aa77aa     ✓ Completed   after 10m               1h 00m
        9d2e0f11        ? Unknown     no activity for 3d          3d
        "#);
}

#[test]
fn a_hundred_and_twenty_columns_hold_more() {
    insta::assert_snapshot!(shown(StatusOptions::default(), &at(120)), @r#"
        3 need attention · 1 healthy · 1 waiting · 1 idle · 1 ended · 1 unknown

        TASK            AGENT        HEALTH        DETAIL                         FAILS    LAST  TITLE
        4c8f6a2e        claude-code  ⏸ Waiting     for a child task                          1m  make the nightly build green a…
        └ bg_0badcafe   oracle       ◌ Stuck       silent for 18m                           18m  read the design
        └ bg_def456     librarian    ⚠ Struggling  3 tool failures                    3      2m  Task B
        case-7/beam-03  slurm        ✗ Failed      after 1h 45m                          1h 35m  beam 3 of 12
        bg_abc123       explore      ✓ Healthy     2/5 steps, analyzing codebase             0s  Task A
        019a1b2c-3d4e   codex        ○ Idle        finished its turn                        50m  codex
        bg_77aa77aa                  ✓ Completed   after 10m                             1h 00m  第一章を翻訳する
        9d2e0f11                     ? Unknown     no activity for 3d                        3d  forgotten
        "#);
}

#[test]
fn a_failed_task_shows_its_reason_as_far_as_there_is_room() {
    let failed = TaskStatus {
        title: Some("Index the shop".to_owned()),
        end_reason: Some("Killed: out of memory while building the index\nsecond line".to_owned()),
        ended_at: Some(ago(30)),
        last_activity_at: Some(ago(30)),
        ..task("worktree-search-index", Health::Failed, None)
    };
    let verified = TaskStatus {
        verified: Some(crate::projection::status::Verified { met: 3, total: 3 }),
        created_at: Some(ago(70)),
        ended_at: Some(ago(60)),
        last_activity_at: Some(ago(60)),
        ..task("bg_77aa77aa", Health::Completed, None)
    };
    let shown =
        |width| table(&[failed.clone(), verified.clone()], now(), StatusOptions::default(), &at(width));
    let pages = [shown(80), shown(40)].join("\n");
    insta::assert_snapshot!(pages, @r#"
        TASK                   HEALTH       DETAIL                  LAST  TITLE
        worktree-search-index  ✗ Failed     Killed: out of memo…     30m  Index the shop
        bg_77aa77aa            ✓ Completed  verified 3/3          1h 00m  task

        TASK           HEALTH       DETAIL
        worktree-sea…  ✗ Failed     Killed: out…
        bg_77aa77aa    ✓ Completed  verified 3/3
        "#);
}

#[test]
fn the_wide_table_has_all_columns() {
    insta::assert_snapshot!(shown(StatusOptions { wide: true, headings: true }, &at(80)), @r#"
        3 need attention · 1 healthy · 1 waiting · 1 idle · 1 ended · 1 unknown

        TASK            AGENT        HEALTH        BELOW    PROGRESS                       MESSAGE                                          FAILS  CALLS  TOKENS   COST    LAST     AGE  MODEL  TITLE
        4c8f6a2e        claude-code  ⏸ Waiting     ◌ Stuck                                 waiting for a child task                                                          1m  2h 05m         make the nightly build green again without touching the release branch
        └ bg_0badcafe   oracle       ◌ Stuck                                               silent for 18 minutes inside a turn                                              18m     40m         read the design
        └ bg_def456     librarian    ⚠ Struggling                                          3 tool failures in a row                             3      8                     2m     30m         Task B
        case-7/beam-03  slurm        ✗ Failed                                              failed after 1 hour 45 minutes                                                1h 35m  3h 20m         beam 3 of 12
        bg_abc123       explore      ✓ Healthy              2/5 steps, analyzing codebase  working                                                    16   52.0k  $0.25      0s     12m  opus   Task A
        019a1b2c-3d4e   codex        ○ Idle                                                finished its turn                                                                50m       -         codex
        bg_77aa77aa                  ✓ Completed                                           completed after 10 minutes                                                    1h 00m  1h 10m         第一章を翻訳する
        9d2e0f11                     ? Unknown                                             no activity for 3 days; it may have been closed                                   3d       -         forgotten
        "#);
}

#[test]
fn within_ascii_only_titles_are_not_ascii() {
    let mut style = at(80);
    style.ascii = true;
    let text = shown(StatusOptions { wide: false, headings: false }, &style);
    let foreign: Vec<&str> = text.lines().filter(|line| !line.is_ascii()).collect();
    assert!(matches!(foreign[..], [line] if line.contains("bg_77aa77aa")), "{text}");
}

#[test]
fn a_failure_of_last_week_needs_no_attention_today() {
    let failed = |minutes| TaskStatus { ended_at: Some(ago(minutes)), ..task("x", Health::Failed, None) };
    assert_eq!(summary(&[failed(60)], now(), &Style::plain()), "1 needs attention");
    assert_eq!(summary(&[failed(7 * 24 * 60)], now(), &Style::plain()), "nothing needs attention · 1 ended");
}

#[test]
fn hints_name_the_worst_tasks() {
    assert_eq!(
        hints(&crew(), now(), &Style::plain()),
        [
            "agentlog explain bg_0badcafe   why it is stuck",
            "agentlog explain bg_def456   why it is struggling"
        ]
    );
    assert_eq!(hints(&[task_a()], now(), &Style::plain()), Vec::<String>::new());
}

#[test]
fn tasks_that_are_each_others_parents_are_still_shown() {
    let child_of = |id: &str, parent: &str| TaskStatus {
        parent: Some(parent.to_owned()),
        ..task(id, Health::Healthy, None)
    };
    let tasks = [child_of("a", "b"), child_of("b", "a"), child_of("c", "c"), child_of("d", "nowhere")];
    let order: Vec<(&str, usize)> =
        ordered(&tasks, now()).into_iter().map(|(task, depth)| (task.task.as_str(), depth)).collect();
    assert_eq!(order, [("c", 0), ("d", 0), ("a", 0), ("b", 1)]);
}

#[test]
fn among_equals_what_moved_last_stands_first() {
    let active = |id: &str, minutes| TaskStatus {
        last_activity_at: Some(ago(minutes)),
        ..task(id, Health::Healthy, None)
    };
    let tasks = [active("a", 9), active("b", 1), active("c", 5)];
    let order: Vec<&str> = ordered(&tasks, now()).into_iter().map(|(task, _)| task.task.as_str()).collect();
    assert_eq!(order, ["b", "c", "a"]);
}

#[test]
fn no_tasks_are_no_output() {
    let mut out = Vec::new();
    status(&[], now(), StatusOptions::default(), &Style::plain(), &mut out).unwrap();
    assert_eq!(out, b"");
}

proptest! {
    #[test]
    fn every_task_stands_once_and_no_line_wraps(
        parents in prop::collection::vec(prop::option::of(0_usize..12), 1..12), width in 30_usize..140,
    ) {
        let tasks: Vec<TaskStatus> = parents
            .iter()
            .enumerate()
            .map(|(idx, parent)| TaskStatus {
                parent: parent.map(|parent| format!("task-{parent}")),
                ..task(&format!("task-{idx}"), Health::Healthy, None)
            })
            .collect();
        let mut shown: Vec<&str> = ordered(&tasks, now()).iter().map(|(task, _)| task.task.as_str()).collect();
        shown.sort_unstable();
        let mut all: Vec<&str> = tasks.iter().map(|task| task.task.as_str()).collect();
        all.sort_unstable();
        prop_assert_eq!(shown, all);
        let text = table(&tasks, now(), StatusOptions::default(), &at(width));
        prop_assert!(text.lines().all(|line| display_width(line) <= width), "{}", text);
    }
}
