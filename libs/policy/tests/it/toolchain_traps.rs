//! Traps of the older detection (SEMANTICS 7) that must stay closed, and repositories without a gate.

use autopack_domain::plan::GateProfile;
use autopack_policy::toolchain::{Manager, detect, infer_gate};

use crate::Tree;

fn manager(files: &[(&str, &str)]) -> Option<Manager> {
    detect(&Tree::new(files)).first().map(|chain| chain.manager)
}

fn no_gate(files: &[(&str, &str)]) -> String {
    infer_gate(&Tree::new(files), GateProfile::Normal)
        .unwrap_err()
        .reason
}

#[test]
fn a_name_inside_a_text_selects_no_manager() {
    for text in [
        "[project]\ndependencies = [\"uvicorn\", \"uvloop\"]\n",
        "[project]\ndescription = \"not poetry, not uv\"\n",
        "# migrate to poetry later, or to uv\n[project]\n",
        "[tool.poetry-version]\n[tool.uvx]\n",
        "not TOML = = [tool.uv]",
    ] {
        assert_eq!(
            manager(&[("pyproject.toml", text)]),
            Some(Manager::Pip),
            "{text}"
        );
    }
}

#[test]
fn vendored_and_built_files_are_not_seen() {
    let many: Vec<(String, &str)> = [
        "node_modules",
        "vendor",
        ".venv",
        "venv",
        "target",
        "dist",
        "build",
        ".git",
    ]
    .iter()
    .flat_map(|dir| (0..10).map(move |i| (format!("{dir}/p/f{i}.py"), "")))
    .collect();
    let mut files: Vec<(&str, &str)> = many
        .iter()
        .map(|(path, text)| (path.as_str(), *text))
        .collect();
    files.extend([
        ("node_modules/a/package.json", "{}"),
        ("vendor/go.mod", ""),
        (".venv/setup.py", ""),
    ]);
    assert_eq!(manager(&files), None);
    files.push(("setup.py", ""));
    assert_eq!(detect(&Tree::new(&files))[0].confidence, 31);
    assert!(
        no_gate(&[("setup.py", ""), ("build/test_a.py", "import unittest")])
            .contains("no test files")
    );
}

#[test]
fn the_placeholder_script_is_no_test() {
    let init = r#"{"scripts":{"test":"echo \"Error: no test specified\" && exit 1"}}"#;
    assert!(no_gate(&[("package.json", init)]).contains("`test` script"));
    assert!(no_gate(&[("package.json", r#"{"scripts":{"test":" "}}"#)]).contains("`test` script"));
    assert!(no_gate(&[("package.json", "{}")]).contains("`test` script"));
    assert!(no_gate(&[("package.json", "[]")]).contains("not a JSON object"));
    assert!(no_gate(&[("package.json", "{ broken")]).contains("not a JSON object"));
    // A framework without a script: node's own runner would misread its files.
    let jest = r#"{"devDependencies":{"jest":"1"}}"#;
    assert!(no_gate(&[("package.json", jest), ("a.test.js", "")]).contains("`test` script"));
}

#[test]
fn pytest_must_be_mentioned_as_a_word() {
    let run = |requirements: &str| {
        let tree = Tree::new(&[
            ("requirements.txt", requirements),
            ("test_a.py", "import unittest\n"),
        ]);
        infer_gate(&tree, GateProfile::Normal).unwrap().steps[0]
            .run
            .clone()
    };
    assert!(run("pytest\n").contains("pytest"));
    assert!(run("flask\npytest==8.0 ; python_version > '3'\n").contains("pytest"));
    assert!(run("mypytestlib\nflask\n").contains("unittest"));
    let tox = Tree::new(&[
        ("tox.ini", "[pytest]\n"),
        ("test_a.py", "import unittest\n"),
    ]);
    assert!(
        infer_gate(&tox, GateProfile::Normal).unwrap().steps[0]
            .run
            .contains("pytest")
    );
}

#[test]
fn hostile_names_never_enter_a_command() {
    let tree = Tree::new(&[
        ("requirements.txt", "flask\n"),
        ("requirements-dev;touch x.txt", "pytest\n"),
        ("requirements-$(id)-test.txt", "pytest\n"),
        ("test_a.py", "import unittest\n"),
        (
            "pyproject.toml",
            "[build-system]\n[project]\ndependencies=[\"a\"]\n[project.optional-dependencies]\n\"test'; id '\"=[]\n",
        ),
    ]);
    let gate = infer_gate(&tree, GateProfile::Strict).unwrap();
    for step in gate.setup.iter().chain(&gate.steps) {
        assert!(
            !step.run.contains("touch") && !step.run.contains("$(") && !step.run.contains("id '"),
            "{}",
            step.run
        );
    }
}

#[test]
fn without_a_toolchain_or_tests_there_is_no_gate() {
    assert!(no_gate(&[]).contains("no toolchain"));
    assert!(no_gate(&[("README.md", "x"), ("src/a.c", "")]).contains("no toolchain"));
    assert!(no_gate(&[("requirements.txt", "pytest\n"), ("a.py", "")]).contains("no test files"));
    assert!(no_gate(&[("go.mod", "module a\n"), ("a.go", "")]).contains("_test.go"));
    assert!(no_gate(&[("pom.xml", ""), ("src/main/java/A.java", "")]).contains("src/test"));
    assert!(no_gate(&[("Cargo.toml", "")]).contains("no Rust files"));
    assert!(no_gate(&[("Cargo.toml", "= broken"), ("src/lib.rs", "")]).contains("not valid TOML"));
    assert!(no_gate(&[("deno.json", "{}")]).contains("no test files"));
}

#[test]
fn a_toolchain_without_tests_gives_way_to_the_next() {
    let files = [
        ("package.json", "{}"),
        ("requirements.txt", "pytest\n"),
        ("test_a.py", "def test_a(): pass\n"),
    ];
    let gate = infer_gate(&Tree::new(&files), GateProfile::Normal).unwrap();
    assert_eq!(gate.steps[0].run, ".venv/bin/python -m pytest -q");
}

#[test]
fn folders_below_are_asked_when_the_root_shows_nothing() {
    let tested = r#"{"scripts":{"test":"x"},"dependencies":{"a":"1"}}"#;
    let files = [
        ("README.md", "x"),
        ("web/package.json", tested),
        ("web/package-lock.json", "x"),
        ("api/Cargo.toml", "[package]\n"),
        ("api/src/lib.rs", "x"),
        ("api/sub/go.mod", ""),
        ("node_modules/x/package.json", tested),
    ];
    let tree = Tree::new(&files);
    let dirs: Vec<String> = detect(&tree).into_iter().map(|chain| chain.dir).collect();
    assert_eq!(dirs, ["api", "web"]);
    let gate = infer_gate(&tree, GateProfile::Normal).unwrap();
    let steps: Vec<(&str, &str)> = gate
        .steps
        .iter()
        .map(|step| (step.dir.as_str(), step.run.as_str()))
        .collect();
    assert_eq!(steps, [("api", "cargo test"), ("web", "npm test")]);
    let cache = gate.cache.unwrap();
    assert_eq!(
        cache.key_files,
        [
            "api/Cargo.toml",
            "web/package-lock.json",
            "web/package.json"
        ]
    );
    assert_eq!(cache.dirs_kept, ["web/node_modules"]);
    assert_eq!(cache.env.len(), 2);
    // Variables stay with the steps of their folder.
    assert!(gate.env.is_empty());
    assert_eq!(gate.steps[1].env["CI"], "true");
    assert!(!gate.steps[0].env.contains_key("CI"));
    assert_eq!(gate.tools, ["cargo", "node", "npm"]);
}
