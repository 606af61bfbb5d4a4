//! A small crew of tasks in every state, composed by hand, for the tests of the views.

use crate::base::clock::Timestamp;
use crate::projection::health::{Health, Number, Reason, Verdict};
use crate::projection::status::{ChildCounts, Progress, TaskStatus, ToolCounts, Usage};

/// The instant at which the tests look.
pub(crate) fn now() -> Timestamp {
    Timestamp::parse("2026-11-16T09:41:00Z").unwrap()
}

/// So many minutes before [`now`].
pub(crate) fn ago(minutes: i64) -> Timestamp {
    now().plus_millis(-minutes * 60_000)
}

/// A task with an id and a health, and nothing else known.
pub(crate) fn task(id: &str, health: Health, reason: Option<Reason>) -> TaskStatus {
    TaskStatus {
        task: id.to_owned(),
        parent: None,
        agent: None,
        source: None,
        title: None,
        assigned_task: None,
        model: None,
        host: None,
        project: None,
        cwd: None,
        worktree: None,
        attempt: 1,
        verdict: Verdict { health, reason, since: None, numbers: Vec::new(), evidence: Vec::new() },
        rollup: health,
        created_at: None,
        last_activity_at: None,
        ended_at: None,
        claimed: None,
        end_reason: None,
        duration_ms: None,
        verified: None,
        progress: None,
        consecutive_failures: 0,
        longest_streak: 0,
        announced: None,
        acknowledged_at: None,
        alignment: None,
        tools: ToolCounts::default(),
        usage: Usage::default(),
        children: ChildCounts::default(),
    }
}

/// The first task of the seeds: two of five steps done, healthy.
pub(crate) fn task_a() -> TaskStatus {
    TaskStatus {
        agent: Some("explore".to_owned()),
        source: Some("claude-code".to_owned()),
        title: Some("Task A".to_owned()),
        model: Some("opus".to_owned()),
        created_at: Some(ago(12)),
        last_activity_at: Some(ago(0)),
        progress: Some(Progress {
            current: Some(2),
            total: Some(5),
            percent: Some(40.0),
            step: Some("analyzing codebase".to_owned()),
        }),
        tools: ToolCounts { succeeded: 14, failed: 1, neutral: 0, open: 1 },
        usage: Usage {
            input_tokens: 1200,
            output_tokens: 800,
            cache_read_tokens: 50_000,
            cache_write_tokens: 0,
            cost_usd: Some(0.25),
            quality: Some("measured".to_owned()),
        },
        ..task("bg_abc123", Health::Healthy, None)
    }
}

/// The second task of the seeds: three failures in a row.
pub(crate) fn task_b() -> TaskStatus {
    let mut task = TaskStatus {
        parent: Some("4c8f6a2e-90b1-4d7c-8a53-d1e07f2b6c94".to_owned()),
        agent: Some("librarian".to_owned()),
        title: Some("Task B".to_owned()),
        created_at: Some(ago(30)),
        last_activity_at: Some(ago(2)),
        consecutive_failures: 3,
        tools: ToolCounts { succeeded: 4, failed: 3, neutral: 1, open: 0 },
        ..task("bg_def456", Health::Struggling, Some(Reason::ConsecutiveFailures))
    };
    task.verdict.since = Some(ago(2));
    task.verdict.numbers =
        vec![Number { name: "consecutive_failures", value: 3.0, limit: Some(3.0), unit: "" }];
    task
}

/// A session with a struggling child and one that is stuck, and tasks in the other states.
pub(crate) fn crew() -> Vec<TaskStatus> {
    let session = TaskStatus {
        agent: Some("claude-code".to_owned()),
        title: Some("make the nightly build green again without touching the release branch".to_owned()),
        last_activity_at: Some(ago(1)),
        created_at: Some(ago(125)),
        rollup: Health::Stuck,
        ..task("4c8f6a2e-90b1-4d7c-8a53-d1e07f2b6c94", Health::Waiting, Some(Reason::Child))
    };
    let stuck = TaskStatus {
        parent: Some("4c8f6a2e-90b1-4d7c-8a53-d1e07f2b6c94".to_owned()),
        agent: Some("oracle".to_owned()),
        title: Some("read the design".to_owned()),
        last_activity_at: Some(ago(18)),
        created_at: Some(ago(40)),
        ..task("bg_0badcafe", Health::Stuck, Some(Reason::Silent))
    };
    let failed = TaskStatus {
        agent: Some("slurm".to_owned()),
        title: Some("beam 3 of 12".to_owned()),
        created_at: Some(ago(200)),
        last_activity_at: Some(ago(95)),
        ended_at: Some(ago(95)),
        ..task("case-7/beam-03", Health::Failed, None)
    };
    let idle = TaskStatus {
        agent: Some("codex".to_owned()),
        last_activity_at: Some(ago(50)),
        ..task("019a1b2c-3d4e-7f00-8a53-d1e07f2b6c94", Health::Idle, Some(Reason::TurnEnded))
    };
    let old = TaskStatus {
        title: Some("forgotten\nsession".to_owned()),
        last_activity_at: Some(ago(3 * 24 * 60)),
        ..task("9d2e0f11-90b1-4d7c-8a53-d1e07f2b6c94", Health::Unknown, Some(Reason::Stale))
    };
    let done = TaskStatus {
        title: Some("第一章を翻訳する".to_owned()),
        created_at: Some(ago(70)),
        last_activity_at: Some(ago(60)),
        ended_at: Some(ago(60)),
        ..task("bg_77aa77aa", Health::Completed, None)
    };
    vec![old, task_a(), done, task_b(), failed, idle, session, stuck]
}
