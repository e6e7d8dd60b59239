//! The rules of project, run, label and lane that hold a ready phase back.
//!
//! Invariant: each rule is one function here. The queue asks them one by one, the registry asks them before it
//! offers, and `autopack why` prints what they say.

use std::collections::{BTreeMap, BTreeSet};

use autopack_domain::{RunUid, project::ProjectLimits};

use super::tally::Tally;
use crate::dispatch::Hold;

/// What is in force: limits of projects, paused lanes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    projects: BTreeMap<String, ProjectLimits>,
    paused: BTreeSet<String>,
    none: ProjectLimits,
}

/// Where a phase stands.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Its run.
    pub run: RunUid,
    /// Its project.
    pub project: &'a str,
    /// Its lane.
    pub lane: &'a str,
    /// Its labels, as `label=value`.
    pub labels: &'a [String],
}

impl Policy {
    /// The limits of a project; a project without any has share 1 and no limit.
    pub fn limits(&self, project: &str) -> &ProjectLimits {
        self.projects.get(project).unwrap_or(&self.none)
    }

    /// Projects with limits of their own, by name.
    pub fn projects(&self) -> impl Iterator<Item = (&str, &ProjectLimits)> {
        self.projects.iter().map(|(name, l)| (name.as_str(), l))
    }

    /// Replaces the limits of a project.
    pub fn set_limits(&mut self, project: &str, limits: ProjectLimits) {
        if limits == self.none {
            self.projects.remove(project);
        } else {
            self.projects.insert(project.to_owned(), limits);
        }
    }

    /// Pauses a lane, or ends its pause.
    pub fn pause(&mut self, lane: &str, paused: bool) {
        if paused {
            self.paused.insert(lane.to_owned());
        } else {
            self.paused.remove(lane);
        }
    }

    /// The paused lanes, by name.
    pub fn paused(&self) -> impl Iterator<Item = &str> {
        self.paused.iter().map(String::as_str)
    }

    /// Every rule that holds the phase back now, given what runs already.
    pub fn holds(&self, place: Place<'_>, tally: &Tally) -> Vec<Hold> {
        let labels = place.labels.iter();
        let labels = labels.filter_map(|l| self.label(place.project, l, tally));
        let rules = [
            self.lane(place.lane),
            self.project(place.project, tally),
            self.run(place.project, place.run, tally),
        ];
        rules.into_iter().flatten().chain(labels).collect()
    }

    /// Whether any rule holds the phase back: [`Self::holds`] without the words.
    pub fn admits(&self, place: Place<'_>, tally: &Tally) -> bool {
        let mut labels = place.labels.iter();
        !self.paused.contains(place.lane)
            && !self.project_is_full(place.project, tally)
            && !self.run_is_full(place.project, place.run, tally)
            && !labels.any(|l| self.label_is_full(place.project, l, tally))
    }

    pub(super) fn lane_is_paused(&self, lane: &str) -> bool {
        self.paused.contains(lane)
    }

    pub(super) fn project_is_full(&self, project: &str, tally: &Tally) -> bool {
        full(self.limits(project).max_running, tally.of_project(project))
    }

    pub(super) fn run_is_full(&self, project: &str, run: RunUid, tally: &Tally) -> bool {
        full(self.limits(project).per_run, tally.of_run(run))
    }

    pub(super) fn label_is_full(&self, project: &str, label: &str, tally: &Tally) -> bool {
        let limit = self.limits(project).labels.get(label).copied();
        limit.is_some() && full(limit, tally.with_label(project, label))
    }

    fn lane(&self, lane: &str) -> Option<Hold> {
        self.lane_is_paused(lane).then(|| Hold {
            rule: "lane_paused",
            facts: format!("lane {lane} is paused"),
            remedy: "`autopack lane resume LANE`",
        })
    }

    fn project(&self, project: &str, tally: &Tally) -> Option<Hold> {
        self.project_is_full(project, tally).then(|| Hold {
            rule: "project_limit",
            facts: format!(
                "project {project} has {} attempts at a time; its limit is {}",
                tally.of_project(project),
                self.limits(project).max_running.unwrap_or(0)
            ),
            remedy: "an attempt of the project ends, or `autopack limits PROJECT --max-running N`",
        })
    }

    fn run(&self, project: &str, run: RunUid, tally: &Tally) -> Option<Hold> {
        self.run_is_full(project, run, tally).then(|| Hold {
            rule: "run_limit",
            facts: format!(
                "the run has {} attempts at a time; the limit of a run of project {project} is {}",
                tally.of_run(run),
                self.limits(project).per_run.unwrap_or(0)
            ),
            remedy: "an attempt of the run ends, or `autopack limits PROJECT --per-run N`",
        })
    }

    fn label(&self, project: &str, label: &str, tally: &Tally) -> Option<Hold> {
        self.label_is_full(project, label, tally).then(|| Hold {
            rule: "label_limit",
            facts: format!(
                "project {project} has {} attempts with {label} at a time; their limit is {}",
                tally.with_label(project, label),
                self.limits(project).labels.get(label).copied().unwrap_or(0)
            ),
            remedy: "an attempt with the label ends, or `autopack limits PROJECT --label LABEL=VALUE:N`",
        })
    }
}

fn full(limit: Option<u32>, now: u32) -> bool {
    limit.is_some_and(|limit| now >= limit)
}
