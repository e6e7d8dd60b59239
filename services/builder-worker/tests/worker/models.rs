//! Models: asked by both protocols, judged by what they answer, charged what the server counted.

use std::collections::BTreeMap;

use autopack_domain::Cause;
use autopack_domain::phase::PhaseOutcome;
use autopack_domain::plan::{AnswerForm, BuilderSpec, ModelSpec, PhaseSpec, StepKind};
use autopack_domain::run::settle::Report;
use autopack_domain::usage::Provenance;
use autopack_testkit::ModelServer;
use autopack_testkit::model_server::Play;
use builder_worker::WorkerConfig;
use builder_worker::models::{Entry, List};
use serde_json::{Value, json};

use crate::world::{World, phase, with_step};

/// The key that the worker is given.
pub(crate) const KEY: &str = "sk-test-0123456789abcdef";

/// The list that a worker has whose environment names the server.
pub(crate) fn list(server: &ModelServer) -> List {
    let lookup = |name: &str| match name {
        "ANTHROPIC_BASE_URL" => Some(server.anthropic()),
        "OPENAI_BASE_URL" => Some(server.openai()),
        "ANTHROPIC_API_KEY" | "OPENAI_API_KEY" => Some(KEY.to_owned()),
        _ => None,
    };
    List::read(&lookup).unwrap()
}

/// A worker that asks the server.
pub(crate) fn world(server: &ModelServer) -> World {
    world_with(server, |_| {})
}

/// The same, told more.
pub(crate) fn world_with(server: &ModelServer, tell: impl FnOnce(&mut WorkerConfig)) -> World {
    let mut world = World::idle();
    let mut config = world.config();
    config.models = Some(list(server));
    config.model_patience = std::time::Duration::ZERO;
    tell(&mut config);
    world.start_on(config, |_| {});
    world
}

pub(crate) fn model(id: &str, spec: ModelSpec) -> PhaseSpec {
    phase(id, BuilderSpec::Model(spec))
}

pub(crate) fn fact<'r>(report: &'r Report, name: &str) -> &'r Value {
    report.facts.get(name).unwrap_or(&Value::Null)
}

/// An answer of whole files.
pub(crate) fn files(list: &[(&str, &str, &str)]) -> String {
    let files: Vec<Value> = list
        .iter()
        .map(|(mode, path, content)| json!({ "path": path, "mode": mode, "content": content }))
        .collect();
    json!({ "summary": "done", "files": files }).to_string()
}

/// What was booked: total, and the provenances that stand there.
pub(crate) fn booked(report: &Report) -> (u64, Vec<Provenance>) {
    let mut provenances: Vec<Provenance> = report.usage.iter().map(|u| u.provenance).collect();
    provenances.dedup();
    (report.usage.iter().map(|u| u.total).sum(), provenances)
}

#[tokio::test]
async fn three_phases_by_each_protocol_land_and_cost_what_the_server_counted() {
    for name in ["claude-test", "gpt-test"] {
        let server = ModelServer::start();
        let mut world = world(&server);
        let mut total = 0;
        for n in 1..=3 {
            let file = format!("made{n}.txt");
            server.push(Play::Say(files(&[("create", &file, "made\n")])));
            let mut spec = model(&format!("P{n}"), ModelSpec::new(name));
            spec.scope.deliverables = vec![file.clone()];
            let spec = with_step(spec, StepKind::Check, &format!("test -s {file}"), 20);
            let report = world.execute(spec).await;
            let end = (report.cause, report.outcome);
            assert_eq!(
                end,
                (None, Some(PhaseOutcome::Committed)),
                "{name}: {}",
                report.detail
            );
            assert_eq!(
                world.git(&["show", &format!("{}:{file}", report.commit)]),
                "made"
            );
            let (sum, provenances) = booked(&report);
            assert_eq!(provenances, [Provenance::Reported]);
            assert_eq!(fact(&report, "model_usage")["total"], sum);
            total += sum;
            let message = world.git(&["show", "-s", "--format=%B", &report.commit]);
            assert!(message.contains("Autopack-Builder: model"), "{message}");
            assert!(world.fake.artifact(&report, "model-answer").is_some());
            world.fake.state().run.tip = report.commit.clone();
        }
        let counted = server.counted();
        assert_eq!((total, 3), (counted.total, counted.calls), "{name}");
        let header = if name == "gpt-test" {
            ("authorization", format!("Bearer {KEY}"))
        } else {
            ("x-api-key", KEY.to_owned())
        };
        assert_eq!(server.calls()[0].headers[header.0], header.1);
    }
}

#[tokio::test]
async fn a_model_sees_the_task_its_files_and_no_secret() {
    let server = ModelServer::start();
    let mut world = world(&server);
    server.push(Play::Say(files(&[(
        "write",
        "src/lib.rs",
        "pub fn two() -> u32 {\n    2\n}\n",
    )])));
    let mut spec = model(
        "P1",
        ModelSpec {
            prompt: "Mind the margins.".into(),
            ..ModelSpec::new("claude-test")
        },
    );
    spec.scope.paths = Some(vec!["src/lib.rs".into()]);
    let report = world.execute(spec).await;
    assert_eq!(report.cause, None, "{}", report.detail);
    let asked = server.calls()[0].text();
    for part in ["Do it.", "Mind the margins.", "pub fn one()", "README.md"] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    assert!(
        !asked.contains("Three"),
        "a file out of scope is named, not shown: {asked}"
    );
    let context = fact(&report, "context");
    assert_eq!(
        (&context["kept"], &context["omitted"]),
        (&json!(1), &json!(0))
    );
}

#[tokio::test]
async fn each_form_changes_files() {
    let server = ModelServer::start();
    let mut world = world(&server);
    let edit = json!({ "edits": [{ "op": "replace", "path": "README.md", "start_line": 3, "end_line": 3, "content": "1" }] });
    let lines = "{\"type\": \"meta\", \"summary\": \"s\", \"total_operations\": 2}\n{\"type\": \"modify\", \"file_path\": \"README.md\", \"operations\": [{\"type\": \"replace\", \"old_text\": \"Two\", \"new_text\": \"2\"}]}\n{\"type\": \"create\", \"file_path\": \"new/a.txt\", \"content\": \"a\"}\n";
    for (n, form, answer, seen) in [
        (1, AnswerForm::Edits, edit.to_string(), "\n1\n"),
        (2, AnswerForm::Lines, lines.to_owned(), "\n2\n"),
        (
            3,
            AnswerForm::Files,
            files(&[("write", "README.md", "# Demo\n\nwhole\n")]),
            "\nwhole",
        ),
    ] {
        server.push(Play::Say(answer));
        let spec = ModelSpec {
            answer: form,
            ..ModelSpec::new("claude-test")
        };
        let report = world.execute(model(&format!("P{n}"), spec)).await;
        assert_eq!(report.cause, None, "{form}: {}", report.detail);
        let text = world.git(&["show", &format!("{}:README.md", report.commit)]);
        assert!(text.contains(seen), "{form}: {text}");
        assert_eq!(fact(&report, "answer_form"), form.as_str());
        world.fake.state().run.tip = report.commit.clone();
    }
}

/// 50,000 bytes: more than the first budget of such a phase, less than the second.
fn long_text() -> String {
    "a line of the long text that is made here, so long\n".repeat(950)
}

#[tokio::test]
async fn a_cut_answer_gets_a_quarter_more_once() {
    let server = ModelServer::start();
    let mut world = world(&server);
    let long = files(&[("create", "long.txt", &long_text())]);
    server.push(Play::Say(long.clone()));
    server.push(Play::Say(long.clone()));
    let spec = ModelSpec {
        answer: AnswerForm::Files,
        ..ModelSpec::new("claude-test")
    };
    let report = world.execute(model("P1", spec.clone())).await;
    assert_eq!(report.cause, None, "{}", report.detail);
    assert_eq!(
        fact(&report, "token_escalation"),
        &json!({ "from": 11_468, "to": 14_335 })
    );
    let bounds: Vec<u64> = server
        .calls()
        .iter()
        .map(autopack_testkit::model_server::Call::bound)
        .collect();
    assert_eq!(bounds, [11_468, 14_335]);
    assert_eq!(
        booked(&report),
        (server.counted().total, vec![Provenance::Reported])
    );
    let estimation = fact(&report, "estimation");
    assert_eq!(
        (
            &estimation["truncated"],
            &estimation["predicted_output_tokens"]
        ),
        (&json!(true), &json!(8192))
    );
    assert!(estimation["smape_percent"].as_f64().unwrap() > 0.0);
    // Switched off: the attempt fails, and says what to do.
    server.push(Play::Say(long.clone()));
    let off = ModelSpec {
        escalate: false,
        ..spec.clone()
    };
    let report = world.execute(model("P2", off)).await;
    assert_eq!(report.cause, Some(Cause::AnswerUnusable));
    assert!(
        report.detail.contains("cut off at 11468 tokens"),
        "{}",
        report.detail
    );
    assert_eq!(fact(&report, "token_escalation"), &Value::Null);
    // The attempt after an answer that could not be used begins with more, and is not raised again.
    world.fake.state().previous = (Cause::AnswerUnusable.code().into(), "cut off".into());
    let other = files(&[("create", "other.txt", &long_text())]);
    server.push(Play::Say(other));
    let report = world.execute(model("P3", spec)).await;
    assert_eq!(report.cause, None, "{}", report.detail);
    assert_eq!(server.calls().last().unwrap().bound(), 14_335);
}

#[tokio::test]
async fn a_cut_answer_of_lines_goes_on_where_it_broke_off() {
    let server = ModelServer::start();
    let mut world = world(&server);
    let create = |name: &str| {
        json!({ "type": "create", "file_path": name, "content": long_text() }).to_string()
    };
    let meta = json!({ "type": "meta", "summary": "s", "total_operations": 3 });
    let one = json!({ "type": "create", "file_path": "a.txt", "content": "a" });
    server.push(Play::Say(format!("{meta}\n{one}\n{}", create("b.txt"))));
    server.push(Play::Say(format!(
        "{}\n{}",
        create("b.txt"),
        json!({ "type": "create", "file_path": "c.txt", "content": "c" })
    )));
    let spec = ModelSpec {
        answer: AnswerForm::Lines,
        ..ModelSpec::new("gpt-test")
    };
    let report = world.execute(model("P1", spec)).await;
    assert_eq!(report.cause, None, "{}", report.detail);
    let names = world.git(&["show", "--format=", "--name-only", &report.commit]);
    assert_eq!(names, "a.txt\nb.txt\nc.txt");
    let second = server.calls()[1].body["messages"].clone();
    assert_eq!(second[2]["role"], "assistant");
    assert!(
        second[2]["content"].as_str().unwrap().ends_with("\"a\"}"),
        "{second}"
    );
    assert_eq!(booked(&report).0, server.counted().total);
}

#[tokio::test]
async fn a_phase_too_large_for_one_answer_is_built_in_batches_unless_that_is_off() {
    let server = ModelServer::start();
    server.always(|call| {
        let wanted = call.text();
        let names = [
            "core0.py",
            "core9.py",
            "test_0.py",
            "models.py",
            "docs/a.md",
        ];
        let part = wanted.split("nothing else\\n\\n").nth(1).unwrap_or(&wanted);
        let part = part.split("## Files").next().unwrap_or_default();
        let made: Vec<String> = names
            .iter()
            .filter(|name| part.contains(*name))
            .map(|name| json!({ "type": "create", "file_path": name, "content": "x" }).to_string())
            .collect();
        let meta = json!({ "type": "meta", "summary": "", "total_operations": made.len() });
        Play::Say(format!("{meta}\n{}", made.join("\n")))
    });
    let mut world = world(&server);
    let mut spec = model("P1", ModelSpec::new("claude-test"));
    let mut owed: Vec<String> = (0..20).map(|n| format!("src/core{n}.py")).collect();
    owed.extend(["test_0.py", "models.py", "docs/a.md"].map(String::from));
    spec.scope.deliverables = owed;
    spec.task_category = "backend".into();
    let report = world.execute(spec.clone()).await;
    // The stand-in makes a few of them only.
    assert_eq!(
        report.cause,
        Some(Cause::DeliverableMissing),
        "{}",
        report.detail
    );
    let batches = fact(&report, "estimation")["batches"].as_u64().unwrap();
    assert!(batches >= 4, "{batches}");
    assert_eq!(server.counted().calls, batches);
    let asked: Vec<String> = server
        .calls()
        .iter()
        .map(autopack_testkit::model_server::Call::text)
        .collect();
    let first = |name: &str| {
        let wanted = |text: &String| {
            let part = text.split("nothing else").nth(1).unwrap_or_default();
            let part = part.split("## Files").next().unwrap_or_default();
            part.contains(&format!("- {name}"))
        };
        asked.iter().position(wanted).unwrap()
    };
    assert!(
        first("models.py") <= first("src/core0.py") && first("src/core0.py") <= first("test_0.py")
    );
    assert!(asked.last().unwrap().contains("fit each other"));
    assert_eq!(server.calls().last().unwrap().bound(), 4096);
    assert_eq!(booked(&report).0, server.counted().total);
    let before = server.counted().calls;
    spec.id = "P2".parse().unwrap();
    spec.builder = Some(BuilderSpec::Model(ModelSpec {
        batches: false,
        ..ModelSpec::new("claude-test")
    }));
    let report = world.execute(spec).await;
    assert_eq!(fact(&report, "estimation")["batches"], 0);
    assert_eq!(server.counted().calls, before + 1);
}

#[tokio::test]
async fn routes_choose_the_model_and_failures_raise_it() {
    let server = ModelServer::start();
    server.always(|call| {
        let name = call.body["model"].as_str().unwrap_or_default();
        Play::Say(files(&[("create", &format!("{name}.txt"), "x\n")]))
    });
    let tell = |config: &mut WorkerConfig| {
        let list = config.models.as_mut().unwrap();
        let entry = |provider: &str, id: &str| Entry {
            provider: provider.into(),
            id: id.into(),
            max_output: Some(5000),
        };
        list.models = BTreeMap::from([
            ("small".to_owned(), entry("openai", "s-1")),
            ("middle".to_owned(), entry("anthropic", "m-1")),
        ]);
        list.routes.complexity = [("low", "small"), ("medium", "middle")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into();
    };
    let mut world = world_with(&server, tell);
    let run = |id: &str, escalate: bool| {
        model(
            id,
            ModelSpec {
                escalate,
                ..ModelSpec::new("auto")
            },
        )
    };
    let report = world.execute(run("P1", true)).await;
    assert_eq!(
        (fact(&report, "model"), fact(&report, "model_route")),
        (&json!("s-1"), &json!("complexity"))
    );
    assert_eq!(
        server.calls()[0].bound(),
        5000,
        "what the model can answer bounds it"
    );
    world.fake.state().run.tip = report.commit.clone();
    world.fake.state().charged = 2;
    let report = world.execute(run("P2", true)).await;
    assert_eq!(
        (fact(&report, "model"), fact(&report, "model_route")),
        (&json!("m-1"), &json!("raised"))
    );
    let report = world.execute(run("P3", false)).await;
    assert_eq!(fact(&report, "model"), "s-1");
}
