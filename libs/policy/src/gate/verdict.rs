//! The verdict of a gate's steps (DESIGN rule 5).
//!
//! Invariant: a red step makes the gate red whatever else happened, except that a failed set-up says
//! nothing about the change; without a red step the first step that cannot tell decides.

use autopack_domain::Cause;
use autopack_domain::gate::Verdict;
use autopack_domain::plan::{StepKind, StepSpec};

use super::counts::{self, Report};
use super::ids::{MAX_IDS, failing_ids};
use super::unfinished::is_unfinished;
use crate::report::{Outcome, Reading};
use crate::text::{Pattern, one_line, plain};

/// How a step ended, as the sandbox saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepEnd {
    /// By itself, with this exit code.
    Exited(i32),
    /// Not within its time-out.
    TimedOut,
    /// By this signal, which no limit of ours sent.
    Signalled(i32),
    /// Over its memory limit.
    MemoryLimit,
    /// Over its disk limit.
    DiskLimit,
    /// Over its processor time.
    CpuLimit,
    /// Over its output limit.
    OutputLimit,
    /// Over its number of processes.
    ProcessLimit,
    /// The program does not exist.
    NotFound,
    /// A set-up step before it failed, so it did not run.
    SetupFailed,
}

/// One step that was run, or could not be.
#[derive(Clone, Copy, Debug)]
pub struct StepResult<'a> {
    /// What it proves.
    pub kind: StepKind,
    /// Its command line.
    pub run: &'a str,
    /// How it ended.
    pub end: StepEnd,
    /// What it printed, bounded; where it was cut, the end is what counts.
    pub output: &'a str,
    /// Its report, if one was found or the plan names one.
    pub report: Option<&'a Reading>,
}

/// What one step says.
enum Said {
    Green(Option<Report>),
    Red,
    CannotTell(Cause),
}

/// The verdict over all steps that were run. No steps: the plan declares that there is no gate.
pub fn verdict(steps: &[StepResult<'_>]) -> Verdict {
    if steps.is_empty() {
        return Verdict::NotRequired;
    }
    let said: Vec<Said> = steps.iter().map(step).collect();
    let cannot_tell = said.iter().find_map(|said| match said {
        Said::CannotTell(cause) => Some(*cause),
        Said::Green(_) | Said::Red => None,
    });
    if steps.iter().any(|step| step.end == StepEnd::SetupFailed) {
        return Verdict::Inconclusive {
            cause: Cause::GateSetupFailed,
        };
    }
    if said.iter().any(|said| matches!(said, Said::Red)) {
        let mut ids: Vec<String> = Vec::new();
        for (step, said) in steps.iter().zip(&said) {
            if matches!(said, Said::Red) {
                let more = red_ids(step);
                ids.extend(more.into_iter().take(MAX_IDS.saturating_sub(ids.len())));
            }
        }
        return Verdict::Failed { ids };
    }
    if let Some(cause) = cannot_tell {
        return Verdict::Inconclusive { cause };
    }
    let counted = said.iter().filter_map(|said| match said {
        Said::Green(report) => report.map(|report| report.ran()),
        Said::Red | Said::CannotTell(_) => None,
    });
    Verdict::Passed {
        tests: counted.reduce(u64::saturating_add),
    }
}

/// What two time-outs of the candidate mean, once the same steps ran on the base: the change made the
/// gate too slow, or this worker cannot tell. If the candidate's second run ended in time, its own
/// verdict counts and this one is not asked for (DESIGN rule 5).
pub fn timeout_verdict(base_in_time: bool, candidate_again_timed_out: bool) -> Verdict {
    if base_in_time && candidate_again_timed_out {
        Verdict::Failed { ids: Vec::new() }
    } else {
        Verdict::Inconclusive {
            cause: Cause::GateTimeout,
        }
    }
}

/// The text of the commit trailer `Autopack-Gate`: the verdict and the command lines, on one line.
pub fn gate_word(verdict: &Verdict, steps: &[StepSpec]) -> String {
    let mut text = verdict.word().to_owned();
    if !matches!(verdict, Verdict::NotRequired) {
        for step in steps {
            text.push_str("; ");
            text.push_str(&one_line(&step.run, 80));
        }
    }
    one_line(&text, 240)
}

fn step(step: &StepResult<'_>) -> Said {
    match step.end {
        StepEnd::Exited(code) => exited(step, code),
        StepEnd::TimedOut => Said::CannotTell(Cause::GateTimeout),
        StepEnd::Signalled(signal) => signalled(signal),
        StepEnd::DiskLimit => Said::CannotTell(Cause::DiskLimit),
        StepEnd::MemoryLimit | StepEnd::CpuLimit | StepEnd::OutputLimit | StepEnd::ProcessLimit => {
            Said::CannotTell(Cause::GateKilled)
        }
        StepEnd::NotFound => Said::CannotTell(Cause::GateNotFound),
        StepEnd::SetupFailed => Said::CannotTell(Cause::GateSetupFailed),
    }
}

fn exited(step: &StepResult<'_>, code: i32) -> Said {
    let tests = step.kind == StepKind::Test;
    let report = tests.then(|| report(step)).flatten();
    let problem = step.report.and_then(|read| read.problem.as_ref());
    let failed = report.is_some_and(|report| report.counts.failed > 0);
    let ran_none = report.is_some_and(|report| report.ran() == 0);
    match code {
        // Whoever swallows the exit code has not made the tests green.
        0 if failed => Said::Red,
        0 if tests && problem.is_some() => Said::CannotTell(Cause::GateUnreadable),
        0 if ran_none => Said::CannotTell(Cause::GateZeroTests),
        0 if tests && is_unfinished(step.output) => Said::CannotTell(Cause::GateUnreadable),
        0 => Said::Green(report),
        // Some runners exit with the number of failures, which may look like any other code.
        _ if failed => Said::Red,
        126 | 127 => Said::CannotTell(Cause::GateNotFound),
        // pytest, and unittest since Python 3.12: no tests were collected.
        5 if tests && names_python_runner(step.run) && report.is_none_or(|r| r.ran() == 0) => {
            Said::CannotTell(Cause::GateZeroTests)
        }
        // pytest's usage error (4) says "no tests ran" too, but the command asked for something.
        _ if ran_none && report.is_some_and(|r| r.found_none) && code != 4 => {
            Said::CannotTell(Cause::GateZeroTests)
        }
        4 if tests && step.run.contains("nextest") && ran_none => {
            Said::CannotTell(Cause::GateZeroTests)
        }
        _ if report.is_none() && lacks_tool(step.output) => Said::CannotTell(Cause::GateNotFound),
        129..=192 => signalled(code - 128),
        _ => Said::Red,
    }
}

/// What the step's own report counts or, where there is none, what its output says.
fn report(step: &StepResult<'_>) -> Option<Report> {
    let told = counts::report(step.output, step.run);
    let Some(read) = step.report.filter(|read| read.whole || told.is_none()) else {
        return told;
    };
    let counts = read.counts();
    // Some runners count what is no test of its own: a sum that both know is taken from the runner.
    match told {
        Some(told) if counts.failed == 0 && told.counts.failed == 0 => Some(told),
        _ => Some(Report::of(counts.passed, counts.failed, counts.skipped)),
    }
}

/// Failing tests, as the report names them or, where there is none, as the output does.
fn red_ids(step: &StepResult<'_>) -> Vec<String> {
    let read = step.report.filter(|_| step.kind == StepKind::Test);
    let ids: Vec<String> = read
        .iter()
        .flat_map(|read| read.ids(Outcome::Failed))
        .map(str::to_owned)
        .collect();
    if ids.is_empty() {
        failing_ids(step.output)
    } else {
        ids
    }
}

/// A program that crashes by itself is red; one that somebody ended says nothing.
fn signalled(signal: i32) -> Said {
    match signal {
        // SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS
        4..=8 | 11 | 31 => Said::Red,
        _ => Said::CannotTell(Cause::GateKilled),
    }
}

fn names_python_runner(command: &str) -> bool {
    static RUNNER: Pattern = Pattern::new(r"\b(py\.?test|unittest)\b");
    RUNNER.is_match(command)
}

/// Tools that report a missing runner with an exit code of their own, as their last line.
fn lacks_tool(output: &str) -> bool {
    static MISSING: Pattern = Pattern::new(
        r"^(?:\S*python[\d.]*(?:\.exe)?: No module named (?:pytest|tox|nox|poetry|pip)(?:\.__main__)?|error: no such (?:sub)?command: `\w+`)",
    );
    let text = plain(output);
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .take(3)
        .any(|line| MISSING.is_match(line.trim_end()))
}
