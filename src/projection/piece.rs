//! Tasks ⇄ bytes, one by one: for a fold of more tasks than should be held at once.
//!
//! What was folded of a task may be put away as bytes and merged later, because the state is a monoid: in the order of the
//! pieces it gives what folding all at once gives. Where the bytes lie is the caller's business.

use crate::projection::register::Names;
use crate::projection::state::{Projection, Task};
use hashbrown::hash_map::Entry;

impl Projection {
    /// Takes all tasks out and gives `take` each one's id and bytes. What is not of a task stays.
    pub fn drain_tasks(&mut self, take: impl FnMut(&str, &[u8])) {
        self.drain_until(i64::MAX, take);
    }

    /// Takes at least half of the tasks out, those of which nothing was heard for the longest time: the others will be heard of
    /// again sooner.
    pub fn drain_quiet_tasks(&mut self, take: impl FnMut(&str, &[u8])) {
        let mut seen: Vec<i64> = self.tasks.values().map(|task| task.seen_at).collect();
        let middle = seen.len() / 2;
        if middle < seen.len() {
            let (_, median, _) = seen.select_nth_unstable(middle);
            self.drain_until(*median, take);
        }
    }

    fn drain_until(&mut self, seen_at: i64, mut take: impl FnMut(&str, &[u8])) {
        self.names = Names::default();
        let mut bytes = Vec::new();
        for (id, task) in self.tasks.extract_if(|_, task| task.seen_at <= seen_at) {
            bytes.clear();
            // Our own types have only text keys and finite numbers, so serialising them into memory cannot fail.
            if serde_json::to_writer(&mut bytes, &(&*id, &*task)).is_ok() {
                take(&id, &bytes);
            }
        }
    }

    /// Merges a task, folded from later events of the same streams (or from other streams), of which these are the bytes.
    ///
    /// # Errors
    /// When the bytes are not those of a task.
    pub fn merge_task(&mut self, bytes: &[u8]) -> Result<(), serde_json::Error> {
        let (id, mut task): (Box<str>, Box<Task>) = serde_json::from_slice(bytes)?;
        task.share(&mut self.names);
        match self.tasks.entry(id) {
            Entry::Occupied(mut known) => known.get_mut().merge(*task),
            Entry::Vacant(vacant) => {
                vacant.insert(task);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::fixture::any::any_event;
    use crate::projection::fixture::folded;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tasks_that_were_put_away_at_any_time_are_what_they_would_be(
            events in prop::collection::vec(any_event(), 0..60), every in 1_usize..20,
        ) {
            let mut projection = Projection::default();
            let mut away: Vec<Vec<u8>> = Vec::new();
            for piece in events.chunks(every) {
                for event in piece {
                    projection.apply(event);
                }
                let before = projection.task_count();
                projection.drain_quiet_tasks(|_, bytes| away.push(bytes.to_vec()));
                prop_assert!(projection.task_count() * 2 <= before);
            }
            projection.drain_tasks(|_, bytes| away.push(bytes.to_vec()));
            prop_assert_eq!(projection.task_count(), 0);
            for bytes in &away {
                projection.merge_task(bytes).unwrap();
            }
            prop_assert_eq!(projection, folded(&events));
        }
    }
}
