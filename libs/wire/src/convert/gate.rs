//! Gates and their steps.

use autopack_domain::plan::{GateProfile, GateSpec, StepKind, StepSpec};

use super::at::{At, Decode};
use crate::types;

impl From<&GateSpec> for types::Gate {
    fn from(gate: &GateSpec) -> Self {
        Self {
            profile: gate.profile.as_str().to_owned(),
            setup: gate.setup.iter().map(Into::into).collect(),
            inferred: gate.steps.is_none(),
            steps: gate.steps.iter().flatten().map(Into::into).collect(),
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
        Some(Self {
            profile: profile?,
            setup: setup?,
            steps: steps?,
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
        }
    }
}

impl Decode<types::Step> for StepSpec {
    fn decode(message: types::Step, at: &At<'_>) -> Option<Self> {
        let kind = at
            .field("kind")
            .word(&message.kind, StepKind::parse, StepKind::spellings)?;
        Some(Self {
            run: message.run,
            kind,
            dir: message.dir,
            timeout_seconds: message.timeout_seconds,
            env: message.env.into_iter().collect(),
        })
    }
}

super::try_from_proto!(types::Gate => GateSpec);
