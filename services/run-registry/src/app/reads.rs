//! Reads: runs, attempts, facts, reasons. They look at what is committed.

use autopack_domain::{
    Reason, Refusal, RunUid, Timestamp,
    attempt::Attempt,
    run::{Run, RunAggregate},
    states::{PhaseState, RunState},
};
use autopack_policy::dispatch::{Hold, holds};
use autopack_store::rows::event::StoredEvent;
use autopack_store::{
    cursors::{self, Changes},
    entity::{failure, usage_event},
    read,
};

use super::{Core, store_refusal, write_refusal};

/// Runs of a page by default, and at most.
const PAGE: (u64, u64) = (50, 500);

/// Why one phase is not running.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The phase.
    pub phase: String,
    /// Its state.
    pub state: String,
    /// The rules that hold it back.
    pub holds: Vec<Hold>,
}

impl Core {
    /// A run with everything.
    pub async fn get_run(&self, id: &str) -> Result<RunAggregate, Refusal> {
        let uid = self.find(id).await?;
        self.snapshot(uid).await
    }

    /// A page of runs, newest first, and the token of the next page.
    pub async fn list_runs(
        &self,
        size: i32,
        token: &str,
        state: &str,
        project: &str,
    ) -> Result<(Vec<Run>, String), Refusal> {
        let argument = |path: &str, problem: &str| {
            Refusal::invalid(
                Reason::ArgumentInvalid,
                vec![autopack_domain::Fault::new(path, problem)],
            )
        };
        let size =
            u64::try_from(size).map_err(|_| argument("page_size", "must not be negative"))?;
        let size = if size == 0 { PAGE.0 } else { size.min(PAGE.1) };
        if !state.is_empty() && RunState::parse(state).is_none() {
            let fault =
                autopack_domain::Fault::new("state", format!("`{state}` is not a state of a run"))
                    .allowed(RunState::spellings());
            return Err(Refusal::invalid(Reason::ArgumentInvalid, vec![fault]));
        }
        let before = if token.is_empty() {
            None
        } else {
            Some(parse_token(token)?)
        };
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (state, project) = (some(state), some(project));
        let rows = read::list_runs(
            &self.database.read,
            size + 1,
            before,
            state.as_deref(),
            project.as_deref(),
        )
        .await
        .map_err(store_refusal)?;
        let more = rows.len() as u64 > size;
        let page = &rows[..rows.len().min(size as usize)];
        let next = match page.last() {
            Some(last) if more => format!("{}~{}", last.position.0, last.position.1),
            _ => String::new(),
        };
        // A row that does not parse was reported at the start; it does not fail the list.
        let runs = page.iter().filter_map(|row| row.run.clone().ok()).collect();
        Ok((runs, next))
    }

    /// Why phases of a run are not running, from the predicates that dispatch them.
    pub async fn explain_run(&self, id: &str, phase: &str) -> Result<Vec<Explanation>, Refusal> {
        let run = self.get_run(id).await?;
        let now = self.now();
        let chosen: Vec<usize> = if phase.is_empty() {
            (0..run.phases.len())
                .filter(|&p| !run.phases[p].state.is_terminal())
                .collect()
        } else {
            vec![run.find_phase(phase)?]
        };
        Ok(chosen
            .into_iter()
            .map(|p| {
                let mut found = explanation(&run, p, now);
                if found.holds.is_empty() && run.phases[p].state == PhaseState::Queued {
                    // Ready: what is left are the workers, and the rules between runs.
                    found.holds.extend(self.placement_hold(&run, p));
                    found.holds.extend(self.ledger.holds(&run, p));
                }
                found
            })
            .collect())
    }

    /// Attempts of a run or phase.
    pub async fn list_attempts(&self, id: &str, phase: &str) -> Result<Vec<Attempt>, Refusal> {
        let uid = self.find(id).await?;
        let phase = if phase.is_empty() {
            None
        } else {
            let phase = phase.to_owned();
            Some(
                self.writer
                    .read(uid, move |a| a.find_phase(&phase))
                    .await
                    .map_err(write_refusal)??,
            )
        };
        let rows = read::attempts(&self.database.read, uid, phase)
            .await
            .map_err(store_refusal)?;
        Ok(rows.into_iter().filter_map(Result::ok).collect())
    }

    /// Usage and failure facts of a run.
    pub async fn list_facts(
        &self,
        id: &str,
    ) -> Result<(Vec<usage_event::Model>, Vec<failure::Model>), Refusal> {
        let uid = self.find(id).await?;
        let usage = read::usage(&self.database.read, uid)
            .await
            .map_err(store_refusal)?;
        let failures = read::failures(&self.database.read, uid)
            .await
            .map_err(store_refusal)?;
        Ok((usage, failures))
    }

    /// Runs with events after a number of the log; a number beyond its end is taken for its end.
    pub async fn list_changes(&self, after: u64, page_size: i32) -> Result<Changes, Refusal> {
        let looked_at = match u64::try_from(page_size) {
            Ok(0) => 1000,
            Ok(asked) => asked.min(5000),
            Err(_) => {
                let fault = autopack_domain::Fault::new("page_size", "must not be negative");
                return Err(Refusal::invalid(Reason::ArgumentInvalid, vec![fault]));
            }
        };
        cursors::changes(&self.database.read, after, looked_at)
            .await
            .map_err(store_refusal)
    }

    /// Events of a run after a number.
    pub async fn run_events(
        &self,
        run: RunUid,
        after: u64,
        limit: u64,
    ) -> Result<Vec<StoredEvent>, Refusal> {
        read::run_events(&self.database.read, run, after, limit)
            .await
            .map_err(store_refusal)
    }
}

/// Nobody has a run of this id.
pub(crate) fn no_run(id: &str) -> Refusal {
    let text = format!("no run `{id}`; `autopack runs` lists the runs");
    Refusal::new(Reason::RunNotFound, text).with("run", id)
}

fn explanation(run: &RunAggregate, phase: usize, now: Timestamp) -> Explanation {
    Explanation {
        phase: run.phases[phase].id.to_string(),
        state: run.phases[phase].state.to_string(),
        holds: holds(run, phase, now),
    }
}

fn parse_token(token: &str) -> Result<(i64, String), Refusal> {
    token
        .split_once('~')
        .and_then(|(at, uid)| Some((at.parse().ok()?, uid.parse::<RunUid>().ok()?.to_string())))
        .ok_or_else(|| Refusal::page_token(token))
}
