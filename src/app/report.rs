//! `agentlog report`: the weekly review, into `reports/` or to standard output.

use crate::app::exit::{Exit, Failure};
use crate::app::family::{self, Families};
use crate::app::{Context, load};
use crate::base::clock::Timestamp;
use crate::base::{fs, text};
use crate::cli::command::{Report, ReportOutput};
use crate::event::codec::Decoded;
use crate::projection::edge::Edges;
use crate::projection::state::Projection;
use crate::query::frame::{self, ToolCallsBuilder, UsageBuilder};
use crate::report::coverage::CoverageBuilder;
use crate::report::weekly::{self, WeeklyReview};
use crate::report::window::Week;
use crate::view::report_json::{self, Made};
use crate::view::report_markdown;
use std::cell::RefCell;
use std::io::Write as _;

/// So many rows are held before they are counted.
const ROWS_MAX: usize = 50_000;

/// Writes or prints the review.
///
/// # Errors
/// When the week is none, the log cannot be read, or the files cannot be written.
pub fn run(context: &Context, arguments: &Report) -> anyhow::Result<Exit> {
    let now = context.now();
    let week = match &arguments.week {
        Some(week) => Week::parse(week).map_err(|error| {
            Failure::new(Exit::Usage, error.to_string()).hint("write the week as 2026-W47 (ISO 8601)")
        })?,
        None => Week::containing(now, context.zone),
    };
    let review = review(context, week, now)?;
    let made = Made { at: now, tool_version: env!("CARGO_PKG_VERSION") };
    let mut out = context.out();
    match arguments.output {
        Some(ReportOutput::Md) => out.write_all(report_markdown::render(&review, made).as_bytes())?,
        Some(ReportOutput::Json) => out.write_all(report_json::render(&review, made)?.as_bytes())?,
        None => {
            let folder = arguments.into.clone().unwrap_or_else(|| context.project.reports());
            let unwritable = |error: std::io::Error| {
                Failure::new(Exit::Io, format!("{}: {error}", text::path(&folder)))
                    .hint("choose another folder with --into, or print with -o md")
            };
            std::fs::create_dir_all(&folder).map_err(unwritable)?;
            let markdown = folder.join(format!("{week}.md"));
            fs::replace_document(&markdown, report_markdown::render(&review, made).as_bytes())
                .map_err(unwritable)?;
            let json = folder.join(format!("{week}.json"));
            fs::replace_document(&json, report_json::render(&review, made)?.as_bytes())
                .map_err(unwritable)?;
            writeln!(out, "{}", report_markdown::answer(&review))?;
            writeln!(out, "{}\n{}", text::path(&markdown), text::path(&json))?;
        }
    }
    out.flush()?;
    Ok(Exit::Done)
}

fn review(context: &Context, week: Week, now: Timestamp) -> anyhow::Result<WeeklyReview> {
    let (zone, selection) = (context.zone, weekly::selection());
    // A week that is over is reviewed as it stood at its end, so that its review does not change by itself later.
    let as_of = now.min(week.window(zone).until);
    let from = weekly::reaches_back_to(week, zone);
    let mut builder = weekly::Builder::new(week, zone, now);
    let mut usage = UsageBuilder::new(&selection, zone);
    let mut coverage = CoverageBuilder::new(week.window(zone));
    let (logs, state) = (&context.project.logs, &context.project.state);
    let families = Families::gather(logs, state, family::SIZES, &mut |decoded| {
        coverage.apply(decoded);
        if let Decoded::Known(line) = decoded
            && (from..=as_of).contains(&line.event.ts)
        {
            usage.apply(&line.event);
            if usage.row_count() >= ROWS_MAX {
                builder.add_usage(&usage.take_rows()?)?;
            }
        }
        Ok(())
    })?;
    builder.add_usage(&usage.finish()?)?;
    load::mention_damage(context, &families.counts);
    for group in 0..families.count() {
        add_group(context, &families, group, (from, as_of), &mut builder)?;
    }
    Ok(builder.finish(coverage.finish()))
}

/// Adds what happened to the tasks of one group of families, between two instants.
fn add_group(
    context: &Context,
    families: &Families,
    group: usize,
    (from, as_of): (Timestamp, Timestamp),
    builder: &mut weekly::Builder,
) -> anyhow::Result<()> {
    let (selection, policy) = (weekly::selection(), &context.config.health);
    let mut calls = ToolCallsBuilder::new(&selection, context.zone).since(from);
    let mut projection = Projection::default();
    for sleep in families.sleeps.iter().filter(|sleep| sleep.ts <= as_of) {
        projection.add_sleep(sleep.from, sleep.until);
    }
    let sleeps = families.sleeps.iter().map(|sleep| (sleep.from, sleep.until));
    let mut edges = Edges::new(sleeps, as_of, policy);
    let is_cut = families.is_large(group) && families.creations_first;
    let pieces = RefCell::new((builder, Ok(())));
    families.visit(
        group,
        &mut |event| {
            if event.ts > as_of {
                return;
            }
            calls.apply(event);
            projection.apply(event);
            if is_cut && calls.row_count() >= ROWS_MAX {
                let (builder, result) = &mut *pieces.borrow_mut();
                let added = calls.take_rows().map_err(anyhow::Error::from);
                let added = added.and_then(|rows| Ok(builder.add_calls(&rows)?));
                *result = std::mem::replace(result, Ok(())).and(added);
            }
        },
        &mut |event| {
            edges.take(event);
            pieces.borrow_mut().0.add_edges(&edges.settled());
        },
    )?;
    let (builder, result) = pieces.into_inner();
    result?;
    builder.add_edges(&edges.finish());
    builder.add_calls(&calls.finish()?)?;
    builder.add_tasks(&frame::tasks(&projection.tasks(as_of, policy), &selection)?)?;
    Ok(())
}
