//! Deno.
//!
//! Invariant: a `test` task is used before the bare runner, since it carries the permissions.

use autopack_domain::plan::GateProfile;

use super::gate::InferredGate;
use super::view::{Folder, file_name};
use super::{Family, Manager, Signals, Toolchain};
use crate::text::Pattern;

const THRESHOLD: u32 = 50;

pub(super) fn detect(folder: &Folder<'_>) -> Option<Toolchain> {
    let mut signals = Signals::default();
    signals.file(folder, 80, &["deno.json", "deno.jsonc"]);
    signals.file(folder, 10, &["deno.lock"]);
    signals.sources(folder, &["ts", "tsx"]);
    signals.at_least(THRESHOLD, Family::Deno, Manager::Deno, folder)
}

pub(super) fn infer(folder: &Folder<'_>, profile: GateProfile) -> Result<InferredGate, String> {
    // The configuration may have comments, so it is searched, not parsed.
    static TEST_TASK: Pattern = Pattern::new(r#"(?s)"tasks"\s*:\s*\{[^}]*"test"\s*:"#);
    static IMPORTS: Pattern = Pattern::new(r#"(?s)"imports"\s*:\s*\{\s*""#);
    static TEST_FILE: Pattern = Pattern::new(r"^(?:test|.*[._]test)\.(?:ts|tsx|mts|js|mjs|jsx)$");
    let text = folder
        .read("deno.json")
        .or_else(|| folder.read("deno.jsonc"))
        .unwrap_or_default();
    let run = if TEST_TASK.is_match(text) {
        "deno task test"
    } else if folder
        .paths()
        .iter()
        .any(|path| TEST_FILE.is_match(file_name(path)))
    {
        "deno test --allow-all"
    } else {
        return Err("the Deno project has no `test` task and no test files".to_owned());
    };
    let mut gate = InferredGate::test(run);
    if profile == GateProfile::Strict {
        gate.check_first("deno lint");
    }
    let locked = folder.has("deno.lock");
    if locked {
        gate.set_up("deno install --frozen");
    } else if IMPORTS.is_match(text) {
        gate.set_up("deno install");
    }
    gate.needs(&["deno"]);
    gate.set("NO_COLOR", "1");
    gate.env_passthrough = vec!["DENO_INSTALL"];
    let keys = folder.existing(&["deno.lock", "deno.json", "deno.jsonc"]);
    gate.keep(keys, &[("DENO_DIR", "{cache}/deno")], &[]);
    Ok(gate)
}
