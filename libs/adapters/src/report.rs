//! What a whole stream amounts to.
//!
//! Invariant: of bounded size, whatever the stream held.

use std::collections::BTreeMap;

use crate::claim::Claim;
use crate::event::Event;
use crate::lines::clip;
use crate::usage::Metered;

/// The most names of unknown events that are kept.
const MAX_NAMES: usize = 64;
/// The most error texts that are kept.
const MAX_ERRORS: usize = 8;

/// Something about a stream that its schema does not explain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Anomaly {
    /// The agent ended without saying so.
    NoFinalEvent,
    /// It went on after it had said that it had ended.
    EventAfterEnd,
    /// A line that should be an event is none.
    MalformedLine,
    /// Bytes that are not UTF-8.
    InvalidUtf8,
    /// A line longer than what is read.
    LineTooLong,
    /// Events that no parser knows.
    UnknownEvent,
    /// The counters do not add up to the agent's own total.
    UsageDoesNotAddUp,
    /// A running total became smaller.
    UsageFell,
    /// It said that it had failed, and its exit code says success.
    ExitSaysSuccess,
    /// It said that it had succeeded, and its exit code says failure.
    ExitSaysFailure,
    /// It had to be ended after it had said that it had ended.
    HungAfterEnd,
    /// It left processes behind.
    LeftProcesses,
    /// Its version is newer than those whose schema is known.
    NewerVersion,
}

impl Anomaly {
    /// Every one.
    pub const ALL: [Self; 13] = [
        Self::NoFinalEvent,
        Self::EventAfterEnd,
        Self::MalformedLine,
        Self::InvalidUtf8,
        Self::LineTooLong,
        Self::UnknownEvent,
        Self::UsageDoesNotAddUp,
        Self::UsageFell,
        Self::ExitSaysSuccess,
        Self::ExitSaysFailure,
        Self::HungAfterEnd,
        Self::LeftProcesses,
        Self::NewerVersion,
    ];

    /// The name in facts and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoFinalEvent => "no_final_event",
            Self::EventAfterEnd => "event_after_end",
            Self::MalformedLine => "malformed_line",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::LineTooLong => "line_too_long",
            Self::UnknownEvent => "unknown_event",
            Self::UsageDoesNotAddUp => "usage_does_not_add_up",
            Self::UsageFell => "usage_fell",
            Self::ExitSaysSuccess => "exit_says_success",
            Self::ExitSaysFailure => "exit_says_failure",
            Self::HungAfterEnd => "hung_after_end",
            Self::LeftProcesses => "left_processes",
            Self::NewerVersion => "newer_version",
        }
    }
}

/// Counts of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines.
    pub lines: u64,
    /// Texts for the reader.
    pub texts: u64,
    /// Bytes of those texts.
    pub text_bytes: u64,
    /// Uses of tools.
    pub tools: u64,
    /// Tools that ended badly.
    pub tools_failed: u64,
    /// Permissions that were refused.
    pub denied: u64,
    /// Events after the end.
    pub after_end: u64,
    /// Lines that are no event.
    pub malformed: u64,
    /// Lines with bytes that are not UTF-8.
    pub invalid_utf8: u64,
    /// Lines that were too long.
    pub too_long: u64,
}

/// A stream, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What the agent says about its end; `None`: nothing.
    pub claim: Option<Claim>,
    /// The agent's own id of the session.
    pub session: String,
    /// The model that answered.
    pub model: String,
    /// The last text.
    pub last_text: String,
    /// The last errors.
    pub errors: Vec<String>,
    /// Events that no parser knows, by name.
    pub unknown: BTreeMap<String, u64>,
    /// How many of each.
    pub counts: Counts,
    /// Tokens.
    pub usage: Metered,
    /// What the schema does not explain, each once, in order.
    pub anomalies: Vec<Anomaly>,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            claim: None,
            session: String::new(),
            model: String::new(),
            last_text: String::new(),
            errors: Vec::new(),
            unknown: BTreeMap::new(),
            counts: Counts::default(),
            usage: Metered::UNKNOWN,
            anomalies: Vec::new(),
        }
    }
}

impl Report {
    /// Takes an event; tokens are the meter's.
    pub(crate) fn take(&mut self, event: &Event) {
        if self.claim.is_some() && !matches!(event, Event::Resumed) {
            self.counts.after_end += 1;
            self.note(Anomaly::EventAfterEnd);
            // The first claim stands.
            if matches!(event, Event::Ended(_)) {
                return;
            }
        }
        match event {
            Event::Session(id) => self.session.clone_from(id),
            Event::Model(name) => self.model.clone_from(name),
            Event::Text(text) => {
                self.counts.texts += 1;
                self.counts.text_bytes += text.len() as u64;
                self.last_text = clip(text, 4000);
            }
            Event::Reasoning | Event::Usage(_) => {}
            Event::Tool(_) => self.counts.tools += 1,
            Event::ToolFailed => self.counts.tools_failed += 1,
            Event::Denied => self.counts.denied += 1,
            Event::Error(text) => {
                if self.errors.len() == MAX_ERRORS {
                    self.errors.remove(0);
                }
                self.errors.push(clip(text, 500));
            }
            Event::Ended(claim) => self.claim = Some(claim.clone()),
            Event::Resumed => self.claim = None,
            Event::Unknown(name) => {
                self.note(Anomaly::UnknownEvent);
                let name = clip(name, 60);
                if self.unknown.len() < MAX_NAMES || self.unknown.contains_key(&name) {
                    *self.unknown.entry(name).or_default() += 1;
                }
            }
        }
    }

    /// Records an anomaly once.
    pub fn note(&mut self, anomaly: Anomaly) {
        if let Err(at) = self.anomalies.binary_search(&anomaly) {
            self.anomalies.insert(at, anomaly);
        }
    }

    /// Whether this was noticed.
    pub fn has(&self, anomaly: Anomaly) -> bool {
        self.anomalies.contains(&anomaly)
    }
}
