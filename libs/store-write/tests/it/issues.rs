//! What issues cost, and what a batch of several makes of the backlog.

use autopack_domain::{
    Timestamp,
    issue::{NewIssue, Severity},
    run::Run,
};
use autopack_store::issues;

use crate::base::{Base, Running, both, start};

both!(
    a_batch_without_issues_costs_nothing_more_for_them,
    reports_that_arrive_together_lose_nothing,
);

const NOW: Timestamp = Timestamp(1_700_000_000_000_001);

fn issue(key: &str) -> NewIssue {
    NewIssue {
        key: key.into(),
        severity: Severity::Minor,
        source: "probe".into(),
        category: "docs".into(),
        description: "it's \\ odd".into(),
        evidence: vec!["é".into()],
        paths: Vec::new(),
    }
}

async fn record(running: &Running, run: &Run, phase: usize, key: &str) {
    let new = issue(key);
    let done = running.handle.on_run(run.uid, None, move |a, c| {
        a.record_issue(Some(phase), new.clone(), None, NOW, c)
    });
    done.await.unwrap();
}

async fn a_batch_without_issues_costs_nothing_more_for_them(base: Base) {
    let running = start(base.open().await).await;
    let run = running.create("a", "g").await.unwrap();
    let statements = || running.handle.stats().statements;
    let before = statements();
    let pause = running.handle.on_run(run.uid, None, |a, c| a.pause(NOW, c));
    pause.await.unwrap();
    // Epoch, run, event.
    assert_eq!(statements() - before, 3);
    let before = statements();
    record(&running, &run, 0, "k").await;
    // And tier, phase, issue, backlog.
    assert_eq!(statements() - before, 7);
}

async fn reports_that_arrive_together_lose_nothing(base: Base) {
    let running = start(base.open().await).await;
    let mut runs = Vec::new();
    for id in ["a", "b", "c"] {
        runs.push(running.create(id, "g").await.unwrap());
    }
    let asked = (0..60).map(|n| (&runs[n % 3], n % 2, format!("k{}", n % 4)));
    let asked: Vec<_> = asked.collect();
    let sent = asked
        .iter()
        .map(|(run, phase, key)| record(&running, run, *phase, key));
    futures::future::join_all(sent).await;
    let keys = ["k0", "k1", "k2", "k3", "none"];
    let found = issues::entries(&running.database.read, "demo", keys).await;
    let found: Vec<_> = found
        .unwrap()
        .into_iter()
        .map(|(_, e)| e.unwrap())
        .collect();
    assert_eq!(found.len(), 4);
    for entry in &found {
        assert_eq!((entry.runs, entry.occurrences), (3, 15), "{entry:?}");
        assert_eq!(entry.tiers, ["T1"]);
    }
    for run in &runs {
        let look = |a: &autopack_domain::run::RunAggregate| a.run.issues.minor;
        assert_eq!(running.handle.read(run.uid, look).await.unwrap(), 4);
    }
}
