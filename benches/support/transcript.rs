//! Claude Code transcripts of a realistic mix of lines, the same bytes for the same seed.
//!
//! Of a hundred lines about 40 are the assistant's, 22 the user's (mostly tool results, some of them long), 32 progress, the
//! rest snapshots and system lines. Each file is a session of about 1.3 MB; every message id stands on two lines.

use crate::support::random::Random;
use agentlog::base::clock::Timestamp;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

const SESSION_BYTES: u64 = 1_300_000;
/// 2026-11-16T08:00:00Z.
const START_MILLIS: i64 = 1_794_816_000_000;

/// Writes sessions of `bytes` bytes in all below `root`, which then looks like a Claude configuration folder. Gives the
/// bytes written. A root that is there already is taken as it is.
pub(crate) fn transcripts(root: &Path, bytes: u64) -> u64 {
    let folder = root.join("projects/-home-dev-shop");
    if let Ok(entries) = fs::read_dir(&folder) {
        return entries.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    }
    let making = root.join("making");
    fs::create_dir_all(&making).unwrap();
    let mut written = 0;
    let mut random = Random::new(47);
    while written < bytes {
        let (high, low) = (random.bits(), random.bits());
        let id = format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            high >> 32,
            high & 0xffff,
            low & 0xfff,
            (low >> 12) & 0xfff,
            low >> 16
        );
        let file = File::create(making.join(format!("{id}.jsonl"))).unwrap();
        let mut session = Session {
            random: random.clone(),
            id,
            out: BufWriter::new(file),
            bytes: 0,
            millis: START_MILLIS,
            parent: Value::Null,
        };
        while session.bytes < SESSION_BYTES.min(bytes) {
            session.turn();
        }
        session.out.flush().unwrap();
        written += session.bytes;
    }
    fs::create_dir_all(root.join("projects")).unwrap();
    fs::rename(making, folder).unwrap();
    written
}

struct Session {
    random: Random,
    id: String,
    out: BufWriter<File>,
    bytes: u64,
    millis: i64,
    parent: Value,
}

impl Session {
    fn turn(&mut self) {
        let start = self.millis;
        self.chain(json!({"type": "user", "message": {"role": "user", "content": "Make the cart show the discount, and test it."}}));
        for _ in 0..12 {
            self.call();
        }
        let message =
            self.message(&json!({"type": "text", "text": "Done: the discount is shown and tested."}));
        self.chain(message);
        let duration = self.millis - start;
        self.chain(
            json!({"type": "system", "subtype": "turn_duration", "durationMs": duration, "isMeta": false}),
        );
        let message = self.uuid();
        self.line(&json!({"type": "file-history-snapshot", "messageId": message, "snapshot": {"trackedFileBackups": {}}, "isSnapshotUpdate": false}));
    }

    fn call(&mut self) {
        let (tool, input) = match self.random.below(5) {
            0 | 1 => ("Bash", json!({"command": "npx vitest run src/cart", "description": "Run cart tests"})),
            2 => ("Read", json!({"file_path": "/home/dev/shop/src/cart/total.ts"})),
            3 => (
                "Edit",
                json!({"file_path": "/home/dev/shop/src/cart/total.ts", "old_string": "a", "new_string": "b"}),
            ),
            _ => ("Grep", json!({"pattern": "total\\(", "output_mode": "content"})),
        };
        let call = format!("toolu_{:016x}", self.random.bits());
        let message = self.message(&json!({"type": "text", "text": "I will look at that now."}));
        let mut second = message.clone();
        self.chain(message);
        if let Some(content) = second.pointer_mut("/message/content/0") {
            *content = json!({"type": "tool_use", "id": call, "name": tool, "input": input});
        }
        self.chain(second);
        for number in 0..self.random.below(4) {
            self.chain(json!({"type": "progress", "data": {"type": "bash_progress", "output": "", "elapsedTimeSeconds": number * 2, "totalLines": number, "timeoutMs": 600_000}, "parentToolUseID": call}));
        }
        self.result(&call);
    }

    fn result(&mut self, call: &str) {
        let failed = self.random.below(1000) < 44;
        let mut output = self.output();
        let result = if failed {
            output.insert_str(0, "Exit code 1\n");
            json!(format!("Error: {output}"))
        } else {
            json!({"stdout": output, "stderr": "", "interrupted": false, "isImage": false})
        };
        let block =
            json!({"type": "tool_result", "tool_use_id": call, "content": output, "is_error": failed});
        self.chain(
            json!({"type": "user", "message": {"role": "user", "content": [block]}, "toolUseResult": result}),
        );
    }

    /// Six of ten outputs are short, three a few kilobytes, one up to thirty.
    fn output(&mut self) -> String {
        let bytes = match self.random.below(10) {
            0..=5 => self.random.below(500),
            6..=8 => 1000 + self.random.below(7000),
            _ => 10_000 + self.random.below(20_000),
        };
        let line = "  12 |   return lines.map((line) => \"\\t\" + line.price); // größer\n";
        line.chars().cycle().take(usize::try_from(bytes).unwrap()).collect()
    }

    fn message(&mut self, block: &Value) -> Value {
        json!({
            "type": "assistant",
            "requestId": format!("req_{:016x}", self.random.bits()),
            "message": {
                "id": format!("msg_{:016x}", self.random.bits()), "type": "message", "role": "assistant",
                "model": "claude-opus-4-6", "content": [block], "stop_reason": null, "stop_sequence": null,
                "usage": {"input_tokens": 4, "cache_creation_input_tokens": 812, "cache_read_input_tokens": self.random.below(90_000), "output_tokens": self.random.below(600)},
            },
        })
    }

    /// A line of the conversation: `fields` and what all such lines have.
    fn chain(&mut self, fields: Value) {
        self.millis += 40 + i64::try_from(self.random.below(4000)).unwrap();
        let uuid = self.uuid();
        let mut line = json!({
            "parentUuid": self.parent, "isSidechain": false, "userType": "external", "cwd": "/home/dev/shop",
            "sessionId": self.id, "version": "2.1.120", "gitBranch": "main", "uuid": uuid,
            "timestamp": Timestamp::from_millis(self.millis).to_string(),
        });
        if let (Value::Object(line), Value::Object(fields)) = (&mut line, fields) {
            line.extend(fields);
        }
        self.parent = uuid;
        self.line(&line);
    }

    fn uuid(&mut self) -> Value {
        let (high, low) = (self.random.bits(), self.random.bits());
        json!(format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            high >> 32,
            high & 0xffff,
            low & 0xfff,
            (low >> 12) & 0xfff,
            low >> 16
        ))
    }

    fn line(&mut self, line: &Value) {
        let mut bytes = serde_json::to_vec(line).unwrap();
        bytes.push(b'\n');
        self.out.write_all(&bytes).unwrap();
        self.bytes += bytes.len() as u64;
    }
}
