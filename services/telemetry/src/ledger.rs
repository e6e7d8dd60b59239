//! Events to numbers. Pure: no clock, no IO.
//!
//! Invariant: of each run the events count in order and once; a hole is told and changes nothing. Numbers of labels are
//! bounded, whatever names builders invent.

use std::collections::{BTreeMap, HashMap, HashSet};

use autopack_wire::{
    registry::UsageEvent,
    types::{Event, attempt, phase, run},
};

/// Runs that are remembered; of more, ended ones are forgotten.
const RUNS: usize = 50_000;
/// Sets of labels of one metric; further ones count as `other`.
const SETS: usize = 500;

/// A counter with the values of its labels.
pub type Key = (&'static str, Vec<String>);

/// What became of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Taken {
    /// It counts; state and seconds of a phase that ended with it.
    Counted(Option<(String, f64)>),
    /// It counted before.
    Old,
    /// Events before it are missing; the last that counted.
    Hole(u64),
}

#[derive(Debug, Default)]
struct Known {
    last: u64,
    ended: bool,
    /// It comes from an older system.
    imported: bool,
    /// Entries of the usage list that counted.
    usage: usize,
}

/// The numbers.
#[derive(Debug, Default)]
pub struct Ledger {
    runs: HashMap<String, Known>,
    counters: BTreeMap<Key, u64>,
    /// Attempts on offer: run and moment in microseconds.
    offers: HashMap<String, (String, i64)>,
    stale: HashSet<String>,
}

impl Ledger {
    /// Takes in an event.
    pub fn take(&mut self, event: &Event) -> Taken {
        let Some(run) = &event.run else {
            return Taken::Old;
        };
        let last = self.runs.get(&run.uid).map_or(0, |known| known.last);
        if event.run_sequence <= last {
            return Taken::Old;
        }
        if event.run_sequence != last + 1 {
            return Taken::Hole(last);
        }
        if self.runs.len() >= RUNS {
            self.runs.retain(|_, known| !known.ended);
        }
        self.runs.entry(run.uid.clone()).or_default().last = event.run_sequence;
        self.add("autopack_telemetry_events_total", &[], 1);
        Taken::Counted(self.count(event, &run.uid))
    }

    /// The first event of a run, which creates it, is not read back: it counts nothing.
    pub fn begin(&mut self, uid: &str) {
        let known = self.runs.entry(uid.to_owned()).or_default();
        known.last = known.last.max(1);
    }

    fn count(&mut self, event: &Event, uid: &str) -> Option<(String, f64)> {
        let attempt = event.attempt.as_ref();
        let imported = self.runs.get(uid).is_some_and(|known| known.imported);
        match event.kind.as_str() {
            "run_imported" => {
                // What an older system did is no figure of this one.
                if let Some(known) = self.runs.get_mut(uid) {
                    known.imported = true;
                }
            }
            "run_finished" if imported => self.set_ended(uid, true),
            _ if imported => {}
            "run_finished" => {
                let state = event.run.as_ref().map(|run| run.state).unwrap_or_default();
                let state = run::State::try_from(state).unwrap_or_default();
                self.add(
                    "autopack_telemetry_runs_ended_total",
                    &[spelled(state.as_str_name())],
                    1,
                );
                self.offers.retain(|_, (run, _)| run != uid);
                self.stale.insert(uid.to_owned());
                self.set_ended(uid, true);
            }
            "run_reopened" => self.set_ended(uid, false),
            "attempt_offered" => {
                if let Some(attempt) = attempt {
                    let at = event.time.as_ref().map_or(0, micros);
                    self.offers
                        .insert(attempt.uid.clone(), (uid.to_owned(), at));
                }
            }
            "attempt_leased" => {
                attempt.map(|attempt| self.offers.remove(&attempt.uid));
            }
            "attempt_finished" => {
                if let Some(attempt) = attempt {
                    self.offers.remove(&attempt.uid);
                    let state = attempt::State::try_from(attempt.state).unwrap_or_default();
                    let labels = [spelled(state.as_str_name()), &attempt.cause];
                    self.add("autopack_telemetry_attempts_ended_total", &labels, 1);
                    self.stale.insert(uid.to_owned());
                }
            }
            "usage_recorded" => {
                self.stale.insert(uid.to_owned());
            }
            "phase_completed" | "phase_failed" | "phase_skipped" => {
                let phase = event.phase.as_ref()?;
                let state = phase::State::try_from(phase.state).unwrap_or_default();
                let state = spelled(state.as_str_name());
                self.add("autopack_telemetry_phases_ended_total", &[state], 1);
                let (start, end) = (phase.start_time.as_ref()?, phase.complete_time.as_ref()?);
                let seconds = (micros(end) - micros(start)).max(0) as f64 / 1e6;
                return Some((state.to_owned(), seconds));
            }
            _ => {}
        }
        None
    }

    fn set_ended(&mut self, uid: &str, ended: bool) {
        if let Some(known) = self.runs.get_mut(uid) {
            known.ended = ended;
        }
    }

    /// Adds to a counter.
    pub fn add(&mut self, name: &'static str, labels: &[&str], by: u64) {
        let mut key: Key = (name, labels.iter().map(ToString::to_string).collect());
        if !labels.is_empty() && !self.counters.contains_key(&key) {
            let sets = self.counters.range((name, Vec::new())..);
            if sets.take_while(|((known, _), _)| *known == name).count() >= SETS {
                key.1.fill("other".to_owned());
            }
        }
        *self.counters.entry(key).or_default() += by;
    }

    /// Takes in a run's list of usage, of which earlier entries counted already.
    pub fn take_usage(&mut self, uid: &str, list: &[UsageEvent]) {
        let Some(known) = self.runs.get_mut(uid) else {
            return;
        };
        let fresh = list.get(known.usage..).unwrap_or_default();
        known.usage = known.usage.max(list.len());
        for usage in fresh.iter().filter_map(|event| event.usage.as_ref()) {
            let labels = [
                usage.provider.as_str(),
                usage.model.as_str(),
                usage.provenance.as_str(),
            ];
            self.add("autopack_telemetry_tokens_total", &labels, usage.total);
        }
    }

    /// Runs whose usage may have changed since this was asked last.
    pub fn take_stale(&mut self) -> Vec<String> {
        self.stale.drain().collect()
    }

    /// A run's usage is to be read again.
    pub fn mark_stale(&mut self, uid: String) {
        self.stale.insert(uid);
    }

    /// The last event of a run that counted; 0: none.
    pub fn last(&self, uid: &str) -> u64 {
        self.runs.get(uid).map_or(0, |known| known.last)
    }

    /// Every counter that is not zero.
    pub fn counters(&self) -> impl Iterator<Item = (&Key, u64)> {
        self.counters.iter().map(|(key, value)| (key, *value))
    }

    /// One counter, summed over its labels.
    pub fn sum(&self, name: &str) -> u64 {
        let of_name = self
            .counters
            .iter()
            .filter(|((known, _), _)| *known == name);
        of_name.map(|(_, value)| value).sum()
    }

    /// Runs that have not ended.
    pub fn active(&self) -> u64 {
        self.runs.values().filter(|known| !known.ended).count() as u64
    }

    /// Jobs on offer, and the moment in microseconds at which the oldest was offered.
    pub fn queue(&self) -> (u64, Option<i64>) {
        let oldest = self.offers.values().map(|(_, at)| *at).min();
        (self.offers.len() as u64, oldest)
    }
}

/// `DONE_SUCCESS` of `STATE_DONE_SUCCESS`.
fn spelled(name: &str) -> &str {
    name.strip_prefix("STATE_").unwrap_or(name)
}

fn micros(time: &prost_types::Timestamp) -> i64 {
    time.seconds * 1_000_000 + i64::from(time.nanos) / 1000
}

#[cfg(test)]
mod tests {
    use autopack_wire::types::{Attempt, Phase, Run, Usage};

    use super::*;

    fn event(sequence: u64, kind: &str) -> Event {
        Event {
            run_sequence: sequence,
            kind: kind.into(),
            run: Some(Run {
                uid: "r".into(),
                state: run::State::DoneSuccess.into(),
                ..Run::default()
            }),
            ..Event::default()
        }
    }

    fn at(seconds: i64) -> prost_types::Timestamp {
        prost_types::Timestamp { seconds, nanos: 0 }
    }

    #[test]
    fn what_an_older_system_did_is_no_figure_of_this_one() {
        let mut ledger = Ledger::default();
        let kinds = [
            "run_created",
            "run_imported",
            "phase_completed",
            "run_finished",
        ];
        for (kind, number) in kinds.into_iter().zip(1..) {
            assert_eq!(ledger.take(&event(number, kind)), Taken::Counted(None));
        }
        assert_eq!(ledger.sum("autopack_telemetry_runs_ended_total"), 0);
        assert_eq!(ledger.sum("autopack_telemetry_phases_ended_total"), 0);
        assert!(ledger.runs["r"].ended);
    }

    #[test]
    fn doubled_events_count_once_and_a_hole_changes_nothing() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.take(&event(1, "run_created")), Taken::Counted(None));
        assert_eq!(ledger.take(&event(3, "run_finished")), Taken::Hole(1));
        assert_eq!(ledger.sum("autopack_telemetry_runs_ended_total"), 0);
        ledger.take(&event(2, "run_started"));
        ledger.take(&event(3, "run_finished"));
        assert_eq!(ledger.take(&event(3, "run_finished")), Taken::Old);
        assert_eq!(ledger.sum("autopack_telemetry_runs_ended_total"), 1);
        let key = (
            "autopack_telemetry_runs_ended_total",
            vec!["DONE_SUCCESS".to_owned()],
        );
        assert!(
            ledger
                .counters()
                .any(|(known, value)| *known == key && value == 1)
        );
        assert_eq!(ledger.active(), 0);
    }

    #[test]
    fn offers_wait_until_they_are_taken() {
        let mut ledger = Ledger::default();
        let with = |sequence, kind, uid: &str| Event {
            time: Some(at(10 + i64::try_from(sequence).unwrap())),
            attempt: Some(Attempt {
                uid: uid.into(),
                state: attempt::State::Failed.into(),
                cause: "GATE_FAILED".into(),
                ..Attempt::default()
            }),
            ..event(sequence, kind)
        };
        ledger.take(&with(1, "attempt_offered", "a"));
        ledger.take(&with(2, "attempt_offered", "b"));
        assert_eq!(ledger.queue(), (2, Some(11_000_000)));
        ledger.take(&with(3, "attempt_leased", "a"));
        assert_eq!(ledger.queue(), (1, Some(12_000_000)));
        ledger.take(&with(4, "attempt_finished", "a"));
        assert_eq!(ledger.sum("autopack_telemetry_attempts_ended_total"), 1);
        ledger.take(&event(5, "run_finished"));
        assert_eq!(ledger.queue(), (0, None));
        assert_eq!(ledger.take_stale(), ["r"]);
    }

    #[test]
    fn a_phase_tells_how_long_it_took_and_usage_counts_once() {
        let mut ledger = Ledger::default();
        let ended = Event {
            phase: Some(Phase {
                state: phase::State::Complete.into(),
                start_time: Some(at(5)),
                complete_time: Some(at(8)),
                ..Phase::default()
            }),
            ..event(1, "phase_completed")
        };
        let taken = ledger.take(&ended);
        assert_eq!(taken, Taken::Counted(Some(("COMPLETE".into(), 3.0))));
        let usage = UsageEvent {
            usage: Some(Usage {
                total: 7,
                provenance: "reported".into(),
                ..Usage::default()
            }),
            ..UsageEvent::default()
        };
        ledger.take_usage("r", std::slice::from_ref(&usage));
        ledger.take_usage("r", &[usage.clone(), usage]);
        assert_eq!(ledger.sum("autopack_telemetry_tokens_total"), 14);
    }

    #[test]
    fn names_that_builders_invent_are_bounded() {
        let mut ledger = Ledger::default();
        for number in 0..2 * SETS {
            ledger.add("autopack_telemetry_tokens_total", &[&number.to_string()], 1);
        }
        assert_eq!(ledger.counters().count(), SETS + 1);
        assert_eq!(
            ledger.sum("autopack_telemetry_tokens_total"),
            2 * SETS as u64
        );
    }
}
