//! Answers of models that cannot be used, and the worker's list.

use autopack_domain::Cause;
use autopack_domain::plan::{AnswerForm, ModelSpec};
use autopack_domain::usage::Provenance;
use autopack_testkit::ModelServer;
use autopack_testkit::model_server::Play;
use builder_worker::models::List;
use serde_json::{Value, json};

use crate::models::{KEY, booked, files, model, world};
use crate::models_faults::one;
use crate::world::World;

#[tokio::test]
async fn answers_that_cannot_be_used_fail_the_attempt_by_name() {
    let server = ModelServer::start();
    let mut world = world(&server);
    let replace = |line: u64| {
        json!({ "edits": [{ "op": "replace", "path": "README.md", "start_line": line, "end_line": line, "content": "x" }] }).to_string()
    };
    for (n, form, play, cause, words) in [
        (
            1,
            AnswerForm::Files,
            Play::Say("I would rather talk.".into()),
            Cause::AnswerUnusable,
            "no JSON object",
        ),
        (
            2,
            AnswerForm::Edits,
            Play::Say(replace(99)),
            Cause::AnswerUnusable,
            "the file has 5 lines",
        ),
        (
            3,
            AnswerForm::Files,
            Play::Say(files(&[("create", "../up.txt", "x")])),
            Cause::PathEscape,
            "`..`",
        ),
        (
            4,
            AnswerForm::Files,
            Play::Say(files(&[("create", ".git/hooks/post-commit", "x")])),
            Cause::PathEscape,
            ".git",
        ),
        (
            5,
            AnswerForm::Files,
            Play::Say(files(&[("write", "src/lib.rs", "x")])),
            Cause::OutOfScope,
            "src/lib.rs",
        ),
        (
            6,
            AnswerForm::Files,
            Play::Say(files(&[])),
            Cause::NoChange,
            "changed nothing",
        ),
        (
            7,
            AnswerForm::Files,
            Play::Decline,
            Cause::AnswerUnusable,
            "declines",
        ),
        (
            8,
            AnswerForm::Files,
            Play::Say(files(&[("create", "README.md", "x")])),
            Cause::AnswerUnusable,
            "exists",
        ),
        (
            9,
            AnswerForm::Files,
            Play::Say(files(&[("create", "README.md/x", "x")])),
            Cause::AnswerUnusable,
            "README.md",
        ),
    ] {
        server.push(play);
        let spec = ModelSpec {
            answer: form,
            ..ModelSpec::new("claude-test")
        };
        let mut spec = model(&format!("P{n}"), spec);
        spec.scope.paths = Some(vec![
            "README.md".into(),
            "README.md/**".into(),
            "*.txt".into(),
        ]);
        let report = world.execute(spec).await;
        assert_eq!(report.cause, Some(cause), "{n}: {}", report.detail);
        assert!(report.detail.contains(words), "{n}: {}", report.detail);
        assert_eq!(
            booked(&report).1,
            [Provenance::Reported],
            "{n}: a bad answer costs what it cost"
        );
    }
    assert!(world.branch().is_none(), "nothing landed");
}

#[tokio::test]
async fn a_link_is_not_written_through() {
    let server = ModelServer::start();
    let mut world = world(&server);
    std::os::unix::fs::symlink("/tmp", world.repo().join("out")).unwrap();
    world.git(&["add", "-A"]);
    world.git(&["commit", "-q", "-m", "Link"]);
    let tip = world.git(&["rev-parse", "HEAD"]);
    world.fake.state().run.tip = tip.clone();
    world.fake.state().run.base_sha = tip;
    server.push(Play::Say(files(&[("write", "out", "x")])));
    let report = one(&mut world, "P1", "claude-test").await;
    assert!(
        matches!(report.cause, Some(Cause::AnswerUnusable)),
        "{report:?}"
    );
    server.push(Play::Say(files(&[("create", "out/x.txt", "x")])));
    let report = one(&mut world, "P2", "claude-test").await;
    assert!(
        matches!(
            report.cause,
            Some(Cause::PathEscape | Cause::AnswerUnusable)
        ),
        "{report:?}"
    );
    assert!(!std::path::Path::new("/tmp/x.txt").exists());
}

#[tokio::test]
async fn models_can_be_switched_off_and_keys_come_from_files() {
    let off = List::read(&|name| (name == "AUTOPACK_MODELS").then(|| "off".to_owned())).unwrap();
    let mut world = World::idle();
    let mut config = world.config();
    config.models = Some(off);
    world.start_on(config, |_| {});
    let report = one(&mut world, "P1", "claude-test").await;
    assert_eq!(report.cause, Some(Cause::ProviderRefused));
    assert!(
        report.detail.contains("AUTOPACK_MODELS=off"),
        "{}",
        report.detail
    );
    let folder = world.path("keys");
    std::fs::create_dir(&folder).unwrap();
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    std::fs::write(at("key"), format!("{KEY}\n")).unwrap();
    std::fs::write(at("list.toml"), "[providers.local]\nprotocol = \"openai\"\nurl = \"http://127.0.0.1:1/v1/\"\n[models.mine]\nprovider = \"local\"\nid = \"m\"\n[routes]\ndefault = \"mine\"\n").unwrap();
    let lookup = |name: &str| match name {
        "ANTHROPIC_API_KEY_FILE" => Some(at("key")),
        "AUTOPACK_MODELS" => Some(at("list.toml")),
        _ => None,
    };
    let list = List::read(&lookup).unwrap();
    assert_eq!(list.keys(), [KEY]);
    let target = |name: &str| list.target(&ModelSpec::new(name), name);
    assert_eq!(target("mine").unwrap().model, "m");
    assert_eq!(target("claude-x").unwrap().provider, "anthropic");
    assert!(target("gpt-x").unwrap_err().contains("OPENAI_API_KEY_FILE"));
    for (text, part) in [
        (
            "[providers.x]\nprotocol = \"smoke\"\nurl = \"http://x\"\n",
            "allowed: anthropic, openai",
        ),
        (
            "[providers.x]\nprotocol = \"openai\"\nurl = \"x\"\n",
            "is no http address",
        ),
        (
            "[models.x]\nprovider = \"nobody\"\n",
            "`nobody` is not among the providers",
        ),
        ("[models.x]\ncolour = 1\n", "colour"),
    ] {
        std::fs::write(at("list.toml"), text).unwrap();
        let problem = List::read(&lookup).unwrap_err();
        assert!(problem.contains(part), "{problem}");
    }
    let value: Value = json!(format!("{list:?}"));
    assert!(!value.to_string().contains(KEY));
}
