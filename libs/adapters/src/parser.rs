//! Output to events and a report.
//!
//! Invariant: total over all bytes; what it holds is bounded by one line and one report.

use autopack_domain::usage::Provenance;
use serde_json::Value;

use crate::dialect::{self, Dialect};
use crate::event::Event;
use crate::lines::{Lines, MAX_LINE};
use crate::manifest::{Form, Manifest, UsageKind};
use crate::meter::Meter;
use crate::report::{Anomaly, Report};
use crate::usage::Metered;

/// Reads the output of one agent.
pub struct Parser {
    dialect: Box<dyn Dialect>,
    form: Form,
    says_end: bool,
    no_tokens: bool,
    best: Provenance,
    lines: Lines,
    document: Vec<u8>,
    meter: Meter,
    report: Report,
}

impl Parser {
    /// A parser for an adapter. `prompt` and `folder` are what a dialect that talks back asks and where.
    pub fn new(manifest: &Manifest, prompt: &str, folder: &str) -> Self {
        Self {
            dialect: dialect::of(manifest.adapter(), prompt, folder),
            form: manifest.output.form,
            says_end: manifest.output.says_end,
            no_tokens: manifest.usage.kind == UsageKind::None,
            best: manifest.usage.provenance,
            lines: Lines::default(),
            document: Vec::new(),
            meter: Meter::default(),
            report: Report::default(),
        }
    }

    /// What is to be written to the agent's standard input, in order; empty for those that are asked once.
    pub fn replies(&mut self) -> Vec<u8> {
        self.dialect.replies()
    }

    /// Takes a piece of output; answers the events that it completes.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        if self.form == Form::JsonDocument {
            // What is too long to be one is cut, and then is none.
            let room = MAX_LINE.saturating_sub(self.document.len());
            self.document
                .extend_from_slice(&bytes[..bytes.len().min(room)]);
            return events;
        }
        let mut lines = std::mem::take(&mut self.lines);
        lines.push(bytes, |line| self.line(line, &mut events));
        self.report.counts.too_long = lines.dropped;
        if lines.dropped > 0 {
            self.report.note(Anomaly::LineTooLong);
        }
        self.lines = lines;
        events
    }

    /// What is known so far. It changes with every [`Parser::push`].
    pub fn so_far(&self) -> Report {
        let mut report = self.report.clone();
        (report.usage, _) = self.usage(report.claim.is_some());
        report
    }

    /// Whether the agent has said that it has ended.
    pub fn has_ended(&self) -> bool {
        self.report.claim.is_some()
    }

    /// The output is over.
    pub fn finish(mut self) -> Report {
        let mut lines = std::mem::take(&mut self.lines);
        lines.finish(|line| self.line(line, &mut Vec::new()));
        let document = std::mem::take(&mut self.document);
        if !document.is_empty() {
            self.line(&document, &mut Vec::new());
        }
        let ended = self.report.claim.is_some() || !self.says_end;
        let (usage, anomalies) = self.usage(ended);
        self.report.usage = usage;
        for anomaly in anomalies {
            self.report.note(anomaly);
        }
        if !ended {
            self.report.note(Anomaly::NoFinalEvent);
        }
        self.report
    }

    fn usage(&self, ended: bool) -> (Metered, Vec<Anomaly>) {
        if self.no_tokens {
            return (Metered::NONE, Vec::new());
        }
        let (mut usage, anomalies) = self.meter.read(ended);
        if usage.is_known() {
            usage.provenance = usage.provenance.max(self.best);
        }
        (usage, anomalies)
    }

    fn line(&mut self, bytes: &[u8], events: &mut Vec<Event>) {
        self.report.counts.lines += 1;
        let text = String::from_utf8_lossy(bytes);
        if matches!(text, std::borrow::Cow::Owned(_)) {
            self.report.counts.invalid_utf8 += 1;
            self.report.note(Anomaly::InvalidUtf8);
        }
        let text = text.trim_start_matches('\u{feff}').trim();
        if self.form == Form::Text || text.is_empty() {
            return;
        }
        let mut found = Vec::new();
        match serde_json::from_str::<Value>(text) {
            Ok(value @ Value::Object(_)) => self.dialect.event(&value, &mut found),
            Ok(Value::Array(values)) if self.form == Form::JsonDocument => {
                for value in values {
                    self.dialect.event(&value, &mut found);
                }
            }
            Ok(_) | Err(_) => {
                self.report.counts.malformed += 1;
                self.report.note(Anomaly::MalformedLine);
            }
        }
        for event in found {
            self.report.take(&event);
            if let Event::Usage(sample) = &event {
                self.meter.take(sample.clone());
            }
            events.push(event);
        }
    }
}
