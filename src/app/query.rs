//! `agentlog query`: SQL over the log. Only the tables and columns that the statement names are built.

use crate::app::exit::{Exit, Failure};
use crate::app::log::Reader;
use crate::app::{Context, load};
use crate::base::text;
use crate::cli::command::{Query, QueryOutput};
use crate::event::codec::Decoded;
use crate::query::frame::{self, EventsBuilder, ToolCallsBuilder, UsageBuilder};
use crate::query::sql::{self, Answer, CsvCells, Plan};
use crate::query::table::{ColumnType, Table};
use crate::view::table::{self, Cell, Column};
use polars::prelude::DataFrame;
use std::io::{IsTerminal as _, Write as _};

/// Answers the statement.
///
/// # Errors
/// When the statement is not understood, or the log cannot be read.
pub fn run(context: &Context, arguments: &Query) -> anyhow::Result<Exit> {
    let refuse = |error: sql::SqlError| {
        Failure::new(Exit::Usage, error.to_string())
            .hint("`agentlog query 'SHOW TABLES'` lists tables and columns")
    };
    let plan = sql::plan(&arguments.sql).map_err(refuse)?;
    let frames = frames(context, &plan)?;
    let answer = plan.run(frames).map_err(refuse)?;
    let mut out = context.out();
    match arguments.output {
        QueryOutput::Table => print_table(context, &answer)?,
        QueryOutput::Csv => out.write_all(&answer.csv(CsvCells::SpreadsheetSafe)?)?,
        QueryOutput::Json => out.write_all(text::escape_json(&answer.json()).as_bytes())?,
        QueryOutput::Jsonl => out.write_all(text::escape_json(&answer.jsonl()).as_bytes())?,
        QueryOutput::Parquet if std::io::stdout().is_terminal() => {
            return Err(Failure::new(Exit::Usage, "Parquet is not for a terminal")
                .hint("send it to a file: agentlog query '…' -o parquet > answer.parquet")
                .into());
        }
        QueryOutput::Parquet => {
            let mut out = context.bytes_out();
            out.write_all(&answer.parquet()?)?;
            out.flush()?;
        }
    }
    out.flush()?;
    Ok(Exit::Done)
}

/// The frames of the tables that the plan needs.
fn frames(context: &Context, plan: &Plan) -> anyhow::Result<Vec<(Table, DataFrame)>> {
    let wants = |table| plan.tables().contains(&table);
    let (selection, zone) = (plan.selection(), context.zone);
    let mut events = wants(Table::Events).then(|| EventsBuilder::new(selection, zone));
    let mut calls = wants(Table::ToolCalls).then(|| ToolCallsBuilder::new(selection, zone));
    let mut usage = wants(Table::Usage).then(|| UsageBuilder::new(selection, zone));
    let mut frames = Vec::new();
    if events.is_some() || calls.is_some() || usage.is_some() {
        let mut reader = Reader::new(&context.project.logs);
        reader.advance(&mut |_, decoded, _| {
            let Decoded::Known(line) = decoded else { return };
            if let Some(events) = &mut events {
                events.apply(&line.event);
            }
            if let Some(calls) = &mut calls {
                calls.apply(&line.event);
            }
            if let Some(usage) = &mut usage {
                usage.apply(&line.event);
            }
        })?;
        load::mention_damage(context, &reader.counts);
    }
    if let Some(events) = events {
        frames.push((Table::Events, events.finish()?));
    }
    if let Some(calls) = calls {
        frames.push((Table::ToolCalls, calls.finish()?));
    }
    if let Some(usage) = usage {
        frames.push((Table::Usage, usage.finish()?));
    }
    if wants(Table::Tasks) {
        let tasks = load::tasks(context, None, true)?.0;
        frames.push((Table::Tasks, frame::tasks(&tasks, selection)?));
    }
    if wants(Table::Health) {
        frames.push((Table::Health, frame::health(&load::edges(context, context.now())?, selection)?));
    }
    Ok(frames)
}

fn print_table(context: &Context, answer: &Answer) -> anyhow::Result<()> {
    let names = answer.columns();
    let types: Vec<bool> = names
        .iter()
        .map(|(_, column_type)| matches!(column_type, ColumnType::Integer | ColumnType::Float))
        .collect();
    let mut rows = vec![names.iter().map(|(name, _)| Cell::plain(text::sanitize(name))).collect::<Vec<_>>()];
    for row in answer.rows() {
        let cell = |value: Option<String>| {
            Cell::plain(value.map_or_else(String::new, |value| text::sanitize(&value).into_owned()))
        };
        rows.push(row.into_iter().map(cell).collect());
    }
    let columns: Vec<Column> = types
        .iter()
        .map(|number| if *number { Column::new("").right() } else { Column::new("").shrink_to(8) })
        .collect();
    let mut out = context.out();
    write!(out, "{}", table::render(&columns, &rows, false, &context.style))?;
    out.flush()?;
    context.note(&text::plural(answer.row_count() as u64, "row"));
    Ok(())
}
