//! Ageing through the RPCs: what a project's backlog knows, what it makes of later runs, and how an entry ends.

use autopack_domain::Reason;
use autopack_wire::{registry as pb, status::from_status, types};

use crate::{
    harness::{Harness, Place, both, request},
    issues::{all_of, counts, list, plan, record, report, run},
};

both!(
    counts_and_backlog_survive_a_restart,
    a_minor_issue_ages_over_three_runs_and_bars_what_it_bars,
    a_cleaned_issue_that_stays_away_is_resolved,
    an_entry_that_an_operator_closed_stays_away_until_it_is_seen_again,
    rows_that_do_not_parse_fail_no_other_row,
);

async fn backlog(h: &Harness, profile: &str) -> pb::GetBacklogResponse {
    let request = pb::GetBacklogRequest {
        project: "p".into(),
        safety_profile: profile.into(),
        ..Default::default()
    };
    let answer = h.clients.issues().get_backlog(request).await;
    answer.unwrap().into_inner()
}

async fn finish(h: &Harness, run: &types::Run) {
    for phase in 0..3 {
        let lease = h.lease(run, phase).await;
        h.settle(run, &lease, "").await.unwrap();
    }
    h.clock.advance(std::time::Duration::from_secs(1));
}

async fn counts_and_backlog_survive_a_restart(place: Place) {
    let h = Harness::start(&place).await;
    let run = run(&h, "a").await;
    for phase in ["A", "C"] {
        record(&h.clients, report("a", phase, "k")).await.unwrap();
    }
    let before = (list(&h, all_of("a")).await, backlog(&h, "").await);
    h.stop().await;
    let h = Harness::start(&place).await;
    assert_eq!((list(&h, all_of("a")).await, backlog(&h, "").await), before);
    let again = record(&h.clients, report("a", "A", "k")).await.unwrap();
    assert_eq!(
        again.issue.unwrap().occurrences,
        2,
        "the stored issue was found"
    );
    assert_eq!(again.run.unwrap().issues, counts(1, 0));
    let whole = h.run(&run.id).await;
    let tiers: Vec<_> = whole.tiers.iter().map(|t| t.issues).collect();
    assert_eq!(tiers, [counts(1, 0), counts(1, 0)]);
    let entry = &backlog(&h, "").await.entries[0];
    assert_eq!((entry.age_in_runs, entry.occurrences), (1, 3));
    assert_eq!(entry.seen_in_tiers, ["T1", "T2"]);
    h.stop().await;
}

async fn a_minor_issue_ages_over_three_runs_and_bars_what_it_bars(place: Place) {
    let h = Harness::start(&place).await;
    for n in 1..=3 {
        let id = format!("r{n}");
        let run = run(&h, &id).await;
        for _ in 0..5 {
            let seen = record(&h.clients, report(&id, "A", "docs__readme__stale"))
                .await
                .unwrap();
            assert_eq!(seen.issue.unwrap().effective_severity, "minor", "run {n}");
            assert_eq!(seen.backlog_entry.unwrap().age_in_runs, n);
        }
        finish(&h, &run).await;
        assert_eq!(h.state(&id).await, "STATE_DONE_SUCCESS");
        assert_eq!(h.run(&id).await.tiers[0].cleanliness, "clean");
    }
    let found = backlog(&h, "").await;
    assert_eq!((found.aging_runs, found.aging_tiers), (3, 2));
    assert_eq!(found.entries[0].status, "needs_cleanup");
    assert_eq!(found.entries[0].effective_severity, "major");
    assert_eq!(found.entries[0].base_severity, "minor");
    let phase: serde_json::Value = serde_json::from_str(&found.cleanup_phases_json[0]).unwrap();
    assert_eq!(phase["labels"]["cleans"], "docs__readme__stale");
    assert_eq!(phase["scope"]["paths"][0], "README.md");
    // The fourth run is created with it: its tier is not clean, and it is not eligible; it succeeds all the same.
    let fourth = run(&h, "r4").await;
    let seen = record(&h.clients, report("r4", "B", "docs__readme__stale"))
        .await
        .unwrap();
    let stored = seen.issue.unwrap();
    assert_eq!(
        (stored.severity.as_str(), stored.effective_severity.as_str()),
        ("minor", "major")
    );
    assert_eq!(seen.tier.unwrap().cleanliness, "not_clean");
    finish(&h, &fourth).await;
    assert_eq!(h.state("r4").await, "STATE_DONE_SUCCESS");
    // A safety-critical run ends there.
    let request = request(&plan("r5", ", safety_profile: safety_critical"));
    let critical = h.create(request).await.unwrap().run.unwrap();
    h.bootstrap(&critical).await;
    record(&h.clients, report("r5", "A", "docs__readme__stale"))
        .await
        .unwrap();
    for phase in 0..2 {
        let lease = h.lease(&critical, phase).await;
        h.settle(&critical, &lease, "").await.unwrap();
    }
    let ended = h.run("r5").await;
    assert_eq!(ended.run.as_ref().unwrap().cause, "ISSUES_OVER_LIMIT");
    let state = ended.run.unwrap().state();
    assert_eq!(state, types::run::State::DoneFailedRequiresHumanReview);
    h.stop().await;
}

async fn a_cleaned_issue_that_stays_away_is_resolved(place: Place) {
    let h = Harness::start(&place).await;
    let key = "docs__readme__stale";
    for n in 1..=3 {
        let id = format!("r{n}");
        let run = run(&h, &id).await;
        record(&h.clients, report(&id, "A", key)).await.unwrap();
        finish(&h, &run).await;
    }
    let phase = &backlog(&h, "").await.cleanup_phases_json[0];
    let mut phase: serde_json::Value = serde_json::from_str(phase).unwrap();
    phase["builder"] = serde_json::json!({ "kind": "noop" });
    phase["gate"] = serde_json::json!({ "steps": [] });
    let document = serde_json::json!({
        "schema": "autopack/plan/v1",
        "run": { "id": "clean", "goal": "Clean up", "project": "p" },
        "tiers": [{ "id": "T1", "name": "Debt", "phases": [phase] }],
    });
    let created = h.create(request(&document.to_string())).await.unwrap();
    let cleaning = created.run.unwrap();
    h.bootstrap(&cleaning).await;
    // Seen once more, on the way: the phase cleans it here, too.
    let seen = record(&h.clients, report("clean", "cleanup-1", key))
        .await
        .unwrap();
    assert_eq!(seen.tier.unwrap().cleanliness, "not_clean");
    let lease = h.lease(&cleaning, 0).await;
    h.settle(&cleaning, &lease, "").await.unwrap();
    h.clock.advance(std::time::Duration::from_secs(1));
    let cleaned = h.run("clean").await;
    assert_eq!(cleaned.tiers[0].cleanliness, "clean");
    let resolved = cleaned.run.unwrap().issues.unwrap();
    assert_eq!(
        (resolved.minor, resolved.major, resolved.resolved),
        (0, 0, 1)
    );
    let entry = backlog(&h, "").await.entries.remove(0);
    assert_eq!(
        (entry.status.as_str(), entry.cleaned_run.as_str()),
        ("open", "clean")
    );
    assert!(backlog(&h, "").await.cleanup_phases_json.is_empty());
    let later = run(&h, "later").await;
    finish(&h, &later).await;
    assert_eq!(backlog(&h, "").await.entries[0].status, "resolved");
    // It comes back with its whole age.
    run(&h, "back").await;
    let back = record(&h.clients, report("back", "A", key)).await.unwrap();
    assert_eq!(
        back.issue.unwrap().effective_severity,
        "minor",
        "decided at the creation"
    );
    let entry = back.backlog_entry.unwrap();
    assert_eq!(
        (entry.status.as_str(), entry.age_in_runs),
        ("needs_cleanup", 5)
    );
    h.stop().await;
}

async fn an_entry_that_an_operator_closed_stays_away_until_it_is_seen_again(place: Place) {
    let h = Harness::start(&place).await;
    let key = "docs__readme__stale";
    for n in 1..=3 {
        let run = run(&h, &format!("r{n}")).await;
        record(&h.clients, report(&run.id, "A", key)).await.unwrap();
        finish(&h, &run).await;
    }
    assert_eq!(backlog(&h, "").await.entries[0].status, "needs_cleanup");
    let close = |key: &str, project: &str, note: &str| {
        let request = pb::ResolveIssueRequest {
            project: project.into(),
            key: key.into(),
            note: note.into(),
            ..Default::default()
        };
        let clients = h.clients.clone();
        async move { clients.issues().resolve_issue(request).await }
    };
    for (key, project, note, reason) in [
        ("absent", "p", "why", Reason::IssueNotFound),
        (key, "absent", "why", Reason::ProjectNotFound),
        (key, "p", " ", Reason::ArgumentInvalid),
    ] {
        let refused = close(key, project, note).await.unwrap_err();
        assert!(from_status(&refused).is(reason), "{refused:?}");
    }
    assert_eq!(backlog(&h, "").await.entries[0].status, "needs_cleanup");
    for note in ["first", "the generator is not ours"] {
        let closed = close(key, "p", note).await.unwrap().into_inner();
        let entry = closed.entry.unwrap();
        assert_eq!(
            (entry.status.as_str(), entry.close_note.as_str()),
            ("resolved", note)
        );
        assert!(entry.close_time.is_some());
    }
    h.stop().await;
    let h = Harness::start(&place).await;
    let found = backlog(&h, "").await;
    assert_eq!(found.entries[0].close_note, "the generator is not ours");
    assert_eq!(
        (
            found.entries[0].status.as_str(),
            found.cleanup_phases_json.len()
        ),
        ("resolved", 0)
    );
    let asked = pb::GetBacklogSummaryRequest {
        project: "p".into(),
        ..Default::default()
    };
    let summary = h
        .clients
        .reports()
        .get_backlog_summary(asked)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (
            summary.total_issues,
            summary.needs_cleanup_count,
            summary.resolved_count
        ),
        (1, 0, 1)
    );
    // Nothing that is created now counts it as major; seen again, it is back with its whole age.
    run(&h, "back").await;
    let back = record(&h.clients, report("back", "A", key)).await.unwrap();
    assert_eq!(back.issue.unwrap().effective_severity, "minor");
    let entry = back.backlog_entry.unwrap();
    assert_eq!(
        (
            entry.status.as_str(),
            entry.age_in_runs,
            entry.close_note.as_str()
        ),
        ("needs_cleanup", 4, "")
    );
    h.stop().await;
}

async fn rows_that_do_not_parse_fail_no_other_row(place: Place) {
    let h = Harness::start(&place).await;
    run(&h, "a").await;
    for key in ["bad", "good"] {
        record(&h.clients, report("a", "A", key)).await.unwrap();
    }
    h.stop().await;
    place
        .damage(
            "backlog",
            "UPDATE backlog SET seen_in_tiers = '{' WHERE issue_key = 'bad'",
        )
        .await;
    let h = Harness::start(&place).await;
    let found = backlog(&h, "").await;
    assert_eq!(found.entries.len(), 1);
    for word in ["backlog", "p/bad", "seen_in_tiers", "`{`"] {
        assert!(
            found.set_aside[0].contains(word),
            "{word}: {:?}",
            found.set_aside
        );
    }
    // The run keeps the issue; the row stays as it is.
    let again = record(&h.clients, report("a", "A", "bad")).await.unwrap();
    assert_eq!(again.issue.unwrap().occurrences, 2);
    assert!(again.backlog_entry.is_none());
    record(&h.clients, report("a", "A", "good")).await.unwrap();
    assert_eq!(backlog(&h, "").await.entries[0].occurrences, 2);
    h.stop().await;
    let sql = "UPDATE issue SET evidence = '{' WHERE issue_key = 'bad'";
    place.damage("issue", sql).await;
    let h = Harness::start(&place).await;
    let info = h
        .clients
        .registry
        .clone()
        .get_info(pb::GetInfoRequest {})
        .await;
    let aside = info.unwrap().into_inner().set_aside;
    assert!(
        aside[0].contains("issue") && aside[0].contains("evidence"),
        "{aside:?}"
    );
    run(&h, "other").await;
    assert!(
        record(&h.clients, report("other", "A", "good"))
            .await
            .is_ok()
    );
    h.stop().await;
}
