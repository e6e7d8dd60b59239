//! Progress of a run that is followed: bars on a terminal, plain lines elsewhere.
//!
//! Invariant: one line for each change that a person cares about, on standard error; the same event gives the same
//! line in both forms.

use autopack_domain::EventKind;
use autopack_wire::types;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{Ui, one_line, stderr, text::short};
use crate::view::{View, attempt_state, micros, phase_state};

/// Where progress goes; one for all runs that a process follows.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    ui: Ui,
    bars: Option<MultiProgress>,
}

impl Live {
    /// Bars if standard error is a terminal.
    pub(crate) fn new(ui: Ui) -> Self {
        Self {
            ui,
            bars: ui.bars.then(MultiProgress::new),
        }
    }

    /// The progress of one run; `prefix` goes before each line.
    pub(crate) fn track(&self, prefix: &str) -> Track {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new(0));
            if let Ok(style) =
                ProgressStyle::with_template("{prefix}[{bar:24}] {pos}/{len} {elapsed} {wide_msg}")
            {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix(prefix.to_owned());
            bar.enable_steady_tick(std::time::Duration::from_millis(500));
            bar
        });
        Track {
            live: self.clone(),
            prefix: prefix.to_owned(),
            bar,
        }
    }

    /// A line that no bar overwrites.
    pub(crate) fn say(&self, line: &str) {
        if self.ui.quiet {
            return;
        }
        match &self.bars {
            Some(bars) => bars.suspend(|| stderr(line)),
            None => stderr(line),
        }
    }
}

/// The progress of one run.
#[derive(Debug)]
pub(crate) struct Track {
    live: Live,
    prefix: String,
    bar: Option<ProgressBar>,
}

impl Track {
    /// A message about the following itself.
    pub(crate) fn note(&self, note: &str) {
        self.live.say(&format!("{}{note}", self.prefix));
    }

    /// Shows where the run stands.
    pub(crate) fn show(&self, view: &View) {
        let Some(bar) = &self.bar else { return };
        let ended = |p: &&types::Phase| matches!(phase_state(p), "COMPLETE" | "FAILED" | "SKIPPED");
        let busy: Vec<String> = view
            .ordered()
            .into_iter()
            .filter(|p| matches!(phase_state(p), "EXECUTING" | "GATE" | "CI_RUNNING"))
            .map(|p| format!("{} {}", p.id, phase_state(p).to_lowercase()))
            .collect();
        bar.set_length(view.phases.len() as u64);
        bar.set_position(view.phases.iter().filter(ended).count() as u64);
        bar.set_message(busy.join(", "));
    }

    /// Prints the line of an event, if it has one.
    pub(crate) fn event(&self, event: &types::Event) {
        if let Some(line) = line(event) {
            self.live
                .say(&format!("{} {}{line}", clock(event), self.prefix));
        }
    }

    /// Takes the bar away.
    pub(crate) fn end(self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The time of day of an event, UTC.
fn clock(event: &types::Event) -> String {
    let seconds = event
        .time
        .as_ref()
        .map_or(0, micros)
        .div_euclid(1_000_000)
        .rem_euclid(86_400);
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// What an event says to a person; `None` for those that say nothing new.
pub(crate) fn line(event: &types::Event) -> Option<String> {
    let kind = EventKind::parse(&event.kind)?;
    let run = event.run.as_ref()?;
    let phase = event.phase.as_ref().map_or("", |p| p.id.as_str());
    let tier = event.tier.as_ref().map_or("", |t| t.id.as_str());
    let text = one_line(&event.text, 200);
    Some(match kind {
        EventKind::RunFrozen if run.base_sha.is_empty() => {
            format!("no commit yet; branch {}", run.branch)
        }
        EventKind::RunFrozen => format!("base {}; branch {}", short(&run.base_sha), run.branch),
        EventKind::RunBootstrapStarted
        | EventKind::RunStarted
        | EventKind::RunPaused
        | EventKind::RunResumed
        | EventKind::RunCancelRequested
        | EventKind::RunReopened => kind.text().to_owned(),
        EventKind::TierStarted => format!("tier {tier} started"),
        EventKind::TierCompleted => format!("tier {tier} complete"),
        EventKind::TierFailed => format!("tier {tier} failed"),
        EventKind::TierSkipped => format!("tier {tier} skipped"),
        EventKind::PhaseAdded => format!("{phase}: added"),
        EventKind::PhaseRetried => format!("{phase}: asked to run again"),
        EventKind::AttemptLeased => {
            format!(
                "{phase}: attempt {} started",
                event.attempt.as_ref()?.number
            )
        }
        EventKind::AttemptStageChanged => {
            let attempt = event.attempt.as_ref()?;
            format!(
                "{phase}: attempt {} {}",
                attempt.number,
                attempt_state(attempt).to_lowercase()
            )
        }
        EventKind::AttemptFinished => {
            let attempt = event.attempt.as_ref().filter(|a| !a.cause.is_empty())?;
            format!(
                "{phase}: attempt {} ended {}: {}",
                attempt.number,
                attempt.cause,
                one_line(&attempt.detail, 200)
            )
        }
        EventKind::PhaseCompleted => {
            let p = event.phase.as_ref()?;
            let what = if p.commit.is_empty() {
                format!("complete ({})", p.outcome)
            } else {
                format!("complete, commit {}", short(&p.commit))
            };
            format!("{phase}: {what}")
        }
        EventKind::PhaseFailed => format!("{phase}: failed: {}", event.phase.as_ref()?.cause),
        EventKind::PhaseSkipped => format!("{phase}: skipped: {text}"),
        EventKind::PhaseRequeued => format!("{phase}: waits for another attempt"),
        EventKind::RunImported => format!("imported from {text}"),
        EventKind::HistoryNoted => format!("{} noted {text}", about(phase)),
        EventKind::PhaseWaitChanged => {
            let handoff = event.phase.as_ref()?.handoff.as_ref()?;
            let deadline = handoff.deadline_time.as_ref()?;
            let command = if handoff.awaited == "audit" {
                format!(
                    "`autopack audit {} {phase} approve|revise|escalate`",
                    run.id
                )
            } else if handoff.awaited == "approval" {
                let tree = handoff.approval.as_ref().and_then(|a| a.request.as_ref());
                let tree = tree.map_or("TREE", |request| request.tree.as_str());
                format!(
                    "`autopack approvals approve|reject {} {phase} --tree {tree}`",
                    run.id
                )
            } else {
                format!("`autopack submit-result {} {phase} --patch FILE`", run.id)
            };
            format!(
                "{phase}: waits for the {} until {}: {command}",
                handoff.awaited,
                super::text::moment(Some(deadline))
            )
        }
        EventKind::ResultSubmitted if text.is_empty() => {
            format!("{phase}: the builder submitted that it failed")
        }
        EventKind::ResultSubmitted => format!("{phase}: a result was submitted by {text}"),
        EventKind::ApprovalRequested => format!("{phase}: asks for an approval: {text}"),
        EventKind::ApprovalDecided => format!("{phase}: {text}"),
        EventKind::AuditRequested => format!("{phase}: {}", kind.text()),
        EventKind::AuditSubmitted => format!("{phase}: audited: {text}"),
        EventKind::IssueRecorded => format!("{} issue {text}", about(phase)),
        EventKind::IssueResolved => format!("{} issue {text} resolved", about(phase)),
        EventKind::BudgetExhausted => format!("budget exhausted: {text}"),
        EventKind::JobFinished => {
            // Without words it ended well, or nobody needs it any more.
            let failed = event.job.as_ref().filter(|job| job.failures > 0);
            let job = failed.filter(|_| !text.is_empty())?;
            format!("{} failed {} times: {text}", job.kind, job.failures)
        }
        EventKind::RunCreated
        | EventKind::RunStateChanged
        | EventKind::RunFinished
        | EventKind::TierReopened
        | EventKind::AttemptOffered
        | EventKind::LandingPrepared
        | EventKind::UsageRecorded
        | EventKind::JobOffered => return None,
    })
}

/// What a line is about: a phase, or the run itself.
fn about(phase: &str) -> String {
    if phase.is_empty() {
        "run:".to_owned()
    } else {
        format!("{phase}:")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: EventKind) -> types::Event {
        types::Event {
            kind: kind.code().to_owned(),
            time: Some(prost_types::Timestamp {
                seconds: 45_296,
                nanos: 0,
            }),
            run: Some(types::Run {
                branch: "autonomous/demo".to_owned(),
                base_sha: "0123456789abcdef".to_owned(),
                ..types::Run::default()
            }),
            phase: Some(types::Phase {
                id: "P1".to_owned(),
                commit: "fedcba9876543210".to_owned(),
                ..types::Phase::default()
            }),
            attempt: Some(types::Attempt {
                number: 2,
                state: types::attempt::State::Gating.into(),
                cause: "GATE_FAILED".to_owned(),
                detail: "2 tests\nfailed".to_owned(),
                ..types::Attempt::default()
            }),
            ..types::Event::default()
        }
    }

    #[test]
    fn lines_name_the_phase_and_what_happened() {
        for (kind, expected) in [
            (
                EventKind::RunFrozen,
                "base 0123456789; branch autonomous/demo",
            ),
            (EventKind::AttemptStageChanged, "P1: attempt 2 gating"),
            (
                EventKind::AttemptFinished,
                "P1: attempt 2 ended GATE_FAILED: 2 tests",
            ),
            (EventKind::PhaseCompleted, "P1: complete, commit fedcba9876"),
        ] {
            assert_eq!(line(&event(kind)).as_deref(), Some(expected));
        }
        assert_eq!(line(&event(EventKind::AttemptOffered)), None);
        assert_eq!(clock(&event(EventKind::RunFrozen)), "12:34:56");
    }
}
