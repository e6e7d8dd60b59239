//! Models from the plan to the branch, asked at a local server.

use autopack_testkit::model_server::{Call, Play};
use autopack_testkit::{Autopack, ModelServer, Phase, Plan, TempRepo};
use serde_json::{Value, json};

use crate::rig::{ENVIRONMENT, Played, play, play_with};

/// A phase that a model of this name builds; it owes a file that is named after it.
fn model(id: &str, name: &str) -> Phase {
    Phase::noop(id)
        .set("builder", json!({ "kind": "model", "model": name }))
        .set("goal", json!(format!("make the file {id}.txt")))
        .set(
            "scope",
            json!({ "paths": [format!("{id}.txt")], "deliverables": [format!("{id}.txt")] }),
        )
        .set("max_attempts", 1)
}

/// Makes the file that the task names.
fn obedient(call: &Call) -> Play {
    let text = call.text();
    let wanted = text.split("make the file ").nth(1).unwrap_or_default();
    let name = wanted.split(".txt").next().unwrap_or_default();
    let file = json!({ "path": format!("{name}.txt"), "mode": "create", "content": "made\n" });
    Play::Say(json!({ "summary": "made", "files": [file] }).to_string())
}

/// Runs the plan with the server in the environment.
fn ask(server: &ModelServer, plan: &Plan) -> Played {
    server.always(obedient);
    let autopack = Autopack::new()
        .with("ANTHROPIC_BASE_URL", &server.anthropic())
        .with("OPENAI_BASE_URL", &server.openai());
    play_with(autopack, "demo", TempRepo::small(), plan)
}

fn used(played: &Played) -> u64 {
    let attempts = played.autopack.attempts("demo");
    let tokens = attempts.iter().map(|attempt| &attempt["tokens_used"]);
    tokens.map(|tokens| tokens.as_u64().unwrap_or(0)).sum()
}

fn refuse(code: &'static str, seconds: &str) -> Play {
    let headers = vec![("retry-after", seconds.to_owned())];
    let body = json!({ "error": { "type": code, "code": code, "message": code } });
    Play::Refuse(429, headers, body)
}

#[test]
fn a_plan_of_three_phases_lands_by_each_protocol_and_costs_what_the_server_counted() {
    for name in ["claude-test", "gpt-test"] {
        let server = ModelServer::start();
        let mut plan = Plan::new("demo");
        for id in ["P1", "P2", "P3"] {
            plan = plan.phase(model(id, name));
        }
        let played = ask(&server, &plan);
        played.succeeds();
        assert_eq!(played.landed().len(), 3);
        let counted = server.counted();
        assert_eq!((used(&played), counted.calls), (counted.total, 3), "{name}");
        let artifacts = played.autopack.attempts("demo")[0]["artifacts"].to_string();
        assert!(artifacts.contains("model-answer"), "{artifacts}");
    }
}

#[test]
fn providers_that_ask_to_wait_cost_no_attempt() {
    // Longer than a worker waits with a phase in its hands.
    for (code, seconds) in [("rate_limit_error", "11"), ("insufficient_quota", "1")] {
        let server = ModelServer::start();
        server.push(refuse(code, seconds));
        let plan = Plan::new("demo").phase(model("P1", "gpt-test"));
        let played = ask(&server, &plan);
        played.succeeds();
        let attempts = played.autopack.attempts("demo");
        assert_eq!(attempts.len(), 2, "{code}: {attempts:#?}");
        assert_eq!(used(&played), server.counted().total, "{code}");
    }
}

#[test]
fn a_model_without_a_key_is_found_before_the_first_lease() {
    let plan = Plan::new("demo").phase(model("P1", "claude-test"));
    play("demo", TempRepo::small(), &plan)
        .fails(ENVIRONMENT, "PREFLIGHT_FAILED", "")
        .says("", &["ANTHROPIC_API_KEY"])
        .has_no_branch();
}

#[test]
fn a_refused_key_ends_the_phase_at_once() {
    let server = ModelServer::start();
    server.push(Play::Refuse(
        401,
        Vec::new(),
        json!({ "error": { "type": "authentication_error", "message": "invalid x-api-key" } }),
    ));
    let plan = Plan::new("demo").phase(model("P1", "claude-test"));
    let played = ask(&server, &plan);
    played
        .fails(ENVIRONMENT, "PROVIDER_REFUSED", "P1")
        .says("P1", &["wrong_key", "invalid x-api-key"])
        .has_no_branch();
    assert_eq!(played.phase("P1")["state"], Value::from("FAILED"));
}
