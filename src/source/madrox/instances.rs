//! The list of instances: each is a task.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::field::Text;
use crate::event::owned::IntoStatic as _;
use crate::source::documents::{Misfit, Reader, Sheet};
use crate::source::finder::{Format, Found, Head, Home, lies_in, marks};
use crate::source::follower::Identity;
use crate::source::madrox::SOURCE;
use crate::source::madrox::place::{Folder, home, instances, is_ours, time};
use crate::source::scribe::Scribe;
use crate::source::session::About;
use crate::source::text::captured;
use crate::source::{Env, Scope};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

const MARKS: [&str; 8] = [
    "\"workspace_dir\"",
    "\"instance_type\"",
    "\"bypass_isolation\"",
    "\"parent_instance_id\"",
    "\"total_tokens_used\"",
    "\"has_custom_prompt\"",
    "\"request_count\"",
    "\"system_prompt\"",
];
const MARKS_MIN: usize = 3;

/// The list of instances.
#[derive(Debug, Default)]
pub(super) struct InstanceFiles;

/// What is known of it from outside.
#[derive(Debug)]
pub(super) struct Context {
    host: String,
    folder: Folder,
    scope: Scope,
}

impl Format for InstanceFiles {
    const SOURCE: &'static str = SOURCE;
    type Context = Context;

    fn homes(env: &Env) -> Vec<Home> {
        home(env, "state", 0)
    }

    fn is_candidate(path: &Path) -> bool {
        path.file_name().is_some_and(|name| name == "instances.json")
    }

    fn is_at_home(path: &Path) -> bool {
        lies_in(path, &["madrox_logs", "state", "instances.json"])
    }

    fn recognises(head: &[u8]) -> bool {
        marks(head, &MARKS) >= MARKS_MIN
    }

    fn look(path: &Path, _: &Head, env: &Env) -> io::Result<Option<Found<Context>>> {
        if !is_ours(path, env) {
            return Ok(None);
        }
        let parts = vec![env.host.clone(), path.to_string_lossy().into_owned()];
        let identity = Identity { source: SOURCE, parts, session: None };
        // It is of every project that has an instance in it.
        let cwd = instances(path)?.values().filter_map(workspace).find(|cwd| env.scope.takes(Some(cwd)));
        let context =
            Context { host: env.host.clone(), folder: Folder::of(path, env), scope: env.scope.clone() };
        Ok(Some(Found { identity, context, cwd }))
    }
}

/// Reads the list.
#[derive(Debug, Default)]
pub(super) struct Instances {
    /// The instances that failed, with their attempt: what is cleaned up afterwards did not complete.
    failed: BTreeSet<(String, u64)>,
}

impl Reader for Instances {
    type Context = Context;
    const FORMAT: &'static str = "list of Madrox instances";

    fn read(
        &mut self,
        context: &Context,
        bytes: &[u8],
        modified: Timestamp,
        out: &mut Sheet<'_>,
    ) -> Result<(), Misfit> {
        let document: Value =
            serde_json::from_slice(bytes).map_err(|error| Misfit::Unfinished(error.to_string()))?;
        let Value::Object(all) = document else {
            return Err(Misfit::Drifted("it is no object of instances".to_owned()));
        };
        out.begins_with(&context.folder.0);
        for (id, instance) in &all {
            if !context.scope.takes(workspace(instance).as_deref()) {
                continue;
            }
            for name in ["state", "created_at", "last_activity", "workspace_dir", "name", "role"] {
                if instance.get(name).and_then(Value::as_str).is_none() {
                    out.drifted(&format!("an instance has no `{name}`"));
                }
            }
            Instance { id, fields: instance, modified }.tell(context, &mut self.failed, out);
        }
        Ok(())
    }
}

struct Instance<'d> {
    id: &'d str,
    fields: &'d Value,
    modified: Timestamp,
}

impl Instance<'_> {
    fn tell(&self, context: &Context, failed: &mut BTreeSet<(String, u64)>, out: &mut Sheet<'_>) {
        let agent = self.text("role").or_else(|| self.text("instance_type")).unwrap_or(SOURCE);
        let attempt = self.fields.get("retry_count").and_then(Value::as_u64).unwrap_or(0) + 1;
        let created_at = self.time("created_at").unwrap_or(self.modified);
        let mut state = self.text("state").unwrap_or_default().to_lowercase();
        let reason = self.text("error_message").and_then(captured).map(Text::Owned);
        let this = (self.id.to_owned(), attempt);
        if state == "error" {
            failed.insert(this);
        } else if state == "terminated" && (failed.contains(&this) || reason.is_some()) {
            // Its clean-up is the failure that it was, said with the same id.
            "error".clone_into(&mut state);
        }
        out.record(&format!("{} attempt {attempt}", self.id));
        let native = ["instance", self.id, &attempt.to_string()];
        let mut scribe = Scribe::new(out, SOURCE, (self.id, agent), created_at, &native);
        if attempt == 1 {
            scribe.say(self.created(context));
        }
        if state != "initializing" {
            scribe.say(Body::TaskStarted { attempt: Some(attempt) });
        }
        let ended_at = self.time("terminated_at").or_else(|| self.time("last_activity"));
        let attempt = Some(attempt);
        let (exit_code, duration_ms) = (None, None);
        let ended = match state.as_str() {
            "error" => Body::TaskFailed { attempt, exit_code, reason, duration_ms },
            "terminated" => Body::TaskCompleted { attempt, exit_code, reason, duration_ms },
            _ => return,
        };
        out.record(&format!("{} {state}", self.id));
        let ended_at = ended_at.unwrap_or(self.modified);
        Scribe::new(out, SOURCE, (self.id, agent), ended_at, &native).say(ended);
    }

    fn created(&self, context: &Context) -> Body<'static> {
        let about = About {
            title: self.text("name"),
            parent: self.text("parent_instance_id"),
            model: self.text("model"),
            host: &context.host,
            cwd: self.text("workspace_dir"),
        };
        let mut created = about.created().into_static();
        if let Body::TaskCreated { assigned_task, .. } = &mut created {
            *assigned_task = self.text("initial_prompt").and_then(captured).map(Text::Owned);
        }
        created
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    fn time(&self, name: &str) -> Option<Timestamp> {
        time(self.text(name)?)
    }
}

fn workspace(instance: &Value) -> Option<PathBuf> {
    instance.get("workspace_dir").and_then(Value::as_str).map(PathBuf::from)
}
