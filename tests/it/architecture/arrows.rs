//! Which crate may use which, and the packages that must be in use.

use std::collections::{BTreeMap, BTreeSet};

use crate::repo;

/// Our crates that a crate may use, by folder. Services are in [`SERVICES`].
const LIBRARIES: &[(&str, &[&str])] = &[
    ("libs/domain", &[]),
    ("libs/policy", &["autopack-domain"]),
    ("libs/adapters", &["autopack-domain"]),
    ("libs/wire", &["autopack-domain"]),
    ("libs/store", &["autopack-domain"]),
    ("libs/store-write", &["autopack-domain", "autopack-store"]),
    ("libs/bus", &["autopack-domain", "autopack-wire"]),
    ("libs/runtime", &["autopack-domain", "autopack-wire"]),
    ("libs/git", &[]),
    ("libs/artifacts", &[]),
    ("libs/sandbox", &[]),
    ("migrations", &[]),
];

/// What only one service may use, beside the all-in-one.
const RESERVED: &[(&str, &[&str])] = &[
    ("autopack-store-write", &["services/run-registry"]),
    ("autopack-migrations", &["services/run-registry"]),
    ("autopack-store", &["services/run-registry"]),
    ("autopack-artifacts", &["services/run-registry"]),
    ("autopack-git", &["services/builder-worker"]),
    ("autopack-sandbox", &["services/builder-worker"]),
];

/// The all-in-one: it composes services, so it may use them and every library.
const ALL_IN_ONE: &str = "services/autopack";

/// Dev-dependencies beyond what the table allows: crate folder, what it may use in tests.
const IN_TESTS: &[(&str, &[&str])] = &[
    ("libs/git", &["autopack-sandbox"]),
    ("libs/store", &["autopack-migrations"]),
    ("migrations", &["autopack-domain"]),
    (
        "libs/store-write",
        &["autopack-migrations", "autopack-policy"],
    ),
    ("tests", &["autopack-domain", "autopack-wire"]),
];

#[test]
fn crates_use_only_what_the_table_allows() {
    let packages = repo::packages();
    let ours: BTreeMap<&str, &str> = packages
        .iter()
        .map(|package| (package.name.as_str(), package.folder.as_str()))
        .collect();
    let libraries: BTreeMap<&str, &[&str]> = LIBRARIES.iter().copied().collect();
    let in_tests: BTreeMap<&str, &[&str]> = IN_TESTS.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in &packages {
        let folder = package.folder.as_str();
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let Some(target) = ours.get(name) else {
                continue;
            };
            let test_only = dependency.dev
                // A crate's own tests may turn a feature of it on.
                && (name == "autopack-testkit" || *target == folder
                    || in_tests
                        .get(folder)
                        .is_some_and(|list| list.contains(&name)));
            let allowed = test_only
                || folder == "libs/testkit"
                || match libraries.get(folder) {
                    Some(list) => list.contains(&name),
                    None => service_may_use(folder, name, target),
                };
            if !allowed {
                wrong.push(format!("{folder} uses {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows outside the table:\n{wrong:#?}");
}

fn service_may_use(folder: &str, name: &str, target: &str) -> bool {
    if !folder.starts_with("services/") || name == "autopack-testkit" {
        return false;
    }
    if folder == ALL_IN_ONE {
        return true;
    }
    let reserved = RESERVED.iter().find(|(crate_name, _)| *crate_name == name);
    match reserved {
        Some((_, services)) => services.contains(&folder),
        None => target.starts_with("libs/"),
    }
}

#[test]
fn every_crate_of_the_workspace_stands_in_the_table() {
    let known: BTreeSet<&str> = LIBRARIES.iter().map(|(folder, _)| *folder).collect();
    for package in repo::packages() {
        let folder = package.folder.as_str();
        assert!(
            known.contains(folder)
                || folder.starts_with("services/")
                || ["libs/testkit", "tests"].contains(&folder),
            "{folder} is not in the table of crates"
        );
    }
    let folders: BTreeSet<String> = repo::packages().into_iter().map(|p| p.folder).collect();
    for folder in known {
        assert!(folders.contains(folder), "{folder} is gone");
    }
}

#[test]
fn storage_and_bus_libraries_stay_behind_their_crates() {
    for (library, allowed) in [
        (
            "sea-orm",
            &["libs/store", "libs/store-write", "migrations"][..],
        ),
        ("async-nats", &["libs/bus"][..]),
        ("object_store", &["libs/artifacts"][..]),
    ] {
        let found: BTreeSet<String> = repo::packages()
            .into_iter()
            .filter(|package| {
                let mut used = package.dependencies.iter();
                used.any(|dependency| dependency.name == library && !dependency.dev)
            })
            .map(|package| package.folder)
            .collect();
        let allowed: BTreeSet<String> = allowed.iter().map(|&folder| folder.to_owned()).collect();
        assert_eq!(found, allowed, "crates that depend on {library}");
    }
}

/// The pure crates have no library that could reach a clock, a file or a socket.
#[test]
fn pure_crates_depend_on_nothing_that_does_io() {
    let pure = [
        "autopack-domain",
        "globset",
        "regex",
        "serde",
        "serde-saphyr",
        "serde_json",
        "sha2",
        "thiserror",
        "toml",
        "unicode-normalization",
        "uuid",
    ];
    for package in repo::packages() {
        if !["libs/adapters", "libs/domain", "libs/policy"].contains(&package.folder.as_str()) {
            continue;
        }
        for dependency in package.dependencies.iter().filter(|d| !d.dev) {
            assert!(
                pure.contains(&dependency.name.as_str()),
                "{} uses {}",
                package.folder,
                dependency.name
            );
        }
    }
}

/// The design's packages: each is a dependency of some crate, and that crate's sources mention it.
#[test]
fn the_nine_packages_of_the_design_are_used() {
    let sources = repo::rust();
    let packages = repo::packages();
    for library in [
        "tonic",
        "prost",
        "tonic-build",
        "tokio",
        "async-nats",
        "sea-orm",
        "tracing-opentelemetry",
        "opentelemetry-otlp",
        "tower",
    ] {
        let name = library.replace('-', "_");
        let used = packages.iter().any(|package| {
            let declared = package
                .dependencies
                .iter()
                .any(|d| d.name == library && !d.dev);
            declared
                && sources.iter().any(|source| {
                    source.crate_folder() == package.folder && mentions(&source.text, &name)
                })
        });
        assert!(
            used,
            "{library} is not used by any crate that depends on it"
        );
    }
}

/// Whether code (not a comment) names the crate as a path.
fn mentions(text: &str, name: &str) -> bool {
    let path = format!("{name}::");
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| {
            line.match_indices(&path)
                .map(move |(at, _)| &line[..at])
                .collect::<Vec<_>>()
        })
        .any(|before| !before.ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}
