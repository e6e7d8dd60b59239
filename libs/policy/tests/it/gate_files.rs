//! Files that decide the gate: the lists per toolchain, and what the steps run.

use autopack_domain::plan::{StepKind, StepSpec};
use autopack_policy::gate::scripts;
use autopack_policy::govern::GateFiles;

use crate::{step, strings};

#[test]
fn the_lists_hold_for_every_repository() {
    let gate = GateFiles::default();
    for path in [
        "conftest.py",
        "tests/unit/conftest.py",
        "pytest.ini",
        "tox.ini",
        "setup.cfg",
        "setup.py",
        "pyproject.toml",
        "requirements.txt",
        "requirements-dev.txt",
        "poetry.lock",
        "uv.lock",
        "Pipfile.lock",
        "sitecustomize.py",
        "x.pth",
        "pytest.py",
        "pytest/__init__.py",
        "unittest/__init__.py",
        "noxfile.py",
        ".coveragerc",
        "package.json",
        "web/package.json",
        "package-lock.json",
        "yarn.lock",
        "pnpm-lock.yaml",
        "bun.lockb",
        "bun.lock",
        "jest.config.js",
        "jest.config.ts",
        "vitest.config.mts",
        "vite.config.ts",
        ".mocharc.yml",
        ".mocharc",
        "babel.config.js",
        "tsconfig.json",
        "tsconfig.test.json",
        ".npmrc",
        ".yarnrc.yml",
        ".yarn/releases/yarn.cjs",
        "deno.json",
        "deno.jsonc",
        "deno.lock",
        "Cargo.toml",
        "crates/a/Cargo.toml",
        "Cargo.lock",
        "build.rs",
        "rust-toolchain",
        "rust-toolchain.toml",
        ".cargo/config.toml",
        ".cargo/config",
        ".config/nextest.toml",
        "go.mod",
        "go.sum",
        "go.work",
        "pom.xml",
        "a/pom.xml",
        "build.gradle",
        "build.gradle.kts",
        "settings.gradle",
        "gradle.properties",
        "gradlew",
        "gradle/wrapper/gradle-wrapper.jar",
        "gradle/libs.versions.toml",
        "mvnw",
        ".mvn/jvm.config",
        "buildSrc/x.kts",
        ".github/workflows/ci.yml",
        ".ci/run.sh",
        ".circleci/config.yml",
        ".gitlab-ci.yml",
        "Jenkinsfile",
        ".tool-versions",
        "Conftest.PY",
    ] {
        assert!(gate.decides(path).is_some(), "{path}");
    }
}

#[test]
fn ordinary_files_do_not_decide() {
    let gate = GateFiles::default();
    for path in [
        "src/lib.rs",
        "tests/test_a.py",
        "README.md",
        "src/build.py",
        "my-package.json",
        "package.json.md",
        "unittest/main.cc",
        "docs/gradle/x.md",
        "Makefile",
        "tests/CMakeLists.txt",
        "github/workflows/x",
        "a.ci/x",
        "cargo/config.toml",
        "conftest.pyc.txt",
        "jest.md",
    ] {
        assert_eq!(gate.decides(path), None, "{path}");
    }
}

#[test]
fn what_a_step_runs_decides_too() {
    let tree = strings(&[
        "Makefile",
        "scripts/test.sh",
        "run_tests.py",
        "test_calc.py",
        "ci/check",
        "tools/x.js",
        "a.py",
    ]);
    let runs = |run: &str| {
        scripts::of_steps(&[step(run, StepKind::Test)], &tree)
            .into_iter()
            .collect::<Vec<_>>()
    };
    for (run, script) in [
        ("./scripts/test.sh --fast", "scripts/test.sh"),
        ("sh scripts/test.sh", "scripts/test.sh"),
        ("bash -eu ./scripts/test.sh", "scripts/test.sh"),
        (". scripts/test.sh", "scripts/test.sh"),
        ("cargo build && \"./ci/check\"", "ci/check"),
        ("CI=1 env FOO=bar ci/check", "ci/check"),
        ("timeout 60 ./ci/check", "ci/check"),
        ("python3 run_tests.py -v", "run_tests.py"),
        ("uv run python run_tests.py", "run_tests.py"),
        ("node tools/x.js", "tools/x.js"),
        ("(cd . ; ./ci/check)", "ci/check"),
        ("ci/../scripts/test.sh", "scripts/test.sh"),
    ] {
        assert_eq!(runs(run), [script], "{run}");
    }
    for run in [
        "pytest test_calc.py",
        "python3 -m pytest a.py",
        "python3 test_calc.py",
        "cargo test",
        "python3 -c 'import a.py'",
        "/scripts/test.sh",
        "../scripts/test.sh",
        "grep x scripts/test.sh",
        "",
    ] {
        assert!(runs(run).is_empty(), "{run}");
    }
    let below = StepSpec {
        dir: "ci".to_owned(),
        ..step("./check; sh ../scripts/test.sh", StepKind::Check)
    };
    assert_eq!(
        scripts::of_steps(&[below], &tree),
        ["ci/check", "scripts/test.sh"].map(str::to_owned).into()
    );
}

#[test]
fn files_of_a_tool_count_where_a_step_runs_it() {
    let gate = GateFiles::for_steps(&[step("make test", StepKind::Test)], &[]);
    assert!(
        gate.decides("Makefile")
            .is_some_and(|why| why.contains("`make`"))
    );
    assert!(gate.decides("rules/x.mk").is_some());
    assert_eq!(gate.decides("CMakeLists.txt"), None);
    let script = GateFiles::for_steps(&[step("./t.sh", StepKind::Test)], &strings(&["t.sh"]));
    assert!(script.decides("t.sh").is_some());
    assert_eq!(script.decides("u.sh"), None);
}
