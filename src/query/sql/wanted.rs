//! Which columns a statement can need, judged by its words alone.
//!
//! It errs on the side of more: a word in a literal selects the column of that name, and whatever means "every column"
//! selects all. A column left out would be an error of the query, never a wrong answer, because frames lack it altogether.

use crate::query::table::Selection;
use std::collections::BTreeSet;

/// The columns that `sql` can need.
pub(super) fn columns(sql: &str) -> Selection {
    let words: Vec<String> = sql
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let count = |wanted: &str| words.iter().filter(|word| *word == wanted).count();
    // `FROM events` and `TABLE events` are whole statements; COLUMNS('…') and NATURAL JOIN mean columns not named.
    let means_all = has_wildcard(sql)
        || count("select") < count("from")
        || ["table", "columns", "natural", "describe"].iter().any(|word| count(word) > 0);
    if means_all { Selection::All } else { Selection::Only(words.into_iter().collect::<BTreeSet<String>>()) }
}

/// Whether there is a `*` other than that of `count(*)`. A product counts as one too; it costs time, no more.
fn has_wildcard(sql: &str) -> bool {
    sql.match_indices('*').any(|(at, star)| {
        let before = sql.get(..at).unwrap_or("").trim_end();
        let after = sql.get(at + star.len()..).unwrap_or("").trim_start();
        !(after.starts_with(')') && before.strip_suffix('(').is_some_and(ends_in_count))
    })
}

fn ends_in_count(text: &str) -> bool {
    let word = text.trim_end().rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("");
    word.eq_ignore_ascii_case("count")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_needs_the_columns_it_names() {
        let wanted =
            columns("SELECT tool, Count( * ) AS n FROM tool_calls WHERE \"agent\" = 'week' GROUP BY tool");
        assert!(["tool", "agent", "week"].iter().all(|name| wanted.has(name)));
        assert!(!wanted.has("error_message"));
    }

    #[test]
    fn what_may_mean_every_column_selects_all() {
        for sql in [
            "SELECT * FROM events",
            "SELECT e.* FROM events e",
            "SELECT * EXCLUDE (id) FROM events",
            "FROM events",
            "TABLE events",
            "WITH a AS (FROM events) SELECT count(*) FROM a",
            "SELECT COLUMNS('^error') FROM events",
            "SELECT task FROM tool_calls NATURAL JOIN tasks",
            "SELECT duration_ms * 2 FROM tool_calls",
            "SELECT discount(*) FROM events",
        ] {
            assert_eq!(columns(sql), Selection::All, "{sql}");
        }
    }
}
