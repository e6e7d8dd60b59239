//! Clients in other languages: the Python example and every grpcurl command of docs/clients.md, on a real engine.
//!
//! Invariant: what the page and the example show is what runs here.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests start processes and fail by panic"
)]

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use autopack_testkit::{Autopack, TempRepo, program};
use regex::Regex;
use serde_json::Value;

/// How long one client may take.
const BOUND: Duration = Duration::from_mins(1);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// The interpreter with grpcio, which `make tools` installs.
fn python() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |dir| root().join(dir));
    let found = [root().join("target"), target]
        .into_iter()
        .map(|dir| dir.join("tools/grpc/bin/python"))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("Python's gRPC packages are missing: run `make tools`"))
}

fn address(autopack: &Autopack) -> String {
    let text = std::fs::read_to_string(autopack.data().join("registry.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    file["tcp"].as_str().unwrap().to_owned()
}

#[test]
fn a_python_client_without_generated_code_creates_watches_and_reads_a_run() {
    let autopack = Autopack::new();
    let up = autopack.up(&[]);
    let repo = TempRepo::small();
    let plan = autopack.folder("plan").join("plan.yaml");
    let text = "schema: autopack/plan/v1\n\
        run: { id: from-python, goal: Greet }\n\
        tiers: [{ id: T1, phases: [{ id: hello, goal: Greet, scope: { paths: ['*.txt'] },\n\
          builder: { kind: command, run: 'echo hello > hello.txt' },\n\
          gate: { steps: [{ run: 'grep -q hello hello.txt', kind: check }] } }] }]\n";
    std::fs::write(&plan, text).unwrap();
    let drive = |key: &Path| {
        let mut command = Command::new(python());
        command
            .arg(root().join("examples/clients/python/drive.py"))
            .arg(address(&autopack))
            .args([&plan, repo.path()])
            .arg("--key-file")
            .arg(key);
        program::run(&mut command, BOUND)
    };

    let done = drive(&autopack.data().join("token"));
    done.expect_code(0);
    let read: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(read["run"]["state"], "STATE_DONE_SUCCESS");
    assert_eq!(read["run"]["id"], "from-python");
    let events: Vec<&str> = read["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(events.last(), Some(&"run_finished"));
    assert!(events.contains(&"phase_completed"), "{events:?}");
    assert!(repo.branch("from-python").is_some());

    let wrong = autopack.folder("keys").join("wrong");
    std::fs::write(&wrong, "not the key").unwrap();
    let refused = drive(&wrong);
    refused.expect_code(1);
    let read: Value = serde_json::from_str(&refused.stdout).unwrap();
    assert_eq!(read["code"], "UNAUTHENTICATED", "{read:#}");
    assert!(read["ErrorInfo"]["reason"].is_string(), "{read:#}");
    up.stop();
}

#[test]
fn every_grpcurl_command_of_the_page_works_as_written() {
    let page = std::fs::read_to_string(root().join("docs/clients.md")).unwrap();
    let commands: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("grpcurl "))
        .collect();
    assert!(commands.len() >= 8, "the page shows commands");
    let methods = Regex::new(r"autopack\.[A-Za-z.0-9]+/[A-Za-z]+").unwrap();
    assert!(commands.iter().filter(|c| methods.is_match(c)).count() >= 7);

    let autopack = Autopack::new();
    let up = autopack.up(&[]);
    let repo = TempRepo::small();
    // `grpcurl` on the path is a client that takes the same arguments.
    let bin = autopack.folder("bin");
    let script = format!(
        "#!/bin/sh\nexec {} {} \"$@\"\n",
        python().display(),
        root().join("tests/it/clients/grpcurl.py").display()
    );
    std::fs::write(bin.join("grpcurl"), script).unwrap();
    program::run(
        Command::new("chmod").arg("+x").arg(bin.join("grpcurl")),
        BOUND,
    )
    .expect_code(0);
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let key = std::fs::read_to_string(autopack.data().join("token")).unwrap();
    let mut answers = Vec::new();
    for line in commands {
        let mut command = Command::new("bash");
        command
            .args(["-c", line])
            .env("PATH", &path)
            .env("ADDR", address(&autopack))
            .env("KEY", key.trim())
            .env("REPO", repo.path())
            .env("AUTOPACK_CLIENTS", root().join("examples/clients/python"));
        let done = program::run(&mut command, BOUND);
        assert_eq!(done.code, Some(0), "{line}\n{}", done.stderr);
        answers.push((line, done.stdout));
    }
    let answer = |needle: &str| {
        let found = answers.iter().rev().find(|(line, _)| line.contains(needle));
        found.map(|(_, text)| text.as_str()).unwrap()
    };
    assert!(answer(" list").contains("autopack.registry.v1.RegistryService"));
    assert!(answer("/WatchRun").contains("run_finished"));
    assert!(answer("/GetRun").contains("STATE_DONE_SUCCESS"));
    up.stop();
}
