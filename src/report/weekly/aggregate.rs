//! The group-bys of the review, by polars. They count and add; what the words mean is decided elsewhere.

use crate::query::frame::instant_text;
use crate::report::outcome::{Outcome, Tally};
use crate::report::weekly::{ModelUsage, ReportError};
use crate::report::window::Window;
use polars::prelude::{
    Column, DataFrame, Expr, IntoLazy, PolarsResult, SortMultipleOptions, coalesce, col, len, lit,
};
use std::collections::BTreeMap;

/// Values of some columns, and how many rows have them.
pub(super) type Count = (Vec<Option<String>>, u64);

/// Tallies by name.
pub(super) type Tallies = BTreeMap<Option<String>, Tally>;

/// The rows of a table that belong to a window, by the first of some instants that a row has.
pub(super) struct Slice {
    rows: DataFrame,
}

impl Slice {
    pub(super) fn new(frame: &DataFrame, instants: &[&str], window: Window) -> Result<Self, ReportError> {
        let columns: Vec<Expr> = instants.iter().map(|name| col(*name)).collect();
        let at = coalesce(&columns);
        let inside =
            at.clone().gt_eq(lit(instant_text(window.from))).and(at.lt(lit(instant_text(window.until))));
        Ok(Self { rows: frame.clone().lazy().filter(inside).collect()? })
    }

    /// How many rows have which values in some columns, in the order of the values.
    pub(super) fn counts(&self, keys: &[&str]) -> Result<Vec<Count>, ReportError> {
        let by: Vec<Expr> = keys.iter().map(|key| col(*key)).collect();
        let frame = self
            .rows
            .clone()
            .lazy()
            .group_by(by.clone())
            .agg([len().alias("rows_in_group")])
            .sort_by_exprs(by, SortMultipleOptions::default())
            .collect()?;
        let (columns, count) = (columns(&frame, keys)?, frame.column("rows_in_group")?);
        (0..frame.height())
            .map(|row| {
                let values = columns.iter().map(|column| text(column, row)).collect::<PolarsResult<_>>()?;
                Ok((values, whole(count, row)?))
            })
            .collect()
    }

    /// The outcomes by a column.
    pub(super) fn tallies(
        &self,
        key: &str,
        word: &str,
        of: fn(&str) -> Outcome,
    ) -> Result<Tallies, ReportError> {
        let mut tallies = Tallies::new();
        for (values, count) in self.counts(&[key, word])? {
            if let [name, word] = values.as_slice() {
                tallies.entry(name.clone()).or_default().add(of(word.as_deref().unwrap_or("")), count);
            }
        }
        Ok(tallies)
    }

    /// The sums by model, the most tokens first.
    pub(super) fn usage(&self) -> Result<Vec<ModelUsage>, ReportError> {
        const SUMS: [&str; 5] =
            ["input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cost_usd"];
        let mut sums: Vec<Expr> = SUMS.iter().map(|name| col(*name).sum()).collect();
        sums.push(len().alias("record_count"));
        sums.push(col("cost_usd").count().alias("costed_count"));
        let frame = self
            .rows
            .clone()
            .lazy()
            .group_by([col("model")])
            .agg(sums)
            .sort_by_exprs([col("model")], SortMultipleOptions::default())
            .collect()?;
        let mut rows =
            (0..frame.height()).map(|row| model_usage(&frame, row)).collect::<PolarsResult<Vec<_>>>()?;
        rows.sort_by_key(|usage| std::cmp::Reverse(usage.tokens()));
        Ok(rows)
    }
}

fn model_usage(frame: &DataFrame, row: usize) -> PolarsResult<ModelUsage> {
    let sum = |name: &str| whole(frame.column(name)?, row);
    let (record_count, costed_count) = (sum("record_count")?, sum("costed_count")?);
    let cost = frame.column("cost_usd")?.get(row)?.extract::<f64>();
    Ok(ModelUsage {
        model: text(frame.column("model")?, row)?,
        record_count,
        input_tokens: sum("input_tokens")?,
        output_tokens: sum("output_tokens")?,
        cache_read_tokens: sum("cache_read_tokens")?,
        cache_write_tokens: sum("cache_write_tokens")?,
        cost_usd: cost.filter(|_| costed_count > 0),
        uncosted_count: record_count.saturating_sub(costed_count),
    })
}

fn columns<'a>(frame: &'a DataFrame, names: &[&str]) -> PolarsResult<Vec<&'a Column>> {
    names.iter().map(|name| frame.column(name)).collect()
}

fn text(column: &Column, row: usize) -> PolarsResult<Option<String>> {
    Ok(column.get(row)?.get_str().map(str::to_owned))
}

/// A count or sum; 0 where there is none.
fn whole(column: &Column, row: usize) -> PolarsResult<u64> {
    Ok(column.get(row)?.extract::<u64>().unwrap_or_default())
}
