//! Changes that wait for a person's word, seen from the command line.

use autopack_testkit::program::{Background, within};
use autopack_testkit::series::adding;
use autopack_testkit::{Autopack, Phase, Plan, TempRepo};
use serde_json::{Value, json};

use crate::cli::serving::{BOUND, until};
use crate::rig::{POLICY, SUCCESS, play, play_with};

/// A run with a builder that touches a path for which the plan wants a word; each run of the builder leaves a line.
struct Asking {
    autopack: Autopack,
    repo: TempRepo,
    run: Background,
}

impl Asking {
    fn new() -> Self {
        let (autopack, repo) = (Autopack::new().sharing("outside"), TempRepo::small());
        let built = autopack.folder("outside").join("built");
        let line = format!(
            "mkdir -p db; echo \"create table t$$ (x int);\" > db/1.sql; echo x >> '{}'",
            built.display()
        );
        let phase = Phase::command("P1", &line)
            .check("test -s db/1.sql")
            .set("scope", json!({ "approval_paths": ["db/"] }));
        let plan = Plan::new("demo")
            .phase(phase)
            .write(&autopack.folder("plan"));
        let run = autopack.run_beside(&plan, repo.path(), &[]);
        let asking = Self {
            autopack,
            repo,
            run,
        };
        within(BOUND, "P1 asks for an approval", || {
            let status = asking.autopack.ask(&["status", "demo"]).json;
            (status["phases"][0]["handoff"]["awaited"] == "approval").then_some(())
        });
        asking
    }

    fn pending(&self) -> Vec<Value> {
        self.autopack
            .read(&["approvals"])
            .as_array()
            .unwrap()
            .clone()
    }

    fn tree(&self) -> String {
        self.pending()[0]["handoff"]["approval"]["tree"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn built(&self) -> usize {
        let lines = std::fs::read_to_string(self.autopack.folder("outside").join("built"));
        lines.unwrap().lines().count()
    }
}

#[test]
fn an_approved_tree_lands_as_it_was_and_is_not_built_again() {
    let mut asking = Asking::new();
    let pending = asking.pending();
    assert_eq!((pending.len(), &pending[0]["phase"]), (1, &json!("P1")));
    let approval = &pending[0]["handoff"]["approval"];
    assert_eq!(
        (&approval["asks"][0]["guard"], &approval["asks"][0]["path"]),
        (&json!("path"), &json!("db/1.sql"))
    );
    assert_eq!(approval["decision"], Value::Null);
    let why = asking.autopack.read(&["why", "demo", "P1"]).to_string();
    assert!(
        why.contains("\"approval\"") && why.contains("db/1.sql"),
        "{why}"
    );
    let tree = asking.tree();

    // Another tree, and the builder itself, are refused.
    let other =
        asking
            .autopack
            .call(&["approvals", "approve", "demo", "P1", "--tree", "0000000000"]);
    other.expect_code(1);
    assert!(
        other.stderr.contains("APPROVAL_CHANGED"),
        "{}",
        other.stderr
    );
    let own = [
        "approvals",
        "approve",
        "demo",
        "P1",
        "--tree",
        &tree,
        "--as",
        "builder:command",
    ];
    let own = asking.autopack.call(&own);
    own.expect_code(1);
    assert!(own.stderr.contains("SAME_IDENTITY"), "{}", own.stderr);

    let yes = [
        "approvals",
        "approve",
        "demo",
        "P1",
        "--tree",
        &tree[..10],
        "--as",
        "ada",
        "--note",
        "fine",
    ];
    asking.autopack.call(&yes).expect_code(0);
    asking.run.wait(BOUND).expect_code(0);
    let status = asking.autopack.status("demo");
    assert_eq!(status["state"], SUCCESS);
    let tip = asking.repo.branch("demo").unwrap();
    assert_eq!(
        autopack_testkit::git::tree_of(asking.repo.path(), &tip),
        tree
    );
    assert_eq!(
        asking.built(),
        1,
        "what was approved is what was built then"
    );
    let attempts = asking.autopack.attempts("demo");
    assert_eq!(
        (&attempts[0]["cause"], &attempts[1]["state"]),
        (&json!("APPROVAL_REQUIRED"), &json!("SUCCEEDED"))
    );
    assert_eq!(attempts[1]["facts"]["approval"], "by ada");
    assert_eq!(status["phases"][0]["attempts_charged"], 0);
    assert!(asking.pending().is_empty());
}

#[test]
fn a_rejected_change_ends_the_phase_with_the_note() {
    let mut asking = Asking::new();
    let tree = asking.tree();
    let no = [
        "approvals",
        "reject",
        "demo",
        "P1",
        "--tree",
        &tree,
        "--as",
        "ada",
        "--note",
        "drops a column",
    ];
    asking.autopack.call(&no).expect_code(0);
    asking.run.wait(BOUND).expect_code(3);
    let status = asking.autopack.status("demo");
    assert_eq!(
        (&status["state"], &status["cause"]),
        (&json!(POLICY), &json!("APPROVAL_REJECTED"))
    );
    assert!(
        status["phases"][0]["detail"]
            .as_str()
            .unwrap()
            .contains("drops a column")
    );
    assert_eq!(asking.repo.branch("demo"), None);
}

#[test]
fn risk_asks_only_where_the_switch_is_on() {
    let plan = |id: &str| {
        let patch = adding("db/migrations/1.sql", "create table t (x int);\n");
        Plan::new(id).phase(Phase::patch("P1", patch))
    };
    let off = play("demo", TempRepo::small(), &plan("demo"));
    off.succeeds();
    let review = &off.autopack.attempts("demo")[0]["facts"]["review"];
    assert_eq!(
        (&review["risk"], &review["touches"][0]),
        (&json!("high"), &json!("schema and migrations"))
    );

    let autopack = Autopack::new().with("AUTOPACK_ENABLE_RISK_APPROVALS", "on");
    let repo = TempRepo::small();
    let file = plan("demo").write(&autopack.folder("plan"));
    let mut run = autopack.run_beside(&file, repo.path(), &[]);
    until(&autopack, "demo", "P1", "QUEUED");
    within(BOUND, "P1 asks", || {
        let found = autopack.ask(&["approvals"]).json;
        (found[0]["handoff"]["approval"]["asks"][0]["guard"] == "risk").then_some(())
    });
    autopack.call(&["cancel", "demo"]).expect_code(0);
    run.wait(BOUND);
}

#[test]
fn what_the_policy_names_passes_without_a_person() {
    let plan = Plan::new("demo").phase(
        Phase::patch("P1", adding("docs/guide.md", "Guide\n"))
            .set("scope", json!({ "approval_paths": ["docs/"] })),
    );
    let played = play("demo", TempRepo::small(), &plan);
    played.succeeds();
    assert_eq!(
        played.autopack.attempts("demo")[0]["facts"]["approval"],
        "by policy"
    );
}

#[test]
fn a_secret_does_not_land_and_is_in_no_record_unless_the_scan_is_off() {
    let secret = ["ghp_", "x7Kd92LmQpZ4vTn8RwYc1BsE5fHj3GuA6iOt"].concat();
    let plan = Plan::new("demo").phase(Phase::patch(
        "P1",
        adding("conf.txt", &format!("fine\ntoken = {secret}\n")),
    ));
    let on = play("demo", TempRepo::small(), &plan);
    on.fails(POLICY, "SECRET_ADDED", "P1")
        .says("P1", &["conf.txt:2: github-token"])
        .has_no_branch();
    let attempts = on.autopack.attempts("demo");
    assert!(!attempts[0].to_string().contains(&secret));
    for artifact in attempts[0]["artifacts"].as_array().unwrap() {
        let text = on.autopack.artifact(artifact["digest"].as_str().unwrap());
        assert!(!text.contains(&secret), "{artifact}");
    }
    let autopack = Autopack::new().with("AUTOPACK_DISABLE_SECRET_SCAN", "1");
    play_with(autopack, "demo", TempRepo::small(), &plan).succeeds();
}
