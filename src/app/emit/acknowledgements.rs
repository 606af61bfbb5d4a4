//! Which ids may be printed. Pure.
//!
//! Acknowledgements come in the order of the lines: one is held back while an event before it waits. What was dropped is
//! never acknowledged. Only when very many are held back, because one stream cannot be written and others can, they go out
//! before their turn.

use crate::base::limits::ACKNOWLEDGEMENTS_HELD_MAX;
use crate::event::ids::EventId;
use std::collections::VecDeque;

/// The events that were taken and not yet acknowledged, oldest first.
#[derive(Debug, Default)]
pub(super) struct Acknowledgements {
    held: VecDeque<Held>,
}

#[derive(Debug)]
struct Held {
    number: u64,
    id: EventId,
    is_settled: bool,
}

impl Acknowledgements {
    /// An event was taken; `number` is greater than all before.
    pub(super) fn expect(&mut self, number: u64, id: EventId) {
        self.held.push_back(Held { number, id, is_settled: false });
    }

    /// Events were written. Numbers of events that nobody waits for are ignored.
    pub(super) fn settle(&mut self, numbers: &[u64]) {
        for number in numbers {
            if let Ok(place) = self.held.binary_search_by_key(number, |held| held.number)
                && let Some(held) = self.held.get_mut(place)
            {
                held.is_settled = true;
            }
        }
    }

    /// Events were dropped. Gives how many of them somebody waited for.
    pub(super) fn drop_all(&mut self, numbers: &[u64]) -> usize {
        let before = self.held.len();
        if !numbers.is_empty() {
            let gone: std::collections::HashSet<&u64> = numbers.iter().collect();
            self.held.retain(|held| !gone.contains(&held.number));
        }
        before - self.held.len()
    }

    /// Takes out the ids whose turn it is.
    pub(super) fn take_due(&mut self) -> Vec<EventId> {
        let mut due = Vec::new();
        while let Some(held) = self.held.pop_front_if(|held| held.is_settled) {
            due.push(held.id);
        }
        if self.held.len() > ACKNOWLEDGEMENTS_HELD_MAX {
            due.extend(self.held.iter().filter(|held| held.is_settled).map(|held| held.id));
            self.held.retain(|held| !held.is_settled);
        }
        due
    }

    /// How many events are not acknowledged.
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> EventId {
        EventId::of(&[&number.to_le_bytes()])
    }

    fn expecting(count: u64) -> Acknowledgements {
        let mut acknowledgements = Acknowledgements::default();
        (1..=count).for_each(|number| acknowledgements.expect(number, id(number)));
        acknowledgements
    }

    #[test]
    fn an_acknowledgement_waits_for_those_before_it() {
        let mut acknowledgements = expecting(4);
        acknowledgements.settle(&[2, 4, 99]);
        assert_eq!(acknowledgements.take_due(), []);
        acknowledgements.settle(&[1]);
        assert_eq!(acknowledgements.take_due(), [id(1), id(2)]);
        assert_eq!(acknowledgements.drop_all(&[3, 99]), 1);
        assert_eq!(acknowledgements.take_due(), [id(4)]);
        assert_eq!(acknowledgements.len(), 0);
    }

    #[test]
    fn too_many_held_back_go_out_before_their_turn() {
        let count = ACKNOWLEDGEMENTS_HELD_MAX as u64 + 1;
        let mut acknowledgements = expecting(count);
        acknowledgements.settle(&[2, 3]);
        assert_eq!(acknowledgements.take_due(), [id(2), id(3)]);
        acknowledgements.settle(&[1, 4]);
        assert_eq!(acknowledgements.take_due(), [id(1), id(4)]);
    }
}
