//! Builders.

use autopack_domain::{
    Fault,
    plan::{BuilderSpec, PatchSpec},
};

use super::at::{At, Decode};
use crate::types::{self, builder::Kind};

impl From<&BuilderSpec> for types::Builder {
    fn from(builder: &BuilderSpec) -> Self {
        let kind = match builder {
            BuilderSpec::Patch { patches } => Kind::Patch(types::PatchBuilder {
                patches: patches
                    .iter()
                    .map(|p| types::PatchFile {
                        path: p.path.clone(),
                        digest: p.digest.clone(),
                    })
                    .collect(),
            }),
            BuilderSpec::Command {
                run,
                env,
                timeout_seconds,
            } => Kind::Command(types::CommandBuilder {
                run: run.clone(),
                env: env.clone().into_iter().collect(),
                timeout_seconds: *timeout_seconds,
            }),
            BuilderSpec::Model { model } => Kind::Model(types::ModelBuilder {
                model: model.clone(),
            }),
            BuilderSpec::External {
                timeout_seconds,
                audit,
            } => Kind::External(types::ExternalBuilder {
                timeout_seconds: *timeout_seconds,
                audit: *audit,
            }),
            BuilderSpec::Replay { run } => Kind::Replay(types::ReplayBuilder {
                run: run.to_string(),
            }),
            BuilderSpec::Noop => Kind::Noop(types::NoopBuilder {}),
        };
        Self { kind: Some(kind) }
    }
}

impl Decode<types::Builder> for BuilderSpec {
    fn decode(message: types::Builder, at: &At<'_>) -> Option<Self> {
        let Some(kind) = message.kind else {
            return at.refuse(
                Fault::new(at.path(), "names no kind").allowed(Self::KINDS.iter().copied()),
            );
        };
        Some(match kind {
            Kind::Patch(patch) => Self::Patch {
                patches: patch
                    .patches
                    .into_iter()
                    .map(|p| PatchSpec {
                        path: p.path,
                        digest: p.digest,
                    })
                    .collect(),
            },
            Kind::Command(command) => Self::Command {
                run: command.run,
                env: command.env.into_iter().collect(),
                timeout_seconds: command.timeout_seconds,
            },
            Kind::Model(model) => Self::Model { model: model.model },
            Kind::External(external) => Self::External {
                timeout_seconds: external.timeout_seconds,
                audit: external.audit,
            },
            Kind::Replay(replay) => Self::Replay {
                run: at.field("replay").field("run").parse(&replay.run)?,
            },
            Kind::Noop(types::NoopBuilder {}) => Self::Noop,
        })
    }
}

super::try_from_proto!(types::Builder => BuilderSpec);
