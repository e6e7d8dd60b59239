//! Files that decide the gate (DESIGN rule 4): a list per toolchain, and what the gate's steps run.
//!
//! Invariant: the lists hold for every repository, whatever toolchain was detected, because any of
//! these files is read by the tool it belongs to as soon as it exists.

use std::collections::BTreeSet;

use autopack_domain::plan::StepSpec;

use crate::gate::scripts;
use crate::paths::fold;
use crate::text::Pattern;

/// Names of files, separated by spaces, in whatever folder: `*` at the end or start stands for any text.
const NAMES: &[(&str, &str)] = &[
    (
        "Python's tests",
        "conftest.py pytest.ini .pytest.ini tox.ini noxfile.py setup.cfg setup.py \
         pyproject.toml pytest.toml requirements*.txt constraints*.txt pipfile \
         pipfile.lock poetry.lock poetry.toml uv.lock uv.toml pdm.lock .coveragerc \
         .python-version sitecustomize.py usercustomize.py *.pth pytest.py unittest.py \
         pluggy.py",
    ),
    (
        "Node's tests",
        "package.json package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml \
         pnpm-workspace.yaml .pnpmfile.cjs bun.lock bun.lockb bunfig.toml .npmrc .yarnrc \
         .yarnrc.yml .pnp.cjs .pnp.loader.mjs .nvmrc .node-version jest.config.* \
         jest.setup.* jest-preset.* vitest.config.* vitest.workspace.* vitest.setup.* \
         vite.config.* .mocharc* mocha.opts karma.conf.* ava.config.* playwright.config.* \
         cypress.config.* .taprc .nycrc* .c8rc* babel.config.* .babelrc* .swcrc \
         tsconfig*.json eslint.config.* .eslintrc* lerna.json nx.json turbo.json",
    ),
    ("Deno's tests", "deno.json deno.jsonc deno.lock"),
    (
        "Cargo's tests",
        "cargo.toml cargo.lock build.rs rust-toolchain rust-toolchain.toml clippy.toml \
         .clippy.toml nextest.toml",
    ),
    (
        "Go's tests",
        "go.mod go.sum go.work go.work.sum .golangci.*",
    ),
    (
        "Java's tests",
        "pom.xml build.gradle* settings.gradle* gradle.properties gradlew gradlew.bat \
         mvnw mvnw.cmd gradle.lockfile libs.versions.toml",
    ),
    (
        "the continuous integration",
        ".gitlab-ci.yml jenkinsfile azure-pipelines.yml bitbucket-pipelines.yml \
         .travis.yml .drone.yml appveyor.yml .appveyor.yml .pre-commit-config.yaml",
    ),
    ("what git shows and merges", ".gitattributes"),
    (
        "the versions of tools",
        ".tool-versions mise.toml .mise.toml .envrc",
    ),
];

/// Folders, in whatever place: everything below decides the gate.
const FOLDERS: &[(&str, &str)] = &[
    (
        "the continuous integration",
        ".github/workflows .github/actions .ci .circleci .buildkite .woodpecker",
    ),
    ("Cargo's tests", ".cargo .config/nextest"),
    ("Node's tests", ".yarn"),
    ("Java's tests", "gradle/wrapper buildsrc .mvn"),
];

/// Packages at the root that stand before the installed ones of the same name.
const SHADOWS: &str =
    "pytest/__init__.py _pytest/__init__.py unittest/__init__.py pluggy/__init__.py";

/// Files that count only where a step of the gate runs the tool that reads them.
const BY_TOOL: &[(&str, &str)] = &[
    ("make", "makefile gnumakefile *.mk"),
    ("just", "justfile .justfile *.just"),
    ("task", "taskfile.yml taskfile.yaml"),
    ("cmake", "cmakelists.txt cmakepresets.json *.cmake"),
    ("ctest", "cmakelists.txt ctesttestfile.cmake *.cmake"),
    ("meson", "meson.build meson_options.txt"),
    (
        "bazel",
        "build build.bazel workspace module.bazel *.bzl .bazelrc",
    ),
    ("rake", "rakefile"),
    ("bundle", "gemfile gemfile.lock .rspec rakefile"),
    ("rspec", ".rspec gemfile gemfile.lock"),
    (
        "phpunit",
        "phpunit.xml phpunit.xml.dist composer.json composer.lock",
    ),
    (
        "composer",
        "phpunit.xml phpunit.xml.dist composer.json composer.lock",
    ),
    ("mix", "mix.exs mix.lock test_helper.exs"),
    (
        "dotnet",
        "*.csproj *.fsproj *.sln directory.build.props global.json",
    ),
    ("bats", "setup_suite.bash"),
];

/// What decides one phase's gate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GateFiles {
    tools: BTreeSet<&'static str>,
    scripts: BTreeSet<String>,
}

impl GateFiles {
    /// Adds to the lists what these steps run: their tools' files, and scripts of the tree.
    pub fn for_steps(steps: &[StepSpec], tree_paths: &[String]) -> Self {
        static WORD: Pattern = Pattern::new(r"[A-Za-z0-9_]+");
        let mut tools = BTreeSet::new();
        for step in steps {
            let words: BTreeSet<String> = WORD
                .find_all(&step.run)
                .filter_map(|c| c.get(0).map(|m| m.as_str().to_ascii_lowercase()))
                .collect();
            tools.extend(
                BY_TOOL
                    .iter()
                    .map(|(tool, _)| *tool)
                    .filter(|tool| words.contains(*tool)),
            );
        }
        let scripts = scripts::of_steps(steps, tree_paths);
        Self { tools, scripts }
    }

    /// Why the path decides the gate, if it does. Case is ignored: on some file systems
    /// `Conftest.py` is `conftest.py`.
    pub fn decides(&self, path: &str) -> Option<String> {
        if self.scripts.contains(path) {
            return Some("a step of the gate runs this file".to_owned());
        }
        let folded = fold(path);
        let name = folded.rsplit('/').next().unwrap_or(&folded);
        let by_name = NAMES.iter().find(|(_, names)| any_matches(names, name));
        if let Some((what, _)) = by_name {
            return Some(format!("decides {what}"));
        }
        let below = FOLDERS.iter().find(|(_, list)| {
            list.split_whitespace()
                .any(|folder| lies_in(&folded, folder))
        });
        if let Some((what, _)) = below {
            return Some(format!("decides {what}"));
        }
        if any_matches(SHADOWS, &folded) {
            return Some("stands before the test runner of the same name".to_owned());
        }
        let mut by_tool = BY_TOOL.iter().filter(|(tool, _)| self.tools.contains(tool));
        by_tool
            .find(|(_, names)| any_matches(names, name))
            .map(|(tool, _)| format!("read by `{tool}`, which a step of the gate runs"))
    }
}

fn any_matches(patterns: &str, name: &str) -> bool {
    patterns
        .split_whitespace()
        .any(|pattern| match pattern.split_once('*') {
            None => pattern == name,
            Some((head, tail)) => {
                name.len() >= head.len() + tail.len()
                    && name.starts_with(head)
                    && name.ends_with(tail)
            }
        })
}

/// Whether the path lies in a folder of this name, at the root or anywhere below.
fn lies_in(path: &str, folder: &str) -> bool {
    path.match_indices(folder).any(|(at, _)| {
        let starts = at == 0 || path[..at].ends_with('/');
        starts && path[at + folder.len()..].starts_with('/')
    })
}
