//! Which paths a phase may write (SEMANTICS 5.1; DESIGN, the plan).
//!
//! Invariant: deny wins. A protected path is never allowed, whatever `scope.paths` says, in whatever
//! case or Unicode form it is written; the older system let its allow-list win.

use autopack_domain::Fault;
use autopack_domain::plan::ScopeSpec;
use globset::{GlobBuilder, GlobMatcher};

use crate::paths::{PathFault, ancestors, fold, normalise_entry};

/// Protected in every run; `.git` besides, which no accepted path contains.
pub const ALWAYS_PROTECTED: &[&str] = &[".git/", ".autopack/", ".autonomous_runs/"];

/// One entry of a list of paths.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// Exactly this file.
    File(String),
    /// Everything below; ends in `/`.
    Prefix(String),
    /// A glob in which `*` stays inside one component.
    Glob(Box<GlobMatcher>, String),
}

impl Entry {
    /// Reads an entry: glob characters make a glob, a trailing `/` a prefix, else an exact file.
    pub(crate) fn parse(text: &str, ignore_case: bool) -> Result<Self, String> {
        let path = normalise_entry(text).map_err(|fault| fault.to_string())?;
        let path = if ignore_case { fold(&path) } else { path };
        if has_glob(&path) {
            // A trailing slash after a glob asks for everything below each folder it matches.
            let pattern = if path.ends_with('/') {
                format!("{path}**")
            } else {
                path
            };
            let glob = GlobBuilder::new(&pattern)
                .literal_separator(true)
                .case_insensitive(ignore_case)
                .empty_alternates(true)
                .build()
                .map_err(|error| format!("not a glob: {}", error.kind()))?;
            return Ok(Self::Glob(Box::new(glob.compile_matcher()), pattern));
        }
        Ok(if path.ends_with('/') {
            Self::Prefix(path)
        } else {
            Self::File(path)
        })
    }

    /// Whether the entry names this path.
    pub(crate) fn names(&self, path: &str) -> bool {
        match self {
            Self::File(file) => file == path,
            Self::Prefix(prefix) => path.len() > prefix.len() && path.starts_with(prefix.as_str()),
            Self::Glob(glob, _) => glob.is_match(path),
        }
    }

    /// The path that everything the entry names lies at or below; `None` for the root.
    fn floor(&self) -> Option<&str> {
        match self {
            Self::File(path) => Some(path),
            Self::Prefix(path) => Some(path.trim_end_matches('/')),
            Self::Glob(_, pattern) => {
                let plain = &pattern[..pattern.find(GLOB_CHARACTERS).unwrap_or(pattern.len())];
                plain.rfind('/').map(|at| &plain[..at])
            }
        }
    }
}

const GLOB_CHARACTERS: [char; 4] = ['*', '?', '[', '{'];

/// Whether an entry is a glob.
pub fn has_glob(entry: &str) -> bool {
    entry.contains(GLOB_CHARACTERS)
}

/// Paths that a list names, in whatever case or Unicode form they are written, with all below them.
#[derive(Clone, Debug, Default)]
pub struct PathSet {
    entries: Vec<Entry>,
}

impl PathSet {
    /// Compiles a list, or lists every entry that cannot be read.
    pub fn compile(entries: &[String]) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let entries = compile(entries, "scope.approval_paths", true, &mut faults);
        if faults.is_empty() {
            Ok(Self { entries })
        } else {
            Err(faults)
        }
    }

    /// Whether the list names the path, or a folder above it.
    pub fn covers(&self, path: &str) -> bool {
        let folded = fold(path);
        self.entries.iter().any(|entry| denies(entry, &folded))
    }
}

/// A scope ready to be asked.
#[derive(Clone, Debug)]
pub struct CompiledScope {
    /// `None`: everything.
    allowed: Option<Vec<Entry>>,
    /// Folded entries.
    denied: Vec<Entry>,
}

impl CompiledScope {
    /// Compiles a scope, or lists every entry that cannot be read, with its path inside the phase.
    pub fn compile(spec: &ScopeSpec) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let allowed = spec
            .paths
            .as_deref()
            .map(|entries| compile(entries, "scope.paths", false, &mut faults));
        let mut denied = always_protected();
        denied.extend(compile(
            &spec.protected_paths,
            "scope.protected_paths",
            true,
            &mut faults,
        ));
        if let Err(found) = PathSet::compile(&spec.approval_paths) {
            faults.extend(found);
        }
        if faults.is_empty() {
            Ok(Self { allowed, denied })
        } else {
            Err(faults)
        }
    }

    /// Whether the phase may write this path: in scope and not protected.
    pub fn allows(&self, path: &str) -> bool {
        self.in_scope(path) && !self.protects(path)
    }

    /// Whether `scope.paths` covers the path, protection left aside.
    pub fn in_scope(&self, path: &str) -> bool {
        self.allowed
            .as_ref()
            .is_none_or(|entries| entries.iter().any(|entry| entry.names(path)))
    }

    /// Whether the path, or a folder above it, is protected. A protected folder's own name is too, so
    /// that it cannot be replaced by a file or a link.
    pub fn protects(&self, path: &str) -> bool {
        let folded = fold(path);
        self.denied.iter().any(|entry| denies(entry, &folded))
    }

    /// Whether an entry without glob and without trailing `/` names the path.
    pub fn names_literally(&self, path: &str) -> bool {
        let Some(entries) = &self.allowed else {
            return false;
        };
        entries
            .iter()
            .any(|entry| matches!(entry, Entry::File(file) if file == path))
    }

    /// Whether `scope.paths` was left out.
    pub fn is_open(&self) -> bool {
        self.allowed.is_none()
    }
}

/// Scope entries that lie wholly inside a protected path: nothing they name could ever be written
/// (SEMANTICS 5.10). Entries that cannot be read are left to [`CompiledScope::compile`].
pub fn scope_clashes(spec: &ScopeSpec) -> Vec<Fault> {
    let mut denied = always_protected();
    denied.extend(compile(&spec.protected_paths, "", true, &mut Vec::new()));
    let mut faults = Vec::new();
    for (index, text) in spec.paths.iter().flatten().enumerate() {
        let Ok(entry) = Entry::parse(text, true) else {
            continue;
        };
        let inside = entry
            .floor()
            .is_some_and(|floor| denied.iter().any(|d| denies(d, floor)))
            || denied.iter().any(|d| same_glob(d, &entry));
        if inside {
            faults.push(
                Fault::new(
                    format!("scope.paths[{index}]"),
                    format!("`{text}` lies inside a protected path, so it can never be written"),
                )
                .allowed(["a path outside the protected ones", "the entry left out"]),
            );
        }
    }
    faults
}

/// Whether a deny entry covers a folded path, the folders above it included.
fn denies(entry: &Entry, folded: &str) -> bool {
    let one = |path: &str| match entry {
        Entry::Prefix(prefix) => prefix.trim_end_matches('/') == path,
        Entry::File(_) | Entry::Glob(..) => entry.names(path),
    };
    one(folded) || ancestors(folded).any(one)
}

fn same_glob(a: &Entry, b: &Entry) -> bool {
    match (a, b) {
        (Entry::Glob(_, a), Entry::Glob(_, b)) => a == b,
        _ => false,
    }
}

fn names_git_folder(entry: &str) -> bool {
    matches!(normalise_entry(entry), Err(PathFault::DotGit))
}

fn always_protected() -> Vec<Entry> {
    ALWAYS_PROTECTED
        .iter()
        .map(|path| Entry::Prefix((*path).to_owned()))
        .collect()
}

fn compile(entries: &[String], at: &str, ignore_case: bool, faults: &mut Vec<Fault>) -> Vec<Entry> {
    let mut compiled = Vec::with_capacity(entries.len());
    for (index, text) in entries.iter().enumerate() {
        match Entry::parse(text, ignore_case) {
            Ok(entry) => compiled.push(entry),
            // Protected in every run already.
            Err(_) if ignore_case && names_git_folder(text) => {}
            Err(problem) => faults.push(
                Fault::new(format!("{at}[{index}]"), format!("`{text}`: {problem}"))
                    .example("src/**/*.rs"),
            ),
        }
    }
    compiled
}
