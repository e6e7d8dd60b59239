//! What a repository's tree says about its tools: toolchains, inferred gates, caches.
//!
//! Invariant: read from tracked files of one tree only, through git, bounded.

use autopack_domain::plan::{GateProfile, GateSpec, StepSpec, TestRules};
use autopack_git::{GitError, Oid, OwnClone};
use autopack_policy::toolchain::{
    self, CacheSpec, InferredGate, Toolchain, TreeView, marker_files,
};

/// Longest marker file that is read.
const MARKER: usize = 512 * 1024;
/// Most marker files that are read.
const MARKERS: usize = 200;

/// What was found in one tree.
pub(crate) struct Toolset {
    /// Every path that is text.
    pub(crate) paths: Vec<String>,
    /// The toolchains, the most certain first.
    pub(crate) toolchains: Vec<Toolchain>,
    /// The gate of each profile, or why there is none.
    gates: Vec<(GateProfile, Result<InferredGate, String>)>,
}

/// Paths, and the texts of marker files.
pub(crate) struct View {
    pub(crate) paths: Vec<String>,
    pub(crate) texts: Vec<(String, String)>,
}

impl TreeView for View {
    fn paths(&self) -> &[String] {
        &self.paths
    }

    fn read(&self, path: &str) -> Option<&str> {
        let found = self.texts.iter().find(|(name, _)| name == path);
        found.map(|(_, text)| text.as_str())
    }
}

impl Toolset {
    /// Looks at a tree.
    pub(crate) async fn read(own: &OwnClone, tree: &Oid) -> Result<Self, GitError> {
        let listed = own.list_tree(tree, None).await?;
        let paths: Vec<String> = listed
            .iter()
            .filter_map(|entry| String::from_utf8(entry.path.clone()).ok())
            .collect();
        let mut texts = Vec::new();
        for path in marker_files(&paths).into_iter().take(MARKERS) {
            let entry = listed
                .iter()
                .find(|entry| entry.path == path.as_bytes() && entry.mode.is_file());
            let Some(entry) = entry else { continue };
            let blob = own.read_blob(&entry.oid, MARKER).await?;
            if let (false, Ok(text)) = (blob.truncated, String::from_utf8(blob.bytes)) {
                texts.push((path, text));
            }
        }
        let view = View { paths, texts };
        let gates = GateProfile::ALL.iter().map(|profile| {
            let gate = toolchain::infer_gate(&view, *profile);
            (*profile, gate.map_err(|none| none.reason))
        });
        Ok(Self {
            toolchains: toolchain::detect(&view),
            gates: gates.collect(),
            paths: view.paths,
        })
    }

    /// The gate that the toolchains imply, or why there is none.
    pub(crate) fn gate(&self, profile: GateProfile) -> Result<&InferredGate, &str> {
        let found = self.gates.iter().find(|(known, _)| *known == profile);
        match found {
            Some((_, Ok(gate))) => Ok(gate),
            Some((_, Err(reason))) => Err(reason),
            None => Err("the profile is not known"),
        }
    }

    /// The cache of a gate that was inferred from these toolchains; a declared gate has none.
    pub(crate) fn cache(&self, gate: &GateSpec) -> Option<&CacheSpec> {
        let inferred = self.gate(gate.profile).ok()?;
        let same = gate_spec(inferred, gate.profile);
        (same.setup == gate.setup && same.steps == gate.steps)
            .then_some(inferred.cache.as_ref())
            .flatten()
    }

    /// Variables of the worker that the toolchains need.
    pub(crate) fn passthrough(&self) -> Vec<String> {
        let gates = self.gates.iter().filter_map(|(_, gate)| gate.as_ref().ok());
        let mut names: Vec<String> = gates
            .flat_map(|gate| gate.env_passthrough.iter().map(|name| (*name).to_owned()))
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

/// An inferred gate in the form of a plan: its variables move into each step.
pub(crate) fn gate_spec(gate: &InferredGate, profile: GateProfile) -> GateSpec {
    let with_env = |steps: &[StepSpec]| -> Vec<StepSpec> {
        let filled = steps.iter().map(|step| {
            let mut step = step.clone();
            for (name, value) in &gate.env {
                step.env
                    .entry(name.clone())
                    .or_insert_with(|| value.clone());
            }
            step
        });
        filled.collect()
    };
    GateSpec {
        profile,
        setup: with_env(&gate.setup),
        steps: Some(with_env(&gate.steps)),
        tests: TestRules::default(),
    }
}
