//! `agentlog report`: the weekly review, into `reports/` or to standard output.

use crate::app::exit::{Exit, Failure};
use crate::app::log::Reader;
use crate::app::{Context, load};
use crate::base::clock::Timestamp;
use crate::base::{fs, text};
use crate::cli::command::{Report, ReportOutput};
use crate::event::codec::Decoded;
use crate::query::frame::{self, ToolCallsBuilder, UsageBuilder};
use crate::report::coverage::CoverageBuilder;
use crate::report::weekly::{self, Input, WeeklyReview};
use crate::report::window::Week;
use crate::view::report_json::{self, Made};
use crate::view::report_markdown;
use std::io::Write as _;

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
    let mut calls = ToolCallsBuilder::new(&selection, zone);
    let mut usage = UsageBuilder::new(&selection, zone);
    let mut coverage = CoverageBuilder::new(week.window(zone));
    // A week that is over is reviewed as it stood at its end, so that its review does not change by itself later.
    let as_of = now.min(week.window(zone).until);
    let mut reader = Reader::new(&context.project.logs);
    reader.advance(&mut |_, decoded, _| {
        coverage.apply(decoded);
        if let Decoded::Known(line) = decoded
            && line.event.ts <= as_of
        {
            calls.apply(&line.event);
            usage.apply(&line.event);
        }
    })?;
    let tasks = load::tasks_at(context, as_of)?;
    let edges = load::edges(context, as_of)?;
    let input = Input {
        week,
        zone,
        now,
        tool_calls: calls.finish()?,
        tasks: frame::tasks(&tasks, &selection)?,
        usage: usage.finish()?,
        edges: &edges,
        coverage: coverage.finish(),
    };
    Ok(weekly::review(&input)?)
}
