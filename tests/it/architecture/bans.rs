//! What may stand in which sources.

use crate::repo::{self, Source};

/// Fails with every line of the sources that contains one of the words.
fn ban(sources: &[Source], words: &[&str], rule: &str) {
    let mut found = Vec::new();
    for source in sources {
        for (number, line) in source.text.lines().enumerate() {
            let code = line.trim_start();
            if !code.starts_with("//") && words.iter().any(|word| code.contains(word)) {
                found.push(format!("{}:{}: {code}", source.path, number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

/// Product code outside some crates.
fn product_outside(folders: &[&str]) -> Vec<Source> {
    let mut sources = repo::rust();
    sources.retain(|source| source.is_product() && !folders.contains(&source.crate_folder()));
    sources
}

#[test]
fn child_processes_start_in_the_sandbox_crate_only() {
    let sources = product_outside(&["libs/sandbox"]);
    let mut found = Vec::new();
    for source in &sources {
        for (at, word) in source.text.match_indices("process::") {
            let rest = &source.text[at + word.len()..];
            let names = match rest.strip_prefix('{') {
                Some(list) => list.split('}').next().unwrap_or_default(),
                None => rest
                    .split(|c: char| !c.is_alphanumeric())
                    .next()
                    .unwrap_or_default(),
            };
            let mut names = names.split([',', ' ', '\n']).map(str::trim);
            if names.any(|name| name == "Command") {
                found.push(source.path.clone());
            }
        }
    }
    assert!(
        found.is_empty(),
        "a process is started through libs/sandbox: {found:#?}"
    );
    ban(
        &sources,
        &["libc::fork", "unistd::fork", "posix_spawn", "libc::exec"],
        "a process is started through libs/sandbox",
    );
}

#[test]
fn the_system_clock_and_fresh_ids_are_read_in_the_runtime_crate_only() {
    ban(
        &product_outside(&["libs/runtime"]),
        &[
            "SystemTime::now",
            "OffsetDateTime::now",
            "Utc::now",
            "Local::now",
            "Uuid::now_v7",
            "Uuid::new_v4",
        ],
        "time and ids are injected; libs/runtime has the real ones",
    );
}

#[test]
fn pure_crates_know_no_clock_no_files_and_no_async() {
    let mut sources = repo::rust();
    sources.retain(|source| {
        source.is_product() && ["libs/domain", "libs/policy"].contains(&source.crate_folder())
    });
    ban(
        &sources,
        &[
            "std::fs",
            "std::net",
            "std::env::",
            "std::thread",
            "Instant::now",
            "async fn",
            ".await",
        ],
        "domain and policy are pure",
    );
}

#[test]
fn nothing_is_left_to_be_written() {
    let mark = |name: &str| format!("{name}!(");
    let words = [mark("todo"), mark("unimplemented")];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    ban(&repo::rust(), &words, "unfinished code");
}

#[test]
fn every_file_says_what_it_is_for() {
    for source in repo::rust() {
        assert!(
            source.text.starts_with("//! "),
            "{} does not open with a `//!` header",
            source.path
        );
    }
}

/// Paths of one machine have no place in the repository.
#[test]
fn no_file_names_a_folder_of_a_developer_machine() {
    let places = [
        "libs",
        "services",
        "migrations",
        "tests",
        "docs",
        "examples",
        "scripts",
        "proto",
        ".ci",
        ".github",
        "Makefile",
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
    ];
    let words = [
        ["/wo", "rk/main"].concat(),
        ["/wo", "rk/shared"].concat(),
        ["/ro", "ot/"].concat(),
        ["/ho", "me/user"].concat(),
    ];
    for source in repo::files(&places, &[""]) {
        for word in &words {
            assert!(!source.text.contains(word), "{} names {word}", source.path);
        }
    }
}
