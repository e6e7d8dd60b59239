//! A project's share of the workers, and how much of it may run at a time.
//!
//! Invariant: what is stored was validated as a whole; no limit is `None`, never zero, and a share is at least 1.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Fault;

/// The largest share.
pub const MAX_SHARE: u32 = 1000;
/// The largest limit.
pub const MAX_LIMIT: u32 = 100_000;
/// Labels with a limit, at most.
pub const MAX_LABELS: usize = 100;
/// Characters of `label=value`, at most.
const MAX_LABEL: usize = 200;

/// Share and limits of a project. Attempts on offer count like running ones: a worker may take them any moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectLimits {
    /// Its part of the offers, relative to other projects that wait; 1 to [`MAX_SHARE`].
    pub share: u32,
    /// Attempts at a time.
    pub max_running: Option<u32>,
    /// Attempts of one run at a time.
    pub per_run: Option<u32>,
    /// Attempts at a time of phases with this label, by `label=value`.
    pub labels: BTreeMap<String, u32>,
}

impl Default for ProjectLimits {
    fn default() -> Self {
        Self {
            share: 1,
            max_running: None,
            per_run: None,
            labels: BTreeMap::new(),
        }
    }
}

/// A change of limits: `None` leaves a value as it is, and 0 takes a limit away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitsChange {
    /// The share.
    pub share: Option<u32>,
    /// Attempts at a time.
    pub max_running: Option<u32>,
    /// Attempts of one run at a time.
    pub per_run: Option<u32>,
    /// Attempts at a time, by `label=value`; labels that are not named stay as they are.
    pub labels: BTreeMap<String, u32>,
}

/// The stored form, without the share.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Stored {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_running: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    per_run: Option<u32>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, u32>,
}

impl ProjectLimits {
    /// Reads the stored form; the text says what does not parse.
    pub fn read(share: i64, text: &str) -> Result<Self, String> {
        let stored: Stored = if text.is_empty() {
            Stored::default()
        } else {
            serde_json::from_str(text).map_err(|e| e.to_string())?
        };
        let share = u32::try_from(share).ok().filter(|s| *s > 0);
        Ok(Self {
            share: share.ok_or("the share is not a positive number")?,
            max_running: stored.max_running,
            per_run: stored.per_run,
            labels: stored.labels,
        })
    }

    /// The stored form of all but the share.
    pub fn to_json(&self) -> String {
        let stored = Stored {
            max_running: self.max_running,
            per_run: self.per_run,
            labels: self.labels.clone(),
        };
        // Numbers and texts always serialise.
        serde_json::to_string(&stored).unwrap_or_default()
    }

    /// The limits after a change, or every fault of it. Repeating a change gives the same limits.
    pub fn changed(&self, change: &LimitsChange) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut next = self.clone();
        if let Some(share) = change.share {
            if !(1..=MAX_SHARE).contains(&share) {
                let text = format!("{share} is not a share: 1 to {MAX_SHARE}");
                faults.push(Fault::new("share", text).example("2"));
            }
            next.share = share;
        }
        let mut limit = |path: String, value: u32| {
            if value > MAX_LIMIT {
                let text = format!("{value} is too large: at most {MAX_LIMIT}; 0 is no limit");
                faults.push(Fault::new(path, text).example("8"));
            }
            (value > 0).then_some(value)
        };
        if let Some(value) = change.max_running {
            next.max_running = limit("max_running".to_owned(), value);
        }
        if let Some(value) = change.per_run {
            next.per_run = limit("per_run".to_owned(), value);
        }
        for (label, &value) in &change.labels {
            match limit(format!("labels[{label}]"), value) {
                Some(value) => next.labels.insert(label.clone(), value),
                None => next.labels.remove(label),
            };
        }
        for label in change.labels.keys().filter(|l| !is_label(l)) {
            let text = "is not `label=value`, of at most 200 characters";
            faults.push(Fault::new(format!("labels[{label}]"), text).example("gpu=1"));
        }
        if next.labels.len() > MAX_LABELS {
            let text = format!("at most {MAX_LABELS} labels of a project have a limit");
            faults.push(Fault::new("labels", text));
        }
        if faults.is_empty() {
            Ok(next)
        } else {
            Err(faults)
        }
    }
}

fn is_label(text: &str) -> bool {
    let parts = text.split_once('=');
    text.chars().count() <= MAX_LABEL && parts.is_some_and(|(k, v)| !k.is_empty() && !v.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

    use super::*;

    fn change() -> LimitsChange {
        LimitsChange {
            share: Some(3),
            max_running: Some(8),
            per_run: Some(4),
            labels: BTreeMap::from([("gpu=1".to_owned(), 2)]),
        }
    }

    #[test]
    fn a_change_survives_storage_and_repeats_without_effect() {
        let limits = ProjectLimits::default().changed(&change()).unwrap();
        assert_eq!(limits.changed(&change()).unwrap(), limits);
        assert_eq!(ProjectLimits::read(3, &limits.to_json()).unwrap(), limits);
        assert_eq!(
            limits.to_json(),
            r#"{"max_running":8,"per_run":4,"labels":{"gpu=1":2}}"#
        );
        assert_eq!(
            ProjectLimits::read(1, "").unwrap(),
            ProjectLimits::default()
        );
        assert!(ProjectLimits::read(1, r#"{"max_runing":8}"#).is_err());
        assert!(ProjectLimits::read(0, "").is_err());
    }

    #[test]
    fn zero_takes_a_limit_away_and_nothing_leaves_it() {
        let limits = ProjectLimits::default().changed(&change()).unwrap();
        let none = LimitsChange::default();
        assert_eq!(limits.changed(&none).unwrap(), limits);
        let lift = LimitsChange {
            max_running: Some(0),
            labels: BTreeMap::from([("gpu=1".to_owned(), 0)]),
            ..none
        };
        let lifted = limits.changed(&lift).unwrap();
        assert_eq!((lifted.max_running, lifted.per_run), (None, Some(4)));
        assert!(lifted.labels.is_empty());
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let bad = LimitsChange {
            share: Some(0),
            max_running: Some(MAX_LIMIT + 1),
            per_run: Some(u32::MAX),
            labels: BTreeMap::from([("gpu".to_owned(), 1), ("=1".to_owned(), MAX_LIMIT + 1)]),
        };
        let faults = ProjectLimits::default().changed(&bad).unwrap_err();
        let mut paths: Vec<&str> = faults.iter().map(|f| f.path.as_str()).collect();
        paths.sort_unstable();
        assert_eq!(
            paths,
            [
                "labels[=1]",
                "labels[=1]",
                "labels[gpu]",
                "max_running",
                "per_run",
                "share"
            ]
        );
    }
}
