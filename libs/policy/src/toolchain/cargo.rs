//! Rust with Cargo.
//!
//! Invariant: with `Cargo.lock` every command is `--locked`, so a gate never resolves versions anew.

use autopack_domain::plan::GateProfile;
use toml::{Table, Value};

use super::gate::InferredGate;
use super::view::Folder;
use super::{Family, Manager, Signals, Toolchain};

const THRESHOLD: u32 = 50;

pub(super) fn detect(folder: &Folder<'_>) -> Option<Toolchain> {
    let mut signals = Signals::default();
    signals.file(folder, 80, &["Cargo.toml"]);
    signals.file(folder, 10, &["Cargo.lock"]);
    signals.sources(folder, &["rs"]);
    signals.at_least(THRESHOLD, Family::Rust, Manager::Cargo, folder)
}

pub(super) fn infer(folder: &Folder<'_>, profile: GateProfile) -> Result<InferredGate, String> {
    let manifest = match folder.read("Cargo.toml").map(str::parse::<Table>) {
        Some(Ok(table)) => table,
        Some(Err(_)) => return Err("Cargo.toml is not valid TOML".to_owned()),
        // Too large to read, or not shown: the defaults hold.
        None => Table::new(),
    };
    if folder.count(&["rs"]) == 0 {
        return Err("the Cargo project has no Rust files".to_owned());
    }
    let locked = if folder.has("Cargo.lock") {
        " --locked"
    } else {
        ""
    };
    let all = if manifest.contains_key("workspace") {
        " --workspace"
    } else {
        ""
    };
    let mut gate = InferredGate::test(format!("cargo test{all}{locked}"));
    if profile == GateProfile::Strict {
        gate.check_first(format!("cargo build{all} --all-targets{locked}"));
    }
    if has_dependencies(folder, &manifest) {
        gate.set_up(format!("cargo fetch{locked}"));
    }
    gate.needs(&["cargo"]);
    gate.set("CARGO_TERM_COLOR", "never");
    gate.env_passthrough = vec!["CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"];
    let keys = folder.existing(&[
        "Cargo.lock",
        "Cargo.toml",
        "rust-toolchain.toml",
        "rust-toolchain",
    ]);
    gate.keep(keys, &[("CARGO_TARGET_DIR", "{cache}/target")], &[]);
    Ok(gate)
}

/// Whether anything has to be downloaded: a package with a source in the lock file or, without one, a
/// dependency that is no folder of the repository.
fn has_dependencies(folder: &Folder<'_>, manifest: &Table) -> bool {
    if let Some(lock) = folder.read("Cargo.lock") {
        return lock.lines().any(|line| line.starts_with("source = "));
    }
    if folder.has("Cargo.lock") {
        return true;
    }
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let own = kinds.iter().filter_map(|kind| manifest.get(*kind));
    let shared = manifest
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies"));
    // Members of a workspace and targets have lists of their own, which are not read: assume some.
    let elsewhere = manifest.contains_key("target")
        || manifest
            .get("workspace")
            .is_some_and(|workspace| workspace.get("members").is_some());
    elsewhere
        || own
            .chain(shared)
            .filter_map(Value::as_table)
            .flat_map(Table::values)
            .any(|one| one.get("path").is_none())
}
