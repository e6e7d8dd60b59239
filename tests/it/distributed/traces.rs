//! A run's trace, as a collector receives it from real processes: one root, no orphan, every stage.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use autopack_testkit::cluster::free_port;
use autopack_testkit::collector::{Arrived, Collector, env};
use autopack_testkit::program::within;
use autopack_testkit::{Autopack, Cluster, Phase, Plan, TempRepo};
use serde_json::Value;

use crate::rig::{BOUND, run};

/// A run with a gate, a retry, a phase that fails for good, and one that is skipped for it.
fn plan(id: &str, marks: &Path, folder: &Path) -> std::path::PathBuf {
    let mark = marks.join("tried");
    let second_time = format!(
        "test -e {mark} || {{ touch {mark}; exit 7; }}; echo b > b.txt",
        mark = mark.display()
    );
    Plan::new(id)
        .phase(Phase::command("P1", "echo a > a.txt").check("test -f a.txt"))
        .phase(Phase::command("P2", &second_time).after(&[]))
        .phase(
            Phase::command("P3", "exit 3")
                .after(&[])
                .set("max_attempts", 1),
        )
        .phase(Phase::noop("P4").after(&["P3"]))
        .write(folder)
}

/// What arrived of a run's trace, once it is whole; identical doubles are one span.
#[track_caller]
fn whole(collector: &Collector, uid: &str, wanted: &[&str]) -> Vec<Arrived> {
    let trace = uid.replace('-', "");
    let what = format!("trace {trace} with one root, no orphan, and {wanted:?}");
    let mut last = Vec::new();
    let mut tree = |collector: &Collector| {
        let mut spans: BTreeMap<String, Arrived> = BTreeMap::new();
        for span in collector.trace(&trace) {
            let earlier = spans.insert(span.id.clone(), span.clone());
            assert!(earlier.is_none_or(|e| e == span), "two spans of one id");
        }
        let orphan = |span: &&Arrived| !span.parent.is_empty() && !spans.contains_key(&span.parent);
        let orphans = spans.values().filter(orphan).count();
        let roots = spans.values().filter(|span| span.parent.is_empty()).count();
        assert!(roots <= 1, "{spans:#?}");
        let names: BTreeSet<&str> = spans.values().map(|span| span.name.as_str()).collect();
        let all = wanted.iter().all(|name| names.contains(name));
        let whole = roots == 1 && orphans == 0 && all;
        last = spans.values().cloned().collect();
        whole.then(|| last.clone())
    };
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        within(BOUND, &what, || tree(collector))
    }));
    found.unwrap_or_else(|_| panic!("no {what} in {last:#?}"))
}

fn of<'a>(spans: &'a [Arrived], name: &str) -> Vec<&'a Arrived> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn attribute<'a>(span: &'a Arrived, name: &str) -> &'a str {
    span.attributes.get(name).map_or("", String::as_str)
}

/// The stages that every landed, gated attempt has.
const STAGES: [&str; 9] = [
    "process", "builder", "govern", "gate", "commit", "prepare", "push", "land", "settle",
];

/// Names of all spans of [`plan`].
fn wanted() -> Vec<&'static str> {
    let mut all = vec!["run", "phase", "attempt", "bootstrap", "offer"];
    all.extend(STAGES);
    all
}

/// What holds for the trace of [`plan`] in either form.
#[track_caller]
fn check(spans: &[Arrived], status: &Value) {
    let uid = status["uid"].as_str().unwrap();
    let run = of(spans, "run");
    assert_eq!(run.len(), 1, "one root");
    assert_eq!(attribute(run[0], "autopack.run.uid"), uid);
    assert_eq!(attribute(run[0], "cicd.pipeline.run.id"), uid);
    assert_eq!(attribute(run[0], "cicd.pipeline.result"), "failure");
    let state = status["state"].as_str().unwrap();
    assert_eq!(attribute(run[0], "autopack.run.state"), state);
    assert!(run[0].error.is_some(), "a failed run has an error: {run:?}");

    let phases = of(spans, "phase");
    let states: BTreeMap<&str, &str> = phases
        .iter()
        .map(|span| {
            assert_eq!(span.parent, run[0].id);
            let id = attribute(span, "autopack.phase.id");
            (id, attribute(span, "autopack.phase.state"))
        })
        .collect();
    let ends = [
        ("P1", "COMPLETE"),
        ("P2", "COMPLETE"),
        ("P3", "FAILED"),
        ("P4", "SKIPPED"),
    ];
    assert_eq!(states, BTreeMap::from(ends));
    assert_eq!(phases.len(), 4);

    let attempts = of(spans, "attempt");
    let mut results = Vec::new();
    for span in &attempts {
        let phase = phases.iter().find(|phase| phase.id == span.parent).unwrap();
        let id = attribute(phase, "autopack.phase.id");
        assert_eq!(attribute(span, "autopack.phase.id"), id);
        assert!(span.start >= run[0].start && span.end <= run[0].end + 1_000_000_000);
        let cause = attribute(span, "autopack.cause");
        assert_eq!(span.error.is_some(), !cause.is_empty(), "{span:?}");
        results.push((
            id,
            attribute(span, "autopack.attempt.number"),
            attribute(span, "autopack.attempt.state"),
        ));
    }
    results.sort_unstable();
    let expected = [
        ("P1", "1", "SUCCEEDED"),
        ("P2", "1", "FAILED"),
        ("P2", "2", "SUCCEEDED"),
        ("P3", "1", "FAILED"),
    ];
    assert_eq!(results, expected);

    let gated = attempts
        .iter()
        .find(|span| attribute(span, "autopack.phase.id") == "P1")
        .unwrap();
    let below: BTreeSet<&str> = spans
        .iter()
        .filter(|span| span.parent == gated.id)
        .map(|span| span.name.as_str())
        .collect();
    for stage in STAGES {
        assert!(below.contains(stage), "{stage} is not in {below:?}");
    }
    let failed: Vec<&Arrived> = of(spans, "builder")
        .into_iter()
        .filter(|span| span.error.is_some())
        .collect();
    assert_eq!(
        failed.len(),
        2,
        "the builders of P2 and P3 failed once each"
    );
    assert!(
        failed
            .iter()
            .all(|span| !attribute(span, "error.type").is_empty())
    );
}

#[test]
fn a_run_is_one_trace_over_all_processes() {
    let repo = TempRepo::small();
    let collector = Collector::start();
    let mut cluster = traced(&collector);
    cluster.start_telemetry().ready();
    let plan = plan("traced", &cluster.folder("marks"), &cluster.folder("plan"));
    let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let cli = cluster.cli("operator").with("TRACEPARENT", caller);
    let (plan, at) = (plan.to_str().unwrap(), repo.path().to_str().unwrap());
    cli.call(&["submit", plan, "--repo", at, "--watch"])
        .expect_code(3);
    let status = cli.ask(&["status", "traced"]).json;
    let spans = whole(&collector, status["uid"].as_str().unwrap(), &wanted());
    check(&spans, &status);
    let link = (caller[3..35].to_owned(), caller[36..52].to_owned());
    assert_eq!(of(&spans, "run")[0].links, [link], "who submitted it");

    let service = |name: &str| {
        let services: BTreeSet<&str> = of(&spans, name)
            .iter()
            .map(|s| s.service.as_str())
            .collect();
        services.into_iter().collect::<Vec<_>>().join(" ")
    };
    for name in ["run", "phase", "attempt"] {
        assert_eq!(service(name), "run-registry", "{name}");
    }
    assert_eq!(service("offer"), "phase-scheduler");
    for name in STAGES {
        assert_eq!(service(name), "builder-worker", "{name}");
    }
    // What the registry did for the worker, and for the scheduler.
    for rpc in [
        "WorkService/LeaseJob",
        "WorkService/SettleAttempt",
        "DispatchService/OfferPhases",
    ] {
        let name = format!("autopack.registry.v1.{rpc}");
        assert_eq!(service(&name), "run-registry", "{name}");
    }
    for (service, metric) in [
        ("run-registry", "autopack_registry_commits_total"),
        ("phase-scheduler", "autopack_scheduler_offers_total"),
        ("builder-worker", "autopack_worker_jobs_total"),
        ("telemetry", "autopack_telemetry_events_total"),
    ] {
        within(BOUND, &format!("{metric} of {service}"), || {
            let found = collector.metrics(service);
            found.iter().any(|name| name == metric).then_some(())
        });
    }
}

#[test]
fn a_collector_that_comes_late_is_told_what_ended_before() {
    let repo = TempRepo::small();
    let port = free_port();
    let mut cluster = sending_to(&format!("http://127.0.0.1:{port}"));
    let status = run(&cluster, &repo, "early", 3).json;
    within(BOUND, "the collector is missed", || {
        let failed = cluster.workers[0].metric("autopack_service_spans_failed_total");
        failed.filter(|count| *count > 0.0)
    });
    let collector = Collector::at(port);
    let uid = status["uid"].as_str().unwrap();
    let spans = whole(&collector, uid, &["run", "phase", "attempt"]);
    assert_eq!(of(&spans, "attempt").len(), 3);
    // Every span was sent once, and a restart sends none of them again.
    within(BOUND, "what was sent is counted", || {
        let told = cluster.registry.metric("autopack_service_spans_sent_total");
        told.filter(|sent| *sent >= 7.0)
    });
    assert_eq!(cluster.registry.stop(), Some(0));
    cluster.registry.start();
    cluster.registry.ready();
    let status = run(&cluster, &repo, "later", 1).json;
    whole(
        &collector,
        status["uid"].as_str().unwrap(),
        &["run", "phase", "attempt"],
    );
    let again = collector.trace(&uid.replace('-', ""));
    for name in ["run", "phase", "attempt"] {
        let count = |spans: &[Arrived]| of(spans, name).len();
        assert_eq!(count(&again), count(&spans), "{name}");
    }
}

#[test]
fn a_run_that_is_not_sampled_makes_no_span_anywhere() {
    let repo = TempRepo::small();
    let collector = Collector::start();
    let mut cluster = Cluster::new();
    for (name, value) in collector.env() {
        cluster.registry.set(name, &value);
        cluster.set_all(name, &value);
    }
    cluster.registry.set("OTEL_TRACES_SAMPLER", "always_off");
    cluster.registry.start();
    cluster.add_scheduler();
    cluster.add_worker();
    cluster.registry.ready();
    let status = run(&cluster, &repo, "dark", 2).json;
    assert_eq!(status["state"], "DONE_SUCCESS");
    // What is left is sent at the end.
    assert_eq!(cluster.workers[0].stop(), Some(0));
    assert_eq!(cluster.schedulers[0].stop(), Some(0));
    assert_eq!(cluster.registry.stop(), Some(0));
    let uid = status["uid"].as_str().unwrap();
    assert_eq!(collector.trace(&uid.replace('-', "")), []);
    let stages = ["run", "attempt", "process", "builder", "offer"];
    let spans = collector.spans();
    let made: Vec<&Arrived> = spans
        .iter()
        .filter(|s| stages.contains(&s.name.as_str()))
        .collect();
    assert!(made.is_empty(), "{made:#?}");
}

/// Everything running, and sending to the collector.
fn traced(collector: &Collector) -> Cluster {
    sending_to(&collector.endpoint())
}

fn sending_to(endpoint: &str) -> Cluster {
    let mut cluster = Cluster::new();
    for (name, value) in env(endpoint) {
        cluster.registry.set(name, &value);
        cluster.telemetry.set(name, &value);
        cluster.set_all(name, &value);
    }
    cluster.registry.start();
    cluster.add_scheduler();
    cluster.add_worker();
    cluster.registry.ready();
    cluster.schedulers[0].ready();
    cluster.workers[0].ready();
    cluster
}

#[test]
fn a_registry_that_is_killed_in_the_middle_leaves_the_tree_whole() {
    let repo = TempRepo::small();
    let collector = Collector::start();
    let mut cluster = traced(&collector);
    let (marks, folder) = (cluster.folder("marks"), cluster.folder("plan"));
    let wait = |name: &str| {
        let (begun, go) = (marks.join(format!("{name}-begun")), marks.join(name));
        format!(
            "touch {begun}; until test -e {go}; do sleep 0.05; done; echo {name} > {name}.txt",
            begun = begun.display(),
            go = go.display()
        )
    };
    let plan = Plan::new("killed")
        .phase(Phase::command("P1", "echo a > a.txt"))
        .phase(Phase::command("P2", &wait("two")))
        .phase(Phase::command("P3", &wait("three")))
        .write(&folder);
    let cli = cluster.cli("operator");
    let (plan, at) = (plan.to_str().unwrap(), repo.path().to_str().unwrap());
    cli.call(&["submit", plan, "--repo", at]).expect_code(0);
    let begun = |name: &str| {
        let mark = marks.join(format!("{name}-begun"));
        within(BOUND, &format!("{} is there", mark.display()), || {
            mark.exists().then_some(())
        });
    };
    begun("two");
    cluster.registry.kill();
    cluster.registry.start();
    std::fs::write(marks.join("two"), "").unwrap();
    begun("three");
    assert_eq!(cluster.registry.stop(), Some(0));
    cluster.registry.start();
    std::fs::write(marks.join("three"), "").unwrap();
    cli.call(&["watch", "killed"]).expect_code(0);
    let status = cli.ask(&["status", "killed"]).json;
    assert_eq!(status["state"], "DONE_SUCCESS");
    let uid = status["uid"].as_str().unwrap();
    let spans = whole(&collector, uid, &["run", "phase", "attempt", "push"]);
    assert_eq!(of(&spans, "run").len(), 1);
    assert_eq!(of(&spans, "phase").len(), 3);
    assert!(of(&spans, "run")[0].error.is_none());
}

#[test]
fn the_embedded_form_tells_the_same_tree() {
    let repo = TempRepo::small();
    let collector = Collector::start();
    let mut autopack = Autopack::new().sharing("marks");
    for (name, value) in collector.env() {
        autopack = autopack.with(name, &value);
    }
    let plan = plan("alone", &autopack.folder("marks"), &autopack.folder("plan"));
    let (plan, at) = (plan.to_str().unwrap(), repo.path().to_str().unwrap());
    autopack.call(&["run", plan, "--repo", at]).expect_code(3);
    let status = autopack.ask(&["status", "alone"]).json;
    let spans = whole(&collector, status["uid"].as_str().unwrap(), &wanted());
    check(&spans, &status);
    assert!(spans.iter().all(|span| span.service == "autopack"));
}

#[test]
fn a_run_that_is_reopened_keeps_its_root() {
    let repo = TempRepo::small();
    let collector = Collector::start();
    let cluster = traced(&collector);
    let mark = cluster.folder("marks").join("tried");
    let once = format!(
        "test -e {m} || {{ touch {m}; exit 7; }}; echo x > x.txt",
        m = mark.display()
    );
    let plan = Plan::new("again")
        .phase(Phase::command("P1", &once).set("max_attempts", 1))
        .write(&cluster.folder("plan"));
    let cli = cluster.cli("operator");
    let (plan, at) = (plan.to_str().unwrap(), repo.path().to_str().unwrap());
    cli.call(&["submit", plan, "--repo", at, "--watch"])
        .expect_code(3);
    cli.call(&["retry", "again"]).expect_code(0);
    cli.call(&["watch", "again"]).expect_code(0);
    let status = cli.ask(&["status", "again"]).json;
    let uid = status["uid"].as_str().unwrap();
    let spans = within(BOUND, "the second end of the run", || {
        let spans = whole(&collector, uid, &["run", "push"]);
        (of(&spans, "run").len() == 2).then_some(spans)
    });
    let root = spans.iter().find(|span| span.parent.is_empty()).unwrap();
    let runs = of(&spans, "run");
    let second = runs.iter().find(|span| !span.parent.is_empty()).unwrap();
    assert_eq!(second.parent, root.id);
    assert_eq!(
        (root.error.is_some(), second.error.is_some()),
        (true, false)
    );
    assert!(second.start >= root.end, "it begins with the retry");
    let phases = of(&spans, "phase");
    let parents: BTreeSet<&str> = phases.iter().map(|span| span.parent.as_str()).collect();
    assert_eq!(
        parents,
        BTreeSet::from([root.id.as_str(), second.id.as_str()])
    );
}
