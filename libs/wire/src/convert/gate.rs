//! Gates and their steps.

use autopack_domain::plan::{
    GateProfile, GateSpec, KnownFailures, Quarantined, ReportKind, ReportSpec, StepKind, StepSpec,
    TestRules,
};

use super::at::{At, Decode};
use crate::types;

impl From<&GateSpec> for types::Gate {
    fn from(gate: &GateSpec) -> Self {
        Self {
            profile: gate.profile.as_str().to_owned(),
            setup: gate.setup.iter().map(Into::into).collect(),
            inferred: gate.steps.is_none(),
            steps: gate.steps.iter().flatten().map(Into::into).collect(),
            tests: (!gate.tests.is_default()).then(|| (&gate.tests).into()),
        }
    }
}

impl Decode<types::Gate> for GateSpec {
    fn decode(message: types::Gate, at: &At<'_>) -> Option<Self> {
        let profile =
            at.field("profile")
                .word(&message.profile, GateProfile::parse, GateProfile::spellings);
        let setup = at.field("setup").list(message.setup);
        let steps = match (message.inferred, message.steps.is_empty()) {
            (true, true) => Some(None),
            (true, false) => at
                .field("steps")
                .fault("must be empty while `inferred` is set"),
            (false, _) => at.field("steps").list(message.steps).map(Some),
        };
        let tests = at.field("tests").message_optional(message.tests);
        Some(Self {
            profile: profile?,
            setup: setup?,
            steps: steps?,
            tests: tests?.unwrap_or_default(),
        })
    }
}

impl From<&StepSpec> for types::Step {
    fn from(step: &StepSpec) -> Self {
        Self {
            run: step.run.clone(),
            kind: step.kind.as_str().to_owned(),
            dir: step.dir.clone(),
            timeout_seconds: step.timeout_seconds,
            env: step.env.clone().into_iter().collect(),
            report: step.report.as_ref().map(Into::into),
        }
    }
}

impl Decode<types::Step> for StepSpec {
    fn decode(message: types::Step, at: &At<'_>) -> Option<Self> {
        let kind = at
            .field("kind")
            .word(&message.kind, StepKind::parse, StepKind::spellings)?;
        let report = at.field("report").message_optional(message.report)?;
        Some(Self {
            run: message.run,
            kind,
            dir: message.dir,
            timeout_seconds: message.timeout_seconds,
            env: message.env.into_iter().collect(),
            report,
        })
    }
}

impl From<&ReportSpec> for types::StepReport {
    fn from(report: &ReportSpec) -> Self {
        Self {
            kind: report.kind.as_str().to_owned(),
            path: report.path.clone(),
        }
    }
}

impl Decode<types::StepReport> for ReportSpec {
    fn decode(message: types::StepReport, at: &At<'_>) -> Option<Self> {
        let kind =
            at.field("kind")
                .word(&message.kind, ReportKind::parse, ReportKind::spellings)?;
        Some(Self {
            kind,
            path: message.path,
        })
    }
}

impl From<&TestRules> for types::TestRules {
    fn from(rules: &TestRules) -> Self {
        let quarantine = rules.quarantine.iter().map(|entry| types::QuarantinedTest {
            id: entry.id.clone(),
            until: entry.until.clone(),
            reason: entry.reason.clone(),
        });
        Self {
            without_integrity: !rules.integrity,
            may_remove: rules.may_remove.clone(),
            may_skip: rules.may_skip.clone(),
            may_empty: rules.may_empty.clone(),
            promised: rules.promised.clone(),
            quarantine: quarantine.collect(),
            known_failures: rules.known_failures.as_str().to_owned(),
            reruns: rules.reruns,
        }
    }
}

impl Decode<types::TestRules> for TestRules {
    fn decode(message: types::TestRules, at: &At<'_>) -> Option<Self> {
        let known_failures = at.field("known_failures").word(
            &message.known_failures,
            KnownFailures::parse,
            KnownFailures::spellings,
        )?;
        let quarantine = message.quarantine.into_iter().map(|entry| Quarantined {
            id: entry.id,
            until: entry.until,
            reason: entry.reason,
        });
        Some(Self {
            integrity: !message.without_integrity,
            may_remove: message.may_remove,
            may_skip: message.may_skip,
            may_empty: message.may_empty,
            promised: message.promised,
            quarantine: quarantine.collect(),
            known_failures,
            reruns: message.reruns,
        })
    }
}

super::try_from_proto!(types::Gate => GateSpec);
