//! The repositories of `tests/fixtures/toolchains` whose runners need no download, run for real: their inferred gate
//! gives the verdict and the ids.

use std::path::{Path, PathBuf};

use autopack_domain::Cause;
use autopack_domain::plan::{StepKind, TestRules};
use autopack_domain::quarantine::ATTEMPT_FACT;

use crate::world::{World, command, with_step};

struct Tool {
    folder: &'static str,
    run: &'static str,
    tests: u64,
    failing: &'static str,
    flaky: &'static str,
    broken: &'static str,
}

const TOOLS: [Tool; 3] = [
    Tool {
        folder: "unittest",
        run: "python3 -m unittest discover -v",
        tests: 2,
        failing: "tests.test_core.Core.test_double",
        flaky: "tests.test_core.Core.test_double",
        broken: "no_such_name",
    },
    Tool {
        folder: "cargo",
        run: "cargo test --locked --offline",
        tests: 3,
        failing: "it::zero",
        flaky: "it::zero",
        broken: "no_such_name",
    },
    Tool {
        folder: "node",
        run: "node --test",
        tests: 2,
        failing: "double > doubles",
        flaky: "double > doubles",
        broken: "noSuchName",
    },
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/toolchains")
}

fn files(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path
                    .strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

/// Whether the tool is here; where it is not, its recorded output is read by the policy's tests.
fn is_here(run: &str) -> bool {
    let program = run.split(' ').next().unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

#[tokio::test]
async fn real_runners_give_the_verdict_and_the_ids() {
    for tool in TOOLS.iter().filter(|tool| is_here(tool.run)) {
        let at = fixtures().join(tool.folder);
        let own = files(&at.join("repo"));
        let borrowed: Vec<(&str, &str)> =
            own.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let mut world = World::with_files(&borrowed);
        for variant in ["repo", "failing", "broken", "flaky"] {
            let overlay = at.join(variant);
            let line = format!(
                "cp -r '{}/.' . && echo {variant} > variant.txt",
                overlay.to_str().unwrap()
            );
            let mut spec = with_step(command(variant, &line), StepKind::Test, tool.run, 300);
            let step = &mut spec.gate.steps.as_mut().unwrap()[0];
            step.env.insert("CARGO_TERM_COLOR".into(), "never".into());
            // A step has a home of its own.
            let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
            for (name, folder) in [("RUSTUP_HOME", ".rustup"), ("CARGO_HOME", ".cargo")] {
                let usual = home.join(folder).to_str().unwrap().to_owned();
                step.env
                    .insert(name.into(), std::env::var(name).unwrap_or(usual));
            }
            spec.gate.tests = TestRules {
                integrity: false,
                ..TestRules::default()
            };
            let folder = world.shared(variant);
            if variant == "flaky" {
                // Where the mark of the first run is left: the gate's own folder is emptied between runs.
                step.env
                    .insert("TMPDIR".into(), folder.to_str().unwrap().into());
            }
            let report = world.execute(spec).await;
            let (cause, name) = match variant {
                "repo" => (None, ""),
                "failing" => (Some(Cause::GateFailed), tool.failing),
                "broken" => (Some(Cause::GateFailed), tool.broken),
                _ => (None, ""),
            };
            let told = format!("{} {variant}: {}", tool.folder, report.detail);
            assert_eq!(report.cause, cause, "{told}");
            assert!(report.detail.contains(name), "{told}");
            match variant {
                "repo" => assert_eq!(report.tests, Some(tool.tests), "{told}"),
                "flaky" => assert_eq!(report.facts[ATTEMPT_FACT][0], tool.flaky, "{told}"),
                _ => {}
            }
        }
    }
}
