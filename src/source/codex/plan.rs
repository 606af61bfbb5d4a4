//! The plan an agent keeps with `update_plan`, as progress.

use crate::event::scan::RawKind;
use crate::source::codex::output::arguments;
use crate::source::codex::record::{Fields, Fit};
use crate::source::session::Progress;
use crate::source::text::{captured, elements};

/// How far an agent is by its plan, and whether the plan has what plans have. An empty plan says nothing.
pub(super) fn progress(input: &str) -> (Option<Progress>, Fit) {
    let input = arguments(input);
    if input.is_empty() {
        // The model wrote something else than an object; the tool will say so.
        return (None, Fit::Good);
    }
    let Some(plan) = input.get("plan").filter(|raw| raw.kind == RawKind::Array) else {
        return (None, Fit::Bad);
    };
    let steps: Vec<_> = elements(plan).into_iter().map(Fields::of).collect();
    let fit =
        Fit::if_there(steps.iter().all(|step| step.word("status").is_some() && step.get("step").is_some()));
    let is = |step: &Fields<'_>, status| step.word("status") == Some(status);
    let done = steps.iter().filter(|step| is(step, "completed")).count();
    let current = steps.iter().find(|step| is(step, "in_progress")).and_then(|step| step.text("step"));
    let widen = |count| u64::try_from(count).unwrap_or(u64::MAX);
    let progress = Progress::of_steps(widen(done), widen(steps.len()), current.as_deref().and_then(captured));
    (Some(progress).filter(|_| !steps.is_empty()), fit)
}
