//! The state of all tasks: one entry per task, in it one part per stream.
//!
//! Each part is folded from its own stream only, in the order of that stream; what several streams say (who, when, which
//! attempt) is kept in registers and extremes, which commute. So the streams may be folded in any interleaving, in
//! parallel, and in pieces: [`Projection::merge`] of the folds of two pieces is the fold of both.

use crate::base::clock::Timestamp;
use crate::projection::facts::Facts;
use crate::projection::monitoring::Monitoring;
use crate::projection::register::{Names, Register, Stamp, is_default};
use crate::projection::results::Results;
use crate::projection::suspension::Suspensions;
use crate::projection::tools::Tools;
use crate::projection::usage::Spent;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The fold of events. The empty one is the default; [`Projection::apply`](crate::projection::apply) adds an event.
#[derive(Clone, Debug, Default)]
pub struct Projection {
    pub(crate) tasks: HashMap<Box<str>, Box<Task>>,
    pub(crate) suspensions: Suspensions,
    pub(crate) max_ts: Option<Timestamp>,
    pub(crate) names: Names,
}

/// One task. The parts are boxed: most tasks lack one, and an entry must be small.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Task {
    /// The first activity, in microseconds; the far future before any.
    pub(crate) first_at: i64,
    /// The last activity of the agent or job itself.
    pub(crate) last: Stamp,
    /// The last event of any kind, in microseconds; the far past before any.
    pub(crate) seen_at: i64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) agent: Register,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) source: Register,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) model: Register,
    /// The greatest attempt that was started; 0 before any.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) started: u32,
    /// Whether it did what only something at work does; with turns it is a session all the same.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) worked: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) facts: Facts,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) results: Option<Box<Results>>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) tools: Option<Box<Tools>>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) usage: Option<Box<Spent>>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) monitoring: Option<Box<Monitoring>>,
}

impl Projection {
    /// Adds the fold of later parts of the same streams (or of other streams), as if its events had been applied here.
    pub fn merge(&mut self, later: Self) {
        self.max_ts = self.max_ts.max(later.max_ts);
        self.suspensions.merge(later.suspensions);
        for (id, mut task) in later.tasks {
            task.share(&mut self.names);
            match self.tasks.entry(id) {
                Entry::Occupied(mut known) => known.get_mut().merge(*task),
                Entry::Vacant(vacant) => {
                    vacant.insert(task);
                }
            }
        }
    }

    /// Adds a time in which the host slept, as `host.suspended` does.
    pub fn add_sleep(&mut self, from: Timestamp, until: Timestamp) {
        self.suspensions.add(from, until);
    }

    /// The greatest `ts` of all events applied; `None` before the first.
    #[must_use]
    pub const fn max_ts(&self) -> Option<Timestamp> {
        self.max_ts
    }

    /// How many tasks were spoken of.
    #[must_use]
    pub fn task_count(&self) -> usize {
        self.tasks.len()
    }

    /// The tasks by id.
    pub(crate) fn sorted(&self) -> Vec<(&str, &Task)> {
        let mut tasks: Vec<_> = self.tasks.iter().map(|(id, task)| (&**id, &**task)).collect();
        tasks.sort_unstable_by_key(|(id, _)| *id);
        tasks
    }
}

impl Task {
    /// The task that this one belongs to.
    pub(crate) fn parent(&self) -> Option<&str> {
        use crate::projection::facts::Fact;
        let parent =
            self.facts.get(|fact| if let Fact::Parent(name) = fact { Some(name.as_str()) } else { None });
        parent.map(|(_, parent)| parent)
    }

    /// The first activity.
    pub(crate) fn first_at(&self) -> Option<Timestamp> {
        (self.first_at != i64::MAX).then(|| Timestamp::from_micros(self.first_at))
    }

    /// The attempt it is in: the greatest that was started or used a tool, at least 1.
    pub(crate) fn attempt(&self) -> u32 {
        self.started.max(self.tools.as_ref().map_or(0, |tools| tools.attempt)).max(1)
    }

    /// The same as if `later`, the fold of the part after this one, had been folded here.
    pub(crate) fn merge(&mut self, later: Self) {
        self.first_at = self.first_at.min(later.first_at);
        self.last = self.last.max(later.last);
        self.seen_at = self.seen_at.max(later.seen_at);
        self.agent.merge(later.agent);
        self.source.merge(later.source);
        self.model.merge(later.model);
        self.started = self.started.max(later.started);
        self.worked |= later.worked;
        self.facts.merge(later.facts);
        merge_part(&mut self.results, later.results, |mine, theirs| mine.merge(*theirs));
        merge_part(&mut self.tools, later.tools, |mine, theirs| mine.merge(*theirs));
        merge_part(&mut self.usage, later.usage, |mine, theirs| mine.merge(&theirs));
        merge_part(&mut self.monitoring, later.monitoring, |mine, theirs| mine.merge(*theirs));
    }

    /// Shares the names that other tasks have as well.
    pub(crate) fn share(&mut self, names: &mut Names) {
        self.agent.share(names);
        self.source.share(names);
        self.model.share(names);
        self.facts.share(names);
        if let Some(tools) = &mut self.tools {
            tools.share(names);
        }
        if let Some(monitoring) = &mut self.monitoring {
            monitoring.share(names);
        }
    }
}

impl Default for Task {
    fn default() -> Self {
        Self {
            first_at: i64::MAX,
            last: Stamp::NEVER,
            seen_at: i64::MIN,
            agent: Register::default(),
            source: Register::default(),
            model: Register::default(),
            started: 0,
            worked: false,
            facts: Facts::default(),
            results: None,
            tools: None,
            usage: None,
            monitoring: None,
        }
    }
}

fn merge_part<T>(mine: &mut Option<Box<T>>, theirs: Option<Box<T>>, merge: impl Fn(&mut T, Box<T>)) {
    match (mine, theirs) {
        (_, None) => {}
        (Some(mine), Some(theirs)) => merge(mine, theirs),
        (mine, theirs) => *mine = theirs,
    }
}

/// Which names are shared makes no difference.
impl PartialEq for Projection {
    fn eq(&self, other: &Self) -> bool {
        self.max_ts == other.max_ts && self.suspensions == other.suspensions && self.tasks == other.tasks
    }
}

/// As `[max_ts, suspensions, [[id, task] …]]`, tasks by id, so that equal states have equal bytes.
impl Serialize for Projection {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        (self.max_ts.map(Timestamp::micros), &self.suspensions, self.sorted()).serialize(out)
    }
}

impl<'de> Deserialize<'de> for Projection {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let (max_ts, suspensions, tasks) =
            <(Option<i64>, Suspensions, Vec<(Box<str>, Box<Task>)>)>::deserialize(input)?;
        let max_ts = max_ts.map(Timestamp::from_micros);
        let mut names = Names::default();
        let mut by_id = HashMap::with_capacity(tasks.len());
        for (id, mut task) in tasks {
            task.share(&mut names);
            by_id.insert(id, task);
        }
        Ok(Self { tasks: by_id, suspensions, max_ts, names })
    }
}
