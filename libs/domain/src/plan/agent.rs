//! Builders of kind `agent`: a coding agent's command line, driven by an adapter.
//!
//! Invariant: an adapter that is not known is a fault; two of them have no program of their own and need one named.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    builder::{MAX_SECONDS, needed},
    keys::Keys,
    lists::{ENV, list, text_map},
    model::{BuilderSpec, closed},
    node::{Cx, Section, join},
    value::{MAX_NAME, MAX_TEXT, choice, filled, line, number32},
};
use crate::catalogue::Source;

closed!(
    /// How an agent is driven and read.
    Adapter {
        /// Claude Code.
        Claude = "claude",
        /// OpenAI Codex.
        Codex = "codex",
        /// Gemini CLI.
        Gemini = "gemini",
        /// Qwen Code, a fork of Gemini CLI.
        Qwen = "qwen",
        /// opencode.
        Opencode = "opencode",
        /// aider.
        Aider = "aider",
        /// goose.
        Goose = "goose",
        /// Cursor's command line.
        CursorAgent = "cursor-agent",
        /// Any agent that speaks the Agent Client Protocol over stdio.
        Acp = "acp",
        /// Any program: the prompt on its standard input, no model.
        Plain = "plain",
    }
);

impl Adapter {
    /// Whether the plan must name the program.
    pub const fn needs_program(self) -> bool {
        matches!(self, Self::Acp | Self::Plain)
    }
}

closed!(
    /// What an attempt is charged if its agent tells no tokens.
    UnknownUsage {
        /// What was reserved for it: the default, so that a budget holds.
        Charge = "charge",
        /// An estimate from the length of prompt and answer.
        Estimate = "estimate",
        /// What was reserved, and the attempt fails.
        Refuse = "refuse",
    }
);

/// An agent as a plan names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentSpec {
    /// How it is driven.
    pub adapter: Adapter,
    /// The program, looked up on the worker's PATH; empty: the adapter's own.
    #[serde(default)]
    pub program: String,
    /// The model; empty: the agent's own choice.
    #[serde(default)]
    pub model: String,
    /// Text for the agent beside the phase's goal.
    #[serde(default)]
    pub prompt: String,
    /// Arguments after the adapter's own.
    #[serde(default)]
    pub args: Vec<String>,
    /// Additional environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The agent's own cap on turns, where it has one; `None`: its default.
    #[serde(default)]
    pub max_turns: Option<u32>,
    /// What is charged if it tells no tokens.
    pub unknown_usage: UnknownUsage,
    /// Seconds until it is ended.
    pub timeout_seconds: u32,
}

/// Seconds an agent has, if the plan does not say.
pub const AGENT_SECONDS: u32 = 1800;
/// Most arguments.
const MAX_ARGS: usize = 200;
/// Most turns.
const MAX_TURNS: u32 = 100_000;

/// The keys of the section.
const KEYS: Keys = Keys {
    v1: &[
        "kind",
        "adapter",
        "program",
        "model",
        "prompt",
        "args",
        "env",
        "max_turns",
        "unknown_usage",
        "timeout_seconds",
    ],
    older: &[],
};

impl AgentSpec {
    /// An agent with every default.
    pub fn new(adapter: Adapter) -> Self {
        Self {
            adapter,
            program: String::new(),
            model: String::new(),
            prompt: String::new(),
            args: Vec::new(),
            env: BTreeMap::new(),
            max_turns: None,
            unknown_usage: UnknownUsage::Charge,
            timeout_seconds: AGENT_SECONDS,
        }
    }
}

/// The section of an agent, its kind known.
pub(super) fn read(
    cx: &mut Cx,
    section: &Section,
    sources: &mut Vec<(&'static str, Source)>,
) -> Option<BuilderSpec> {
    section.check(cx, &KEYS);
    let adapter = needed(cx, section, "adapter", "claude")
        .and_then(|at| choice(cx, &at, Adapter::parse, &Adapter::spellings()));
    let program = section
        .get(cx, "program")
        .and_then(|at| line(cx, &at, MAX_TEXT));
    let model = section
        .get(cx, "model")
        .and_then(|at| line(cx, &at, MAX_NAME));
    let prompt = section
        .get(cx, "prompt")
        .and_then(|at| filled(cx, &at, MAX_TEXT));
    let args = section.get(cx, "args").map(|at| {
        let items = list(cx, &at, MAX_ARGS, "[\"--flag\", value]").unwrap_or_default();
        let words = items.iter().filter_map(|item| filled(cx, item, MAX_TEXT));
        words.collect()
    });
    let env = section.get(cx, "env").map(|at| text_map(cx, &at, &ENV));
    let max_turns = section
        .get(cx, "max_turns")
        .and_then(|at| number32(cx, &at, 1, MAX_TURNS));
    let unknown_usage = section
        .get(cx, "unknown_usage")
        .and_then(|at| choice(cx, &at, UnknownUsage::parse, &UnknownUsage::spellings()));
    let timeout = section
        .get(cx, "timeout_seconds")
        .and_then(|at| number32(cx, &at, 1, MAX_SECONDS));
    for (key, given) in [
        ("unknown_usage", unknown_usage.is_some()),
        ("timeout_seconds", timeout.is_some()),
    ] {
        let source = if given { Source::Plan } else { Source::Builtin };
        sources.push((key, source));
    }
    let adapter = adapter?;
    if program.is_none() && adapter.needs_program() && !section.map.contains_key("program") {
        let problem = format!("is missing: the adapter `{adapter}` has no program of its own");
        cx.fault_like(&join(&section.path, "program"), problem, "./agent.sh");
        return None;
    }
    Some(BuilderSpec::Agent(AgentSpec {
        adapter,
        program: program.unwrap_or_default(),
        model: model.unwrap_or_default(),
        prompt: prompt.unwrap_or_default(),
        args: args.unwrap_or_default(),
        env: env.unwrap_or_default(),
        max_turns,
        unknown_usage: unknown_usage.unwrap_or(UnknownUsage::Charge),
        timeout_seconds: timeout.unwrap_or(AGENT_SECONDS),
    }))
}
