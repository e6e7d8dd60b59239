//! The gate of a Python project.
//!
//! Invariant: pytest runs only where something mentions it or where the tests are bare functions;
//! plain unittest files are run by unittest, which needs nothing installed.

use autopack_domain::plan::GateProfile;

use super::Manager;
use super::gate::InferredGate;
use super::python::{Project, is_test_file, requirement_files};
use super::view::Folder;
use crate::text::Pattern;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Runner {
    Pytest,
    Unittest,
}

pub(super) fn infer(
    manager: Manager,
    folder: &Folder<'_>,
    profile: GateProfile,
) -> Result<InferredGate, String> {
    let project = Project::read(folder);
    let runner = runner(folder, &project)?;
    let mut gate = match manager {
        Manager::Uv => uv(folder, runner),
        Manager::Poetry => poetry(folder, runner),
        Manager::Pipenv => pipenv(folder, runner),
        _ => pip(folder, &project, runner),
    };
    if runner == Runner::Pytest && profile == GateProfile::Normal {
        leave_out_strict_tests(&mut gate, folder);
    }
    if profile == GateProfile::Strict {
        gate.check_first(r"python3 -m compileall -q -x '(^|/)(\.venv|node_modules)/' .");
        if manager != Manager::Pip {
            gate.needs(&["python3"]);
        }
    }
    gate.set("PYTHONDONTWRITEBYTECODE", "1");
    gate.env_passthrough = vec!["PYENV_ROOT", "PYENV_VERSION", "UV_PYTHON_INSTALL_DIR"];
    Ok(gate)
}

/// Which runner the tests are written for, or why there is nothing to run.
fn runner(folder: &Folder<'_>, project: &Project) -> Result<Runner, String> {
    static SECTION: Pattern = Pattern::new(r"(?m)^\[(tool:)?pytest\]");
    let says = |name: &str| folder.read(name).is_some_and(|text| SECTION.is_match(text));
    let configured = ["pytest.ini", ".pytest.ini", "conftest.py"]
        .iter()
        .any(|name| folder.has(name))
        || folder
            .paths()
            .iter()
            .any(|path| path.ends_with("/conftest.py"))
        || project.configures_pytest()
        || says("tox.ini")
        || says("setup.cfg");
    let tests: Vec<&str> = folder
        .paths()
        .iter()
        .copied()
        .filter(|path| is_test_file(path))
        .collect();
    if configured {
        return Ok(Runner::Pytest);
    }
    if tests.is_empty() {
        return Err("the Python project has no test files (`test_*.py`)".to_owned());
    }
    if mentions_pytest(folder) {
        return Ok(Runner::Pytest);
    }
    let texts: Vec<&str> = tests.iter().filter_map(|path| folder.read(path)).collect();
    let word = |word: &str| texts.iter().any(|text| text.contains(word));
    let found_by_unittest = tests.iter().any(|path| {
        path.rsplit('/')
            .next()
            .is_some_and(|n| n.starts_with("test"))
    });
    if word("pytest") || !found_by_unittest || (!texts.is_empty() && !word("unittest")) {
        return Ok(Runner::Pytest);
    }
    Ok(Runner::Unittest)
}

/// Markers whose tests belong to the strict profile only.
const STRICT_MARKERS: [&str; 2] = ["e2e", "safety_critical"];

/// Tests that the project itself marks as such wait for the strict profile; tests without a marker always run.
fn leave_out_strict_tests(gate: &mut InferredGate, folder: &Folder<'_>) {
    static REGISTERED: Pattern =
        Pattern::new(r#"(?m)(?:^\s*(?:markers\s*=\s*)?|["'])(e2e|safety_critical)\s*(?::|["']|$)"#);
    let files = [
        "pytest.ini",
        ".pytest.ini",
        "pyproject.toml",
        "setup.cfg",
        "tox.ini",
    ];
    let texts: Vec<&str> = files.iter().filter_map(|name| folder.read(name)).collect();
    let registered = |marker: &str| {
        texts
            .iter()
            .any(|text| REGISTERED.find_all(text).any(|found| &found[1] == marker))
    };
    let left_out: Vec<String> = STRICT_MARKERS
        .iter()
        .filter(|marker| registered(marker))
        .map(|marker| format!("not {marker}"))
        .collect();
    if let (false, Some(step)) = (left_out.is_empty(), gate.steps.last_mut()) {
        let words = left_out.join(" and ");
        step.run = format!("{} -m '{words}'", step.run);
    }
}

/// Whether a file that lists requirements names pytest as a word of its own.
fn mentions_pytest(folder: &Folder<'_>) -> bool {
    static PYTEST: Pattern = Pattern::new(r"(?m)(^|[^\w.])pytest($|[^\w])");
    let lists = [
        "pyproject.toml",
        "setup.py",
        "setup.cfg",
        "tox.ini",
        "Pipfile",
    ];
    let requirements = requirement_files(folder);
    lists
        .iter()
        .copied()
        .chain(requirements.iter().map(String::as_str))
        .any(|name| folder.read(name).is_some_and(|text| PYTEST.is_match(text)))
}

/// The arguments of the interpreter.
fn arguments(folder: &Folder<'_>, runner: Runner) -> &'static str {
    match runner {
        Runner::Pytest => "-m pytest -q",
        Runner::Unittest if below_plain_folder(folder, "tests") => {
            "-m unittest discover -v -s tests"
        }
        Runner::Unittest if below_plain_folder(folder, "test") => "-m unittest discover -v -s test",
        Runner::Unittest => "-m unittest discover -v",
    }
}

/// Whether all tests stand in a folder that is no package: discovery does not enter it by itself.
fn below_plain_folder(folder: &Folder<'_>, name: &str) -> bool {
    let prefix = format!("{name}/");
    let mut tests = folder
        .paths()
        .iter()
        .filter(|path| is_test_file(path))
        .peekable();
    tests.peek().is_some()
        && tests.all(|path| path.starts_with(&prefix))
        && !folder.has(&format!("{name}/__init__.py"))
}

fn pip(folder: &Folder<'_>, project: &Project, runner: Runner) -> InferredGate {
    let requirements = requirement_files(folder);
    let extras = project.test_extras();
    let installs =
        project.is_package() && !(project.dependencies().is_empty() && extras.is_empty());
    let legacy = folder
        .read("setup.py")
        .is_some_and(|text| text.contains("install_requires"));
    let mut words: Vec<String> = Vec::new();
    for file in &requirements {
        words.push(format!("-r {file}"));
    }
    if installs && !extras.is_empty() {
        words.push(format!("-e '.[{}]'", extras.join(",")));
    } else if installs || legacy {
        words.push("-e .".to_owned());
    }
    let python = if words.is_empty() {
        "python3"
    } else {
        ".venv/bin/python"
    };
    let mut gate = InferredGate::test(format!("{python} {}", arguments(folder, runner)));
    gate.needs(&["python3"]);
    if !words.is_empty() {
        if runner == Runner::Pytest && !mentions_pytest(folder) {
            words.push("pytest".to_owned());
        }
        gate.set_up(format!(
            "python3 -m venv .venv && .venv/bin/python -m pip install --disable-pip-version-check -q {}",
            words.join(" ")
        ));
        let mut keys = requirements;
        keys.extend(folder.existing(&["pyproject.toml", "setup.py", "setup.cfg"]));
        gate.keep(keys, &[("PIP_CACHE_DIR", "{cache}/pip")], &[".venv"]);
    }
    let has_src = folder.paths().iter().any(|path| path.starts_with("src/"));
    if has_src && folder.count(&["py"]) > 0 && !installs && !legacy {
        gate.set("PYTHONPATH", "src");
    }
    gate
}

fn uv(folder: &Folder<'_>, runner: Runner) -> InferredGate {
    let mut gate = InferredGate::test(match runner {
        Runner::Pytest => "uv run --no-sync pytest -q".to_owned(),
        Runner::Unittest => format!("uv run --no-sync python {}", arguments(folder, runner)),
    });
    gate.set_up(
        match (folder.has("uv.lock"), folder.has("pyproject.toml")) {
            (true, _) => "uv sync --locked",
            (false, true) => "uv sync",
            (false, false) => "uv venv && uv pip install -r requirements.txt",
        },
    );
    gate.needs(&["uv"]);
    let keys = folder.existing(&[
        "uv.lock",
        "pyproject.toml",
        "requirements.txt",
        ".python-version",
    ]);
    gate.keep(keys, &[("UV_CACHE_DIR", "{cache}/uv")], &[".venv"]);
    gate
}

fn poetry(folder: &Folder<'_>, runner: Runner) -> InferredGate {
    let mut gate = InferredGate::test(format!("poetry run python {}", arguments(folder, runner)));
    gate.set_up("poetry install --no-interaction");
    gate.needs(&["poetry"]);
    gate.set("POETRY_VIRTUALENVS_IN_PROJECT", "true");
    let keys = folder.existing(&["poetry.lock", "pyproject.toml", "poetry.toml"]);
    gate.keep(keys, &[("POETRY_CACHE_DIR", "{cache}/poetry")], &[".venv"]);
    gate
}

fn pipenv(folder: &Folder<'_>, runner: Runner) -> InferredGate {
    let mut gate = InferredGate::test(format!("pipenv run python {}", arguments(folder, runner)));
    let locked = folder.has("Pipfile.lock");
    gate.set_up(if locked {
        "pipenv sync --dev"
    } else {
        "pipenv install --dev"
    });
    gate.needs(&["pipenv"]);
    gate.set("PIPENV_VENV_IN_PROJECT", "1");
    let keys = folder.existing(&["Pipfile", "Pipfile.lock"]);
    gate.keep(
        keys,
        &[
            ("PIP_CACHE_DIR", "{cache}/pip"),
            ("PIPENV_CACHE_DIR", "{cache}/pipenv"),
        ],
        &[".venv"],
    );
    gate
}
