//! The workspace as files and as cargo sees it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ is in the workspace")
        .to_owned()
}

/// A file of the repository.
#[derive(Debug)]
pub(crate) struct Source {
    /// From the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// The folder of its crate, such as `libs/domain`.
    pub(crate) fn crate_folder(&self) -> &str {
        let depth = if self.path.starts_with("libs/") || self.path.starts_with("services/") {
            2
        } else {
            1
        };
        let end = self.path.match_indices('/').nth(depth - 1);
        end.map_or("", |(at, _)| &self.path[..at])
    }

    /// Whether it is product code: not a test, an example or a build script.
    pub(crate) fn is_product(&self) -> bool {
        let folder = self.crate_folder();
        let below = &self.path[folder.len()..];
        folder != "tests"
            && folder != "libs/testkit"
            && below.starts_with("/src/")
            && !below.ends_with("/tests.rs")
            && !below.contains("/tests/")
    }
}

/// Text of one file; fails with its name.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All files with one of the endings below some folders (or files) of the root, sorted by path.
pub(crate) fn files(places: &[&str], endings: &[&str]) -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = places.iter().map(|place| root.join(place)).collect();
    while let Some(path) = open.pop() {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            if name == "target" || name == ".git" {
                continue;
            }
            let entries = fs::read_dir(&path).expect("a folder of the repository");
            open.extend(entries.map(|entry| entry.expect("an entry").path()));
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            let relative = path.strip_prefix(&root).expect("below the root");
            found.push(Source {
                path: relative.to_string_lossy().replace('\\', "/"),
                text: fs::read_to_string(&path).unwrap_or_default(),
            });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Every Rust file.
pub(crate) fn rust() -> Vec<Source> {
    files(
        &[
            "libs",
            "services",
            "migrations",
            "tests",
            "fuzz",
            "examples",
        ],
        &[".rs"],
    )
}

/// One dependency of a crate.
#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) dev: bool,
}

/// One crate of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// From the root, such as `libs/domain`.
    pub(crate) folder: String,
    pub(crate) dependencies: Vec<Dependency>,
}

/// Every crate, from `cargo metadata`.
pub(crate) fn packages() -> Vec<Package> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let tree: Value = serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let packages = tree["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let manifest = PathBuf::from(text(&package["manifest_path"]));
            let folder = manifest.parent().expect("a folder");
            let folder = folder.strip_prefix(root()).expect("below the root");
            let dependencies = package["dependencies"].as_array().expect("dependencies");
            Package {
                name: text(&package["name"]),
                folder: folder.to_string_lossy().into_owned(),
                dependencies: dependencies
                    .iter()
                    .map(|dependency| Dependency {
                        name: text(&dependency["name"]),
                        dev: dependency["kind"] == "dev",
                    })
                    .collect(),
            }
        })
        .collect()
}

/// The folder with the built binaries: `AUTOPACK_BIN_DIR`, else the target folder of this test.
pub(crate) fn bin_dir() -> PathBuf {
    let named = std::env::var_os("AUTOPACK_BIN_DIR").map(PathBuf::from);
    named.unwrap_or_else(|| {
        let exe = std::env::current_exe().expect("this test has a path");
        let profile = exe.parent().and_then(Path::parent);
        profile.expect("target/debug/deps/test").to_owned()
    })
}

/// The built command line.
pub(crate) fn autopack() -> PathBuf {
    let path = bin_dir().join("autopack");
    assert!(
        path.is_file(),
        "{} is missing: `cargo build --workspace --bins --tests` builds it",
        path.display()
    );
    path
}
