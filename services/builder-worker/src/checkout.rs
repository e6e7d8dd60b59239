//! The gate of a repository, run in a checkout as it lies there: what a target repository's own CI asks for.
//!
//! Invariant: steps are inferred by the code that infers them for phases, and judged by the same verdict. They run in
//! the sandbox with a scrubbed environment; what they write into the checkout is theirs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use autopack_domain::gate::Verdict;
use autopack_domain::plan::{GateProfile, GateSpec, StepKind, StepSpec};
use autopack_policy::gate::{StepEnd, StepResult, verdict};
use autopack_policy::toolchain::view::IGNORED;
use autopack_policy::toolchain::{self, marker_files};
use autopack_sandbox::env::scrubbed;
use autopack_sandbox::{CancellationToken, Sandbox, Spec};

use crate::config::WorkerConfig;
use crate::phase::{end_text, step_end};
use crate::repo::toolset::{View, gate_spec};

/// Files of a checkout that are looked at, at most.
const MAX_FILES: usize = 100_000;
/// Longest marker file that is read.
const MARKER: u64 = 512 * 1024;

/// A gate that was inferred for a checkout.
#[derive(Debug)]
pub struct CheckoutGate {
    root: PathBuf,
    scratch: PathBuf,
    spec: GateSpec,
    passthrough: Vec<String>,
    cache: BTreeMap<String, String>,
    sandbox: Sandbox,
    set_up: bool,
}

/// A step that was run.
#[derive(Clone, Debug)]
pub struct Ran {
    /// Its command line.
    pub run: String,
    /// How it ended, for people.
    pub end: String,
    kind: StepKind,
    how: StepEnd,
    output: String,
}

/// What one attempt said.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The verdict over its steps.
    pub verdict: Verdict,
    /// Its steps, up to the first that did not end well.
    pub steps: Vec<Ran>,
}

impl CheckoutGate {
    /// Infers the gate of the files below `root`; `scratch` is an empty folder outside of it. An error says why there
    /// is no gate, or what could not be read.
    pub fn infer(root: &Path, scratch: &Path, profile: GateProfile) -> Result<Self, String> {
        let root = root
            .canonicalize()
            .map_err(|e| format!("{}: {e}", root.display()))?;
        let view = look(&root).map_err(|e| format!("{}: {e}", root.display()))?;
        let gate = toolchain::infer_gate(&view, profile).map_err(|none| none.reason)?;
        for name in ["home", "tmp", "cache"] {
            let folder = scratch.join(name);
            fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        }
        let at = scratch.join("cache").to_string_lossy().into_owned();
        let cache = gate.cache.iter().flat_map(|cache| &cache.env);
        let cache = cache.map(|(name, value)| (name.clone(), value.replace("{cache}", &at)));
        let own = gate.env_passthrough.iter().map(|name| (*name).to_owned());
        let defaults = WorkerConfig::new(scratch, 1).env_passthrough;
        Ok(Self {
            scratch: scratch.to_owned(),
            cache: cache.collect(),
            passthrough: defaults.into_iter().chain(own).collect(),
            spec: gate_spec(&gate, profile),
            root,
            sandbox: Sandbox::default(),
            set_up: false,
        })
    }

    /// The command lines, set-up first.
    pub fn lines(&self) -> Vec<&str> {
        let steps = self.spec.steps.iter().flatten();
        let all = self.spec.setup.iter().chain(steps);
        all.map(|step| step.run.as_str()).collect()
    }

    /// Runs set-up, unless an earlier attempt has, and steps. `say` hears each step's line and output.
    pub async fn attempt(&mut self, say: &mut (dyn FnMut(&str) + Send)) -> Result<Attempt, String> {
        let mut done = Vec::new();
        let setup = if self.set_up {
            Vec::new()
        } else {
            self.spec.setup.clone()
        };
        let steps = self.spec.steps.clone().unwrap_or_default();
        let all = setup.iter().map(|step| (step, true));
        for (step, is_setup) in all.chain(steps.iter().map(|step| (step, false))) {
            let mut ran = self.step(step, say).await?;
            let well = ran.how == StepEnd::Exited(0);
            if !well && is_setup {
                ran.how = StepEnd::SetupFailed;
            }
            done.push((ran, is_setup));
            if !well {
                break;
            }
        }
        self.set_up |= done
            .iter()
            .all(|(ran, is_setup)| !is_setup || ran.how == StepEnd::Exited(0));
        // A set-up that ended well says nothing about the checkout.
        let judged = done
            .iter()
            .filter(|(ran, is_setup)| !is_setup || ran.how == StepEnd::SetupFailed);
        let results: Vec<StepResult<'_>> = judged
            .map(|(ran, _)| StepResult {
                kind: ran.kind,
                run: &ran.run,
                end: ran.how,
                output: &ran.output,
                report: None,
            })
            .collect();
        Ok(Attempt {
            verdict: verdict(&results),
            steps: done.into_iter().map(|(ran, _)| ran).collect(),
        })
    }

    async fn step(
        &self,
        step: &StepSpec,
        say: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Ran, String> {
        say(&format!("$ {}", step.run));
        let mut extra = self.cache.clone();
        extra.extend(step.env.clone());
        let names: Vec<&str> = self.passthrough.iter().map(String::as_str).collect();
        let (home, tmp) = (self.scratch.join("home"), self.scratch.join("tmp"));
        let mut spec = Spec::shell(&step.run, self.root.join(&step.dir));
        spec.env = scrubbed(&names, &home, &tmp, &extra);
        spec.limits.wall = Duration::from_secs(step.timeout_seconds.into());
        let outcome = self.sandbox.run(spec, CancellationToken::new()).await;
        let outcome = outcome.map_err(|e| e.to_string())?;
        let how = step_end(&outcome.end)
            .map_err(|_| format!("`{}` could not be started: {:?}", step.run, outcome.end))?;
        let output = outcome.output.text();
        say(output.trim_end());
        Ok(Ran {
            run: step.run.clone(),
            end: end_text(how),
            kind: step.kind,
            how,
            output,
        })
    }
}

/// The files of a checkout, without other people's code and build results; links are not followed.
fn look(root: &Path) -> std::io::Result<View> {
    let mut paths = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if !IGNORED.iter().any(|ignored| name == *ignored) {
                    open.push(entry.path());
                }
            } else if kind.is_file()
                && paths.len() < MAX_FILES
                && let Ok(path) = entry.path().strip_prefix(root)
                && let Some(path) = path.to_str()
            {
                paths.push(path.to_owned());
            }
        }
    }
    paths.sort();
    let mut texts = Vec::new();
    for path in marker_files(&paths) {
        let file = root.join(&path);
        if fs::metadata(&file)?.len() <= MARKER
            && let Ok(text) = fs::read_to_string(&file)
        {
            texts.push((path, text));
        }
    }
    Ok(View { paths, texts })
}
