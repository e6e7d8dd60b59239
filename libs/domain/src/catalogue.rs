//! The closed lists, generated from `catalogue/*.toml`, and what their columns mean.
//!
//! Invariant: one row says everything about a cause: what it is charged to, whether a repetition can
//! help, which end it asks for, the exit code, and the text a person reads.

use crate::{refusal::ErrorKind, states::RunState};

include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

/// What a failed attempt is charged to (DESIGN, finalise rule).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// One of the phase's attempts.
    Attempt,
    /// The phase's infrastructure budget.
    Infrastructure,
    /// One of the phase's crash credits.
    Crash,
    /// Nothing; the attempt is repeated.
    Nothing,
    /// Nothing; the attempt is repeated after the time that was asked for.
    Pause,
    /// The phase fails at once.
    Final,
}

/// The end of the run that a failed phase asks for; the smallest wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EndClass {
    /// Cancelled by somebody.
    Cancelled,
    /// A budget is spent.
    Budget,
    /// Scope, protected paths, escape.
    Policy,
    /// The repository, the worker or its tools.
    Environment,
    /// Everything else.
    Human,
}

impl Cause {
    /// What the attempt that ended for this cause is charged to.
    pub fn charge(self) -> Charge {
        match self.charge_name() {
            "attempt" => Charge::Attempt,
            "infrastructure" => Charge::Infrastructure,
            "crash" => Charge::Crash,
            "none" => Charge::Nothing,
            "pause" => Charge::Pause,
            _ => Charge::Final,
        }
    }

    /// Whether a builder that always produces the same change may be tried again.
    pub fn repeats_for_fixed_input(self) -> bool {
        self.repeat_name() != "never"
    }

    /// The end class, or `None` for a cause that never fails a run.
    pub fn end(self) -> Option<EndClass> {
        match self.end_name() {
            "cancelled" => Some(EndClass::Cancelled),
            "budget" => Some(EndClass::Budget),
            "policy" => Some(EndClass::Policy),
            "environment" => Some(EndClass::Environment),
            "human" => Some(EndClass::Human),
            _ => None,
        }
    }

    /// Exit code of the command line for a run that ended for this cause (DESIGN, Errors).
    pub fn exit_code(self) -> u8 {
        match self.end() {
            None => 0,
            Some(EndClass::Cancelled) => 1,
            Some(_) => 3,
        }
    }
}

impl EndClass {
    /// The terminal run state of this class.
    pub fn state(self) -> RunState {
        match self {
            Self::Cancelled => RunState::DoneCancelled,
            Self::Budget => RunState::DoneFailedBudgetExhausted,
            Self::Policy => RunState::DoneFailedPolicyViolation,
            Self::Environment => RunState::DoneFailedEnvironment,
            Self::Human => RunState::DoneFailedRequiresHumanReview,
        }
    }
}

impl Reason {
    /// The kind that decides code, status and retry.
    pub fn kind(self) -> ErrorKind {
        ErrorKind::parse(self.kind_name()).unwrap_or(ErrorKind::Bug)
    }
}

impl FindingCode {
    /// Whether something does not work; else nothing is lost.
    pub fn is_error(self) -> bool {
        self.severity_name() == "error"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_holds_a_known_value() {
        for cause in Cause::ALL {
            assert!(
                [
                    "attempt",
                    "infrastructure",
                    "crash",
                    "none",
                    "pause",
                    "final"
                ]
                .contains(&cause.charge_name()),
                "{cause}"
            );
            assert!(
                ["never", "infrastructure", "always"].contains(&cause.repeat_name()),
                "{cause}"
            );
            assert!(
                cause.end().is_some() || cause.end_name() == "none",
                "{cause}"
            );
            assert!(
                cause.remedy().ends_with('.') && cause.text().ends_with('.'),
                "{cause}"
            );
        }
        for reason in Reason::ALL {
            assert!(ErrorKind::parse(reason.kind_name()).is_some(), "{reason}");
        }
        for finding in FindingCode::ALL {
            let severity = finding.severity_name();
            assert!(["error", "warning"].contains(&severity), "{finding}");
            for text in [finding.text(), finding.matters(), finding.remedy()] {
                assert!(text.ends_with('.'), "{finding}: {text}");
            }
        }
    }

    #[test]
    fn codes_are_unique_over_causes_reasons_and_findings() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Cause::ALL
            .iter()
            .map(|c| c.code())
            .chain(Reason::ALL.iter().map(|r| r.code()))
            .chain(FindingCode::ALL.iter().map(|f| f.code()))
        {
            assert!(seen.insert(code), "{code} stands twice");
        }
    }

    #[test]
    fn parse_is_the_inverse_of_code() {
        assert!(
            Cause::ALL
                .iter()
                .all(|c| Cause::parse(c.code()) == Some(*c))
        );
        assert!(
            EventKind::ALL
                .iter()
                .all(|c| EventKind::parse(c.code()) == Some(*c))
        );
    }
}
