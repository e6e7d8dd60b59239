//! Gates of Python projects: pytest or unittest, and each manager.

use crate::toolchain::{commands, gate, strict};

const UNIT: &str = "import unittest\nclass T(unittest.TestCase): pass\n";
const BARE: &str = "def test_a():\n    assert True\n";

#[test]
fn python_without_requirements_needs_no_set_up() {
    assert_eq!(
        commands(&[("calc.py", ""), ("test_calc.py", UNIT)]),
        " | python3 -m unittest discover -v"
    );
    assert_eq!(
        commands(&[("calc.py", ""), ("tests/test_calc.py", UNIT)]),
        " | python3 -m unittest discover -v -s tests"
    );
    let package = [("tests/__init__.py", ""), ("tests/test_calc.py", UNIT)];
    assert_eq!(commands(&package), " | python3 -m unittest discover -v");
    assert_eq!(
        commands(&[("test_calc.py", BARE)]),
        " | python3 -m pytest -q"
    );
    assert_eq!(
        commands(&[("test_calc.py", UNIT), ("pytest.ini", "")]),
        " | python3 -m pytest -q"
    );
    let configured = [
        ("pyproject.toml", "[tool.pytest.ini_options]\n"),
        ("a.py", ""),
    ];
    assert_eq!(commands(&configured), " | python3 -m pytest -q");
    let src = gate(&[("src/a/__init__.py", "x"), ("tests/test_a.py", BARE)]);
    assert_eq!(src.env["PYTHONPATH"], "src");
    assert_eq!(src.tools, ["python3"]);
    assert_eq!(src.cache, None);
}

#[test]
fn tests_that_are_marked_wait_for_the_strict_profile() {
    let ini =
        "[pytest]\nmarkers =\n    unit: small\n    e2e: slow\n    safety_critical: all of it\n";
    let files = [("pytest.ini", ini), ("test_a.py", BARE)];
    assert_eq!(
        commands(&files),
        " | python3 -m pytest -q -m 'not e2e and not safety_critical'"
    );
    assert_eq!(strict(&files).last().unwrap(), "python3 -m pytest -q");
    let toml = "[tool.pytest.ini_options]\nmarkers = [\"e2e: slow\", \"unit\"]\n";
    assert_eq!(
        commands(&[("pyproject.toml", toml), ("test_a.py", BARE)]),
        " | python3 -m pytest -q -m 'not e2e'"
    );
    let none = "[pytest]\naddopts = -q\n# e2e tests live elsewhere\n";
    assert_eq!(
        commands(&[("pytest.ini", none), ("test_a.py", BARE)]),
        " | python3 -m pytest -q"
    );
}

#[test]
fn pip_installs_into_a_kept_environment() {
    let venv =
        "python3 -m venv .venv && .venv/bin/python -m pip install --disable-pip-version-check -q";
    let files = [
        ("requirements.txt", "flask\n"),
        ("requirements-dev.txt", "pytest>=8\n"),
        ("test_a.py", BARE),
    ];
    assert_eq!(
        commands(&files),
        format!(
            "{venv} -r requirements.txt -r requirements-dev.txt | .venv/bin/python -m pytest -q"
        )
    );
    let gate = gate(&files);
    let cache = gate.cache.unwrap();
    assert_eq!(cache.dirs_kept, [".venv"]);
    assert_eq!(
        cache.key_files,
        ["requirements.txt", "requirements-dev.txt"]
    );
    let bare = [("requirements.txt", "flask\n"), ("test_a.py", BARE)];
    assert!(commands(&bare).contains("-r requirements.txt pytest |"));
    let unit = [("requirements.txt", "flask\n"), ("test_a.py", UNIT)];
    assert!(
        commands(&unit).ends_with("-r requirements.txt | .venv/bin/python -m unittest discover -v")
    );
    let project = "[build-system]\nrequires = []\n[project]\nname = \"a\"\ndependencies = [\"flask\"]\n[project.optional-dependencies]\ntest = [\"pytest\"]\ndocs = []\n";
    assert!(
        commands(&[("pyproject.toml", project), ("test_a.py", BARE)]).contains("-q -e '.[test]' |")
    );
}

#[test]
fn uv_poetry_and_pipenv() {
    let pytest = "[project]\nname = \"a\"\n[dependency-groups]\ndev = [\"pytest\"]\n";
    let test = ("tests/test_a.py", BARE);
    assert_eq!(
        commands(&[("pyproject.toml", pytest), ("uv.lock", ""), test]),
        "uv sync --locked | uv run --no-sync pytest -q"
    );
    assert_eq!(
        commands(&[
            ("pyproject.toml", "[tool.uv]\n[project]\n"),
            ("test_a.py", UNIT)
        ]),
        "uv sync | uv run --no-sync python -m unittest discover -v"
    );
    assert_eq!(
        commands(&[
            ("pyproject.toml", "[tool.poetry]\n"),
            ("poetry.lock", ""),
            test
        ]),
        "poetry install --no-interaction | poetry run python -m pytest -q"
    );
    assert_eq!(
        commands(&[
            ("Pipfile", "[dev-packages]\npytest = \"*\"\n"),
            ("Pipfile.lock", ""),
            test
        ]),
        "pipenv sync --dev | pipenv run python -m pytest -q"
    );
    assert!(strict(&[("test_a.py", BARE)])[0].starts_with("python3 -m compileall"));
}
