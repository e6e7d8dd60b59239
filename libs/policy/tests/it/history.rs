//! No document makes the import panic: changes of a good one, garbage, and whatever is sound becomes a run that has
//! ended, whose counts add up. The fuzz target does the same with any bytes.

use std::{collections::BTreeMap, sync::Arc};

use autopack_domain::{
    RunUid,
    import::HistoricalRun,
    run::{RunAggregate, create::NewRun, finalise::derived_state, import::Import},
};
use autopack_policy::strategy::{Backlog, Overrides, Ruleset, compile};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

/// As the registry takes a document over; whether it did.
fn take(text: &str) -> bool {
    let Ok(history) = serde_json::from_str::<HistoricalRun>(text) else {
        return false;
    };
    let sound = match history.check() {
        Ok(sound) => sound,
        Err(faults) => {
            assert!(!faults.is_empty());
            return false;
        }
    };
    let (plan, places) = history.plan("p");
    let none = Overrides {
        backoff_seconds: None,
    };
    let strategy = compile(&Ruleset::default(), &Backlog::default(), &plan, none);
    let new = NewRun {
        uid: RunUid(Uuid::nil()),
        id: sound.id.clone(),
        project: "p".into(),
        repository: String::new(),
        digest: history.digest(),
        hold: false,
        facts: BTreeMap::new(),
    };
    let import = Import {
        history: &history,
        sound: &sound,
        places: &places,
        epoch: 1,
    };
    let mut next = 0;
    let mut mint = || {
        next += 1;
        Uuid::from_u128(next)
    };
    let taken = RunAggregate::import(new, &import, Arc::new(plan), Arc::new(strategy), &mut mint);
    let Ok((run, changes)) = taken else {
        return false;
    };
    assert!(run.run.state.is_terminal() && run.is_idle());
    assert_eq!(derived_state(&run), run.run.state);
    assert_eq!(run.run.counts.total() as usize, history.phases.len());
    let settled: u64 = run.phases.iter().map(|p| p.tokens.settled).sum();
    assert_eq!(run.run.tokens.settled, settled);
    assert_eq!(run.run.issues, run.issues.counts(|_| true));
    assert_eq!(run.run.last_event as usize, changes.events.len());
    true
}

fn good() -> Value {
    json!({
        "schema": "autopack/history/v1",
        "origin": { "kind": "sqlite", "name": "a.db", "key": "r" },
        "id": "r", "state": "READY", "created_at": 5, "updated_at": 9,
        "budgets": { "tokens": 100, "phases": 3, "minutes": 5 },
        "tiers": [{ "id": "T1", "index": 0, "state": "PENDING", "ci_runs": 1 }],
        "phases": [
            { "id": "P1", "tier": "T1", "index": 0, "state": "COMPLETE", "attempts": 2, "tokens": 7, "scope": "{\"paths\":[]}" },
            { "id": "P2", "tier": "T7", "index": 1, "state": "failed", "complexity": "ODD" }
        ],
        "issues": [{ "phase": "P1", "key": "k", "severity": "major", "source": "s", "category": "c" }],
        "usage": [{ "phase": "P1", "role": "builder", "prompt": 3, "completion": 4, "at": 6 }],
        "notes": [{ "table": "t", "key": "1", "phase": "P2", "columns": { "a": "b" } }]
    })
}

/// Places of a tree, as pointers.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                pointers(value, &format!("{at}/{key}"), found);
            }
        }
        Value::Array(items) => {
            for (n, value) in items.iter().enumerate() {
                pointers(value, &format!("{at}/{n}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn each_place_of_a_document_may_hold_anything() {
    assert!(take(&good().to_string()), "the good one");
    let mut places = Vec::new();
    pointers(&good(), "", &mut places);
    let odd = [
        json!(null),
        json!(-1),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1.5),
        json!(""),
        json!("\u{0}"),
        json!("DONE_SUCCESS"),
        json!("DONE_FAILED_POLICY_VIOLATION"),
        json!("é".repeat(3000)),
        json!([]),
        json!({}),
        json!([[], {}]),
    ];
    let mut taken = 0;
    for place in &places {
        for value in &odd {
            let mut document = good();
            if let Some(at) = document.pointer_mut(place) {
                *at = value.clone();
            }
            taken += usize::from(take(&document.to_string()));
        }
    }
    assert!(taken > 50, "{taken}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_bytes_make_the_import_panic(cut in 0..700usize, byte in any::<u8>(), at in 0..700usize) {
        let mut text = good().to_string().into_bytes();
        let end = text.len();
        if let Some(place) = text.get_mut(at) {
            *place = byte;
        }
        text.truncate(end - cut.min(end) / 40);
        take(&String::from_utf8_lossy(&text));
    }

    #[test]
    fn any_numbers_and_states_are_taken_over_or_refused(
        attempts in prop_oneof![0..1_000i64, any::<i64>()],
        tokens in prop_oneof![0..i64::from(u32::MAX), any::<i64>()],
        times in prop::array::uniform4(prop_oneof![0..253_402_300_799_999_999i64, any::<i64>()]),
        run in "DONE_SUCCESS|DONE_FAILED_ENVIRONMENT|QUEUED|gate|READY|x",
        phase in "COMPLETE|FAILED|SKIPPED|QUEUED|GATE|executing|BLOCKED",
    ) {
        let mut document = good();
        document["state"] = json!(run);
        document["created_at"] = json!(times[0]);
        document["updated_at"] = json!(times[1]);
        document["phases"][0]["started_at"] = json!(times[2]);
        document["usage"][0]["at"] = json!(times[3]);
        document["usage"][0]["prompt"] = json!(tokens);
        document["phases"][1]["tokens"] = json!(tokens);
        document["phases"][1]["attempts"] = json!(attempts);
        document["phases"][1]["state"] = json!(phase);
        take(&document.to_string());
    }
}
