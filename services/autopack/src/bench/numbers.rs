//! Figures: percentiles, and lines with an aim.

use std::{fmt, time::Duration};

/// One printed figure.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Line {
    /// Such as `B1`.
    pub(crate) id: &'static str,
    /// What was measured.
    pub(crate) what: String,
    /// The figure.
    pub(crate) value: f64,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// What was aimed at, in words; empty for none.
    pub(crate) aim: String,
    /// Whether the aim is met; `None` without one.
    pub(crate) met: Option<bool>,
}

impl Line {
    /// A figure without an aim.
    pub(crate) fn plain(
        id: &'static str,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
    ) -> Self {
        Self {
            id,
            what: what.into(),
            value,
            unit,
            aim: String::new(),
            met: None,
        }
    }

    /// A figure that should be at most the aim.
    pub(crate) fn at_most(mut self, aim: f64, words: &str) -> Self {
        self.met = Some(self.value <= aim);
        self.aim = format!("at most {aim:.1} ({words})");
        self
    }

    /// A figure that should be at least the aim.
    pub(crate) fn at_least(mut self, aim: f64, words: &str) -> Self {
        self.met = Some(self.value >= aim);
        self.aim = format!("at least {aim} ({words})");
        self
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<4} {:<58} {:>12.3} {:<10}",
            self.id, self.what, self.value, self.unit
        )?;
        match self.met {
            Some(true) => write!(f, " met: {}", self.aim),
            Some(false) => write!(f, " MISSED: {}", self.aim),
            None => Ok(()),
        }
    }
}

/// The value below which this share of the samples lies, in milliseconds.
pub(crate) fn percentile(samples: &[Duration], share: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    if sorted.is_empty() {
        return 0.0;
    }
    let last = sorted.len() - 1;
    let at = (last as f64 * share).round() as usize;
    sorted[at.min(last)].as_secs_f64() * 1e3
}
