//! Statements as analysts write them, over hand-made usage records.

use super::*;
use crate::base::zone::Zone;
use crate::event::codec::{Decoded, Decoder};
use crate::query::frame::UsageBuilder;
use polars::prelude::NamedFrom;

const USAGE: [&str; 3] = [
    r#"{"ts":"2026-11-16T09:00:00.5Z","type":"usage.recorded","task":"bg_1","agent":"explore","model":"small","input_tokens":100,"output_tokens":7,"cost_usd":0.25}"#,
    r#"{"ts":"2026-11-17T09:00:00Z","type":"usage.recorded","task":"bg_1","agent":"explore","model":"small","input_tokens":50}"#,
    r#"{"ts":"2026-11-23T09:00:00Z","type":"usage.recorded","task":"bg_2","model":"=large","input_tokens":9}"#,
];

fn ask(sql: &str) -> Result<Answer, SqlError> {
    let plan = plan(sql)?;
    let mut usage = UsageBuilder::new(plan.selection(), Zone::Utc);
    for line in USAGE {
        match Decoder::new("s").decode(line.as_bytes(), 0) {
            Decoded::Known(line) => usage.apply(&line.event),
            other => panic!("{other:?}"),
        }
    }
    let needed = plan.tables() == [Table::Usage];
    plan.run(if needed { vec![(Table::Usage, usage.finish().unwrap())] } else { Vec::new() })
}

fn lines(sql: &str) -> String {
    ask(sql).unwrap().jsonl()
}

#[test]
fn a_statement_is_answered_from_the_columns_it_names() {
    assert_eq!(
        lines(
            "SELECT week, sum(input_tokens) AS tokens, count(*) AS records FROM usage GROUP BY week ORDER BY week;"
        ),
        "{\"week\":\"2026-W47\",\"tokens\":150,\"records\":2}\n{\"week\":\"2026-W48\",\"tokens\":9,\"records\":1}\n"
    );
    assert_eq!(
        plan("SELECT week FROM usage").unwrap(),
        Plan {
            sql: "SELECT week FROM usage".to_owned(),
            tables: vec![Table::Usage],
            selection: Selection::of(&["select", "week", "from", "usage"]),
        }
    );
}

#[test]
fn what_analysts_write_is_understood() {
    for (sql, expected) in [
        ("SELECT count(*) AS n FROM usage", "{\"n\":3}\n"),
        ("SELECT max(ts) AS last FROM usage", "{\"last\":\"2026-11-23T09:00:00.000000Z\"}\n"),
        ("SELECT count(*) AS n FROM usage WHERE ts >= '2026-11-17'", "{\"n\":2}\n"),
        (
            "WITH a AS (SELECT model, count(DISTINCT task) AS n FROM usage GROUP BY model) SELECT n FROM a WHERE model LIKE 'sm%'",
            "{\"n\":1}\n",
        ),
        ("SELECT coalesce(agent, 'none') AS who FROM usage ORDER BY ts DESC LIMIT 1", "{\"who\":\"none\"}\n"),
        ("SELECT task FROM usage GROUP BY task HAVING sum(input_tokens) > 100", "{\"task\":\"bg_1\"}\n"),
        (
            "SELECT u.task, row_number() OVER (PARTITION BY u.task ORDER BY u.ts) AS nth FROM usage u ORDER BY u.ts DESC LIMIT 1",
            "{\"task\":\"bg_2\",\"nth\":1}\n",
        ),
        (
            "SELECT CASE WHEN cost_usd IS NULL THEN 'unknown' ELSE 'known' END AS cost, count(*) AS n FROM usage GROUP BY cost ORDER BY n",
            "{\"cost\":\"known\",\"n\":1}\n{\"cost\":\"unknown\",\"n\":2}\n",
        ),
    ] {
        assert_eq!(lines(sql), expected, "{sql}");
    }
}

#[test]
fn every_column_of_every_table_can_be_selected_by_its_quoted_name() {
    for table in Table::ALL {
        for column in table.columns() {
            let sql = format!("SELECT \"{}\" FROM {}", column.name, table.name());
            let selection = plan(&sql).unwrap().selection().clone();
            assert!(selection.has(&column.name), "{sql}");
        }
    }
}

#[test]
fn an_unknown_table_or_column_is_answered_with_the_nearest() {
    for (sql, message) in [
        (
            "SELECT * FROM usag",
            "unknown table `usag`, did you mean `usage`?; the tables are events, tool_calls, tasks, usage, health",
        ),
        (
            "SELECT u.model FROM usage u JOIN taks t ON t.task = u.task",
            "unknown table `taks`, did you mean `tasks`?; the tables are events, tool_calls, tasks, usage, health",
        ),
    ] {
        assert_eq!(ask(sql).unwrap_err().to_string(), message);
    }
    for sql in [
        "SELECT modl FROM usage",
        "SELECT u.modl FROM usage u",
        "SELECT model FROM usage WHERE modl = 'x'",
        "SELECT count(*) FROM usage GROUP BY modl",
        "SELECT model FROM usage ORDER BY modl",
    ] {
        let SqlError::UnknownColumn { name, did_you_mean, columns } = ask(sql).unwrap_err() else {
            panic!("{sql}")
        };
        assert_eq!(
            (name.as_str(), did_you_mean.as_deref(), columns.len()),
            ("modl", Some("model"), 13),
            "{sql}"
        );
    }
}

#[test]
fn what_is_no_question_is_refused_in_words() {
    for (sql, message) in [
        ("", "the statement is empty"),
        (" ; ", "the statement is empty"),
        ("SELEC model FROM usage", "Expected: an SQL statement, found: SELEC at Line: 1, Column: 1"),
        ("SELECT 1; SELECT 2", "one (and only one) statement can be parsed at a time"),
        ("SELECT frobnicate(model) FROM usage", "unsupported function 'frobnicate'"),
        (
            "DROP TABLE usage",
            "`DROP` is not possible: the log is only read; use SELECT, WITH, SHOW TABLES or EXPLAIN",
        ),
        (
            "delete from usage",
            "`DELETE` is not possible: the log is only read; use SELECT, WITH, SHOW TABLES or EXPLAIN",
        ),
        (
            "SELECT max(ts), min(ts) FROM usage",
            "duplicate: projections contained duplicate output name 'ts'; name the expressions apart with AS",
        ),
    ] {
        assert_eq!(ask(sql).unwrap_err().to_string(), message, "{sql}");
    }
}

#[test]
fn no_statement_opens_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret.csv");
    put(&path, "a,b\n1,2\n");
    for table in [
        format!("read_csv('{}')", path.display()),
        format!("read_parquet('{}')", path.display()),
        format!("read_json('{}')", path.display()),
        format!("read_ipc('{}')", path.display()),
        format!("'{}'", path.display()),
    ] {
        for sql in [format!("SELECT * FROM {table}"), format!("SELECT u.* FROM usage u CROSS JOIN {table}")] {
            let refused = ask(&sql).unwrap_err().to_string();
            assert!(
                refused.starts_with("unknown table")
                    || refused.ends_with("is not a supported table function"),
                "{sql}: {refused}"
            );
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test file need not be replaced atomically")]
fn put(path: &std::path::Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

#[test]
fn show_tables_answers_with_one_row_per_column() {
    let answer = ask("show tables").unwrap();
    let names: Vec<String> = answer.columns().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["table", "column", "type", "meaning"]);
    assert_eq!(answer.row_count(), Table::ALL.iter().map(|table| table.columns().len()).sum::<usize>());
    let row =
        answer.rows().find(|row| row[0].as_deref() == Some("usage") && row[1].as_deref() == Some("cost_usd"));
    let row: Vec<String> = row.unwrap().into_iter().flatten().collect();
    assert_eq!(row, ["usage", "cost_usd", "float", "cost, where the source states it"]);
}

#[test]
fn an_answer_keeps_its_values_in_every_form() {
    let answer =
        ask("SELECT model, input_tokens, cost_usd, agent = 'explore' AS known FROM usage ORDER BY ts")
            .unwrap();
    assert_eq!(
        answer.columns(),
        [
            ("model".to_owned(), ColumnType::Text),
            ("input_tokens".to_owned(), ColumnType::Integer),
            ("cost_usd".to_owned(), ColumnType::Float),
            ("known".to_owned(), ColumnType::Flag),
        ]
    );
    let first: Vec<Option<String>> = answer.rows().next().unwrap();
    assert_eq!(first, ["small", "100", "0.25", "true"].map(|cell| Some(cell.to_owned())));
    assert_eq!(
        answer.json(),
        "[\n  {\"model\":\"small\",\"input_tokens\":100,\"cost_usd\":0.25,\"known\":true},\n  \
         {\"model\":\"small\",\"input_tokens\":50,\"cost_usd\":null,\"known\":true},\n  \
         {\"model\":\"=large\",\"input_tokens\":9,\"cost_usd\":null,\"known\":null}\n]\n"
    );
    assert_eq!(
        String::from_utf8(answer.csv(CsvCells::Exact).unwrap()).unwrap(),
        "model,input_tokens,cost_usd,known\nsmall,100,0.25,true\nsmall,50,,true\n=large,9,,\n"
    );
    assert!(
        String::from_utf8(answer.csv(CsvCells::SpreadsheetSafe).unwrap()).unwrap().contains("\n'=large,9,")
    );
}

#[test]
fn an_answer_without_rows_is_still_an_answer() {
    let answer = ask("SELECT model FROM usage WHERE input_tokens > 1000").unwrap();
    assert_eq!((answer.json().as_str(), answer.jsonl().as_str()), ("[]\n", ""));
    assert_eq!(answer.csv(CsvCells::Exact).unwrap(), b"model\n");
}

#[test]
fn hostile_text_cannot_steer_a_terminal_through_json() {
    let frame = DataFrame::new(1, vec![Series::new("text".into(), ["a\u{9b}2J\u{202e}b"]).into()]).unwrap();
    let json = Answer::new(frame).jsonl();
    assert_eq!(json, "{\"text\":\"a\\u009b2J\\u202eb\"}\n");
}

#[test]
fn a_parquet_answer_reads_back_as_the_same_columns() {
    use polars_io::prelude::{ParquetReader, SerReader};
    let answer = ask("SELECT model, input_tokens, cost_usd FROM usage ORDER BY ts").unwrap();
    let bytes = answer.parquet().unwrap();
    let back = ParquetReader::new(std::io::Cursor::new(bytes)).finish().unwrap();
    assert_eq!(Answer::new(back).jsonl(), answer.jsonl());
}
