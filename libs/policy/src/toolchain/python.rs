//! Python: pip, Poetry, uv, Pipenv (SEMANTICS 7).
//!
//! Invariant: a manager is chosen by its own lock file, table or build backend, never because its name
//! occurs in a text: `uvicorn` among the dependencies does not select uv.

use toml::{Table, Value};

use super::view::{Folder, file_name, is_requirements};
use super::{Family, Manager, Signals, Toolchain};
use crate::text::Pattern;

const THRESHOLD: u32 = 30;

pub(super) fn detect(folder: &Folder<'_>) -> Option<Toolchain> {
    let mut signals = Signals::default();
    signals.file(folder, 50, &["requirements.txt"]);
    signals.file(folder, 50, &["Pipfile"]);
    signals.file(folder, 40, &["pyproject.toml"]);
    signals.file(folder, 30, &["setup.py", "setup.cfg"]);
    signals.file(folder, 30, &["pytest.ini", "tox.ini", "conftest.py"]);
    signals.file(folder, 10, &["uv.lock", "poetry.lock", "Pipfile.lock"]);
    // Plain files with tests and nothing else are a project too.
    if folder
        .paths()
        .iter()
        .any(|path| is_test_file(path) && path.matches('/').count() <= 1)
    {
        signals.add(30, "test_*.py");
    }
    signals.sources(folder, &["py"]);
    let (manager, why) = manager(folder);
    if let Some(why) = why {
        signals.add(0, why);
    }
    signals.at_least(THRESHOLD, Family::Python, manager, folder)
}

/// The manager and what decided it; lock files before tables, so that a migrated project counts as new.
fn manager(folder: &Folder<'_>) -> (Manager, Option<String>) {
    let project = Project::read(folder);
    let tool = |name: &str| project.tool(name).is_some();
    let backend = project.build_backend();
    let choices = [
        (folder.has("uv.lock"), Manager::Uv, "uv.lock"),
        (folder.has("poetry.lock"), Manager::Poetry, "poetry.lock"),
        (tool("uv"), Manager::Uv, "[tool.uv]"),
        (tool("poetry"), Manager::Poetry, "[tool.poetry]"),
        (
            backend.starts_with("poetry.core") || backend.starts_with("poetry.masonry"),
            Manager::Poetry,
            "build-backend of Poetry",
        ),
        (
            backend.starts_with("uv_build"),
            Manager::Uv,
            "build-backend of uv",
        ),
        (folder.has("Pipfile"), Manager::Pipenv, "Pipfile"),
    ];
    for (holds, manager, why) in choices {
        if holds {
            return (manager, Some(format!("{} by {why}", manager.as_str())));
        }
    }
    let why = project
        .unreadable
        .then(|| "pyproject.toml is not valid TOML".to_owned());
    (Manager::Pip, why)
}

/// `test_x.py`, `x_test.py` or `tests.py`, wherever it stands.
pub(super) fn is_test_file(path: &str) -> bool {
    static NAME: Pattern = Pattern::new(r"^(test_[^/]*|tests?|[^/]+_tests?)\.py$");
    NAME.is_match(file_name(path))
}

/// What `pyproject.toml` says.
pub(super) struct Project {
    table: Table,
    pub(super) unreadable: bool,
}

impl Project {
    pub(super) fn read(folder: &Folder<'_>) -> Self {
        let parsed = folder.read("pyproject.toml").map(str::parse::<Table>);
        let unreadable = matches!(parsed, Some(Err(_)));
        let table = parsed.and_then(Result::ok).unwrap_or_default();
        Self { table, unreadable }
    }

    pub(super) fn tool(&self, name: &str) -> Option<&Value> {
        self.table.get("tool")?.get(name)
    }

    pub(super) fn build_backend(&self) -> &str {
        let system = self.table.get("build-system");
        let backend = system.and_then(|system| system.get("build-backend"));
        backend.and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether there is a package to install: a name, and a way to build it.
    pub(super) fn is_package(&self) -> bool {
        self.table.contains_key("build-system") && self.table.contains_key("project")
    }

    /// The package's dependencies.
    pub(super) fn dependencies(&self) -> Vec<&str> {
        let project = self.table.get("project");
        let list = project.and_then(|project| project.get("dependencies"));
        list.and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    /// Extras that look like those of developers, if their names are plain.
    pub(super) fn test_extras(&self) -> Vec<&str> {
        let project = self.table.get("project");
        let extras = project.and_then(|project| project.get("optional-dependencies"));
        extras
            .and_then(Value::as_table)
            .into_iter()
            .flat_map(Table::keys)
            .map(String::as_str)
            .filter(|name| matches!(*name, "dev" | "test" | "tests" | "testing"))
            .collect()
    }

    /// Whether it has a section for pytest.
    pub(super) fn configures_pytest(&self) -> bool {
        self.tool("pytest").is_some()
    }
}

/// Requirement files that matter for tests: the plain one and those for developers, in fixed order.
pub(super) fn requirement_files(folder: &Folder<'_>) -> Vec<String> {
    let mut found: Vec<String> = folder
        .paths()
        .iter()
        .filter(|path| {
            let name = file_name(path);
            let here = !path.contains('/') && is_requirements(name);
            let grouped = matches!(
                **path,
                "requirements/dev.txt" | "requirements/test.txt" | "requirements/tests.txt"
            );
            let for_tests = ["dev", "test", "ci"].iter().any(|word| name.contains(word));
            (here && (name == "requirements.txt" || for_tests)) || grouped
        })
        .filter(|path| folder.read(path).is_none_or(has_requirements))
        .map(|path| (*path).to_owned())
        .collect();
    found.sort_by_key(|path| (path != "requirements.txt", path.clone()));
    found
}

fn has_requirements(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#')
    })
}
