//! The repository and the plan that every trial runs.
//!
//! Invariant: the result does not depend on the order in which parallel phases end, nor on how often a builder ran.

use std::path::PathBuf;

use autopack_testkit::fingerprint::Fingerprint;
use autopack_testkit::{Autopack, Phase, Plan, TempRepo, series};

/// The id of the run.
pub(crate) const RUN: &str = "crash";
/// Lines of the file that several phases change.
const LINES: usize = 60;

/// A repository, a data directory and a plan, all below temporary folders.
pub(crate) struct Scene {
    pub(crate) repo: TempRepo,
    pub(crate) autopack: Autopack,
    pub(crate) plan: PathBuf,
    pub(crate) base: String,
    before: Fingerprint,
}

/// A phase: its id, what it waits for, the tokens it reports, and its outcome.
pub(crate) struct Expected {
    pub(crate) phase: &'static str,
    pub(crate) after: &'static [&'static str],
    pub(crate) tokens: u64,
    pub(crate) outcome: &'static str,
}

const fn expect(
    phase: &'static str,
    after: &'static [&'static str],
    tokens: u64,
    outcome: &'static str,
) -> Expected {
    Expected {
        phase,
        after,
        tokens,
        outcome,
    }
}

/// What becomes of each phase, however often the process dies.
pub(crate) const PHASES: &[Expected] = &[
    expect("A1", &[], 0, "committed"),
    expect("A2", &["A1"], 0, "committed"),
    expect("A3", &["A2"], 0, "committed"),
    expect("B1", &[], 120, "committed"),
    expect("B2", &["B1"], 42, "committed"),
    expect("C1", &[], 0, "no_change"),
    expect("C2", &["C1"], 7, "no_change"),
    expect("D1", &[], 0, "committed"),
    expect("D2", &["A1", "D1"], 0, "already_present"),
    expect("E1", &[], 0, "committed"),
    expect("E2", &[], 50, "committed"),
    expect("E3", &[], 0, "committed"),
    expect("E4", &[], 9, "no_change"),
    expect("E5", &["E1", "E2", "E3"], 0, "committed"),
];

/// Writes a file, reports in one piece, and leaves a process behind that has its own session.
const B1: &str = "mkdir -p b && echo one > b/one.txt
(setsid sleep 300 > /dev/null 2>&1 &)
sleep 0.1
echo '{\"model\": \"m\", \"total_tokens\": 120}' > \"$AUTOPACK_USAGE_FILE\"";
/// Appends, and reports in two lines.
const B2: &str = "echo two >> b/one.txt
echo '{\"model\": \"m\", \"total_tokens\": 30}' > \"$AUTOPACK_USAGE_FILE\"
echo '{\"model\": \"n\", \"prompt_tokens\": 10, \"completion_tokens\": 2}' >> \"$AUTOPACK_USAGE_FILE\"";
/// Reports, and changes nothing.
const C2: &str = "echo '{\"total_tokens\": 7}' > \"$AUTOPACK_USAGE_FILE\"";
/// Reports while it works, and rewrites its report.
const E2: &str = "echo '{\"total_tokens\": 20}' > \"$AUTOPACK_USAGE_FILE\"
sleep 0.2
sed -n 5p shared.txt > e-two.txt
echo '{\"total_tokens\": 50}' > \"$AUTOPACK_USAGE_FILE\"";
/// Reports, and changes nothing.
const E4: &str =
    "sleep 0.05; echo '[{\"total_tokens\": 4}, {\"total_tokens\": 5}]' > \"$AUTOPACK_USAGE_FILE\"";
/// The gate of every phase.
const GATE: &str = "/bin/sh -c 'test $(grep -c . shared.txt) -eq 60 && sleep 0.02'";

fn line(number: usize) -> String {
    format!("line {number} of the shared file\n")
}

/// A patch that replaces one line of the shared file.
fn replacing(number: usize, text: &str) -> String {
    let context =
        |numbers: [usize; 2]| -> String { numbers.map(|n| [" ", &line(n)].concat()).concat() };
    format!(
        "diff --git a/shared.txt b/shared.txt\n--- a/shared.txt\n+++ b/shared.txt\n@@ -{0},5 +{0},5 @@\n{1}-{2}+{text}\n{3}",
        number - 2,
        context([number - 2, number - 1]),
        line(number),
        context([number + 1, number + 2]),
    )
}

fn builder(id: &str) -> Phase {
    match id {
        "A1" | "D2" => Phase::patch(id, replacing(5, "changed by A1")),
        "A2" => Phase::patch(id, series::adding("a/two.txt", "two\n")),
        "A3" => Phase::patch(id, replacing(20, "changed by A3")),
        "B1" => Phase::command(id, B1),
        "B2" => Phase::command(id, B2),
        "C1" => Phase::noop(id),
        "C2" => Phase::command(id, C2).set("allow_noop", true),
        "D1" => Phase::patch(id, replacing(50, "changed by D1")),
        "E1" => Phase::patches(
            id,
            [
                series::adding("e/one.txt", "1\n"),
                series::adding("e/two.txt", "2\n"),
            ],
        ),
        "E2" => Phase::command(id, E2),
        "E3" => Phase::patch(id, replacing(35, "changed by E3")),
        "E4" => Phase::command(id, E4).set("allow_noop", true),
        "E5" => Phase::patch(id, series::adding("e/five.txt", "5\n")),
        other => panic!("{other} has no builder"),
    }
}

impl Scene {
    /// Makes everything; nothing has run yet.
    pub(crate) fn new() -> Self {
        let repo = TempRepo::empty();
        let shared: String = (1..=LINES).map(line).collect();
        repo.write("shared.txt", shared);
        repo.write("README.md", "# Scene\n");
        repo.write(".gitignore", "*.log\n");
        let base = repo.commit("Base");
        // A checkout in use: staged, changed, untracked, ignored.
        repo.write("README.md", "# Scene, being edited\n");
        repo.write("staged.txt", "staged\n");
        repo.git(&["add", "staged.txt"]);
        repo.write("untracked.txt", "untracked\n");
        repo.write("debug.log", "ignored\n");
        let autopack = Autopack::new();
        let mut plan = Plan::new(RUN)
            .run("base", "main")
            .run("budgets", serde_json::json!({ "tokens": 5_000_000 }));
        for (tier, letters) in [("T1", "ABCD"), ("T2", "E")] {
            plan = plan.tier(tier);
            for expected in PHASES.iter().filter(|e| letters.contains(&e.phase[..1])) {
                plan = plan.phase(builder(expected.phase).after(expected.after).check(GATE));
            }
        }
        let plan = plan.write(&autopack.folder("plan"));
        let before = repo.fingerprint();
        Self {
            repo,
            autopack,
            plan,
            base,
            before,
        }
    }

    /// Arguments of the command that is repeated until the run has ended.
    pub(crate) fn command(&self) -> Vec<String> {
        let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
        let mut args = vec![
            "run".to_owned(),
            text(&self.plan),
            "--repo".to_owned(),
            text(self.repo.path()),
        ];
        args.extend(["--workers", "3", "--json"].map(str::to_owned));
        args
    }

    /// Fails if the user's checkout is not as it was, or a lock was left in the repository.
    #[track_caller]
    pub(crate) fn checkout_is_untouched(&self) {
        let locks = self.repo.git_dir().join("refs/heads/autonomous");
        let mut locks = std::fs::read_dir(locks).into_iter().flatten().flatten();
        let lock = locks.find(|entry| entry.path().extension().is_some_and(|end| end == "lock"));
        assert!(lock.is_none(), "{lock:?} was left behind");
        self.before.expect_same(&self.repo.fingerprint());
    }
}
