//! Node and bun: npm, Yarn, pnpm, bun (SEMANTICS 7).
//!
//! Invariant: `packageManager` decides before lock files; npm's placeholder script is no test.

use serde_json::Value;

use super::view::{Folder, file_name};
use super::{Family, Manager, Signals, Toolchain};

const THRESHOLD: u32 = 50;

pub(super) fn detect(folder: &Folder<'_>) -> Option<Toolchain> {
    let mut signals = Signals::default();
    if signals.file(folder, 70, &["package.json"]) {
        let locks = [
            "yarn.lock",
            "pnpm-lock.yaml",
            "package-lock.json",
            "npm-shrinkwrap.json",
            "bun.lock",
            "bun.lockb",
        ];
        signals.file(folder, 10, &locks);
    }
    signals.sources(folder, &["js", "ts", "mjs", "cjs", "jsx", "tsx"]);
    signals.file(folder, 20, &["tsconfig.json"]);
    let package = Package::read(folder);
    let (manager, why) = manager(folder, &package);
    if let Some(why) = why {
        signals.add(0, format!("{} by {why}", manager.as_str()));
    }
    // Without package.json there is nothing to install or to run: TypeScript sources alone are Deno's.
    if !folder.has("package.json") {
        return None;
    }
    signals.at_least(THRESHOLD, Family::Node, manager, folder)
}

fn manager(folder: &Folder<'_>, package: &Package) -> (Manager, Option<&'static str>) {
    let declared = package.text("packageManager");
    let named = declared.split('@').next().unwrap_or_default();
    let locks = [
        ("bun.lock", Manager::Bun),
        ("bun.lockb", Manager::Bun),
        ("pnpm-lock.yaml", Manager::Pnpm),
        ("yarn.lock", Manager::Yarn),
        ("package-lock.json", Manager::Npm),
        ("npm-shrinkwrap.json", Manager::Npm),
    ];
    match named {
        "npm" => (Manager::Npm, Some("packageManager")),
        "yarn" => (Manager::Yarn, Some("packageManager")),
        "pnpm" => (Manager::Pnpm, Some("packageManager")),
        "bun" => (Manager::Bun, Some("packageManager")),
        _ => locks
            .into_iter()
            .find(|(lock, _)| folder.has(lock))
            .map_or((Manager::Npm, None), |(lock, manager)| {
                (manager, Some(lock))
            }),
    }
}

/// What `package.json` says.
pub(super) struct Package {
    value: Value,
    pub(super) unreadable: bool,
}

impl Package {
    pub(super) fn read(folder: &Folder<'_>) -> Self {
        let parsed = folder
            .read("package.json")
            .map(serde_json::from_str::<Value>);
        let unreadable = !matches!(&parsed, Some(Ok(Value::Object(_))));
        let value = parsed.and_then(Result::ok).unwrap_or_default();
        Self { value, unreadable }
    }

    pub(super) fn text(&self, key: &str) -> &str {
        self.value[key].as_str().unwrap_or_default()
    }

    pub(super) fn has_script(&self, name: &str) -> bool {
        self.value["scripts"][name]
            .as_str()
            .is_some_and(|script| !script.trim().is_empty())
    }

    /// Whether the `test` script is more than the one that `npm init` writes.
    pub(super) fn has_test_script(&self) -> bool {
        let script = self.value["scripts"]["test"].as_str().unwrap_or_default();
        self.has_script("test") && !script.contains("no test specified")
    }

    pub(super) fn has_dependencies(&self) -> bool {
        let kinds = [
            "dependencies",
            "devDependencies",
            "optionalDependencies",
            "peerDependencies",
        ];
        let some = |kind: &&str| {
            self.value
                .get(*kind)
                .and_then(Value::as_object)
                .is_some_and(|list| !list.is_empty())
        };
        kinds.iter().any(some) || !self.value["workspaces"].is_null()
    }

    pub(super) fn depends_on(&self, name: &str) -> bool {
        ["dependencies", "devDependencies"]
            .iter()
            .any(|kind| !self.value[*kind][name].is_null())
    }
}

/// Test files that node's own runner and bun's find by themselves.
pub(super) fn has_test_files(folder: &Folder<'_>, extensions: &[&str]) -> bool {
    folder.paths().iter().any(|path| {
        let Some((stem, extension)) = file_name(path).rsplit_once('.') else {
            return false;
        };
        extensions.contains(&extension)
            && [".test", "_test", "-test"]
                .iter()
                .any(|end| stem.ends_with(end))
    })
}
