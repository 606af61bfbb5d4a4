//! SQL over the tables: what a statement needs, and its answer in bytes.
//!
//! [`plan`] reads the statement and says which tables and columns are needed, so that nothing else is built; [`Plan::run`]
//! asks polars. It reads only: no statement changes anything, and no function of the dialect opens a file.

mod answer;
mod wanted;

pub use crate::query::sql::answer::{Answer, AnswerError, CsvCells};

use crate::base::text::did_you_mean;
use crate::query::table::{Column, ColumnType, Selection, Table};
use polars::prelude::{DataFrame, IntoLazy, NamedFrom, PolarsError, Series};
use polars::sql::{SQLContext, extract_table_identifiers};

/// Why a statement has no answer, in words for whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// Not SQL as polars knows it, or a function that it lacks.
    #[error("{0}")]
    Syntax(String),
    /// A statement that would change something.
    #[error("`{word}` is not possible: the log is only read; use SELECT, WITH, SHOW TABLES or EXPLAIN")]
    ReadOnly {
        /// The first word of the statement.
        word: String,
    },
    /// A table that does not exist.
    #[error("unknown table `{name}`{}; the tables are {}", suggestion(.did_you_mean.as_deref()), .tables.join(", "))]
    UnknownTable {
        /// As written.
        name: String,
        /// The nearest table.
        did_you_mean: Option<String>,
        /// All tables.
        tables: Vec<&'static str>,
    },
    /// A column that no table of the statement has.
    #[error("unknown column `{name}`{}; columns: {}", suggestion(.did_you_mean.as_deref()), .columns.join(", "))]
    UnknownColumn {
        /// As written.
        name: String,
        /// The nearest column.
        did_you_mean: Option<String>,
        /// The columns of the tables in the statement.
        columns: Vec<String>,
    },
    /// Anything else that polars says.
    #[error("{0}")]
    Query(String),
}

/// A statement and what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    sql: String,
    tables: Vec<Table>,
    selection: Selection,
}

/// Reads a statement.
///
/// # Errors
/// [`SqlError`] when it is not SQL, would change something, or names an unknown table.
pub fn plan(sql: &str) -> Result<Plan, SqlError> {
    let sql = sql.trim().trim_end_matches(';').trim_end();
    let word = sql.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or("").to_ascii_uppercase();
    if ["INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "TRUNCATE", "ALTER", "MERGE", "COPY"]
        .contains(&word.as_str())
    {
        return Err(SqlError::ReadOnly { word });
    }
    if sql.is_empty() {
        return Err(SqlError::Syntax("the statement is empty".to_owned()));
    }
    let names = extract_table_identifiers(sql, false, true).map_err(|error| translated(&error, &[]))?;
    let tables: Vec<Table> =
        Table::ALL.into_iter().filter(|table| names.iter().any(|name| name == table.name())).collect();
    if tables.is_empty() && word != "SHOW" {
        // Where known tables are named, an unknown one may be a name that the statement itself defines (WITH).
        if let Some(name) = names.first() {
            return Err(unknown_table(name));
        }
    }
    Ok(Plan { sql: sql.to_owned(), tables, selection: wanted::columns(sql) })
}

impl Plan {
    /// The tables whose frames [`Self::run`] needs.
    #[must_use]
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// The columns that it needs of them.
    #[must_use]
    pub const fn selection(&self) -> &Selection {
        &self.selection
    }

    /// The answer, from frames of the tables that [`Self::tables`] names.
    ///
    /// # Errors
    /// [`SqlError`] when a column is unknown or polars cannot answer.
    pub fn run(&self, frames: Vec<(Table, DataFrame)>) -> Result<Answer, SqlError> {
        if self.is_show_tables() {
            return tables_and_columns();
        }
        let mut context = SQLContext::new();
        for (table, frame) in frames {
            context.register(table.name(), frame.lazy());
        }
        let answer = context
            .execute(&self.sql)
            .and_then(polars::prelude::LazyFrame::collect)
            .map_err(|error| translated(&error, &self.tables))?;
        Ok(Answer::new(answer))
    }

    fn is_show_tables(&self) -> bool {
        let mut words = self.sql.split_whitespace();
        words.next().is_some_and(|word| word.eq_ignore_ascii_case("show"))
            && words.next().is_some_and(|word| word.eq_ignore_ascii_case("tables"))
    }
}

/// One row per column of every table: table, column, type, meaning.
fn tables_and_columns() -> Result<Answer, SqlError> {
    let rows: Vec<(Table, Column)> = Table::ALL
        .into_iter()
        .flat_map(|table| table.columns().into_iter().map(move |column| (table, column)))
        .collect();
    let text = |name: &str, values: Vec<&str>| Series::new(name.into(), values).into();
    let columns = vec![
        text("table", rows.iter().map(|(table, _)| table.name()).collect()),
        text("column", rows.iter().map(|(_, column)| column.name.as_str()).collect()),
        text("type", rows.iter().map(|(_, column)| column.column_type.word()).collect()),
        text("meaning", rows.iter().map(|(_, column)| column.meaning.as_str()).collect()),
    ];
    let frame = DataFrame::new(rows.len(), columns).map_err(|error| SqlError::Query(error.to_string()))?;
    Ok(Answer::new(frame))
}

fn suggestion(name: Option<&str>) -> String {
    name.map_or(String::new(), |name| format!(", did you mean `{name}`?"))
}

fn unknown_table(name: &str) -> SqlError {
    let tables: Vec<&str> = Table::ALL.iter().map(|table| table.name()).collect();
    let near = did_you_mean(name, tables.iter().copied()).map(str::to_owned);
    SqlError::UnknownTable { name: name.to_owned(), did_you_mean: near, tables }
}

fn unknown_column(name: &str, tables: &[Table]) -> SqlError {
    let mut columns: Vec<String> = Vec::new();
    for column in tables.iter().flat_map(|table| table.columns()) {
        if !columns.contains(&column.name) {
            columns.push(column.name);
        }
    }
    let near = did_you_mean(name, columns.iter().map(String::as_str)).map(str::to_owned);
    SqlError::UnknownColumn { name: name.to_owned(), did_you_mean: near, columns }
}

/// polars' error in our words. It names what is missing only in its text, so the text is read.
fn translated(error: &PolarsError, tables: &[Table]) -> SqlError {
    let innermost = innermost(error);
    let text = innermost.to_string();
    match innermost {
        PolarsError::ColumnNotFound(message) | PolarsError::SchemaFieldNotFound(message) => {
            match first_quoted(message) {
                Some(name) => unknown_column(name, tables),
                None => SqlError::Query(text),
            }
        }
        PolarsError::SQLInterface(message) | PolarsError::SQLSyntax(message) => {
            let message: &str = message;
            if message.contains("was not found") && message.starts_with("relation") {
                return first_quoted(message).map_or(SqlError::Query(text), unknown_table);
            }
            if message.starts_with("no column named") {
                return first_quoted(message)
                    .map_or(SqlError::Query(text), |name| unknown_column(name, tables));
            }
            SqlError::Syntax(message.trim_start_matches("sql parser error: ").to_owned())
        }
        PolarsError::Duplicate(_) => {
            SqlError::Query(format!("{}; name the expressions apart with AS", first_sentence(&text)))
        }
        _ => SqlError::Query(first_sentence(&text).to_owned()),
    }
}

/// polars appends advice for its own users and the plan; the first sentence says what happened.
fn first_sentence(text: &str) -> &str {
    text.split(['\n']).next().unwrap_or(text).split(". ").next().unwrap_or(text)
}

fn innermost(error: &PolarsError) -> &PolarsError {
    match error {
        PolarsError::Context { error, .. } | PolarsError::ExprContext { error, .. } => innermost(error),
        error => error,
    }
}

/// What stands between the first pair of quotes, of whichever kind.
fn first_quoted(text: &str) -> Option<&str> {
    let (_, rest) = text.split_at_checked(text.find(['"', '\'', '`'])?)?;
    let quote = rest.chars().next()?;
    rest.strip_prefix(quote)?.split(quote).next()
}

/// The type of a column of an answer, as the tables name types; others are text.
fn type_of(dtype: &polars::prelude::DataType) -> ColumnType {
    if dtype.is_integer() {
        ColumnType::Integer
    } else if dtype.is_float() {
        ColumnType::Float
    } else if dtype.is_bool() {
        ColumnType::Flag
    } else {
        ColumnType::Text
    }
}

#[cfg(test)]
mod tests;
