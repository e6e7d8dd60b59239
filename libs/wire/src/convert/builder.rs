//! Builders.

use autopack_domain::{
    Fault,
    plan::{Adapter, AgentSpec, AnswerForm, BuilderSpec, ModelSpec, PatchSpec, UnknownUsage},
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
            BuilderSpec::Agent(agent) => Kind::Agent(types::AgentBuilder {
                adapter: agent.adapter.to_string(),
                program: agent.program.clone(),
                model: agent.model.clone(),
                prompt: agent.prompt.clone(),
                args: agent.args.clone(),
                env: agent.env.clone().into_iter().collect(),
                max_turns: agent.max_turns,
                unknown_usage: agent.unknown_usage.to_string(),
                timeout_seconds: agent.timeout_seconds,
            }),
            BuilderSpec::Model(model) => Kind::Model(types::ModelBuilder {
                model: model.model.clone(),
                provider: model.provider.clone(),
                prompt: model.prompt.clone(),
                answer: model.answer.to_string(),
                fallback: model.fallback.clone(),
                max_output: model.max_output,
                context_tokens: model.context_tokens,
                escalate: Some(model.escalate),
                batches: Some(model.batches),
                unknown_usage: model.unknown_usage.to_string(),
                timeout_seconds: model.timeout_seconds,
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
            Kind::Agent(told) => Self::Agent(agent(told, &at.field("agent"))?),
            Kind::Model(told) => Self::Model(model(told, &at.field("model"))?),
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

fn agent(told: types::AgentBuilder, at: &At<'_>) -> Option<AgentSpec> {
    let adapter = at
        .field("adapter")
        .word(&told.adapter, Adapter::parse, Adapter::spellings);
    let unknown_usage = unknown(&told.unknown_usage, at);
    Some(AgentSpec {
        adapter: adapter?,
        program: told.program,
        model: told.model,
        prompt: told.prompt,
        args: told.args,
        env: told.env.into_iter().collect(),
        max_turns: told.max_turns,
        unknown_usage: unknown_usage?,
        timeout_seconds: told.timeout_seconds,
    })
}

fn unknown(told: &str, at: &At<'_>) -> Option<UnknownUsage> {
    if told.is_empty() {
        return Some(UnknownUsage::Charge);
    }
    at.field("unknown_usage")
        .word(told, UnknownUsage::parse, UnknownUsage::spellings)
}

/// What an older writer leaves out has its default.
fn model(told: types::ModelBuilder, at: &At<'_>) -> Option<ModelSpec> {
    let spec = ModelSpec::new(told.model);
    let answer = if told.answer.is_empty() {
        Some(spec.answer)
    } else {
        at.field("answer")
            .word(&told.answer, AnswerForm::parse, AnswerForm::spellings)
    };
    let number = |told: u32, default: u32| if told == 0 { default } else { told };
    Some(ModelSpec {
        provider: told.provider,
        prompt: told.prompt,
        answer: answer?,
        fallback: told.fallback,
        max_output: told.max_output,
        context_tokens: number(told.context_tokens, spec.context_tokens),
        escalate: told.escalate.unwrap_or(true),
        batches: told.batches.unwrap_or(true),
        unknown_usage: unknown(&told.unknown_usage, at)?,
        timeout_seconds: number(told.timeout_seconds, spec.timeout_seconds),
        ..spec
    })
}

super::try_from_proto!(types::Builder => BuilderSpec);

/// An agent with every field set.
#[cfg(test)]
pub(super) fn sample_agent() -> BuilderSpec {
    BuilderSpec::Agent(AgentSpec {
        program: "/opt/agent".into(),
        model: "m".into(),
        prompt: "Mind the tests.".into(),
        args: vec!["--flag".into()],
        env: [("A".into(), "b".into())].into(),
        max_turns: Some(9),
        unknown_usage: UnknownUsage::Estimate,
        ..AgentSpec::new(Adapter::Claude)
    })
}

/// A model with every field set.
#[cfg(test)]
pub(super) fn sample_model() -> BuilderSpec {
    BuilderSpec::Model(ModelSpec {
        provider: "anthropic".into(),
        prompt: "Mind the tests.".into(),
        answer: AnswerForm::Lines,
        fallback: vec!["other".into()],
        max_output: Some(9000),
        context_tokens: 5000,
        escalate: false,
        batches: false,
        unknown_usage: UnknownUsage::Refuse,
        timeout_seconds: 77,
        ..ModelSpec::new("m")
    })
}
