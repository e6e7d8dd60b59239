//! What is recorded about runs and attempts, so that no run is lost to later comparison.

use autopack_testkit::{Autopack, Phase, Plan, TempRepo};
use serde_json::{Value, json};

use crate::rig::{Played, play_with};

/// A run with a builder that reports usage, a gate with counted tests, and two attempts.
fn played() -> Played {
    let repo = TempRepo::small();
    repo.git(&[
        "remote",
        "add",
        "origin",
        "https://user:secret@example.org/team/shop.git",
    ]);
    let usage = r#"{"provider":"p","model":"m-1","role":"builder","prompt_tokens":700,"completion_tokens":34}"#;
    let line = format!(
        "echo \"$AUTOPACK_ATTEMPT\" > n.txt; printf '%s\\n' '{usage}' > \"$AUTOPACK_USAGE_FILE\"; echo working"
    );
    let gate = json!({ "steps": [
        { "run": "python3 -m unittest discover", "kind": "test" },
        { "run": "grep -q 2 n.txt", "kind": "check" },
    ] });
    let plan = Plan::new("demo")
        .phase(Phase::command("P1", &line).set("gate", gate))
        .phase(Phase::noop("P2"));
    let autopack = Autopack::new()
        .with("AUTOPACK_OPERATOR", "tester@bench")
        .with("AUTOPACK_ENABLE_INTENTION_CONTEXT", "1");
    let played = play_with(autopack, "demo", repo, &plan);
    played.succeeds();
    played
}

/// The environment's switches, but for what is said of this run alone; the run keeps what it was.
#[test]
fn a_switch_is_set_for_one_run_and_recorded_with_it() {
    let repo = TempRepo::small();
    let autopack = Autopack::new().with("AUTOPACK_ENABLE_INTENTION_CONTEXT", "1");
    let plan = |id: &str| {
        Plan::new(id)
            .phase(Phase::noop("P1"))
            .write(&autopack.folder(id))
    };
    let (first, second) = (plan("first"), plan("second"));
    let at = repo.path().to_str().unwrap();
    let submit = |plan: &std::path::Path, switches: &[&str]| {
        let mut args = vec!["submit", plan.to_str().unwrap(), "--repo", at];
        args.extend(switches.iter().flat_map(|switch| ["--switch", switch]));
        autopack.call(&args)
    };
    let told = [
        "AUTOPACK_ENABLE_INTENTION_CONTEXT=off",
        "TELEMETRY_DB_ENABLED=Yes",
    ];
    submit(&first, &told).expect_code(0);
    submit(&second, &[]).expect_code(0);
    let switches = |id: &str| autopack.status(id)["facts"]["switches"].clone();
    assert_eq!(switches("first"), "TELEMETRY_DB_ENABLED");
    assert_eq!(switches("second"), "AUTOPACK_ENABLE_INTENTION_CONTEXT");
    let refused = submit(&plan("third"), &["TELEMETRY_DB_ENABLED=maybe", "NO_SUCH=1"]);
    refused.expect_code(2);
    for word in [
        "`maybe` is not a flag",
        "`NO_SUCH` is no switch",
        "AUTOPACK_ROLLBACK_ENABLED",
    ] {
        assert!(refused.stderr.contains(word), "{word}: {}", refused.stderr);
    }
}

#[test]
fn runs_and_attempts_tell_what_they_were() {
    let played = played();
    let facts = played.status["facts"].as_object().unwrap();
    let fact = |name: &str| {
        facts
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no fact {name} in {facts:#?}"))
            .to_owned()
    };
    assert_eq!(fact("operator"), "tester@bench");
    for hash in [
        "plan_digest",
        "files_digest",
        "model_mapping_hash",
        "environment_hash",
    ] {
        assert!(
            fact(hash).len() == 64 && fact(hash).chars().all(|c| c.is_ascii_hexdigit()),
            "{hash}: {}",
            fact(hash)
        );
    }
    assert_eq!(fact("base_sha"), played.repo.git(&["rev-parse", "HEAD"]));
    assert!(fact("git_version").contains('.') && fact("plan_path").ends_with("plan.yaml"));
    assert_eq!(fact("switches"), "AUTOPACK_ENABLE_INTENTION_CONTEXT");
    assert_eq!(played.status["project"], "shop", "from the remote");
    assert!(
        !played.status.to_string().contains("secret"),
        "{:#}",
        played.status
    );

    let attempts = played.autopack.attempts("demo");
    let of_p1: Vec<&Value> = attempts
        .iter()
        .filter(|attempt| attempt["phase"] == "P1")
        .collect();
    assert_eq!(of_p1.len(), 2);
    let (first, second) = (of_p1[0], of_p1[1]);
    assert_eq!(
        (&first["state"], &first["cause"]),
        (&json!("FAILED"), &json!("GATE_FAILED"))
    );
    assert_eq!(
        (&second["state"], &second["cause"], &second["tests"]),
        (&json!("SUCCEEDED"), &Value::Null, &json!(1))
    );
    assert_eq!(second["commit"], played.phase("P1")["commit"]);
    assert!(first["fence"].as_u64().unwrap() < second["fence"].as_u64().unwrap());
    assert!(
        second["gate"]
            .as_str()
            .unwrap()
            .starts_with("passed; python3 -m unittest"),
        "{second:#}"
    );
    let facts = second["facts"].as_object().unwrap();
    assert_eq!(
        (&facts["builder"], &facts["changed_files"], &facts["tests"]),
        (&json!("command"), &json!(1), &json!(1))
    );
    for stage in ["build", "govern", "gate", "land"] {
        assert!(facts["stage_ms"][stage].is_u64(), "{facts:#?}");
    }
    let names = |attempt: &Value| {
        attempt["artifacts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| a["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(first), ["output", "diff", "work", "tests"]);
    let output = second["artifacts"][0]["digest"].as_str().unwrap();
    let text = played.autopack.artifact(output);
    assert!(
        text.contains("working") && text.contains("Ran 1 test"),
        "{text}"
    );
}

#[test]
fn usage_is_booked_once_on_every_account() {
    let played = played();
    let attempts = played.autopack.attempts("demo");
    let used: Vec<u64> = attempts
        .iter()
        .filter(|a| a["phase"] == "P1")
        .map(|a| a["tokens_used"].as_u64().unwrap())
        .collect();
    assert_eq!(used, [734, 734]);
    assert_eq!(played.phase("P1")["tokens"]["settled"], 1468);
    assert_eq!(played.status["tiers"][0]["tokens"]["settled"], 1468);
    let run = &played.status["budgets"]["tokens"];
    assert_eq!(
        (&run["settled"], &run["reserved"]),
        (&json!(1468), &json!(0))
    );
    assert_eq!(played.status["tiers"][0]["ci_runs"]["settled"], 2);
    assert_eq!(played.status["budgets"]["phases"]["used"], 2);
    let summary: Value = serde_json::from_str(
        &std::fs::read_to_string(played.autopack.data().join("runs/demo/run_summary.json"))
            .unwrap(),
    )
    .unwrap();
    assert_eq!(summary["budgets"]["tokens"]["settled"], 1468);
    assert_eq!(summary["phases"][0]["tests"], 1);
}
