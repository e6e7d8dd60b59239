//! Which tools a repository uses, and the gate that they imply (SEMANTICS 7).
//!
//! Invariant: detection looks at tracked files only, never at vendored or built ones, and a gate is
//! inferred only where something says that there are tests; otherwise the plan has to declare one.
//!
//! - [`view`]: what callers read for us
//! - [`gate`]: the inferred gate

mod cargo;
mod deno;
pub mod gate;
mod go;
mod java;
mod node;
mod node_gate;
mod python;
mod python_gate;
pub mod view;

use std::collections::BTreeSet;

use autopack_domain::plan::GateProfile;

pub use gate::{CacheSpec, InferredGate, NoGate};
pub use view::{TreeView, marker_files};

use view::{Folder, is_ignored};

/// A family of tools. The order decides between equal confidences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Python.
    Python,
    /// Node and bun.
    Node,
    /// Go.
    Go,
    /// Rust.
    Rust,
    /// Java and the other languages of its tools.
    Java,
    /// Deno.
    Deno,
}

/// The tool that installs, builds and tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Manager {
    /// Python with pip.
    Pip,
    /// Python with Poetry.
    Poetry,
    /// Python with uv.
    Uv,
    /// Python with Pipenv.
    Pipenv,
    /// Node with npm.
    Npm,
    /// Node with Yarn, classic or berry.
    Yarn,
    /// Node with pnpm.
    Pnpm,
    /// Bun.
    Bun,
    /// Deno.
    Deno,
    /// Go.
    Go,
    /// Rust.
    Cargo,
    /// Java with Maven.
    Maven,
    /// Java with Gradle.
    Gradle,
}

impl Manager {
    /// The name, as people write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pip => "pip",
            Self::Poetry => "poetry",
            Self::Uv => "uv",
            Self::Pipenv => "pipenv",
            Self::Npm => "npm",
            Self::Yarn => "yarn",
            Self::Pnpm => "pnpm",
            Self::Bun => "bun",
            Self::Deno => "deno",
            Self::Go => "go",
            Self::Cargo => "cargo",
            Self::Maven => "maven",
            Self::Gradle => "gradle",
        }
    }
}

/// One detected toolchain.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Toolchain {
    /// The family.
    pub name: Family,
    /// The tool chosen within the family.
    pub manager: Manager,
    /// Folder below the root; empty: the root.
    pub dir: String,
    /// The sum of the signals in hundredths, at most 100.
    pub confidence: u8,
    /// The signals found.
    pub reasons: Vec<String>,
}

/// Signals of one family, added up.
#[derive(Default)]
struct Signals {
    sum: u32,
    reasons: Vec<String>,
}

impl Signals {
    fn add(&mut self, points: u32, reason: impl Into<String>) {
        self.sum += points;
        self.reasons.push(reason.into());
    }

    /// The first of the files that exists counts.
    fn file(&mut self, folder: &Folder<'_>, points: u32, names: &[&'static str]) -> bool {
        let found = names.iter().find(|name| folder.has(name));
        if let Some(name) = found {
            self.add(points, *name);
        }
        found.is_some()
    }

    /// One hundredth per source file, at most 20.
    fn sources(&mut self, folder: &Folder<'_>, extensions: &[&str]) {
        let count = folder.count(extensions).min(20) as u32;
        if count > 0 {
            self.add(count, format!("*.{}", extensions.join(", *.")));
        }
    }

    fn at_least(
        self,
        threshold: u32,
        name: Family,
        manager: Manager,
        folder: &Folder<'_>,
    ) -> Option<Toolchain> {
        (self.sum >= threshold).then(|| Toolchain {
            name,
            manager,
            dir: folder.dir.clone(),
            confidence: self.sum.min(100) as u8,
            reasons: self.reasons,
        })
    }
}

/// Folders below the root that are looked at when the root itself shows nothing.
const MAX_FOLDERS: usize = 20;

/// Every toolchain of the repository, the most certain first.
///
/// The root is asked first. If it shows nothing, the shallowest folders (at most two deep) that show
/// something are: then each of these has toolchains of its own.
pub fn detect(tree: &dyn TreeView) -> Vec<Toolchain> {
    let root = in_folder(&Folder::new(tree, ""));
    if !root.is_empty() {
        return root;
    }
    for depth in 1..=2 {
        let mut found: Vec<Toolchain> = folders(tree, depth)
            .into_iter()
            .take(MAX_FOLDERS)
            .flat_map(|dir| in_folder(&Folder::new(tree, dir)))
            .collect();
        if !found.is_empty() {
            found.sort_by_key(|chain| (100 - chain.confidence, chain.name, chain.dir.clone()));
            return found;
        }
    }
    Vec::new()
}

/// The gate of the whole repository: the most certain toolchain of the root that has tests or, where
/// only folders below have toolchains, that of each such folder together.
pub fn infer_gate(tree: &dyn TreeView, profile: GateProfile) -> Result<InferredGate, NoGate> {
    let chains = detect(tree);
    let mut reasons = Vec::new();
    let mut whole: Option<InferredGate> = None;
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for chain in &chains {
        if done.contains(chain.dir.as_str()) {
            continue;
        }
        match chain.gate_steps(tree, profile) {
            Ok(gate) => {
                done.insert(&chain.dir);
                whole = Some(match whole {
                    None => gate,
                    Some(before) => before.and(gate),
                });
            }
            Err(no_gate) => reasons.push(no_gate.reason),
        }
    }
    if let Some(gate) = whole {
        return Ok(gate);
    }
    if chains.is_empty() {
        reasons.push("no toolchain was recognised".to_owned());
    }
    Err(NoGate {
        reason: reasons.join("; "),
    })
}

impl Toolchain {
    /// The steps that prove a change with this toolchain, or why there are none.
    pub fn gate_steps(
        &self,
        tree: &dyn TreeView,
        profile: GateProfile,
    ) -> Result<InferredGate, NoGate> {
        let folder = Folder::new(tree, &self.dir);
        let gate = match self.manager {
            Manager::Pip | Manager::Poetry | Manager::Uv | Manager::Pipenv => {
                python_gate::infer(self.manager, &folder, profile)
            }
            Manager::Npm | Manager::Yarn | Manager::Pnpm | Manager::Bun => {
                node_gate::infer(self.manager, &folder, profile)
            }
            Manager::Deno => deno::infer(&folder, profile),
            Manager::Go => go::infer(&folder, profile),
            Manager::Cargo => cargo::infer(&folder, profile),
            Manager::Maven | Manager::Gradle => java::infer(self.manager, &folder, profile),
        };
        match gate {
            Ok(gate) => Ok(gate.in_dir(&self.dir)),
            Err(reason) if self.dir.is_empty() => Err(NoGate { reason }),
            Err(reason) => Err(NoGate {
                reason: format!("{}: {reason}", self.dir),
            }),
        }
    }
}

fn in_folder(folder: &Folder<'_>) -> Vec<Toolchain> {
    let mut found: Vec<Toolchain> = [
        python::detect(folder),
        node::detect(folder),
        go::detect(folder),
        cargo::detect(folder),
        java::detect(folder),
        deno::detect(folder),
    ]
    .into_iter()
    .flatten()
    .collect();
    found.sort_by_key(|chain| (100 - chain.confidence, chain.name));
    found
}

/// The folders of this depth that hold a marker file, ignored ones left out.
fn folders(tree: &dyn TreeView, depth: usize) -> BTreeSet<&str> {
    tree.paths()
        .iter()
        .filter(|path| !is_ignored(path))
        .filter_map(|path| path.rsplit_once('/'))
        .filter(|(dir, name)| dir.split('/').count() == depth && view::is_marker(name))
        .map(|(dir, _)| dir)
        .collect()
}
