//! What a look costs.

use super::*;

#[test]
fn what_is_asked_at_every_look_reads_no_table_from_end_to_end() {
    let connection = Connection::open_in_memory().unwrap();
    connection
        .execute_batch(
            "CREATE TABLE message(id text primary key, session_id text, time_created integer, time_updated integer, data text);\
             CREATE TABLE part(id text primary key, message_id text, session_id text, time_created integer, \
             time_updated integer, data text);\
             CREATE INDEX message_session_idx ON message (session_id);\
             CREATE INDEX part_message_idx ON part (message_id);\
             CREATE INDEX part_session_idx ON part (session_id);",
        )
        .unwrap();
    let plan = |query: &str| -> Vec<String> {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let count = statement.parameter_count();
        let values = rusqlite::params_from_iter(std::iter::repeat_n(1, count));
        statement.query_map(values, |row| row.get(3)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    for query in [NEW_MESSAGES, NEW_PARTS, CHANGED_MESSAGES, CHANGED_PARTS] {
        let steps = plan(query);
        assert!(
            !steps.is_empty() && steps.iter().all(|step| step.starts_with("SEARCH")),
            "{query}: {steps:?}"
        );
    }
    assert!(plan(ALL_PARTS).iter().any(|step| step.starts_with("SCAN")), "a plan tells what reads all");
}
