//! The gate of a Node project.
//!
//! Invariant: with a lock file the installation is frozen to it; without dependencies there is none.

use autopack_domain::plan::{GateProfile, StepKind};

use super::Manager;
use super::gate::InferredGate;
use super::node::{Package, has_test_files};
use super::view::Folder;

pub(super) fn infer(
    manager: Manager,
    folder: &Folder<'_>,
    profile: GateProfile,
) -> Result<InferredGate, String> {
    let package = Package::read(folder);
    if package.unreadable {
        return Err("package.json is not a JSON object".to_owned());
    }
    let tool = manager.as_str();
    let mut gate = InferredGate::test(test_command(manager, folder, &package)?);
    if profile == GateProfile::Strict {
        for script in ["lint", "typecheck", "build"] {
            if package.has_script(script) {
                gate.step(format!("{tool} run {script}"), StepKind::Check);
            }
        }
    }
    gate.needs(&[tool]);
    if manager != Manager::Bun {
        gate.needs(&["node"]);
    }
    if package.has_dependencies() {
        gate.set_up(install(manager, folder, &package));
        keep(&mut gate, manager, folder);
    }
    // Runners that watch files by default do not where CI is set.
    gate.set("CI", "true");
    gate.env_passthrough = vec![
        "NVM_DIR",
        "VOLTA_HOME",
        "FNM_DIR",
        "COREPACK_HOME",
        "BUN_INSTALL",
    ];
    Ok(gate)
}

fn test_command(
    manager: Manager,
    folder: &Folder<'_>,
    package: &Package,
) -> Result<String, String> {
    if package.has_test_script() {
        return Ok(match manager {
            Manager::Bun => "bun run test".to_owned(),
            _ => format!("{} test", manager.as_str()),
        });
    }
    if manager == Manager::Bun && has_test_files(folder, &["ts", "tsx", "js", "jsx"]) {
        return Ok("bun test".to_owned());
    }
    let framework = ["jest", "vitest", "mocha", "ava"]
        .iter()
        .any(|name| package.depends_on(name));
    if !framework && has_test_files(folder, &["js", "mjs", "cjs"]) {
        return Ok("node --test".to_owned());
    }
    Err("package.json has no `test` script (npm's placeholder does not count)".to_owned())
}

fn install(manager: Manager, folder: &Folder<'_>, package: &Package) -> &'static str {
    let locked = |names: &[&str]| names.iter().any(|name| folder.has(name));
    match manager {
        Manager::Yarn => match (locked(&["yarn.lock"]), is_berry(folder, package)) {
            (true, true) => "yarn install --immutable",
            (true, false) => "yarn install --frozen-lockfile --non-interactive",
            (false, _) => "yarn install",
        },
        Manager::Pnpm if locked(&["pnpm-lock.yaml"]) => "pnpm install --frozen-lockfile",
        Manager::Pnpm => "pnpm install",
        Manager::Bun if locked(&["bun.lock", "bun.lockb"]) => "bun install --frozen-lockfile",
        Manager::Bun => "bun install",
        _ if locked(&["package-lock.json", "npm-shrinkwrap.json"]) => "npm ci",
        _ => "npm install --no-audit --no-fund",
    }
}

/// Yarn 2 or later: its own configuration file, the declared version, or the form of its lock file.
fn is_berry(folder: &Folder<'_>, package: &Package) -> bool {
    let declared = package.text("packageManager").strip_prefix("yarn@");
    let declared_new =
        declared.is_some_and(|version| !version.starts_with("0.") && !version.starts_with("1."));
    declared_new
        || folder.has(".yarnrc.yml")
        || folder
            .read("yarn.lock")
            .is_some_and(|lock| lock.contains("\n__metadata:") || lock.starts_with("__metadata:"))
}

fn keep(gate: &mut InferredGate, manager: Manager, folder: &Folder<'_>) {
    let (locks, cache): (&[&str], &[(&str, &str)]) = match manager {
        Manager::Yarn => (
            &["yarn.lock", ".yarnrc.yml"],
            &[
                ("YARN_CACHE_FOLDER", "{cache}/yarn"),
                ("YARN_ENABLE_GLOBAL_CACHE", "false"),
            ],
        ),
        Manager::Pnpm => (
            &["pnpm-lock.yaml", "pnpm-workspace.yaml"],
            &[("npm_config_store_dir", "{cache}/pnpm")],
        ),
        Manager::Bun => (
            &["bun.lock", "bun.lockb"],
            &[("BUN_INSTALL_CACHE_DIR", "{cache}/bun")],
        ),
        _ => (
            &["package-lock.json", "npm-shrinkwrap.json"],
            &[("npm_config_cache", "{cache}/npm")],
        ),
    };
    let mut keys = folder.existing(locks);
    keys.extend(folder.existing(&["package.json", ".npmrc"]));
    // Berry without node_modules writes these; if they are tracked they are part of the tree.
    let mut kept = vec!["node_modules"];
    if manager == Manager::Yarn {
        kept.extend(
            [".pnp.cjs", ".pnp.loader.mjs"]
                .into_iter()
                .filter(|name| !folder.has(name)),
        );
    }
    gate.keep(keys, cache, &kept);
}
