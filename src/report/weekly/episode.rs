//! Changes of health → the times in which tasks struggled or were stuck, as far as they lie in a window.

use crate::base::clock::Timestamp;
use crate::projection::edge::Edge;
use crate::projection::health::Health;
use crate::report::weekly::{AgentEpisodes, Episode, EpisodeHealth, EpisodeSummary};
use crate::report::window::Window;
use std::collections::BTreeMap;

/// How many episodes a summary names.
const LONGEST_MAX: usize = 10;

/// Gathers the episodes that overlap a window. Where one goes on after the window, or now, it is open.
#[derive(Debug)]
pub(super) struct Episodes {
    from: Timestamp,
    end: Timestamp,
    /// The task's last episode, while it goes on.
    open: BTreeMap<String, Episode>,
    done: Vec<Episode>,
}

impl Episodes {
    pub(super) fn new(window: Window, now: Timestamp) -> Self {
        Self { from: window.from, end: window.until.min(now), open: BTreeMap::new(), done: Vec::new() }
    }

    /// Takes changes in any order; those of a task must be later than those taken before.
    pub(super) fn add(&mut self, edges: &[Edge]) {
        let mut edges: Vec<&Edge> = edges.iter().collect();
        edges.sort_by_key(|edge| edge.ts);
        for edge in edges {
            self.take(edge);
        }
    }

    /// All of them, in the order they began.
    pub(super) fn finish(mut self) -> Vec<Episode> {
        for episode in std::mem::take(&mut self.open).into_values() {
            self.keep(episode);
        }
        self.done.sort_by(|a, b| (a.from, &a.task).cmp(&(b.from, &b.task)));
        self.done
    }

    /// Another reason for the same health goes on with the episode.
    fn take(&mut self, edge: &Edge) {
        let health = match edge.to_health {
            Health::Struggling => Some(EpisodeHealth::Struggling),
            Health::Stuck => Some(EpisodeHealth::Stuck),
            _ => None,
        };
        if self.open.get(&edge.task).map(|episode| episode.health) == health {
            return;
        }
        if let Some(episode) = self.open.remove(&edge.task) {
            self.keep(Episode { until: Some(edge.ts), ..episode });
        }
        if let Some(health) = health {
            let episode = Episode {
                task: edge.task.clone(),
                agent: edge.agent.clone(),
                health,
                reason: edge.reason.map(|reason| reason.word().to_owned()),
                from: edge.ts,
                until: None,
                duration_ms: 0,
            };
            self.open.insert(edge.task.clone(), episode);
        }
    }

    /// Cuts an episode to what lies inside, if that is anything.
    fn keep(&mut self, mut episode: Episode) {
        episode.until = episode.until.filter(|until| *until <= self.end);
        let (first, last) = (episode.from.max(self.from), episode.until.unwrap_or(self.end));
        episode.duration_ms = u64::try_from(last.millis_since(first)).unwrap_or(0);
        if first < last {
            self.done.push(episode);
        }
    }
}

/// The episodes by agent, and the longest ones.
pub(super) fn summary(episodes: &[Episode]) -> EpisodeSummary {
    let mut by_agent: BTreeMap<&Option<String>, AgentEpisodes> = BTreeMap::new();
    for episode in episodes {
        let agent = by_agent.entry(&episode.agent).or_default();
        agent.agent.clone_from(&episode.agent);
        let (count, total) = match episode.health {
            EpisodeHealth::Struggling => (&mut agent.struggling_count, &mut agent.struggling_ms),
            EpisodeHealth::Stuck => (&mut agent.stuck_count, &mut agent.stuck_ms),
        };
        *count += 1;
        *total += episode.duration_ms;
        agent.open_count += u64::from(episode.until.is_none());
    }
    let mut by_agent: Vec<AgentEpisodes> = by_agent.into_values().collect();
    by_agent.sort_by_key(|agent| std::cmp::Reverse(agent.struggling_ms + agent.stuck_ms));
    let mut longest = episodes.to_vec();
    longest.sort_by_key(|episode| std::cmp::Reverse(episode.duration_ms));
    longest.truncate(LONGEST_MAX);
    EpisodeSummary { by_agent, longest }
}
