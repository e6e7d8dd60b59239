//! Tells whether an event follows the one before it.
//!
//! Invariant: an event is passed on at most once per id within the memory, and whenever one may be
//! missing, a gap is reported before the next.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use autopack_wire::r#gen::types::v1::Event;

use crate::message::EventItem;

/// How many ids are remembered; more than the relay ever has in flight.
const MEMORY: usize = 4096;

/// What to do with an arriving event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It follows.
    Next,
    /// Something between is missing, or the log was set back.
    AfterGap,
    /// It was passed on before.
    Duplicate,
}

/// Follows the gapless numbers of the registry's log, or of one run.
#[derive(Debug, Default)]
pub(crate) struct Continuity {
    last: Option<u64>,
    seen: HashSet<String>,
    order: VecDeque<String>,
}

impl Continuity {
    /// Judges the next event by its number (0: unknown) and id (empty: unknown).
    pub(crate) fn judge(&mut self, number: u64, id: &str) -> Verdict {
        if !id.is_empty() {
            if !self.seen.insert(id.to_owned()) {
                return Verdict::Duplicate;
            }
            self.order.push_back(id.to_owned());
            if self.order.len() > MEMORY
                && let Some(oldest) = self.order.pop_front()
            {
                self.seen.remove(&oldest);
            }
        }
        if number == 0 {
            return Verdict::Next;
        }
        let follows = self
            .last
            .is_none_or(|last| last.checked_add(1) == Some(number));
        self.last = Some(number);
        if follows {
            Verdict::Next
        } else {
            Verdict::AfterGap
        }
    }

    /// A gap was reported for another reason: whatever comes next follows.
    pub(crate) fn restart(&mut self) {
        self.last = None;
    }
}

/// What a source still has to hand out: at most a gap and an event.
#[derive(Debug)]
pub(crate) struct Feed {
    continuity: Continuity,
    one_run: bool,
    ready: VecDeque<EventItem>,
}

impl Feed {
    /// A feed of one run or of all; it starts with a gap.
    pub(crate) fn new(one_run: bool) -> Self {
        Self {
            continuity: Continuity::default(),
            one_run,
            ready: VecDeque::from([EventItem::Gap]),
        }
    }

    /// The next item to hand out; take all before pushing more.
    pub(crate) fn pop(&mut self) -> Option<EventItem> {
        self.ready.pop_front()
    }

    /// An event arrived.
    pub(crate) fn push(&mut self, event: Arc<Event>, id: &str) {
        let number = if self.one_run {
            event.run_sequence
        } else {
            event.sequence
        };
        match self.continuity.judge(number, id) {
            Verdict::Duplicate => return,
            Verdict::AfterGap => self.add_gap(),
            Verdict::Next => {}
        }
        self.ready.push_back(EventItem::Event(event));
    }

    /// Something may have been missed.
    pub(crate) fn gap(&mut self) {
        self.continuity.restart();
        self.add_gap();
    }

    fn add_gap(&mut self) {
        if self.ready.back() != Some(&EventItem::Gap) {
            self.ready.push_back(EventItem::Gap);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_and_set_backs_are_told_once_and_doubles_dropped() {
        let mut c = Continuity::default();
        assert_eq!(
            c.judge(7, "a"),
            Verdict::Next,
            "the first number is unknown"
        );
        assert_eq!(c.judge(8, "b"), Verdict::Next);
        assert_eq!(c.judge(8, "b"), Verdict::Duplicate);
        assert_eq!(c.judge(10, "d"), Verdict::AfterGap);
        assert_eq!(c.judge(11, "e"), Verdict::Next);
        assert_eq!(
            c.judge(3, "x"),
            Verdict::AfterGap,
            "a restored log counts again"
        );
        assert_eq!(c.judge(4, "y"), Verdict::Next);
        c.restart();
        assert_eq!(c.judge(99, "z"), Verdict::Next);
        assert_eq!(c.judge(0, ""), Verdict::Next);
    }

    #[test]
    fn memory_is_bounded() {
        let mut c = Continuity::default();
        for n in 1..=(MEMORY as u64 * 2) {
            c.judge(n, &n.to_string());
        }
        assert_eq!(c.seen.len(), MEMORY);
        assert_eq!(c.order.len(), MEMORY);
    }
}
