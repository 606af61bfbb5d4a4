//! What `scontrol show job` says of where a job writes its output. Pure: text to paths.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The arguments for one job, or all tasks of one array.
pub(super) fn arguments(id: &str) -> Vec<String> {
    ["-o", "show", "job", id].map(str::to_owned).to_vec()
}

/// The output of each job, by its id (`123`, `123_4`).
pub(super) fn outputs(text: &str) -> BTreeMap<String, PathBuf> {
    text.lines().filter_map(output).collect()
}

fn output(line: &str) -> Option<(String, PathBuf)> {
    let fields = fields(line);
    let path = fields.get("StdOut").filter(|path| path.starts_with('/'))?;
    let id = match (fields.get("ArrayJobId"), fields.get("ArrayTaskId")) {
        (Some(array), Some(task)) if task.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{array}_{task}")
        }
        // The tasks that have not begun have no output yet.
        (Some(_), Some(_)) => return None,
        _ => fields.get("JobId")?.clone(),
    };
    Some((id, PathBuf::from(path)))
}

/// `Key=value Key=value`; a value goes on until the next key, as paths may have spaces in them.
fn fields(line: &str) -> BTreeMap<&str, String> {
    let mut fields = BTreeMap::new();
    let mut last = None;
    for word in line.trim().split(' ') {
        match word.split_once('=').filter(|(key, _)| is_key(key)) {
            Some((key, value)) => {
                last = Some(key);
                fields.entry(key).or_insert_with(|| value.to_owned());
            }
            None => {
                if let Some(value) = last.and_then(|key| fields.get_mut(key)) {
                    value.push(' ');
                    value.push_str(word);
                }
            }
        }
    }
    fields
}

fn is_key(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b':' | b'_'))
}
