//! Good plans: what they become (golden files), and what holds for every plan that is read.
//!
//! `UPDATE_GOLDEN=1` writes the `.explain` files anew.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{fs, path::PathBuf};

use autopack_domain::{
    Source,
    plan::{
        Plan, PlanForm, ReadOptions, canonical_json, explain, parse_document, plan_digest,
        read_plan,
    },
};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/good-plans")
}

fn corpus() -> Vec<(PathBuf, String)> {
    let paths = fs::read_dir(folder())
        .expect("tests/corpus/good-plans is there")
        .map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|end| end != "explain"))
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| (path.clone(), fs::read_to_string(path).expect("UTF-8")))
        .collect()
}

#[test]
fn every_good_plan_becomes_what_its_golden_file_says() {
    let plans = corpus();
    assert!(plans.len() >= 6);
    for (path, text) in plans {
        let normalised = read_plan(&text, &ReadOptions::default())
            .unwrap_or_else(|faults| panic!("{path:?}: {faults:?}"));
        let (golden, explained) = (path.with_extension("explain"), explain(&normalised));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &explained).expect("writable");
        }
        let golden = fs::read_to_string(&golden)
            .expect("each plan has its .explain; UPDATE_GOLDEN=1 writes it");
        assert_eq!(explained, golden, "{path:?}");
    }
}

#[test]
fn the_stored_form_is_read_back_the_same() {
    for (path, text) in corpus() {
        let normalised = read_plan(&text, &ReadOptions::default()).unwrap();
        let stored = canonical_json(&normalised.plan);
        let again: Plan = serde_json::from_str(&stored).unwrap();
        assert_eq!(again, normalised.plan, "{path:?}");
        assert_eq!(canonical_json(&again), stored);
        assert_eq!(plan_digest(&again).len(), 64);
        assert_eq!(
            read_plan(&text, &ReadOptions::default()).unwrap(),
            normalised,
            "reading is deterministic"
        );
    }
}

#[test]
fn the_explanation_is_yaml_of_the_stored_plan() {
    for (path, text) in corpus() {
        let normalised = read_plan(&text, &ReadOptions::default()).unwrap();
        let explained = explain(&normalised);
        let tree = parse_document(&explained, "")
            .unwrap_or_else(|fault| panic!("{path:?}: {fault}\n{explained}"));
        assert_eq!(
            tree,
            serde_json::to_value(&normalised.plan).unwrap(),
            "{path:?}"
        );
    }
}

/// Every scalar of the normalised plan but the schema has a source.
#[test]
fn every_value_has_a_source() {
    for (path, text) in corpus() {
        let explained = explain(&read_plan(&text, &ReadOptions::default()).unwrap());
        for line in explained
            .lines()
            .filter(|line| !line.starts_with("# ") && !line.starts_with("schema:"))
        {
            let is_head = line.ends_with(':') || line.ends_with('-');
            let source = line.rsplit_once(" # ").map(|(_, source)| source);
            assert!(
                is_head || source.is_some_and(|name| Source::parse(name).is_some()),
                "{path:?}: {line}"
            );
        }
    }
}

#[test]
fn the_five_real_plans_are_read() {
    let default = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let folder = std::env::var_os("AUTOPACK_CORPUS_DIR").map_or(default, PathBuf::from);
    assert!(
        folder.is_dir(),
        "set AUTOPACK_CORPUS_DIR to the folder with the real data of the older system (`.ci/run` does); {} is none",
        folder.display()
    );
    for (name, form, phases, unbuilt) in [
        ("autopack_maintenance_plan.json", PlanForm::OlderRun, 3, 3),
        ("build129_phase1_plan.json", PlanForm::OlderRun, 1, 1),
        ("minimal_plan_example.json", PlanForm::OlderRun, 4, 4),
        (
            "phase_true_autonomy_p0_p1_intention_and_plan_normalization.json",
            PlanForm::CreationPayload,
            2,
            0,
        ),
        ("run_request.json", PlanForm::CreationPayload, 1, 0),
    ] {
        let text =
            fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let normalised = read_plan(&text, &ReadOptions::default())
            .unwrap_or_else(|faults| panic!("{name}: {faults:?}"));
        assert_eq!(normalised.form, form, "{name}");
        let plan = &normalised.plan;
        assert_eq!(
            plan.tiers
                .iter()
                .map(|tier| tier.phases.len())
                .sum::<usize>(),
            phases,
            "{name}"
        );
        assert_eq!(normalised.unbuilt.len(), unbuilt, "{name}");
        assert!(plan.run.id.is_some() && !plan.run.goal.is_empty(), "{name}");
        assert!(
            plan.tiers
                .iter()
                .flat_map(|tier| &tier.phases)
                .all(|phase| !phase.goal.is_empty()),
            "{name}"
        );
        let again: Plan = serde_json::from_str(&canonical_json(plan)).unwrap();
        assert_eq!(again, *plan, "{name}");
        for warning in &normalised.warnings {
            println!("{name}: {warning}");
        }
    }
}
