//! Whether a run of the past can be taken over: faults, bounds, and what its spellings mean.
//!
//! Invariant: every fault is told at once; a spelling is mended only by the reviewed table ([`crate::alias`]), and what
//! was mended is told with the value before it.

use std::collections::BTreeSet;

use super::{HistoricalIssue, HistoricalRun, MAX_DOCUMENT, SCHEMA};
use crate::{
    alias,
    fault::{Fault, Faults},
    ids::{ID_RULE, RunId, is_user_id},
    issue::{NewIssue, Severity},
    states::{PhaseState, RunState, TierState},
    time::Timestamp,
};

/// Tiers of a run at most.
pub const MAX_TIERS: usize = 1_000;
/// Phases of a run at most.
pub const MAX_PHASES: usize = 10_000;
/// Attempts of a phase at most.
pub const MAX_ATTEMPTS: i64 = 1_000;
/// Attempts of a run at most.
const MAX_ALL_ATTEMPTS: i64 = 20_000;
/// Usage events, and notes, of a run at most.
const MAX_EVENTS: usize = 20_000;
/// Any count at most: half of what a column holds, so that no sum of a run leaves it.
pub const MAX_COUNT: i64 = 1 << 44;
/// The last time that is believed: the end of the year 9999.
const LAST: i64 = 253_402_300_799_999_999;

/// A state that was mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mended {
    /// `run`, `tier` or `phase`.
    pub table: &'static str,
    /// Id of the run, tier or phase.
    pub id: String,
    /// What stood there.
    pub before: String,
    /// What it means.
    pub after: &'static str,
}

/// What was found out about a run without a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    /// Its id.
    pub id: RunId,
    /// Its state.
    pub state: RunState,
    /// The states of its phases, in the order of the value.
    pub phases: Vec<PhaseState>,
    /// What was mended.
    pub mended: Vec<Mended>,
}

struct Check<'a> {
    run: &'a HistoricalRun,
    ids: BTreeSet<&'a str>,
    faults: Faults,
    mended: Vec<Mended>,
}

impl HistoricalRun {
    /// Every fault, or what was found out.
    pub fn check(&self) -> Result<Sound, Vec<Fault>> {
        let mut check = Check {
            run: self,
            ids: self.phases.iter().map(|phase| phase.id.as_str()).collect(),
            faults: Faults::default(),
            mended: Vec::new(),
        };
        let id = check.run_itself();
        let state = check.state("run", "state", &self.id, &self.state, RunState::parse);
        check.tiers();
        let phases = check.phases();
        check.issues();
        check.usage_and_notes();
        check.storable();
        let (Some(id), Some(state)) = (id, state) else {
            return Err(check.faults.into_vec());
        };
        let sound = Sound {
            id,
            state,
            phases,
            mended: check.mended,
        };
        check.faults.into_result(sound)
    }
}

impl Check<'_> {
    fn fault(&mut self, path: impl Into<String>, problem: impl Into<String>) {
        self.faults.push(Fault::new(path, problem));
    }

    fn run_itself(&mut self) -> Option<RunId> {
        let run = self.run;
        if run.schema != SCHEMA {
            let problem = format!("`{}` is not a schema that is known", clip(&run.schema));
            self.faults
                .push(Fault::new("schema", problem).allowed([SCHEMA]));
        }
        for (path, word) in [
            ("origin.kind", &run.origin.kind),
            ("origin.name", &run.origin.name),
            ("origin.key", &run.origin.key),
        ] {
            if word.is_empty() || word.chars().count() > 1_000 {
                self.fault(path, "must be 1 to 1,000 characters");
            }
        }
        self.time("created_at", Some(run.created_at));
        self.time("updated_at", run.updated_at);
        self.time("started_at", run.started_at);
        self.time("completed_at", run.completed_at);
        for (path, cap) in [
            ("budgets.tokens", run.budgets.tokens),
            ("budgets.phases", run.budgets.phases),
            ("budgets.minutes", run.budgets.minutes),
        ] {
            self.count(path, cap.unwrap_or(0));
        }
        let id = run.id.parse().ok();
        if id.is_none() {
            self.bad_id("id", &run.id);
        }
        id
    }

    fn tiers(&mut self) {
        let run = self.run;
        if run.tiers.len() > MAX_TIERS {
            self.fault("tiers", format!("there are more than {MAX_TIERS}"));
            return;
        }
        let mut seen = BTreeSet::new();
        for (n, tier) in run.tiers.iter().enumerate() {
            let at = |field: &str| format!("tiers[{n}].{field}");
            if !is_user_id(&tier.id) {
                self.bad_id(&at("id"), &tier.id);
            } else if !seen.insert(&tier.id) {
                self.fault(at("id"), format!("tier `{}` is there twice", tier.id));
            }
            self.count(&at("tokens"), tier.tokens.unwrap_or(0));
            self.count(&at("ci_runs"), tier.ci_runs);
            let _ = self.state(
                "tier",
                &at("state"),
                &tier.id,
                &tier.state,
                TierState::parse,
            );
        }
    }

    fn phases(&mut self) -> Vec<PhaseState> {
        let run = self.run;
        if run.phases.is_empty() {
            self.fault("phases", "the run has no phase");
        }
        if run.phases.len() > MAX_PHASES {
            self.fault("phases", format!("there are more than {MAX_PHASES}"));
            return Vec::new();
        }
        let mut seen = BTreeSet::new();
        let mut states = Vec::with_capacity(run.phases.len());
        let mut attempts: i64 = 0;
        for (n, phase) in run.phases.iter().enumerate() {
            let at = |field: &str| format!("phases[{n}].{field}");
            if !is_user_id(&phase.id) {
                self.bad_id(&at("id"), &phase.id);
            } else if !seen.insert(&phase.id) {
                self.fault(at("id"), format!("phase `{}` is there twice", phase.id));
            }
            self.count(&at("tokens"), phase.tokens);
            if !(0..=MAX_ATTEMPTS).contains(&phase.attempts) {
                let problem = format!("{} is not 0 to {MAX_ATTEMPTS}", phase.attempts);
                self.fault(at("attempts"), problem);
            }
            attempts = attempts.saturating_add(phase.attempts);
            for (field, time) in [
                ("created_at", phase.created_at),
                ("updated_at", phase.updated_at),
                ("started_at", phase.started_at),
                ("completed_at", phase.completed_at),
            ] {
                self.time(&at(field), time);
            }
            let state = self.state(
                "phase",
                &at("state"),
                &phase.id,
                &phase.state,
                PhaseState::parse,
            );
            states.extend(state);
        }
        if attempts > MAX_ALL_ATTEMPTS {
            let problem = format!("{attempts} attempts; a run has {MAX_ALL_ATTEMPTS} at most");
            self.fault("phases", problem);
        }
        states
    }

    fn issues(&mut self) {
        let run = self.run;
        let max = crate::run::issues::MAX_ISSUES;
        if run.issues.len() > max {
            self.fault("issues", format!("there are more than {max}"));
            return;
        }
        let mut seen = BTreeSet::new();
        for (n, issue) in run.issues.iter().enumerate() {
            let at = format!("issues[{n}].");
            self.phase(&format!("{at}phase"), issue.phase.as_deref());
            if !seen.insert((&issue.phase, &issue.key)) {
                self.fault(format!("{at}key"), "the issue is there twice");
            }
            for (field, text) in [
                ("severity", &issue.severity),
                ("effective_severity", &issue.effective_severity),
            ] {
                if severity(text).is_none() && (field == "severity" || !text.is_empty()) {
                    let problem = format!("`{}` is not a severity", clip(text));
                    let fault = Fault::new(format!("{at}{field}"), problem);
                    self.faults.push(fault.allowed(Severity::spellings()));
                }
            }
            for fault in new_issue(issue).faults(&at) {
                self.faults.push(fault);
            }
            self.count(&format!("{at}occurrences"), issue.occurrences);
            for (field, time) in [
                ("first_seen_at", issue.first_seen_at),
                ("last_seen_at", issue.last_seen_at),
                ("resolved_at", issue.resolved_at),
            ] {
                self.time(&format!("{at}{field}"), time);
            }
        }
    }

    fn usage_and_notes(&mut self) {
        let run = self.run;
        for (path, len) in [("usage", run.usage.len()), ("notes", run.notes.len())] {
            if len > MAX_EVENTS {
                self.fault(path, format!("there are more than {MAX_EVENTS}"));
                return;
            }
        }
        for (n, usage) in run.usage.iter().enumerate() {
            let at = format!("usage[{n}].");
            self.phase(&format!("{at}phase"), Some(&usage.phase));
            self.time(&format!("{at}at"), Some(usage.at));
            for part in [usage.prompt, usage.completion, usage.total] {
                self.count(&format!("{at}tokens"), part.unwrap_or(0));
            }
            if usage.role.is_empty() {
                self.fault(format!("{at}role"), "is empty");
            }
        }
        for (n, note) in run.notes.iter().enumerate() {
            self.phase(&format!("notes[{n}].phase"), note.phase.as_deref());
        }
    }

    /// PostgreSQL stores no NUL in a text.
    fn storable(&mut self) {
        let text = serde_json::to_string(self.run).unwrap_or_default();
        if text.contains("\\u0000") {
            self.fault("document", "holds a NUL character");
        }
        if text.len() > MAX_DOCUMENT {
            self.fault("document", format!("has more than {MAX_DOCUMENT} bytes"));
        }
    }

    fn phase(&mut self, path: &str, id: Option<&str>) {
        if let Some(id) = id
            && !self.ids.contains(id)
        {
            self.fault(path, format!("the run has no phase `{}`", clip(id)));
        }
    }

    fn time(&mut self, path: &str, time: Option<Timestamp>) {
        if time.is_some_and(|time| !(0..=LAST).contains(&time.0)) {
            self.fault(path, "is no time between the years 1970 and 9999");
        }
    }

    fn count(&mut self, path: &str, count: i64) {
        if !(0..=MAX_COUNT).contains(&count) {
            self.fault(path, format!("{count} is not 0 to {MAX_COUNT}"));
        }
    }

    fn bad_id(&mut self, path: &str, id: &str) {
        let problem = format!("`{}` is no id: {ID_RULE}", clip(id));
        self.fault(path, problem);
    }

    fn state<T>(
        &mut self,
        table: &'static str,
        path: &str,
        id: &str,
        spelling: &str,
        parse: fn(&str) -> Option<T>,
    ) -> Option<T> {
        if let Some(state) = parse(spelling) {
            return Some(state);
        }
        let Some(after) = alias::meant(table, spelling) else {
            let problem = format!("`{}` is no state of a {table}", clip(spelling));
            let valid = alias::states_of(table).unwrap_or_default();
            self.faults.push(Fault::new(path, problem).allowed(valid));
            return None;
        };
        self.mended.push(Mended {
            table,
            id: id.to_owned(),
            before: spelling.to_owned(),
            after,
        });
        parse(after)
    }
}

/// A severity in any case.
pub(crate) fn severity(text: &str) -> Option<Severity> {
    Severity::parse(&text.to_ascii_lowercase())
}

/// An issue as if it were reported now.
pub(crate) fn new_issue(issue: &HistoricalIssue) -> NewIssue {
    NewIssue {
        key: issue.key.clone(),
        severity: severity(&issue.severity).unwrap_or(Severity::Minor),
        source: issue.source.clone(),
        category: issue.category.clone(),
        description: issue.description.clone(),
        evidence: issue.evidence.clone(),
        paths: issue.paths.clone(),
    }
}

fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
