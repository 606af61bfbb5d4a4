//! Columns that grow row by row. It knows the types of columns, not what they mean.

use crate::base::clock::Timestamp;
use crate::query::frame::{FrameError, instant_text};
use crate::query::table::{ColumnType, Selection, Table};
use hashbrown::HashMap;
use polars::prelude::{
    BooleanChunkedBuilder, ChunkedBuilder, Column, DataFrame, DataType, Float64Type, Int64Type, IntoColumn,
    IntoSeries, PlSmallStr, PrimitiveChunkedBuilder, StringChunkedBuilder,
};
use std::borrow::Cow;
use std::fmt;

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Text(Cow<'a, str>),
    Integer(i64),
    Float(f64),
    Flag(bool),
}

impl<'a> Value<'a> {
    pub(super) fn text(text: Option<&'a str>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(Cow::Borrowed(text)))
    }

    pub(super) fn instant(ts: Timestamp) -> Self {
        Self::Text(Cow::Owned(instant_text(ts)))
    }

    /// A count; NULL where it exceeds what a column holds.
    pub(super) fn count(count: u64) -> Self {
        i64::try_from(count).map_or(Self::Null, Self::Integer)
    }
}

/// The selected columns of one table, growing together.
#[derive(Debug)]
pub(super) struct FrameBuilder {
    places: HashMap<String, usize>,
    columns: Vec<ColumnBuilder>,
    rows: usize,
}

impl FrameBuilder {
    /// No rows yet. The first column of the table is always there, so that a query that names none can count.
    pub(super) fn new(table: Table, selection: &Selection) -> Self {
        let columns: Vec<ColumnBuilder> = table
            .columns()
            .into_iter()
            .enumerate()
            .filter(|(idx, column)| *idx == 0 || selection.has(&column.name))
            .map(|(_, column)| ColumnBuilder {
                name: column.name,
                column_type: column.column_type,
                values: None,
                len: 0,
            })
            .collect();
        let places = columns.iter().enumerate().map(|(idx, column)| (column.name.clone(), idx)).collect();
        Self { places, columns, rows: 0 }
    }

    /// Where a column is; `None` if it was not selected.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// Sets a column of the present row; the value is made only if the column was selected.
    pub(super) fn set<'a>(&mut self, name: &str, value: impl FnOnce() -> Value<'a>) {
        if let Some(idx) = self.place(name) {
            self.set_at(idx, value());
        }
    }

    /// Sets the column at a place of the present row; a place that is none is passed over.
    pub(super) fn set_at(&mut self, idx: usize, value: Value<'_>) {
        self.set_in_row(self.rows, idx, value);
    }

    /// Sets the column at a place of any row after the last one set in this column.
    pub(super) fn set_in_row(&mut self, row: usize, idx: usize, value: Value<'_>) {
        if let Some(column) = self.columns.get_mut(idx) {
            column.set(row, value);
        }
    }

    /// How many rows were ended.
    pub(super) const fn row_count(&self) -> usize {
        self.rows
    }

    /// The same columns without rows.
    pub(super) fn emptied(&self) -> Self {
        let empty = |column: &ColumnBuilder| ColumnBuilder {
            name: column.name.clone(),
            column_type: column.column_type,
            values: None,
            len: 0,
        };
        Self { places: self.places.clone(), columns: self.columns.iter().map(empty).collect(), rows: 0 }
    }

    /// Ends the row; columns not set hold NULL.
    pub(super) fn end_row(&mut self) {
        self.rows += 1;
    }

    pub(super) fn finish(self) -> Result<DataFrame, FrameError> {
        let rows = self.rows;
        let columns = self.columns.into_iter().map(|column| column.finish(rows)).collect();
        Ok(DataFrame::new(rows, columns)?)
    }
}

/// A column that fills itself up with NULL to the row that is set; one that is never set allocates nothing.
#[derive(Debug)]
struct ColumnBuilder {
    name: String,
    column_type: ColumnType,
    values: Option<Values>,
    len: usize,
}

impl ColumnBuilder {
    fn set(&mut self, row: usize, value: Value<'_>) {
        if value == Value::Null || row < self.len {
            return;
        }
        let (name, column_type) = (&self.name, self.column_type);
        let values = self.values.get_or_insert_with(|| Values::new(name, column_type));
        values.fill(row - self.len);
        values.push(value);
        self.len = row + 1;
    }

    fn finish(self, rows: usize) -> Column {
        match self.values {
            Some(mut values) => {
                values.fill(rows - self.len);
                values.finish()
            }
            None => Column::full_null(PlSmallStr::from_str(&self.name), rows, &dtype(self.column_type)),
        }
    }
}

enum Values {
    Text(StringChunkedBuilder),
    Integer(PrimitiveChunkedBuilder<Int64Type>),
    Float(PrimitiveChunkedBuilder<Float64Type>),
    Flag(BooleanChunkedBuilder),
}

impl Values {
    fn new(name: &str, column_type: ColumnType) -> Self {
        let name = PlSmallStr::from_str(name);
        match column_type {
            ColumnType::Text => Self::Text(StringChunkedBuilder::new(name, 0)),
            ColumnType::Integer => Self::Integer(PrimitiveChunkedBuilder::new(name, 0)),
            ColumnType::Float => Self::Float(PrimitiveChunkedBuilder::new(name, 0)),
            ColumnType::Flag => Self::Flag(BooleanChunkedBuilder::new(name, 0)),
        }
    }

    /// Appends the value; one of another type than the column's is NULL.
    fn push(&mut self, value: Value<'_>) {
        match (self, value) {
            (Self::Text(values), Value::Text(text)) => values.append_value(text),
            (Self::Integer(values), Value::Integer(number)) => values.append_value(number),
            (Self::Float(values), Value::Float(number)) => values.append_value(number),
            (Self::Flag(values), Value::Flag(flag)) => values.append_value(flag),
            (values, _) => values.fill(1),
        }
    }

    fn fill(&mut self, count: usize) {
        for _ in 0..count {
            match self {
                Self::Text(values) => values.append_null(),
                Self::Integer(values) => values.append_null(),
                Self::Float(values) => values.append_null(),
                Self::Flag(values) => values.append_null(),
            }
        }
    }

    fn finish(self) -> Column {
        match self {
            Self::Text(values) => values.finish().into_series().into_column(),
            Self::Integer(values) => values.finish().into_series().into_column(),
            Self::Float(values) => values.finish().into_series().into_column(),
            Self::Flag(values) => values.finish().into_series().into_column(),
        }
    }
}

/// polars' builders do not all implement `Debug`.
impl fmt::Debug for Values {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Text(_) => "Text",
            Self::Integer(_) => "Integer",
            Self::Float(_) => "Float",
            Self::Flag(_) => "Flag",
        })
    }
}

fn dtype(column_type: ColumnType) -> DataType {
    match column_type {
        ColumnType::Text => DataType::String,
        ColumnType::Integer => DataType::Int64,
        ColumnType::Float => DataType::Float64,
        ColumnType::Flag => DataType::Boolean,
    }
}
