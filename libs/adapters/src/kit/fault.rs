//! The faults, and what an adapter must make of each.
//!
//! Invariant: a fault never becomes a success that the agent did not claim, and never costs the usage that was told.

use autopack_domain::plan::Adapter;

use super::transcripts::{compare, compare_usage, transcript};
use crate::manifest::{Form, Manifest, Source};
use crate::report::{Anomaly, Report};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The stream ends without its last event.
    NoFinalEvent,
    /// The stream ends in the middle of an event.
    TruncatedJson,
    /// Something follows the end.
    EventAfterEnd,
    /// It says that it has ended and stays.
    HangAfterEnd,
    /// It tells an error and exits with 0.
    ExitZeroAfterError,
    /// It tells success and exits with 1.
    ExitOneAfterSuccess,
    /// Its figures are told more than once, in its own way.
    SeveralFigures,
    /// Bytes that are not UTF-8.
    InvalidUtf8,
    /// A hundred megabytes without a line's end.
    HugeOutput,
    /// It waits for the end of its standard input.
    PromptOnStdin,
    /// It does not heed the signals that ask it to end.
    SignalsIgnored,
    /// It leaves a process in a session of its own.
    OrphanChild,
    /// An event that nobody knows.
    UnknownEvent,
    /// A version beyond those that are known.
    NewerVersion,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 15] = [
        Self::None,
        Self::NoFinalEvent,
        Self::TruncatedJson,
        Self::EventAfterEnd,
        Self::HangAfterEnd,
        Self::ExitZeroAfterError,
        Self::ExitOneAfterSuccess,
        Self::SeveralFigures,
        Self::InvalidUtf8,
        Self::HugeOutput,
        Self::PromptOnStdin,
        Self::SignalsIgnored,
        Self::OrphanChild,
        Self::UnknownEvent,
        Self::NewerVersion,
    ];

    /// The name in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "no fault",
            Self::NoFinalEvent => "no final event",
            Self::TruncatedJson => "truncated JSON",
            Self::EventAfterEnd => "event after the end",
            Self::HangAfterEnd => "hang after the end",
            Self::ExitZeroAfterError => "exit 0 after an error",
            Self::ExitOneAfterSuccess => "exit 1 after success",
            Self::SeveralFigures => "cumulative or delta usage",
            Self::InvalidUtf8 => "invalid UTF-8",
            Self::HugeOutput => "100 MB of output",
            Self::PromptOnStdin => "prompt read to its end",
            Self::SignalsIgnored => "signals ignored",
            Self::OrphanChild => "orphan child",
            Self::UnknownEvent => "unknown event",
            Self::NewerVersion => "newer version",
        }
    }

    /// The transcript that it is played over.
    pub const fn base(self) -> &'static str {
        match self {
            Self::ExitZeroAfterError => "failure",
            Self::SeveralFigures => "several",
            Self::NoFinalEvent => "killed",
            _ => "success",
        }
    }
}

/// What was seen of an agent with a fault.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The stream, read.
    pub report: Report,
    /// Its exit code; `None`: it was ended.
    pub exit: Option<i32>,
    /// It was ended by its time-out.
    pub timed_out: bool,
    /// It was asked to end after its last event.
    pub stopped: bool,
    /// Processes that could not be ended.
    pub survivors: u32,
    /// What reached it as its prompt.
    pub prompt: String,
}

/// What an adapter made of a fault that it should not have; empty: it passes.
pub fn judge(manifest: &Manifest, fault: Fault, prompt: &str, seen: &Seen) -> Vec<String> {
    let adapter = manifest.adapter();
    let mut wrong = Vec::new();
    let report = &seen.report;
    let mut must = |ok: bool, what: &str| {
        if !ok {
            wrong.push(what.to_owned());
        }
    };
    let talks = manifest.output.says_end;
    // What ends only with its output cannot be seen to have ended before.
    let early = manifest.says_end_early();
    must(seen.survivors == 0, "a process could not be ended");
    must(
        seen.prompt.contains(prompt),
        "the prompt did not reach the agent",
    );
    match fault {
        Fault::NoFinalEvent => {
            must(report.claim.is_none(), "a claim was invented");
            must(
                report.has(Anomaly::NoFinalEvent) == talks,
                "the missing end is not noticed",
            );
        }
        Fault::TruncatedJson if talks => {
            must(report.claim.is_none(), "half an event was believed");
            must(
                report.has(Anomaly::MalformedLine),
                "the half event is not noticed",
            );
            must(
                report.has(Anomaly::NoFinalEvent),
                "the missing end is not noticed",
            );
        }
        Fault::EventAfterEnd if early => {
            must(
                report.has(Anomaly::EventAfterEnd),
                "the late event is not noticed",
            );
        }
        Fault::HangAfterEnd | Fault::SignalsIgnored if early => {
            must(seen.stopped, "it was not asked to end");
            must(report.has(Anomaly::HungAfterEnd), "the hang is not noticed");
            must(!seen.timed_out, "it ran into its time-out");
        }
        Fault::HangAfterEnd | Fault::SignalsIgnored => {
            must(seen.timed_out, "it was not ended by its time-out");
        }
        Fault::ExitZeroAfterError if talks => {
            must(
                report.has(Anomaly::ExitSaysSuccess),
                "the two ends are not compared",
            );
        }
        Fault::ExitOneAfterSuccess => {
            must(seen.exit == Some(1), "its exit code is lost");
            must(
                report.has(Anomaly::ExitSaysFailure) == talks,
                "the two ends are not compared",
            );
        }
        Fault::InvalidUtf8 => {
            must(
                report.has(Anomaly::InvalidUtf8),
                "the bytes are not noticed",
            );
        }
        Fault::HugeOutput => {
            let noticed = manifest.output.source == Source::File
                || manifest.output.form == Form::JsonDocument
                || report.has(Anomaly::LineTooLong);
            must(noticed, "the long line is not noticed");
        }
        Fault::OrphanChild => {
            must(
                report.has(Anomaly::LeftProcesses),
                "the child is not noticed",
            );
        }
        Fault::UnknownEvent if early || manifest.output.source == Source::File => {
            must(
                report.has(Anomaly::UnknownEvent),
                "the unknown event is not noticed",
            );
            must(
                !report.unknown.is_empty(),
                "the unknown event is not kept by name",
            );
        }
        Fault::NewerVersion => {
            let noticed = manifest.probe.known.is_empty() || report.has(Anomaly::NewerVersion);
            must(noticed, "the version is not noticed");
        }
        _ => {}
    }
    wrong.extend(against_transcript(adapter, manifest, fault, report));
    wrong
}

/// Claim and usage must be those of the transcript, whatever else goes wrong.
fn against_transcript(
    adapter: Adapter,
    manifest: &Manifest,
    fault: Fault,
    report: &Report,
) -> Vec<String> {
    let Some(base) = transcript(adapter, fault.base()) else {
        return vec![format!("there is no transcript `{}`", fault.base())];
    };
    let document = manifest.output.form == Form::JsonDocument;
    match fault {
        // A part of the figures may be gone with the end, or the whole document with a part of it.
        Fault::TruncatedJson => Vec::new(),
        Fault::HugeOutput | Fault::InvalidUtf8 | Fault::EventAfterEnd | Fault::UnknownEvent
            if document =>
        {
            Vec::new()
        }
        Fault::NoFinalEvent => compare_usage(&base.usage, &report.usage)
            .into_iter()
            .collect(),
        _ => compare(&base, report),
    }
}
