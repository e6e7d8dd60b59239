//! No text makes the reader panic: mutations of good and bad plans, garbage, and the largest inputs.
//!
//! What holds for every text is in `check`; the fuzz target calls the same function of the crate.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use autopack_domain::plan::{
    MAX_BYTES, Plan, ReadOptions, canonical_json, explain, parse_document, read_plan,
};
use proptest::prelude::*;
use serde_json::Value;

/// Reads a text and checks what must hold for any answer; whether it is a plan.
fn check(text: &str) -> bool {
    match read_plan(text, &ReadOptions::default()) {
        Ok(read) => {
            let stored = canonical_json(&read.plan);
            assert_eq!(
                serde_json::from_str::<Plan>(&stored).expect("the stored form is read back"),
                read.plan
            );
            let phases: Vec<_> = read
                .plan
                .tiers
                .iter()
                .flat_map(|tier| &tier.phases)
                .collect();
            assert!(!phases.is_empty(), "a plan without phases");
            for (position, phase) in phases.iter().enumerate() {
                assert!(!phase.name.is_empty() && !phase.goal.is_empty());
                for before in &phase.depends_on {
                    assert!(
                        phases
                            .iter()
                            .any(|other| other.id == *before && other.id != phase.id),
                        "{position}"
                    );
                }
            }
            let tree = parse_document(&explain(&read), "").expect("the explanation is YAML");
            assert_eq!(tree, serde_json::to_value(&read.plan).expect("serialises"));
            true
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without a fault");
            assert!(
                faults
                    .iter()
                    .all(|fault| !fault.path.is_empty() && !fault.problem.is_empty())
            );
            false
        }
    }
}

fn texts() -> Vec<String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus");
    let mut paths = Vec::new();
    for folder in ["good-plans", "bad-plans"] {
        paths.extend(
            fs::read_dir(root.join(folder))
                .expect("the corpus is there")
                .map(|entry| entry.unwrap().path()),
        );
    }
    paths.retain(|path| {
        path.extension()
            .is_some_and(|end| end == "yaml" || end == "json")
    });
    paths.sort();
    paths
        .iter()
        .map(|path| fs::read_to_string(path).expect("UTF-8"))
        .collect()
}

/// Trees of the corpus that are small enough to be changed node by node.
fn trees() -> Vec<Value> {
    texts()
        .iter()
        .filter(|text| text.len() < 10_000)
        .filter_map(|text| parse_document(text, "").ok())
        .collect()
}

/// Every node of a tree, as JSON pointers.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                pointers(
                    value,
                    &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")),
                    found,
                );
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                pointers(value, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

fn odd_values() -> Vec<Value> {
    let long = "x".repeat(70_000);
    serde_json::json!([
        null, true, 0, -1, 1e300, 18_446_744_073_709_551_615_u64, "", " ", "\u{0}", "../..", "ä\u{2028}b", "P1", "T1", "noop",
        [], [null], [[[]]], ["P1", "P1"], [{}], {}, {"kind": "patch"}, {"": null}, {"paths": ["a"]}, {"x-": 1}, long
    ])
    .as_array()
    .cloned()
    .unwrap_or_default()
}

/// Removes a node: its key or its entry.
fn remove(tree: &mut Value, pointer: &str) {
    let Some((parent, last)) = pointer.rsplit_once('/') else {
        return;
    };
    let last = last.replace("~1", "/").replace("~0", "~");
    match tree.pointer_mut(parent) {
        Some(Value::Object(map)) => drop(map.shift_remove(&last)),
        Some(Value::Array(items)) => drop(items.remove(last.parse().expect("an index"))),
        _ => {}
    }
}

#[test]
fn every_node_of_the_corpus_removed_or_replaced() {
    let odd = odd_values();
    let (mut read, mut refused) = (0, 0);
    for (number, tree) in trees().into_iter().enumerate() {
        let mut found = Vec::new();
        pointers(&tree, "", &mut found);
        for (index, pointer) in found.iter().enumerate() {
            let mut changed = tree.clone();
            remove(&mut changed, pointer);
            // Two of the odd values for each node, other ones for each plan.
            let mut results = vec![check(&changed.to_string())];
            for step in 0..2 {
                let mut changed = tree.clone();
                if let Some(node) = changed.pointer_mut(pointer) {
                    *node = odd[(number + index * 2 + step) % odd.len()].clone();
                }
                results.push(check(&changed.to_string()));
            }
            read += results.iter().filter(|ok| **ok).count();
            refused += results.iter().filter(|ok| !**ok).count();
        }
    }
    assert!(
        read > 100 && refused > 1000,
        "{read} read, {refused} refused"
    );
}

#[test]
fn every_corpus_text_cut_off() {
    for text in texts().iter().filter(|text| text.len() < 4000) {
        for end in (0..text.len())
            .step_by(7)
            .filter(|end| text.is_char_boundary(*end))
        {
            check(&text[..end]);
        }
    }
}

#[test]
fn the_largest_inputs_take_bounded_time() {
    let fill = |unit: &str, head: &str, tail: &str| {
        let times = (MAX_BYTES - head.len() - tail.len()) / unit.len();
        format!("{head}{}{tail}", unit.repeat(times))
    };
    let number = |head: &str, tail: &str, entry: &dyn Fn(usize) -> String| {
        let mut text = head.to_owned();
        for n in 0.. {
            let next = entry(n);
            if text.len() + next.len() + tail.len() > MAX_BYTES {
                break;
            }
            text.push_str(&next);
        }
        text + tail
    };
    let v1 = "{\"schema\": \"autopack/plan/v1\", \"run\": {\"goal\": \"x\"}, ";
    for (name, text) in [
        ("list of YAML", fill("- a\n", "", "")),
        ("brackets", fill("[", "", "")),
        ("quotes", fill("'", "", "")),
        ("comments", fill("# a\n", "", "a: 1\n")),
        ("one line", fill("a ", "a: ", "")),
        ("keys of YAML", number("", "", &|n| format!("k{n}: v\n"))),
        (
            "unknown keys",
            number(v1, "\"x\": 1}", &|n| format!("\"k{n}\":1,")),
        ),
        (
            "unknown keys, older",
            number(
                "{\"phases\": [{\"id\": \"a\", \"goal\": \"x\"}], ",
                "\"x\": 1}",
                &|n| format!("\"k{n}\":1,"),
            ),
        ),
        (
            "phases",
            number(
                &format!("{v1}\"tiers\": [{{\"id\": \"T1\", \"phases\": ["),
                "{}]}]}",
                &|n| format!("{{\"id\":\"p{n}\",\"goal\":\"x\"}},"),
            ),
        ),
        (
            "unknown references",
            number(
                &format!("{v1}\"tiers\": [{{\"id\": \"T1\", \"phases\": ["),
                "{}]}]}",
                &|n| {
                    format!(
                        "{{\"id\":\"p{n}\",\"goal\":\"x\",\"depends_on\":[{}\"y\"]}},",
                        "\"a\",".repeat(90)
                    )
                },
            ),
        ),
        (
            "flat phases",
            number("{\"phases\": [", "{}]}", &|n| {
                format!("{{\"phase_id\":\"p {n}\",\"tier_id\":\"t{}\"}},", n % 600)
            }),
        ),
    ] {
        let started = Instant::now();
        let _ = read_plan(&text, &ReadOptions::default());
        let took = started.elapsed();
        println!("{name}: {took:?}");
        // Generous: an unoptimised build on a busy machine; a square would take hours.
        assert!(took < Duration::from_mins(1), "{name}: {took:?}");
    }
}

#[test]
fn ten_thousand_phases_in_one_chain_are_read() {
    let list: Vec<String> = (0..10_000)
        .map(|n| format!("{{\"id\": \"p{n}\", \"goal\": \"x\"}}"))
        .collect();
    let text = format!("{{\"phases\": [{}]}}", list.join(","));
    let read = read_plan(&text, &ReadOptions::default()).expect("a large plan");
    assert_eq!(read.plan.run.budgets.phases, 10_000);
    let round = text.replacen("\"goal\"", "\"depends_on\": [\"p9999\"], \"goal\"", 1);
    let faults = read_plan(&round, &ReadOptions::default()).expect_err("one large cycle");
    assert!(
        faults.len() == 1 && faults[0].problem.contains("p0 -> p9999 -> p9998"),
        "{faults:?}"
    );
    assert!(faults[0].problem.len() < 300);
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        proptest::sample::select(vec![
            "P1",
            "T1",
            "patch",
            "src/**",
            "autopack/plan/v1",
            "low"
        ])
        .prop_map(Value::from),
    ];
    let key = proptest::sample::select(vec![
        "schema",
        "run",
        "tiers",
        "phases",
        "id",
        "phase_id",
        "tier_id",
        "goal",
        "scope",
        "paths",
        "builder",
        "kind",
        "gate",
        "steps",
        "depends_on",
        "deliverables",
        "limits",
        "budgets",
        "tokens",
        "labels",
        "priority",
        "run_id",
        "x-a",
        "other",
    ]);
    leaf.prop_recursive(6, 60, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec((key.clone(), inner), 0..6).prop_map(
                |entries| Value::Object(
                    entries
                        .into_iter()
                        .map(|(k, v)| (k.to_owned(), v))
                        .collect()
                )
            ),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_is_read_or_refused(mut tree in any_value(), form in 0..3) {
        if let (1.., Value::Object(map)) = (form, &mut tree) {
            map.insert("phases".to_owned(), serde_json::json!([{"id": "a", "goal": "x"}]));
            if form == 2 {
                map.insert("schema".to_owned(), "autopack/plan/v1".into());
            }
        }
        check(&tree.to_string());
    }

    #[test]
    fn any_node_of_a_good_plan_may_be_anything(number in any::<prop::sample::Index>(), node in any::<prop::sample::Index>(), value in any_value()) {
        let trees = trees();
        let mut tree = trees[number.index(trees.len())].clone();
        let mut found = Vec::new();
        pointers(&tree, "", &mut found);
        if let Some(place) = tree.pointer_mut(&found[node.index(found.len())]) {
            *place = value;
        }
        check(&tree.to_string());
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(?s).{0,200}") {
        check(&text);
    }

    #[test]
    fn text_that_looks_like_yaml(lines in proptest::collection::vec("( {0,8})(- )?[a-z]{1,6}: ?[-\\[\\]{}'\"|>&*!%@#a-z0-9, ]{0,12}", 0..12)) {
        check(&lines.join("\n"));
    }

    #[test]
    fn one_changed_character(number in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), c in any::<char>()) {
        let texts = texts();
        let text = &texts[number.index(texts.len())];
        let mut characters: Vec<char> = text.chars().take(20_000).collect();
        if !characters.is_empty() {
            let at = at.index(characters.len());
            characters[at] = c;
        }
        check(&characters.into_iter().collect::<String>());
    }
}
