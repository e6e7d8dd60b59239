//! The manifests: everything that tells one agent's command line from another's, as data.
//!
//! Invariant: each adapter that a plan may name has exactly one manifest; a key that is not known is refused, and a
//! test reads them all.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use autopack_domain::plan::Adapter;
use autopack_domain::usage::Provenance;
use serde::Deserialize;

/// How one agent is started and read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The adapter's name, as in plans.
    pub name: String,
    /// The product's name, for people.
    pub title: String,
    /// The program that is looked for; empty: the plan names it.
    #[serde(default)]
    pub program: String,
    /// Whom the tokens are booked on; empty: nobody.
    #[serde(default)]
    pub provider: String,
    /// How the prompt reaches it.
    pub prompt: Prompt,
    /// Its own prompts for permission are switched off, so it may only run inside our sandbox.
    #[serde(default)]
    pub skips_permissions: bool,
    /// How it is asked about itself.
    #[serde(default)]
    pub probe: ProbeSpec,
    /// What it prints.
    pub output: Output,
    /// What it tells about tokens.
    pub usage: UsageSpec,
    /// Caps of its own that can be set: `turns`.
    #[serde(default)]
    pub caps: Vec<Cap>,
    /// Its environment.
    #[serde(default)]
    pub env: EnvSpec,
    /// Its arguments, in groups that come or go together.
    #[serde(default)]
    pub args: Vec<Group>,
}

/// How the prompt reaches an agent. Never by its arguments: they are short, and anybody can read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// On standard input, which is then at its end.
    Stdin,
    /// In a file that an argument names; standard input is closed.
    File,
    /// In the protocol that is spoken over standard input and output.
    Dialogue,
}

/// How a program is asked about itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeSpec {
    /// Arguments that print the version; empty: it is not asked.
    #[serde(default)]
    pub version: Vec<String>,
    /// Arguments that print the flags; empty: it is not asked.
    #[serde(default)]
    pub help: Vec<String>,
    /// The oldest version that is accepted; empty: any.
    #[serde(default)]
    pub oldest: String,
    /// The newest version whose events are known; empty: not recorded.
    #[serde(default)]
    pub known: String,
}

/// What an agent prints.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// The form of its lines.
    pub form: Form,
    /// Where they come from.
    pub source: Source,
    /// Whether it tells its end by an event; else its exit code is all it says.
    pub says_end: bool,
}

/// The form of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// One JSON object a line.
    JsonLines,
    /// One JSON document over several lines, read when the output is over.
    JsonDocument,
    /// Text for people.
    Text,
}

/// Where the lines come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Standard output.
    Stdout,
    /// A file that an argument names.
    File,
}

/// What an agent tells about tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageSpec {
    /// How its figures add up.
    pub kind: UsageKind,
    /// The best that its figures can be.
    #[serde(default = "reported")]
    pub provenance: Provenance,
}

fn reported() -> Provenance {
    Provenance::Reported
}

/// How figures add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageKind {
    /// One total at the end.
    Final,
    /// The running total of the session.
    Running,
    /// One figure a step.
    Steps,
    /// The agent uses no model.
    None,
}

impl UsageKind {
    /// The name in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Final => "final total",
            Self::Running => "running total",
            Self::Steps => "per step",
            Self::None => "none used",
        }
    }
}

/// A cap that an agent holds by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cap {
    /// Turns.
    Turns,
}

/// An agent's environment, beside what every builder gets.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvSpec {
    /// Variables of the worker that pass through, each by its full name.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Variables that are set; `{home}` is the attempt's private home.
    #[serde(default)]
    pub set: BTreeMap<String, String>,
}

/// Arguments that come or go together.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The words; `{model}`, `{max_turns}`, `{prompt_file}`, `{events_file}`, `{session}`, `{folder}`, `{home}`.
    pub words: Vec<String>,
    /// Only when the plan gives this.
    #[serde(default)]
    pub when: Option<When>,
    /// Flags of these words that `--help` must name.
    #[serde(default)]
    pub flags: Vec<String>,
    /// What is lost without them, by name; empty: the program is refused.
    #[serde(default)]
    pub degrades: String,
}

/// What a group of arguments may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// The plan names a model.
    Model,
    /// The plan caps the turns.
    MaxTurns,
}

impl Manifest {
    /// The adapter that this is the manifest of.
    pub fn adapter(&self) -> Adapter {
        Adapter::parse(&self.name).unwrap_or(Adapter::Plain)
    }

    /// The manifest of an adapter.
    pub fn of(adapter: Adapter) -> &'static Self {
        // Each has one: a test reads them all.
        &ALL[adapter as usize]
    }

    /// Whether it can be seen to have ended while it still runs.
    pub fn says_end_early(&self) -> bool {
        self.output.says_end && self.output.form == Form::JsonLines
    }

    /// Every manifest, in the order of the adapters.
    pub fn all() -> &'static [Self] {
        &ALL
    }
}

/// The compiled-in texts, in the order of [`Adapter::ALL`].
const TEXTS: [&str; 10] = [
    include_str!("../manifests/claude.toml"),
    include_str!("../manifests/codex.toml"),
    include_str!("../manifests/gemini.toml"),
    include_str!("../manifests/qwen.toml"),
    include_str!("../manifests/opencode.toml"),
    include_str!("../manifests/aider.toml"),
    include_str!("../manifests/goose.toml"),
    include_str!("../manifests/cursor-agent.toml"),
    include_str!("../manifests/acp.toml"),
    include_str!("../manifests/plain.toml"),
];

#[expect(
    clippy::expect_used,
    reason = "the texts are compiled in and read by a test"
)]
static ALL: LazyLock<Vec<Manifest>> = LazyLock::new(|| {
    let read = |text: &&str| toml::from_str(text).expect("a manifest that is compiled in");
    TEXTS.iter().map(read).collect()
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Version;

    #[test]
    fn every_adapter_has_its_manifest() {
        let names: Vec<&str> = Manifest::all().iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names, Adapter::spellings());
        for adapter in Adapter::ALL {
            assert_eq!(Manifest::of(*adapter).adapter(), *adapter);
        }
    }

    #[test]
    fn manifests_hold_together() {
        for m in Manifest::all() {
            let name = &m.name;
            let words = || m.args.iter().flat_map(|group| &group.words);
            let uses = |variable: &str| words().any(|word| word.contains(variable));
            assert_eq!(m.program.is_empty(), m.adapter().needs_program(), "{name}");
            assert_eq!(m.prompt == Prompt::File, uses("{prompt_file}"), "{name}");
            assert_eq!(
                m.output.source == Source::File,
                uses("{events_file}"),
                "{name}"
            );
            assert_eq!(m.caps.contains(&Cap::Turns), uses("{max_turns}"), "{name}");
            assert_eq!(m.program.is_empty(), m.probe.version.is_empty(), "{name}");
            for group in &m.args {
                for flag in &group.flags {
                    assert!(group.words.contains(flag), "{name}: {flag}");
                }
                let waits = group.words.iter().any(|w| w == "{model}");
                assert_eq!(
                    waits,
                    group.when == Some(When::Model),
                    "{name}: {:?}",
                    group.words
                );
            }
            for version in [&m.probe.oldest, &m.probe.known] {
                assert!(
                    version.is_empty() || Version::find(version).is_some(),
                    "{name}"
                );
            }
        }
    }
}
