//! The whole queue as a list: what would be offered in which order, and what holds each phase.
//!
//! Invariant: the order is found by the queue itself, on a copy; a phase without a hold goes with the next pass.

use std::{collections::HashMap, sync::Arc};

use autopack_domain::Timestamp;

use super::{
    handicap,
    limits::Place,
    queue::{Pick, Queue},
};
use crate::dispatch::Hold;

/// A waiting phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The phase and where it belongs.
    pub pick: Pick,
    /// 1 for the next of its lane.
    pub position: usize,
    /// What holds it back; empty: it goes with the next pass.
    pub holds: Vec<Hold>,
}

impl Queue {
    /// Every waiting phase, lane by lane, in the order in which they would be offered if nothing ended; those that
    /// a rule holds come last in their lane.
    pub fn order(&self, now: Timestamp, window: u32) -> Vec<Line> {
        let mut trial = self.clone();
        let mut positions: HashMap<Arc<str>, usize> = HashMap::new();
        let mut lines: Vec<Line> = Vec::new();
        for pick in trial.pick(now, u32::MAX, usize::MAX) {
            let before = positions.entry(Arc::clone(&pick.lane)).or_default();
            let taken = self.tally.in_lane(&pick.lane);
            let room = window.saturating_sub(taken) as usize;
            let hold = (*before >= room).then(|| Hold {
                rule: "queue",
                facts: format!(
                    "{before} phases are before it in lane {}; {taken} of {window} places are taken",
                    pick.lane
                ),
                remedy: "an attempt of the lane ends; `autopack queue` shows the order",
            });
            *before += 1;
            lines.push(Line {
                position: *before,
                holds: hold.into_iter().collect(),
                pick,
            });
        }
        for mut line in trial.held(now) {
            let before = positions.entry(Arc::clone(&line.pick.lane)).or_default();
            *before += 1;
            line.position = *before;
            lines.push(line);
        }
        lines.sort_by(|a, b| (&a.pick.lane, a.position).cmp(&(&b.pick.lane, b.position)));
        lines
    }

    /// What is left after everything was offered that may be, by deadline.
    fn held(&self, now: Timestamp) -> Vec<Line> {
        let mut lines = Vec::new();
        for (&run, entry) in &self.runs {
            for ((lane, class), group) in &entry.groups {
                let place = Place {
                    run,
                    project: &entry.project,
                    lane,
                    labels: &class.labels,
                };
                let mut holds = self.policy.holds(place, &self.tally);
                holds.extend(self.offers.hold(lane, class.priority, now));
                lines.extend(group.phases.iter().map(|&(phase, since)| Line {
                    pick: Pick {
                        run,
                        phase,
                        project: Arc::clone(&entry.project),
                        lane: Arc::clone(lane),
                        priority: class.priority,
                        since,
                    },
                    position: 0,
                    holds: holds.clone(),
                }));
            }
        }
        lines.sort_by_key(|l| {
            let p = &l.pick;
            (p.since.0 + handicap(p.priority), p.run, p.phase)
        });
        lines
    }
}
