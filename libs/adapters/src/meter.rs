//! From samples to what an attempt used.
//!
//! Invariant: no sample counts twice: a total goes before its parts, a running total is never summed, and a step or
//! message that is told again replaces what was told.

use std::collections::BTreeMap;

use autopack_domain::usage::Provenance;

use crate::event::{Kind, Sample};
use crate::report::Anomaly;
use crate::usage::{Metered, Tokens, check};

/// The most ids that are told apart; further ones are summed.
const MAX_IDS: usize = 50_000;

/// Adds samples up.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    last: Option<Sample>,
    running: Option<Sample>,
    /// Running totals before a fall.
    banked: Sum,
    fell: bool,
    steps: ById,
    messages: ById,
}

#[derive(Debug, Default)]
struct ById {
    known: BTreeMap<String, Sum>,
    others: Sum,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    tokens: Tokens,
    total: Option<u64>,
    micros: Option<u64>,
    derived: bool,
    any: bool,
}

impl Sum {
    fn of(sample: &Sample) -> Self {
        Self {
            tokens: sample.tokens,
            total: sample.own_total,
            micros: sample.micros,
            derived: sample.derived,
            any: true,
        }
    }

    fn plus(self, other: Self) -> Self {
        let add = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
        };
        // A total of some parts only is no total.
        let total = match (self.any, other.any) {
            (true, true) => self
                .total
                .zip(other.total)
                .map(|(a, b)| a.saturating_add(b)),
            _ => self.total.or(other.total),
        };
        Self {
            tokens: self.tokens.plus(other.tokens),
            total,
            micros: add(self.micros, other.micros),
            derived: self.derived || other.derived,
            any: self.any || other.any,
        }
    }
}

impl ById {
    fn put(&mut self, id: Option<String>, sample: &Sample) {
        let sum = Sum::of(sample);
        match id {
            Some(id) if self.known.len() < MAX_IDS || self.known.contains_key(&id) => {
                self.known.insert(id, sum);
            }
            _ => self.others = self.others.plus(sum),
        }
    }

    fn sum(&self) -> Sum {
        self.known
            .values()
            .fold(self.others, |sum, one| sum.plus(*one))
    }
}

impl Meter {
    /// Takes a sample.
    pub(crate) fn take(&mut self, sample: Sample) {
        match sample.kind.clone() {
            Kind::Final => self.last = Some(sample),
            Kind::Running => {
                if let Some(before) = &self.running
                    && sample.tokens.sum() < before.tokens.sum()
                {
                    // The counter started anew: what it showed was used all the same.
                    self.banked = self.banked.plus(Sum::of(before));
                    self.fell = true;
                }
                self.running = Some(sample);
            }
            Kind::Step(id) => self.steps.put(id, &sample),
            Kind::Message(id) => self.messages.put(Some(id), &sample),
        }
    }

    /// What was used so far. `ended`: the agent told its end, so nothing is missing.
    pub(crate) fn read(&self, ended: bool) -> (Metered, Vec<Anomaly>) {
        let mut anomalies = Vec::new();
        if self.fell {
            anomalies.push(Anomaly::UsageFell);
        }
        let (sum, whole) = if let Some(last) = &self.last {
            (Sum::of(last), true)
        } else if let Some(running) = &self.running {
            (self.banked.plus(Sum::of(running)), ended)
        } else {
            let steps = self.steps.sum();
            if steps.any {
                (steps, ended)
            } else {
                (self.messages.sum(), false)
            }
        };
        if !sum.any || (sum.tokens.sum().is_none() && sum.total.is_none()) {
            return (Metered::UNKNOWN, anomalies);
        }
        let mut tokens = sum.tokens;
        let (total, disagree) = check(&mut tokens, sum.total);
        if disagree {
            anomalies.push(Anomaly::UsageDoesNotAddUp);
        }
        let reported = whole && !sum.derived && !disagree && !self.fell;
        let metered = Metered {
            tokens,
            total,
            micros: sum.micros,
            provenance: if reported {
                Provenance::Reported
            } else {
                Provenance::Derived
            },
            partial: !whole,
        };
        (metered, anomalies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(kind: Kind, output: u64) -> Sample {
        let tokens = Tokens {
            output: Some(output),
            ..Tokens::default()
        };
        Sample::new(kind, tokens)
    }

    fn total(samples: Vec<Sample>, ended: bool) -> (u64, Provenance, usize) {
        let mut meter = Meter::default();
        for sample in samples {
            meter.take(sample);
        }
        let (metered, anomalies) = meter.read(ended);
        (metered.total, metered.provenance, anomalies.len())
    }

    #[test]
    fn running_totals_are_not_summed_and_steps_are() {
        use Provenance::{Derived, Reported, Unknown};
        let running = || vec![sample(Kind::Running, 10), sample(Kind::Running, 25)];
        assert_eq!(total(running(), true), (25, Reported, 0));
        assert_eq!(total(running(), false), (25, Derived, 0));
        let fell = vec![sample(Kind::Running, 25), sample(Kind::Running, 5)];
        assert_eq!(total(fell, true), (30, Derived, 1));
        let step = |id: &str, output| sample(Kind::Step(Some(id.into())), output);
        let steps = || vec![step("a", 10), step("b", 5), step("b", 5)];
        assert_eq!(total(steps(), true), (15, Reported, 0));
        assert_eq!(total(steps(), false), (15, Derived, 0));
        let message = |id: &str, output| sample(Kind::Message(id.into()), output);
        let killed = vec![message("a", 1), message("a", 10), message("b", 2)];
        assert_eq!(total(killed.clone(), false), (12, Derived, 0));
        let mut ended = killed;
        ended.push(sample(Kind::Final, 13));
        assert_eq!(total(ended, true), (13, Reported, 0));
        assert_eq!(total(Vec::new(), true), (0, Unknown, 0));
    }
}
