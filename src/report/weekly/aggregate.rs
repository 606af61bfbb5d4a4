//! The group-bys of the review, by polars. They count and add; what the words mean is decided elsewhere.
//!
//! Tables come in pieces: each is grouped by itself, and its few groups are added to those of the pieces before.

use crate::query::frame::instant_text;
use crate::report::outcome::{Outcome, Tally};
use crate::report::weekly::{ModelUsage, ReportError};
use crate::report::window::Window;
use polars::prelude::{Column, DataFrame, Expr, IntoLazy, PolarsResult, coalesce, col, len, lit};
use std::collections::BTreeMap;

/// Columns that rows are counted by.
pub(super) type Keys = &'static [&'static str];

/// Values of some columns, and how many rows have them.
type Counts = BTreeMap<Vec<Option<String>>, u64>;

/// Tallies by name.
pub(super) type Tallies = BTreeMap<Option<String>, Tally>;

/// The week, the week before, and the four weeks before, pooled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    pub(super) week: Window,
    pub(super) before: Window,
    pub(super) baseline: Window,
}

/// The counts of one table in one window.
#[derive(Debug)]
pub(super) struct Slice {
    window: Window,
    counts: BTreeMap<Keys, Counts>,
}

impl Slice {
    fn new(window: Window, keys: impl IntoIterator<Item = Keys>) -> Self {
        Self { window, counts: keys.into_iter().map(|keys| (keys, Counts::new())).collect() }
    }

    /// Counts the rows that belong to the window, by the first of some instants that a row has.
    fn add(&mut self, frame: &DataFrame, instants: &[&str]) -> Result<(), ReportError> {
        let rows = inside(frame, instants, self.window)?;
        for (keys, counts) in &mut self.counts {
            add_counts(&rows, keys, counts)?;
        }
        Ok(())
    }

    /// How many rows have which values in some columns, in the order of the values.
    pub(super) fn counts(&self, keys: Keys) -> impl Iterator<Item = (&[Option<String>], u64)> {
        let counts = self.counts.get(keys).into_iter().flatten();
        counts.map(|(values, count)| (values.as_slice(), *count))
    }

    /// The outcomes by a column.
    fn tallies(&self, keys: Keys, of: fn(&str) -> Outcome) -> Tallies {
        let mut tallies = Tallies::new();
        for (values, count) in self.counts(keys) {
            if let [name, word] = values {
                tallies.entry(name.clone()).or_default().add(of(word.as_deref().unwrap_or("")), count);
            }
        }
        tallies
    }
}

/// The same table in the three windows.
#[derive(Debug)]
pub(super) struct Slices {
    instants: Keys,
    pub(super) week: Slice,
    pub(super) before: Slice,
    baseline: Slice,
}

impl Slices {
    /// Nothing counted yet. A row belongs to the week of the first of the `instants` that it has. It is counted by `rates` in
    /// all windows, by `details` in the week and the one before only.
    pub(super) fn new(windows: Windows, instants: Keys, rates: &[Keys], details: &[Keys]) -> Self {
        let all = || rates.iter().chain(details).copied();
        Self {
            instants,
            week: Slice::new(windows.week, all()),
            before: Slice::new(windows.before, all()),
            baseline: Slice::new(windows.baseline, rates.iter().copied()),
        }
    }

    pub(super) fn add(&mut self, rows: &DataFrame) -> Result<(), ReportError> {
        for slice in [&mut self.week, &mut self.before, &mut self.baseline] {
            slice.add(rows, self.instants)?;
        }
        Ok(())
    }

    pub(super) fn tallies(&self, keys: Keys, of: fn(&str) -> Outcome) -> Three {
        Three {
            week: self.week.tallies(keys, of),
            before: self.before.tallies(keys, of),
            baseline: self.baseline.tallies(keys, of),
        }
    }
}

/// The same tallies in the three windows.
#[derive(Default)]
pub(super) struct Three {
    pub(super) week: Tallies,
    pub(super) before: Tallies,
    pub(super) baseline: Tallies,
}

impl Three {
    /// Everything as one group.
    pub(super) fn total(&self) -> Self {
        let sum = |tallies: &Tallies| {
            let mut all = Tally::default();
            for tally in tallies.values() {
                all.merge(tally);
            }
            Tallies::from([(None, all)])
        };
        Self { week: sum(&self.week), before: sum(&self.before), baseline: sum(&self.baseline) }
    }
}

/// The table `usage` in the week and the one before.
#[derive(Debug)]
pub(super) struct UsageSlices {
    pub(super) week: UsageSlice,
    pub(super) before: UsageSlice,
}

impl UsageSlices {
    pub(super) fn new(week: Window, before: Window) -> Self {
        let quality: [Keys; 1] = [&["quality"]];
        Self {
            week: UsageSlice { slice: Slice::new(week, quality), sums: BTreeMap::new() },
            before: UsageSlice { slice: Slice::new(before, []), sums: BTreeMap::new() },
        }
    }

    pub(super) fn add(&mut self, rows: &DataFrame) -> Result<(), ReportError> {
        self.week.add(rows)?;
        self.before.add(rows)
    }
}

/// The sums of the records of one window.
#[derive(Debug)]
pub(super) struct UsageSlice {
    slice: Slice,
    sums: BTreeMap<Option<String>, ModelUsage>,
}

impl UsageSlice {
    /// How many records have which values in some columns.
    pub(super) fn counts(&self, keys: Keys) -> impl Iterator<Item = (&[Option<String>], u64)> {
        self.slice.counts(keys)
    }

    /// The sums by model, the most tokens first.
    pub(super) fn by_model(&self) -> Vec<ModelUsage> {
        let mut rows: Vec<ModelUsage> = self.sums.values().cloned().collect();
        rows.sort_by_key(|usage| std::cmp::Reverse(usage.tokens()));
        rows
    }

    fn add(&mut self, frame: &DataFrame) -> Result<(), ReportError> {
        const SUMS: [&str; 5] =
            ["input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cost_usd"];
        let rows = inside(frame, &["ts"], self.slice.window)?;
        for (keys, counts) in &mut self.slice.counts {
            add_counts(&rows, keys, counts)?;
        }
        let mut sums: Vec<Expr> = SUMS.iter().map(|name| col(*name).sum()).collect();
        sums.push(len().alias("record_count"));
        sums.push(col("cost_usd").count().alias("costed_count"));
        let groups = rows.lazy().group_by([col("model")]).agg(sums).collect()?;
        for row in 0..groups.height() {
            let usage = model_usage(&groups, row)?;
            let model = usage.model.clone();
            let sum = self
                .sums
                .entry(model)
                .or_insert_with_key(|model| ModelUsage { model: model.clone(), ..ModelUsage::default() });
            sum.add(&usage);
        }
        Ok(())
    }
}

/// The rows of a window.
fn inside(frame: &DataFrame, instants: &[&str], window: Window) -> PolarsResult<DataFrame> {
    let columns: Vec<Expr> = instants.iter().map(|name| col(*name)).collect();
    let at = coalesce(&columns);
    let inside = at.clone().gt_eq(lit(instant_text(window.from))).and(at.lt(lit(instant_text(window.until))));
    frame.clone().lazy().filter(inside).collect()
}

fn add_counts(rows: &DataFrame, keys: &[&str], counts: &mut Counts) -> Result<(), ReportError> {
    let by: Vec<Expr> = keys.iter().map(|key| col(*key)).collect();
    let groups = rows.clone().lazy().group_by(by).agg([len().alias("rows_in_group")]).collect()?;
    let columns: Vec<&Column> = keys.iter().map(|key| groups.column(key)).collect::<PolarsResult<_>>()?;
    let count = groups.column("rows_in_group")?;
    for row in 0..groups.height() {
        let values = columns.iter().map(|column| text(column, row)).collect::<PolarsResult<_>>()?;
        *counts.entry(values).or_default() += whole(count, row)?;
    }
    Ok(())
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

fn text(column: &Column, row: usize) -> PolarsResult<Option<String>> {
    Ok(column.get(row)?.get_str().map(str::to_owned))
}

/// A count or sum; 0 where there is none.
fn whole(column: &Column, row: usize) -> PolarsResult<u64> {
    Ok(column.get(row)?.extract::<u64>().unwrap_or_default())
}
