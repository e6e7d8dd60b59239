//! What must hold once a run has ended, whatever happened on the way.

use std::collections::{BTreeMap, BTreeSet};

use autopack_testkit::{git, repo};
use serde_json::Value;

use crate::scene::{Expected, PHASES, RUN, Scene};
use crate::stored;
use crate::trial::Reference;

/// Everything.
#[track_caller]
pub(crate) fn check(scene: &Scene, reference: &Reference) {
    let status = scene.autopack.status(RUN);
    let attempts = scene.autopack.attempts(RUN);
    states(&status);
    let made = one_success_each(&attempts, &status);
    branch(scene, reference, &status, &made);
    budgets(&status, &attempts, &made);
    facts(scene, &made);
    doctor(scene);
    scene.checkout_is_untouched();
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Every phase is complete, with the outcome it has without faults, and counted once.
fn states(status: &Value) {
    assert_eq!(text(status, "state"), "DONE_SUCCESS", "{status:#}");
    let counts = status["counts"].as_object().unwrap();
    for (state, count) in counts {
        let want = if state == "complete" {
            PHASES.len() as u64
        } else {
            0
        };
        assert_eq!(number(count), want, "phases in state {state}");
    }
    assert_eq!(
        number(&status["budgets"]["phases"]["used"]),
        PHASES.len() as u64,
        "phases dispatched"
    );
    for tier in list(&status["tiers"]) {
        assert_eq!(text(tier, "state"), "COMPLETE", "tier {}", tier["id"]);
    }
    let phases = list(&status["phases"]);
    assert_eq!(phases.len(), PHASES.len());
    for Expected {
        phase: id, outcome, ..
    } in PHASES
    {
        let phase = phases
            .iter()
            .find(|phase| text(phase, "id") == *id)
            .unwrap();
        assert_eq!(
            (text(phase, "state"), text(phase, "outcome")),
            ("COMPLETE", *outcome),
            "phase {id}"
        );
        assert_eq!(
            phase["commit"].is_string(),
            *outcome == "committed",
            "the commit of {id}: {}",
            phase["commit"]
        );
    }
}

/// The attempt that made each phase complete; all others have ended without effect, and fences rise from attempt to
/// attempt.
fn one_success_each<'a>(
    attempts: &'a [Value],
    status: &Value,
) -> BTreeMap<&'static str, &'a Value> {
    let mut made = BTreeMap::new();
    let mut fences = BTreeSet::new();
    for Expected { phase: id, .. } in PHASES {
        let phase = list(&status["phases"])
            .iter()
            .find(|phase| text(phase, "id") == *id)
            .unwrap();
        let mut of_phase: Vec<&Value> = attempts
            .iter()
            .filter(|attempt| text(attempt, "phase") == *id)
            .collect();
        of_phase.sort_by_key(|attempt| number(&attempt["number"]));
        assert_eq!(
            number(&phase["attempts"]),
            of_phase.len() as u64,
            "attempts of {id}"
        );
        let mut good = Vec::new();
        let mut last = 0;
        for (n, attempt) in of_phase.iter().enumerate() {
            assert_eq!(
                number(&attempt["number"]),
                n as u64 + 1,
                "attempts of {id} are numbered without a gap"
            );
            let state = text(attempt, "state");
            // A landing that a dead process had done is adopted: its attempt holds the commit, and did not live to
            // say so.
            match state {
                "SUCCEEDED" => good.push(*attempt),
                "LOST" | "HANDED_OVER" if attempt["commit"].is_string() => good.push(*attempt),
                "LOST" | "HANDED_OVER" => {}
                _ => panic!("attempt {} of {id} is {state}: {attempt:#}", n + 1),
            }
            let fence = number(&attempt["fence"]);
            if fence > 0 {
                assert!(
                    fence > last && fences.insert(fence),
                    "fence {fence} of {id} after {last}"
                );
                last = fence;
            }
        }
        assert_eq!(
            good.len(),
            1,
            "attempts that made {id} complete: {of_phase:#?}"
        );
        assert_eq!(good[0]["commit"], phase["commit"], "the commit of {id}");
        made.insert(*id, good[0]);
    }
    made
}

/// One commit for each phase that changes something, in the order of what it waits for, and the expected tree.
fn branch(scene: &Scene, reference: &Reference, status: &Value, made: &BTreeMap<&str, &Value>) {
    let name = repo::branch(RUN);
    assert_eq!(
        git::tree_of(scene.repo.path(), &name),
        reference.tree,
        "the tree of {name}"
    );
    let commits = scene.repo.landed(&scene.base, RUN);
    let count = scene
        .repo
        .git(&["rev-list", "--count", &format!("{}..{name}", scene.base)]);
    assert_eq!(count, commits.len().to_string());
    let merges = scene.repo.git(&[
        "rev-list",
        "--min-parents=2",
        &format!("{}..{name}", scene.base),
    ]);
    assert_eq!(merges, "", "the branch is a line");
    let places: BTreeMap<&str, usize> = commits
        .iter()
        .enumerate()
        .map(|(n, commit)| (commit.trailer("Autopack-Phase"), n))
        .collect();
    let want: BTreeSet<&str> = PHASES
        .iter()
        .filter(|e| e.outcome == "committed")
        .map(|e| e.phase)
        .collect();
    assert_eq!(
        commits.len(),
        want.len(),
        "commits: {:?}",
        commits.iter().map(|c| &c.subject).collect::<Vec<_>>()
    );
    assert_eq!(
        places.keys().copied().collect::<BTreeSet<_>>(),
        want,
        "phases with a commit"
    );
    assert_eq!(
        commits.last().map(|commit| commit.oid.as_str()),
        status["tip"].as_str(),
        "the tip"
    );
    for Expected {
        phase: id,
        after,
        outcome,
        ..
    } in PHASES
    {
        if *outcome != "committed" {
            continue;
        }
        let commit = &commits[places[id]];
        assert_eq!(commit.trailer("Autopack-Run"), RUN);
        assert_eq!(commit.trailer("Autopack-Run-Uid"), text(status, "uid"));
        let phase = list(&status["phases"])
            .iter()
            .find(|phase| text(phase, "id") == *id)
            .unwrap();
        assert_eq!(text(phase, "commit"), commit.oid, "the commit of {id}");
        assert_eq!(
            commit.trailer("Autopack-Fence"),
            made[id]["fence"].to_string(),
            "the fence of {id}"
        );
        for earlier in *after {
            if let Some(place) = places.get(earlier) {
                assert!(*place < places[id], "{earlier} landed before {id}");
            }
        }
    }
}

/// Nothing is reserved, and what is settled is what the attempts used, at every level.
fn budgets(status: &Value, attempts: &[Value], made: &BTreeMap<&str, &Value>) {
    let account = |what: &str, value: &Value, want: u64| {
        assert_eq!(number(&value["reserved"]), 0, "tokens reserved by {what}");
        assert_eq!(number(&value["settled"]), want, "tokens settled by {what}");
    };
    let used = |of: &dyn Fn(&str) -> bool| -> u64 {
        let mine = attempts.iter().filter(|attempt| of(text(attempt, "phase")));
        mine.map(|attempt| number(&attempt["tokens_used"])).sum()
    };
    account("the run", &status["budgets"]["tokens"], used(&|_| true));
    for phase in list(&status["phases"]) {
        let id = text(phase, "id");
        account(id, &phase["tokens"], used(&|of| of == id));
    }
    for tier in list(&status["tiers"]) {
        let phases = list(&status["phases"])
            .iter()
            .filter(|phase| phase["tier"] == tier["id"]);
        let ids: BTreeSet<&str> = phases.map(|phase| text(phase, "id")).collect();
        account(
            text(tier, "id"),
            &tier["tokens"],
            used(&|of| ids.contains(of)),
        );
    }
    for Expected {
        phase: id, tokens, ..
    } in PHASES
    {
        if text(made[id], "state") == "SUCCEEDED" {
            assert_eq!(number(&made[id]["tokens_used"]), *tokens, "tokens of {id}");
        }
    }
}

/// The stored usage of an attempt that succeeded is what its builder reported; of one that was lost, no more.
fn facts(scene: &Scene, made: &BTreeMap<&str, &Value>) {
    let stored = stored::read(scene.autopack.data());
    for Expected {
        phase: id, tokens, ..
    } in PHASES
    {
        let found = stored
            .usage
            .get(text(made[id], "uid"))
            .copied()
            .unwrap_or_default();
        let all = text(made[id], "state") == "SUCCEEDED";
        assert!(
            if all {
                found == *tokens
            } else {
                found <= *tokens
            },
            "usage events of {id}: {found}"
        );
    }
}

fn doctor(scene: &Scene) {
    let done = scene.autopack.call(&["doctor", "--verify", "--json"]);
    assert_eq!(
        done.code,
        Some(0),
        "doctor found\n{}\n{}",
        done.stdout,
        done.stderr
    );
}
