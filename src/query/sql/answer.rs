//! The answer of a query as rows of text, CSV, JSON, JSON Lines or Parquet.
//!
//! Every form is bytes in memory: where they go is the caller's concern. JSON keeps numbers, flags and NULL; CSV and rows
//! are text, with NULL as nothing.

use crate::base::text::{csv_cell, escape_json};
use crate::query::sql::type_of;
use crate::query::table::ColumnType;
use polars::prelude::{AnyValue, DataFrame, PolarsError};
use polars_io::parquet::write::ParquetWriter;
use std::borrow::Cow;

/// The answer of a query.
#[derive(Clone, Debug)]
pub struct Answer {
    frame: DataFrame,
}

/// Why an answer could not be put into bytes.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The CSV writer refused.
    #[error("cannot write the answer as CSV: {0}")]
    Csv(#[from] csv::Error),
    /// The Parquet writer refused, for instance a column of a type that it cannot hold.
    #[error("cannot write the answer as Parquet: {0}")]
    Parquet(#[from] PolarsError),
}

/// How cells of CSV are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CsvCells {
    /// As they are: for programs.
    #[default]
    Exact,
    /// Text is sanitised, and gets a `'` before it where a spreadsheet would take it for a formula ([`csv_cell`]). Numbers
    /// stay as they are.
    SpreadsheetSafe,
}

impl Answer {
    /// The answer that this frame is.
    #[must_use]
    pub(super) const fn new(frame: DataFrame) -> Self {
        Self { frame }
    }

    /// Names and types of the columns, in order.
    #[must_use]
    pub fn columns(&self) -> Vec<(String, ColumnType)> {
        self.frame
            .columns()
            .iter()
            .map(|column| (column.name().to_string(), type_of(column.dtype())))
            .collect()
    }

    /// How many rows there are.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.frame.height()
    }

    /// The rows as text, in the order of [`Self::columns`]; `None` is NULL.
    pub fn rows(&self) -> impl Iterator<Item = Vec<Option<String>>> {
        (0..self.frame.height())
            .map(|row| self.cells(row).map(|value| text_of(&value).map(Cow::into_owned)).collect())
    }

    /// CSV (RFC 4180) with a header line; NULL is an empty cell.
    ///
    /// # Errors
    /// [`AnswerError::Csv`].
    pub fn csv(&self, cells: CsvCells) -> Result<Vec<u8>, AnswerError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let names = self.columns().into_iter().map(|(name, _)| name);
        writer.write_record(names.map(|name| guarded(name.into(), true, cells).into_owned()))?;
        for row in 0..self.frame.height() {
            for value in self.cells(row) {
                let is_text = matches!(value, AnyValue::String(_) | AnyValue::StringOwned(_));
                writer
                    .write_field(guarded(text_of(&value).unwrap_or_default(), is_text, cells).as_bytes())?;
            }
            writer.write_record(None::<&[u8]>)?;
        }
        writer.into_inner().map_err(|error| AnswerError::Csv(error.into_error().into()))
    }

    /// A JSON array of one object per row, indented by rows, with a line feed at the end.
    #[must_use]
    pub fn json(&self) -> String {
        let rows: Vec<String> = self.objects().collect();
        if rows.is_empty() {
            return "[]\n".to_owned();
        }
        format!("[\n  {}\n]\n", rows.join(",\n  "))
    }

    /// One JSON object per line.
    #[must_use]
    pub fn jsonl(&self) -> String {
        self.objects().fold(String::new(), |mut all, object| {
            all.push_str(&object);
            all.push('\n');
            all
        })
    }

    /// A Parquet file, compressed with zstd.
    ///
    /// # Errors
    /// [`AnswerError::Parquet`].
    pub fn parquet(&self) -> Result<Vec<u8>, AnswerError> {
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes).finish(&mut self.frame.clone())?;
        Ok(bytes)
    }

    fn objects(&self) -> impl Iterator<Item = String> {
        let names: Vec<String> = self
            .columns()
            .iter()
            .map(|(name, _)| serde_json::Value::from(name.as_str()).to_string())
            .collect();
        (0..self.frame.height()).map(move |row| {
            let members: Vec<String> = names
                .iter()
                .zip(self.cells(row))
                .map(|(name, value)| format!("{name}:{}", json_of(&value)))
                .collect();
            escape_json(&format!("{{{}}}", members.join(","))).into_owned()
        })
    }

    fn cells(&self, row: usize) -> impl Iterator<Item = AnyValue<'_>> {
        self.frame.columns().iter().map(move |column| column.get(row).unwrap_or(AnyValue::Null))
    }
}

/// The value as text; `None` for NULL.
fn text_of<'a>(value: &'a AnyValue<'_>) -> Option<Cow<'a, str>> {
    match value {
        AnyValue::Null => None,
        AnyValue::String(text) => Some(Cow::Borrowed(text)),
        AnyValue::StringOwned(text) => Some(Cow::Borrowed(text.as_str())),
        AnyValue::Float64(number) => Some(number.to_string().into()),
        AnyValue::Float32(number) => Some(number.to_string().into()),
        AnyValue::List(series) => Some(escape_json(&list_of(series).to_string()).into_owned().into()),
        value => Some(value.str_value().into_owned().into()),
    }
}

fn json_of(value: &AnyValue<'_>) -> serde_json::Value {
    match value {
        AnyValue::Null => serde_json::Value::Null,
        AnyValue::Boolean(flag) => (*flag).into(),
        AnyValue::String(text) => (*text).into(),
        AnyValue::Float64(number) => (*number).into(),
        AnyValue::Float32(number) => (*number).into(),
        AnyValue::List(series) => list_of(series),
        value => match (value.extract::<i64>(), value.extract::<u64>()) {
            (Some(number), _) if value.is_primitive_numeric() => number.into(),
            (None, Some(number)) if value.is_primitive_numeric() => number.into(),
            _ => text_of(value).map_or(serde_json::Value::Null, |text| text.into_owned().into()),
        },
    }
}

fn list_of(series: &polars::prelude::Series) -> serde_json::Value {
    series.iter().map(|value| json_of(&value)).collect()
}

fn guarded(cell: Cow<'_, str>, is_text: bool, cells: CsvCells) -> Cow<'_, str> {
    if cells == CsvCells::SpreadsheetSafe && is_text {
        Cow::Owned(csv_cell(&cell).into_owned())
    } else {
        cell
    }
}
