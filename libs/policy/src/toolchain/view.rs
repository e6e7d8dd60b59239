//! What the detection sees of a repository: its paths, and the text of a few small files.
//!
//! Invariant: a path inside a folder of [`IGNORED`] is never seen; the older system counted
//! `node_modules` and the like (SEMANTICS 7).

/// Folders of other people's code and of build results, wherever they stand.
pub const IGNORED: &[&str] = &[
    "node_modules",
    "vendor",
    ".venv",
    "venv",
    "target",
    "dist",
    "build",
    ".git",
    ".tox",
    "__pycache__",
    "site-packages",
];

/// Most test files that [`marker_files`] asks for.
const MAX_TEST_FILES: usize = 20;

/// A tree as the caller shows it.
pub trait TreeView {
    /// Every path of the tree.
    fn paths(&self) -> &[String];
    /// The text of a file that [`marker_files`] named; `None` if it is not there, not text or too large.
    fn read(&self, path: &str) -> Option<&str>;
}

/// The files whose text the detection wants, of the paths given.
pub fn marker_files(paths: &[String]) -> Vec<String> {
    let mut wanted = Vec::new();
    let mut tests = 0;
    for path in paths.iter().filter(|path| !is_ignored(path)) {
        let depth = path.matches('/').count();
        let name = file_name(path);
        let marker = READ.contains(&name) || is_requirements(name);
        if depth <= 2 && marker {
            wanted.push(path.clone());
        } else if super::python::is_test_file(path) && tests < MAX_TEST_FILES {
            tests += 1;
            wanted.push(path.clone());
        }
    }
    wanted
}

/// Files that are read.
const READ: &[&str] = &[
    "package.json",
    "yarn.lock",
    "pyproject.toml",
    "setup.cfg",
    "setup.py",
    "tox.ini",
    "Pipfile",
    "Cargo.toml",
    "Cargo.lock",
    "go.mod",
    "go.work",
    "deno.json",
    "deno.jsonc",
];

/// Files that show a toolchain by their name alone.
const MARKERS: &[&str] = &[
    "package.json",
    "pyproject.toml",
    "setup.cfg",
    "setup.py",
    "tox.ini",
    "pytest.ini",
    "Pipfile",
    "Cargo.toml",
    "go.mod",
    "go.work",
    "deno.json",
    "deno.jsonc",
    "requirements.txt",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
];

pub(super) fn is_marker(name: &str) -> bool {
    MARKERS.contains(&name)
}

/// `requirements.txt`, `requirements-dev.txt`, `dev-requirements.txt` and the like.
pub(super) fn is_requirements(name: &str) -> bool {
    let plain = name
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    let text = std::path::Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "txt");
    plain && text && name.contains("requirements")
}

pub(super) fn is_ignored(path: &str) -> bool {
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
    folders.split('/').any(|folder| IGNORED.contains(&folder))
}

pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// One folder of the tree, with paths relative to it.
pub(super) struct Folder<'a> {
    tree: &'a dyn TreeView,
    pub(super) dir: String,
    paths: Vec<&'a str>,
}

impl<'a> Folder<'a> {
    pub(super) fn new(tree: &'a dyn TreeView, dir: &str) -> Self {
        let prefix = if dir.is_empty() {
            String::new()
        } else {
            format!("{dir}/")
        };
        let paths = tree
            .paths()
            .iter()
            .filter(|path| !is_ignored(path))
            .filter_map(|path| path.strip_prefix(prefix.as_str()))
            .collect();
        Self {
            tree,
            dir: dir.to_owned(),
            paths,
        }
    }

    pub(super) fn paths(&self) -> &[&'a str] {
        &self.paths
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.paths.contains(&name)
    }

    /// Of these names, those that exist here.
    pub(super) fn existing(&self, names: &[&str]) -> Vec<String> {
        names
            .iter()
            .filter(|name| self.has(name))
            .map(|name| (*name).to_owned())
            .collect()
    }

    pub(super) fn read(&self, name: &str) -> Option<&'a str> {
        if self.dir.is_empty() {
            self.tree.read(name)
        } else {
            self.tree.read(&format!("{}/{name}", self.dir))
        }
    }

    /// How many files have one of these extensions.
    pub(super) fn count(&self, extensions: &[&str]) -> usize {
        self.paths
            .iter()
            .filter(|path| {
                file_name(path)
                    .rsplit_once('.')
                    .is_some_and(|(stem, extension)| {
                        !stem.is_empty() && extensions.contains(&extension)
                    })
            })
            .count()
    }
}
