//! Questions to the loop: what waits, in which order, and why.
//!
//! Invariant: an answer is made by the loop itself, from the views and the queue that it decides on.

use std::collections::HashMap;

use autopack_domain::{Reason, Refusal, RunUid, Timestamp, states::PhaseState};
use autopack_policy::{
    dispatch::{Action, Hold, holds},
    fair::{Queue, candidate::candidates, offers::Offer, order::Line},
};
use tokio::sync::oneshot;

use crate::{
    state::{State, plan},
    views::View,
};

/// A question.
#[derive(Debug)]
pub(crate) enum Inquiry {
    /// What phases of a run wait for.
    Explain {
        /// Its id or uid.
        run: String,
        /// Empty: all that have not ended.
        phase: String,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<(Vec<Waiting>, Timestamp), Refusal>>,
    },
    /// The whole queue.
    List(oneshot::Sender<Listing>),
    /// Limits or lanes were changed just now.
    PolicyChanged,
}

/// A phase that has not ended.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) run_uid: RunUid,
    pub(crate) run: String,
    pub(crate) phase: String,
    pub(crate) project: String,
    pub(crate) lane: String,
    pub(crate) priority: u8,
    /// 0 outside the queue.
    pub(crate) position: usize,
    /// Since when it is ready, in the queue.
    pub(crate) since: Option<Timestamp>,
    pub(crate) holds: Vec<Hold>,
}

/// The queue at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    pub(crate) phases: Vec<Waiting>,
    pub(crate) in_flight: u32,
    pub(crate) window: u32,
    pub(crate) slots: u32,
    pub(crate) paused: Vec<String>,
    pub(crate) now: Timestamp,
}

impl Inquiry {
    /// Answers; whoever asked may be gone.
    pub(crate) fn answer(self, state: &State, now: Timestamp) {
        match self {
            Self::Explain { run, phase, reply } => {
                let found = explain(state, &run, &phase, now);
                let _ = reply.send(found.map(|phases| (phases, now)));
            }
            Self::List(reply) => {
                let _ = reply.send(list(state, now));
            }
            Self::PolicyChanged => {}
        }
    }
}

fn list(state: &State, now: Timestamp) -> Listing {
    let lines = order(state, now);
    let phases = lines.into_iter().filter_map(|line| {
        let view = state.views.known.get(&line.pick.run)?;
        Some(waiting(view, line.pick.phase, Some(line)))
    });
    Listing {
        phases: phases.collect(),
        in_flight: state.queue.tally().total(),
        window: state.window(),
        slots: state.slots,
        paused: state.queue.policy().paused().map(str::to_owned).collect(),
        now,
    }
}

/// The order of everything that is ready. The loop's own queue holds of each run only what a window can take.
fn order(state: &State, now: Timestamp) -> Vec<Line> {
    let mut full: Queue = state.queue.clone();
    for (&uid, view) in &state.views.known {
        if !view.is_settled() || state.trouble.holds(uid, now) {
            continue;
        }
        if let Some(Action::OfferPhases(ready)) =
            plan(view, now, usize::MAX).actions.into_iter().next()
        {
            let ready = candidates(&view.run, &ready);
            let (load, offers) = (view.load(), Offer::of(&view.run));
            full.put(uid, &view.run.run.project, ready, load, offers);
        }
    }
    full.order(now, state.window())
}

fn explain(state: &State, run: &str, phase: &str, now: Timestamp) -> Result<Vec<Waiting>, Refusal> {
    let named = |view: &&View| {
        let r = &view.run.run;
        r.id.as_str().eq_ignore_ascii_case(run) || r.uid.to_string() == run
    };
    let Some(view) = state.views.known.values().find(named) else {
        return Err(Refusal::new(
            Reason::RunNotFound,
            format!(
                "this scheduler decides on no run `{run}`: it has ended, waits for a person, or does not exist; \
                 `autopack why` asks the registry"
            ),
        )
        .with("run", run));
    };
    let chosen: Vec<usize> = if phase.is_empty() {
        let all = 0..view.run.phases.len();
        all.filter(|&p| !view.run.phases[p].state.is_terminal())
            .collect()
    } else {
        vec![view.run.find_phase(phase)?]
    };
    let uid = view.run.run.uid;
    let mut lines: HashMap<usize, Line> = order(state, now)
        .into_iter()
        .filter(|line| line.pick.run == uid)
        .map(|line| (line.pick.phase, line))
        .collect();
    Ok(chosen
        .into_iter()
        .map(|p| {
            let mut found = waiting(view, p, lines.remove(&p));
            if found.position == 0 {
                found.holds = holds(&view.run, p, now);
                if found.holds.is_empty() && view.run.phases[p].state == PhaseState::Queued {
                    found.holds.push(under_way(state, uid, now));
                }
            }
            found
        })
        .collect())
}

/// Why a ready phase is not in the queue.
fn under_way(state: &State, uid: RunUid, now: Timestamp) -> Hold {
    if let Some((refusals, until)) = state.trouble.of(uid).filter(|(_, until)| *until > now) {
        return Hold {
            rule: "backoff_scheduler",
            facts: format!(
                "the registry refused {refusals} times in a row; the run is left alone for {} ms",
                (until.0 - now.0) / 1000
            ),
            remedy: "the wait ends; the scheduler's log has the refusals",
        };
    }
    Hold {
        rule: "offering",
        facts: "a request about the run is on its way to the registry".to_owned(),
        remedy: "its answer",
    }
}

fn waiting(view: &View, phase: usize, line: Option<Line>) -> Waiting {
    let run = &view.run;
    Waiting {
        run_uid: run.run.uid,
        run: run.run.id.to_string(),
        phase: run.phases[phase].id.to_string(),
        project: run.run.project.clone(),
        lane: run.lane(phase),
        priority: run.priority(phase),
        position: line.as_ref().map_or(0, |l| l.position),
        since: line.as_ref().map(|l| l.pick.since),
        holds: line.map_or_else(Vec::new, |l| l.holds),
    }
}
