//! Changes of health → the times in which tasks struggled or were stuck, as far as they lie in a window.

use crate::base::clock::Timestamp;
use crate::projection::edge::Edge;
use crate::projection::health::Health;
use crate::report::weekly::{AgentEpisodes, Episode, EpisodeHealth, EpisodeSummary};
use crate::report::window::Window;
use std::collections::BTreeMap;

/// How many episodes a summary names.
const LONGEST_MAX: usize = 10;

/// The episodes that overlap the window, in the order they began. Where one goes on after the window, or now, it is open.
pub(super) fn episodes(edges: &[Edge], window: Window, now: Timestamp) -> Vec<Episode> {
    let end = window.until.min(now);
    let mut by_task: BTreeMap<&str, Vec<&Edge>> = BTreeMap::new();
    for edge in edges {
        by_task.entry(&edge.task).or_default().push(edge);
    }
    let mut all = Vec::new();
    for edges in by_task.values_mut() {
        edges.sort_by_key(|edge| edge.ts);
        of_task(edges, &mut all);
    }
    all.retain_mut(|episode| cut(episode, window.from, end));
    all.sort_by(|a, b| (a.from, &a.task).cmp(&(b.from, &b.task)));
    all
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

/// All episodes of one task, whole; another reason for the same health goes on with the episode.
fn of_task(edges: &[&Edge], all: &mut Vec<Episode>) {
    let mut open: Option<Episode> = None;
    for edge in edges {
        let health = match edge.to_health {
            Health::Struggling => Some(EpisodeHealth::Struggling),
            Health::Stuck => Some(EpisodeHealth::Stuck),
            _ => None,
        };
        if open.as_ref().map(|episode| episode.health) == health {
            continue;
        }
        all.extend(open.take().map(|episode| Episode { until: Some(edge.ts), ..episode }));
        open = health.map(|health| Episode {
            task: edge.task.clone(),
            agent: edge.agent.clone(),
            health,
            reason: edge.reason.map(|reason| reason.word().to_owned()),
            from: edge.ts,
            until: None,
            duration_ms: 0,
        });
    }
    all.extend(open);
}

/// Cuts an episode to what lies between two instants; false if that is nothing.
fn cut(episode: &mut Episode, from: Timestamp, end: Timestamp) -> bool {
    episode.until = episode.until.filter(|until| *until <= end);
    let (first, last) = (episode.from.max(from), episode.until.unwrap_or(end));
    episode.duration_ms = u64::try_from(last.millis_since(first)).unwrap_or(0);
    first < last
}
