//! Go.
//!
//! Invariant: tests run with `-v`, because without it Go prints no count of them.

use autopack_domain::plan::GateProfile;

use super::gate::InferredGate;
use super::view::Folder;
use super::{Family, Manager, Signals, Toolchain};

const THRESHOLD: u32 = 50;

pub(super) fn detect(folder: &Folder<'_>) -> Option<Toolchain> {
    let mut signals = Signals::default();
    signals.file(folder, 80, &["go.mod", "go.work"]);
    signals.file(folder, 10, &["go.sum", "go.work.sum"]);
    signals.sources(folder, &["go"]);
    signals.at_least(THRESHOLD, Family::Go, Manager::Go, folder)
}

pub(super) fn infer(folder: &Folder<'_>, profile: GateProfile) -> Result<InferredGate, String> {
    if !folder.paths().iter().any(|path| path.ends_with("_test.go")) {
        return Err("the Go module has no test files (`*_test.go`)".to_owned());
    }
    let packages = packages(folder);
    let mut gate = InferredGate::test(format!("go test -v {packages}"));
    if profile == GateProfile::Strict {
        gate.check_first(format!("go vet {packages}"));
    }
    let requires = |name| {
        folder
            .read(name)
            .is_some_and(|text| text.lines().any(|l| l.trim_start().starts_with("require")))
    };
    if folder.has("go.sum") || folder.has("go.work.sum") || requires("go.mod") {
        gate.set_up("go mod download");
    }
    gate.needs(&["go"]);
    // A read-only module cache could not be removed with the folder it stands in.
    gate.set("GOFLAGS", "-modcacherw");
    gate.env_passthrough = vec!["GOROOT", "GOPROXY", "GOTOOLCHAIN"];
    let keys = folder.existing(&["go.mod", "go.sum", "go.work", "go.work.sum"]);
    gate.keep(
        keys,
        &[
            ("GOCACHE", "{cache}/go-build"),
            ("GOMODCACHE", "{cache}/go-mod"),
        ],
        &[],
    );
    Ok(gate)
}

/// `./...`, or each module of a workspace: at its root `./...` names nothing.
fn packages(folder: &Folder<'_>) -> String {
    let listed = folder.read("go.work").map(uses).unwrap_or_default();
    if listed.is_empty() {
        return "./...".to_owned();
    }
    listed
        .iter()
        .map(|module| format!("{module}/..."))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The folders that `use` names, if they are plain.
fn uses(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_list = false;
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default().trim();
        let named = match (in_list, line) {
            (true, ")") => {
                in_list = false;
                continue;
            }
            (true, module) => module,
            (false, _) => match line.strip_prefix("use").map(str::trim) {
                Some("(") => {
                    in_list = true;
                    continue;
                }
                Some(module) => module,
                None => continue,
            },
        };
        let module = named
            .trim_matches('"')
            .trim_start_matches("./")
            .trim_end_matches('/');
        let plain = module
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/'));
        if plain && !module.is_empty() && !module.split('/').any(|part| part == "..") {
            found.push(if module == "." {
                ".".to_owned()
            } else {
                format!("./{module}")
            });
        }
    }
    found
}
