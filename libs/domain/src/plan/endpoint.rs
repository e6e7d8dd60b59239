//! Builders of kind `model`: a model behind an HTTP endpoint, asked by the worker itself.
//!
//! Invariant: a plan names models, never keys or addresses: those are the worker's.

use serde::{Deserialize, Serialize};

use super::{
    agent::UnknownUsage,
    builder::{MAX_SECONDS, needed},
    keys::Keys,
    lists::list,
    model::{BuilderSpec, closed},
    node::{Cx, Section},
    value::{MAX_NAME, MAX_TEXT, boolean, choice, filled, line, number32},
};
use crate::catalogue::Source;

closed!(
    /// The form that a model's answer has.
    AnswerForm {
        /// By the phase: `lines` for five files and more, `edits` where a long file changes, else `files`.
        Auto = "auto",
        /// Numbered lines of files, in one JSON object.
        Edits = "edits",
        /// Whole files, in one JSON object.
        Files = "files",
        /// One JSON object a line: what breaks off loses its last line only.
        Lines = "lines",
    }
);

/// A model as a plan names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// Its name at the provider, or a name of the worker's list; `auto`: the worker's routes decide.
    pub model: String,
    /// Whose endpoint is asked; empty: the one that the worker's list names, or that the model's name tells.
    #[serde(default)]
    pub provider: String,
    /// Text for the model beside the phase's goal.
    #[serde(default)]
    pub prompt: String,
    /// The form of the answer.
    #[serde(default = "auto")]
    pub answer: AnswerForm,
    /// Models that take its place where its provider may not be asked, in order.
    #[serde(default)]
    pub fallback: Vec<String>,
    /// Most tokens of one answer; `None`: what the prediction gives.
    #[serde(default)]
    pub max_output: Option<u32>,
    /// Most tokens of what it is shown.
    #[serde(default = "context_tokens")]
    pub context_tokens: u32,
    /// Whether a cut answer gets a larger budget once, and failures raise the model.
    #[serde(default = "yes")]
    pub escalate: bool,
    /// Whether a phase that is too large for one answer is built in batches.
    #[serde(default = "yes")]
    pub batches: bool,
    /// What is charged if the provider tells no tokens.
    #[serde(default = "charge")]
    pub unknown_usage: UnknownUsage,
    /// Seconds for all that one attempt asks.
    #[serde(default = "seconds")]
    pub timeout_seconds: u32,
}

/// Seconds that a model has, if the plan does not say.
pub const MODEL_SECONDS: u32 = 1800;
/// Tokens of what a model is shown, if the plan does not say.
pub const CONTEXT_TOKENS: u32 = 60_000;
/// Most tokens of one answer that a plan may ask for.
const MAX_OUTPUT: u32 = 64_000;
/// Most tokens that a plan may show.
const MAX_CONTEXT: u32 = 1_000_000;
/// Most models that may take its place.
const MAX_FALLBACK: usize = 10;

fn auto() -> AnswerForm {
    AnswerForm::Auto
}

fn yes() -> bool {
    true
}

fn charge() -> UnknownUsage {
    UnknownUsage::Charge
}

fn seconds() -> u32 {
    MODEL_SECONDS
}

fn context_tokens() -> u32 {
    CONTEXT_TOKENS
}

/// The keys of the section.
const KEYS: Keys = Keys {
    v1: &[
        "kind",
        "model",
        "provider",
        "prompt",
        "answer",
        "fallback",
        "max_output",
        "context_tokens",
        "escalate",
        "batches",
        "unknown_usage",
        "timeout_seconds",
    ],
    older: &[],
};

impl ModelSpec {
    /// A model with every default.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            provider: String::new(),
            prompt: String::new(),
            answer: AnswerForm::Auto,
            fallback: Vec::new(),
            max_output: None,
            context_tokens: CONTEXT_TOKENS,
            escalate: true,
            batches: true,
            unknown_usage: UnknownUsage::Charge,
            timeout_seconds: MODEL_SECONDS,
        }
    }
}

/// The section of a model, its kind known.
pub(super) fn read(
    cx: &mut Cx,
    section: &Section,
    sources: &mut Vec<(&'static str, Source)>,
) -> Option<BuilderSpec> {
    section.check(cx, &KEYS);
    let model = needed(cx, section, "model", "auto").and_then(|at| line(cx, &at, MAX_NAME));
    let provider = section
        .get(cx, "provider")
        .and_then(|at| line(cx, &at, MAX_NAME));
    let prompt = section
        .get(cx, "prompt")
        .and_then(|at| filled(cx, &at, MAX_TEXT));
    let answer = section
        .get(cx, "answer")
        .and_then(|at| choice(cx, &at, AnswerForm::parse, &AnswerForm::spellings()));
    let fallback = section.get(cx, "fallback").map(|at| {
        let items = list(cx, &at, MAX_FALLBACK, "[another-model]").unwrap_or_default();
        let names = items.iter().filter_map(|item| line(cx, item, MAX_NAME));
        names.collect()
    });
    let max_output = section
        .get(cx, "max_output")
        .and_then(|at| number32(cx, &at, 256, MAX_OUTPUT));
    let context = section
        .get(cx, "context_tokens")
        .and_then(|at| number32(cx, &at, 1000, MAX_CONTEXT));
    let escalate = section.get(cx, "escalate").and_then(|at| boolean(cx, &at));
    let batches = section.get(cx, "batches").and_then(|at| boolean(cx, &at));
    let unknown_usage = section
        .get(cx, "unknown_usage")
        .and_then(|at| choice(cx, &at, UnknownUsage::parse, &UnknownUsage::spellings()));
    let timeout = section
        .get(cx, "timeout_seconds")
        .and_then(|at| number32(cx, &at, 1, MAX_SECONDS));
    for (key, given) in [
        ("answer", answer.is_some()),
        ("context_tokens", context.is_some()),
        ("escalate", escalate.is_some()),
        ("batches", batches.is_some()),
        ("unknown_usage", unknown_usage.is_some()),
        ("timeout_seconds", timeout.is_some()),
    ] {
        let source = if given { Source::Plan } else { Source::Builtin };
        sources.push((key, source));
    }
    let spec = ModelSpec::new(model?);
    Some(BuilderSpec::Model(ModelSpec {
        provider: provider.unwrap_or_default(),
        prompt: prompt.unwrap_or_default(),
        answer: answer.unwrap_or(spec.answer),
        fallback: fallback.unwrap_or_default(),
        max_output,
        context_tokens: context.unwrap_or(spec.context_tokens),
        escalate: escalate.unwrap_or(spec.escalate),
        batches: batches.unwrap_or(spec.batches),
        unknown_usage: unknown_usage.unwrap_or(spec.unknown_usage),
        timeout_seconds: timeout.unwrap_or(spec.timeout_seconds),
        ..spec
    }))
}
