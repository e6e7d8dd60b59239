//! Toolchains: detection, managers, and the gate each implies.

use autopack_domain::plan::{GateProfile, StepKind};
use autopack_policy::toolchain::{Family, InferredGate, Manager, detect, infer_gate, marker_files};

use crate::{Tree, strings};

pub(crate) fn gate(files: &[(&str, &str)]) -> InferredGate {
    infer_gate(&Tree::new(files), GateProfile::Normal).unwrap()
}

pub(crate) fn strict(files: &[(&str, &str)]) -> Vec<String> {
    let gate = infer_gate(&Tree::new(files), GateProfile::Strict).unwrap();
    gate.steps.into_iter().map(|step| step.run).collect()
}

/// Set-up commands, then steps after a `|`.
pub(crate) fn commands(files: &[(&str, &str)]) -> String {
    let gate = gate(files);
    let setup: Vec<String> = gate.setup.iter().map(|step| step.run.clone()).collect();
    let steps: Vec<String> = gate.steps.iter().map(|step| step.run.clone()).collect();
    format!("{} | {}", setup.join("; "), steps.join("; "))
}

const TESTED: &str = r#"{"scripts":{"test":"jest"},"devDependencies":{"jest":"1"}}"#;
const CRATE: &str = "[package]\nname = \"a\"\n";

type Files = &'static [(&'static str, &'static str)];

#[test]
fn managers_and_confidence() {
    let cases: &[(Files, Manager, u8)] = &[
        (&[("requirements.txt", "x"), ("a.py", "")], Manager::Pip, 51),
        (
            &[("pyproject.toml", "[tool.poetry]\n")],
            Manager::Poetry,
            40,
        ),
        (
            &[(
                "pyproject.toml",
                "[build-system]\nbuild-backend = \"poetry.core.masonry.api\"",
            )],
            Manager::Poetry,
            40,
        ),
        (
            &[("pyproject.toml", "[project]\n"), ("poetry.lock", "")],
            Manager::Poetry,
            50,
        ),
        (&[("pyproject.toml", "[tool.uv]\n")], Manager::Uv, 40),
        (
            &[("pyproject.toml", "[tool.poetry]\n"), ("uv.lock", "")],
            Manager::Uv,
            50,
        ),
        (&[("Pipfile", "")], Manager::Pipenv, 50),
        (&[("setup.py", "")], Manager::Pip, 31),
        (&[("package.json", "{}")], Manager::Npm, 70),
        (
            &[("package.json", "{}"), ("package-lock.json", "")],
            Manager::Npm,
            80,
        ),
        (
            &[
                ("package.json", "{}"),
                ("yarn.lock", ""),
                ("tsconfig.json", "{}"),
            ],
            Manager::Yarn,
            100,
        ),
        (
            &[("package.json", "{}"), ("pnpm-lock.yaml", "")],
            Manager::Pnpm,
            80,
        ),
        (
            &[("package.json", "{}"), ("bun.lock", "")],
            Manager::Bun,
            80,
        ),
        (
            &[("package.json", "{}"), ("bun.lockb", "")],
            Manager::Bun,
            80,
        ),
        (
            &[
                ("package.json", r#"{"packageManager":"pnpm@9.1.0"}"#),
                ("package-lock.json", ""),
            ],
            Manager::Pnpm,
            80,
        ),
        (
            &[("go.mod", ""), ("go.sum", ""), ("a.go", "")],
            Manager::Go,
            91,
        ),
        (&[("go.work", "")], Manager::Go, 80),
        (
            &[("Cargo.toml", ""), ("Cargo.lock", "")],
            Manager::Cargo,
            90,
        ),
        (&[("pom.xml", "")], Manager::Maven, 70),
        (&[("build.gradle", "")], Manager::Gradle, 70),
        (
            &[("build.gradle.kts", ""), ("pom.xml", "")],
            Manager::Gradle,
            100,
        ),
        (&[("deno.json", "{}")], Manager::Deno, 80),
        (
            &[("deno.jsonc", "{}"), ("deno.lock", "")],
            Manager::Deno,
            90,
        ),
    ];
    for (files, manager, confidence) in cases {
        let found = detect(&Tree::new(files));
        assert_eq!(
            (found[0].manager, found[0].confidence),
            (*manager, *confidence),
            "{files:?}"
        );
        assert!(!found[0].reasons.is_empty());
    }
}

#[test]
fn the_most_certain_comes_first_and_ties_have_an_order() {
    let tree = Tree::new(&[
        ("package.json", "{}"),
        ("go.mod", ""),
        ("requirements.txt", "x"),
        ("pom.xml", ""),
    ]);
    let names: Vec<Family> = detect(&tree).iter().map(|chain| chain.name).collect();
    assert_eq!(
        names,
        [Family::Go, Family::Node, Family::Java, Family::Python]
    );
}

#[test]
fn cargo() {
    assert_eq!(
        commands(&[("Cargo.toml", CRATE), ("src/lib.rs", "")]),
        " | cargo test"
    );
    let lock = "[[package]]\nname = \"a\"\nversion = \"0.1.0\"\n";
    let with_source = format!("{lock}source = \"registry+https://example.org\"\n");
    assert_eq!(
        commands(&[
            ("Cargo.toml", CRATE),
            ("Cargo.lock", lock),
            ("src/lib.rs", "")
        ]),
        " | cargo test --locked"
    );
    assert_eq!(
        commands(&[
            ("Cargo.toml", "[workspace]\n"),
            ("Cargo.lock", &with_source),
            ("a/src/lib.rs", "")
        ]),
        "cargo fetch --locked | cargo test --workspace --locked"
    );
    let needs = format!("{CRATE}[dependencies]\nserde = \"1\"\n");
    assert_eq!(
        commands(&[("Cargo.toml", &needs), ("src/lib.rs", "")]),
        "cargo fetch | cargo test"
    );
    let local = format!("{CRATE}[dependencies]\nb = {{ path = \"b\" }}\n");
    assert_eq!(
        commands(&[("Cargo.toml", &local), ("src/lib.rs", "")]),
        " | cargo test"
    );
    assert_eq!(
        strict(&[("Cargo.toml", CRATE), ("src/lib.rs", "")]),
        ["cargo build --all-targets", "cargo test"]
    );
    let gate = gate(&[("Cargo.toml", CRATE), ("src/lib.rs", "")]);
    assert_eq!(gate.steps[0].kind, StepKind::Test);
    assert_eq!(
        gate.cache.unwrap().env["CARGO_TARGET_DIR"],
        "{cache}/target"
    );
    assert_eq!(gate.tools, ["cargo"]);
    assert!(gate.env_passthrough.contains(&"RUSTUP_HOME"));
}

#[test]
fn node_managers() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("package-lock.json", "")], "npm ci | npm test"),
        (&[], "npm install --no-audit --no-fund | npm test"),
        (
            &[("yarn.lock", "# yarn lockfile v1\n")],
            "yarn install --frozen-lockfile --non-interactive | yarn test",
        ),
        (
            &[("yarn.lock", "\n__metadata:\n  version: 8\n")],
            "yarn install --immutable | yarn test",
        ),
        (
            &[("yarn.lock", ""), (".yarnrc.yml", "")],
            "yarn install --immutable | yarn test",
        ),
        (
            &[("pnpm-lock.yaml", "")],
            "pnpm install --frozen-lockfile | pnpm test",
        ),
        (
            &[("bun.lock", "")],
            "bun install --frozen-lockfile | bun run test",
        ),
    ];
    for (locks, expected) in cases {
        let mut files = vec![("package.json", TESTED)];
        files.extend_from_slice(locks);
        assert_eq!(commands(&files), *expected);
    }
    let plain = [("package.json", r#"{"scripts":{"test":"node --test"}}"#)];
    assert_eq!(commands(&plain), " | npm test");
    assert_eq!(
        commands(&[("package.json", "{}"), ("test/a.test.js", "")]),
        " | node --test"
    );
    assert_eq!(
        commands(&[("package.json", "{}"), ("bun.lock", ""), ("a.test.ts", "")]),
        " | bun test"
    );
    let scripts = r#"{"scripts":{"test":"x","lint":"y","build":"z"}}"#;
    assert_eq!(
        strict(&[("package.json", scripts)]),
        ["npm test", "npm run lint", "npm run build"]
    );
    let gate = gate(&[("package.json", TESTED), ("package-lock.json", "")]);
    assert_eq!(gate.cache.unwrap().dirs_kept, ["node_modules"]);
    assert_eq!(
        (gate.env["CI"].as_str(), gate.tools),
        ("true", strings(&["npm", "node"]))
    );
}

#[test]
fn go_deno_and_java() {
    assert_eq!(
        commands(&[("go.mod", "module a\n"), ("a_test.go", "")]),
        " | go test -v ./..."
    );
    assert_eq!(
        commands(&[("go.mod", "module a\n"), ("go.sum", ""), ("a_test.go", "")]),
        "go mod download | go test -v ./..."
    );
    let work = "go 1.24\nuse (\n\t./a // first\n\t./b/c\n)\nuse ./d\nuse \"./e; rm -rf x\"\n";
    assert_eq!(
        commands(&[("go.work", work), ("a/go.mod", ""), ("a/a_test.go", "")]),
        " | go test -v ./a/... ./b/c/... ./d/..."
    );
    assert_eq!(
        strict(&[("go.mod", "module a\n"), ("a_test.go", "")]),
        ["go vet ./...", "go test -v ./..."]
    );
    assert_eq!(
        commands(&[("deno.json", "{}"), ("a_test.ts", "")]),
        " | deno test --allow-all"
    );
    let task = "{ // tasks\n \"tasks\": { \"test\": \"deno test -A\" } }";
    assert_eq!(
        commands(&[("deno.jsonc", task), ("deno.lock", "{}")]),
        "deno install --frozen | deno task test"
    );
    let java = ("src/test/java/ATest.java", "");
    assert!(commands(&[("pom.xml", ""), java]).ends_with(" | mvn -B test"));
    assert!(commands(&[("pom.xml", ""), ("mvnw", ""), java]).ends_with(" | sh ./mvnw -B test"));
    assert!(
        commands(&[
            ("pom.xml", ""),
            ("a/pom.xml", ""),
            ("a/src/test/java/ATest.java", "")
        ])
        .ends_with("mvn -B test")
    );
    assert!(
        commands(&[("build.gradle", ""), java])
            .ends_with(" | gradle --no-daemon --console=plain test")
    );
    assert!(
        commands(&[("build.gradle.kts", ""), ("gradlew", ""), java])
            .contains("| sh ./gradlew --no-daemon")
    );
    assert_eq!(gate(&[("pom.xml", ""), ("mvnw", ""), java]).tools, ["java"]);
}

#[test]
fn callers_are_told_which_files_to_read() {
    let paths = strings(&[
        "package.json",
        "web/package.json",
        "a/b/c/package.json",
        "node_modules/x/package.json",
        "requirements-dev.txt",
        "tests/test_a.py",
        "src/a.py",
        "Cargo.lock",
        "README.md",
        "requirements;x.txt",
    ]);
    let wanted = marker_files(&paths);
    assert_eq!(
        wanted,
        [
            "package.json",
            "web/package.json",
            "requirements-dev.txt",
            "tests/test_a.py",
            "Cargo.lock"
        ]
    );
    let many: Vec<String> = (0..100).map(|i| format!("test_{i}.py")).collect();
    assert_eq!(marker_files(&many).len(), 20);
}
