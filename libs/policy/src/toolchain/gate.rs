//! The gate that a toolchain implies: steps, what they keep between runs, and what they need.
//!
//! Invariant: no text of the repository enters a command line unless it consists of plain characters;
//! `{cache}` in a value stands for the cache folder that the caller keeps for the key.

use std::collections::BTreeMap;

use autopack_domain::plan::{StepKind, StepSpec};

/// Seconds of an inferred set-up step.
pub const SETUP_SECONDS: u32 = 1800;
/// Seconds of an inferred step, as of a step in a plan that names none.
pub const STEP_SECONDS: u32 = 600;

/// What the steps may keep from one gate to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CacheSpec {
    /// Files whose content is the key, relative to the root. The set-up runs again when one changes.
    pub key_files: Vec<String>,
    /// Variables that point into the cache: `{cache}/target`.
    pub env: BTreeMap<String, String>,
    /// Folders or files, relative to the root, that stay in the gate's folder when it is cleaned.
    pub dirs_kept: Vec<String>,
}

/// An inferred gate.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct InferredGate {
    /// Steps that may use the network.
    pub setup: Vec<StepSpec>,
    /// Steps that prove the change.
    pub steps: Vec<StepSpec>,
    /// What is kept, if anything.
    pub cache: Option<CacheSpec>,
    /// Variables of the worker's own environment that the tools need.
    pub env_passthrough: Vec<&'static str>,
    /// Variables that are set.
    pub env: BTreeMap<String, String>,
    /// Programs that must exist on the worker.
    pub tools: Vec<String>,
}

/// No gate can be inferred; the plan must declare one, or `gate.steps: []`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct NoGate {
    /// Why.
    pub reason: String,
}

impl InferredGate {
    /// A gate with one test step.
    pub(super) fn test(run: impl Into<String>) -> Self {
        let mut gate = Self::default();
        gate.step(run, StepKind::Test);
        gate
    }

    pub(super) fn step(&mut self, run: impl Into<String>, kind: StepKind) {
        self.steps.push(step(run.into(), kind, STEP_SECONDS));
    }

    /// Puts a check before the tests.
    pub(super) fn check_first(&mut self, run: impl Into<String>) {
        self.steps
            .insert(0, step(run.into(), StepKind::Check, STEP_SECONDS));
    }

    pub(super) fn set_up(&mut self, run: impl Into<String>) {
        self.setup
            .push(step(run.into(), StepKind::Check, SETUP_SECONDS));
    }

    pub(super) fn set(&mut self, key: &str, value: &str) {
        self.env.insert(key.to_owned(), value.to_owned());
    }

    pub(super) fn needs(&mut self, tools: &[&str]) {
        self.tools
            .extend(tools.iter().map(|tool| (*tool).to_owned()));
    }

    pub(super) fn keep(
        &mut self,
        key_files: Vec<String>,
        env: &[(&str, &str)],
        dirs_kept: &[&str],
    ) {
        let env = env
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        self.cache = Some(CacheSpec {
            key_files,
            env: env.collect(),
            dirs_kept: dirs_kept.iter().map(|dir| (*dir).to_owned()).collect(),
        });
    }

    /// The same gate for a folder below the root.
    pub(super) fn in_dir(mut self, dir: &str) -> Self {
        if dir.is_empty() {
            return self;
        }
        for step in self.setup.iter_mut().chain(&mut self.steps) {
            dir.clone_into(&mut step.dir);
            // Variables of one folder must not reach the steps of another.
            step.env.append(&mut self.env.clone());
        }
        self.env.clear();
        if let Some(cache) = &mut self.cache {
            for path in cache.key_files.iter_mut().chain(&mut cache.dirs_kept) {
                *path = format!("{dir}/{path}");
            }
        }
        self
    }

    /// Both gates, one after the other.
    pub(super) fn and(mut self, mut other: Self) -> Self {
        self.setup.append(&mut other.setup);
        self.steps.append(&mut other.steps);
        self.env.append(&mut other.env);
        self.env_passthrough.append(&mut other.env_passthrough);
        self.env_passthrough.sort_unstable();
        self.env_passthrough.dedup();
        self.tools.append(&mut other.tools);
        self.tools.sort();
        self.tools.dedup();
        self.cache = match (self.cache, other.cache) {
            (Some(mut a), Some(mut b)) => {
                a.key_files.append(&mut b.key_files);
                a.env.append(&mut b.env);
                a.dirs_kept.append(&mut b.dirs_kept);
                Some(a)
            }
            (a, b) => a.or(b),
        };
        self
    }
}

fn step(run: String, kind: StepKind, timeout_seconds: u32) -> StepSpec {
    StepSpec {
        run,
        kind,
        dir: String::new(),
        timeout_seconds,
        env: BTreeMap::new(),
        report: None,
    }
}
