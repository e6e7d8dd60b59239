//! One repository with the first releases, the patches between consecutive ones, and the tree of the last ones.
//!
//! Invariant: patches and trees are made by plain git from the unpacked releases.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use autopack_testkit::{Phase, Plan, TempRepo, git};
use serde_json::json;

use crate::packages::Package;

/// A package with the unpacked releases.
pub(crate) struct History {
    pub(crate) package: &'static Package,
    pub(crate) releases: Vec<PathBuf>,
}

/// What is rebuilt.
pub(crate) struct Chains {
    pub(crate) repo: TempRepo,
    pub(crate) base: String,
    /// The tree of the last releases.
    pub(crate) tree: String,
    /// Phases, in plan order.
    pub(crate) phases: Vec<(String, Phase)>,
}

impl Chains {
    pub(crate) fn new(histories: &[History]) -> Self {
        let repo = TempRepo::empty();
        repo.write("README.md", "# Release histories\n");
        for history in histories {
            put(&repo, history, 0);
        }
        add(&repo);
        repo.git(&["commit", "-q", "-m", "First releases"]);
        let base = repo.git(&["rev-parse", "HEAD"]);
        let mut phases = Vec::new();
        for history in histories {
            let package = history.package;
            for n in 1..history.releases.len() {
                put(&repo, history, n);
                phases.push(phase(package, n, difference(&repo)));
                repo.git(&["commit", "-q", "-m", "Next"]);
            }
        }
        let tree = git::tree_of(repo.path(), "HEAD");
        // The user's own branch stays at the first releases.
        repo.git(&["reset", "-q", "--hard", &base]);
        Self {
            repo,
            base,
            tree,
            phases,
        }
    }

    /// The plan of a run.
    pub(crate) fn plan(&self, run: &str) -> Plan {
        let plan = Plan::new(run)
            .run("base", "main")
            .run("budgets", json!({ "phases": self.phases.len() }));
        let phases = self.phases.iter().map(|(_, phase)| phase.clone());
        phases.fold(plan.tier("releases"), Plan::phase)
    }
}

/// The id of the phase that makes a release.
pub(crate) fn id(package: &Package, release: &str) -> String {
    format!("{}-{release}", package.name)
}

fn phase(package: &Package, n: usize, patch: String) -> (String, Phase) {
    let release = package.releases[n];
    let mut scope = vec![format!("{}/**", package.folder())];
    scope.extend(
        package
            .literal
            .iter()
            .map(|file| format!("{}/{file}", package.folder())),
    );
    let scope: Vec<&str> = scope.iter().map(String::as_str).collect();
    let earlier = (n > 1).then(|| id(package, package.releases[n - 1]));
    let after: Vec<&str> = earlier.iter().map(String::as_str).collect();
    let id = id(package, release);
    let phase = Phase::patch(&id, patch)
        .after(&after)
        .scope(&scope)
        .set("name", format!("{} {release}", package.name))
        .set(
            "gate",
            // A release may remove, skip or empty tests, as its authors found right.
            json!({
                "steps": [package.gate(release)],
                "tests": { "may_remove": ["*"], "may_skip": ["*"], "may_empty": ["*"] },
            }),
        );
    (id, phase)
}

/// Puts a release into the package's folder, in place of what is there.
fn put(repo: &TempRepo, history: &History, n: usize) {
    let folder = repo.path().join(history.package.folder());
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    copy(&history.releases[n], &folder);
}

/// Stages everything, whatever a package would have git ignore.
fn add(repo: &TempRepo) {
    repo.git(&["add", "-A", "-f"]);
}

fn difference(repo: &TempRepo) -> String {
    add(repo);
    let args = [
        "diff",
        "--cached",
        "--binary",
        "--full-index",
        "--no-color",
        "--no-ext-diff",
        "--no-textconv",
        "-M",
    ];
    let patch = git::try_git(repo.path(), &args)
        .expect_code(0)
        .stdout
        .clone();
    assert!(
        !patch.contains('\u{fffd}'),
        "a release has text that is not UTF-8"
    );
    patch
}

/// Copies a folder; of the modes only the executable bit counts, as in git.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or(OsStr::new(""));
        let kind = fs::symlink_metadata(&path).unwrap();
        if kind.is_dir() {
            copy(&path, &to.join(name));
        } else {
            assert!(
                kind.is_file(),
                "{} is neither file nor folder",
                path.display()
            );
            fs::copy(&path, to.join(name)).unwrap();
            let mode = if kind.permissions().mode() & 0o100 == 0 {
                0o644
            } else {
                0o755
            };
            fs::set_permissions(to.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}
