//! The corpus of bad plans: every listed fault is reported, all at once, and nothing else.
//!
//! `NN-name.faults` holds one line for each fault: its path, `: `, and a part of its text.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::{fs, path::PathBuf};

use autopack_domain::{
    Fault, Faults,
    plan::{ReadOptions, read_plan},
};

fn corpus() -> Vec<(String, String, Vec<String>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/bad-plans");
    let mut plans = Vec::new();
    for entry in fs::read_dir(&folder).expect("tests/corpus/bad-plans is there") {
        let path = entry.expect("readable").path();
        if path.extension().is_some_and(|end| end == "faults") {
            continue;
        }
        let text = String::from_utf8(fs::read(&path).expect("readable")).expect("UTF-8");
        let faults =
            fs::read_to_string(path.with_extension("faults")).expect("each plan has its .faults");
        let name = path
            .file_name()
            .expect("a file")
            .to_string_lossy()
            .into_owned();
        plans.push((name, text, faults.lines().map(str::to_owned).collect()));
    }
    plans.sort();
    plans
}

fn matches(fault: &Fault, expected: &str) -> bool {
    let (path, part) = expected.split_once(": ").expect("path: part");
    fault.path == path && fault.to_string().contains(part)
}

#[test]
fn every_listed_fault_is_reported_and_no_other() {
    let mut wrong = Vec::new();
    let plans = corpus();
    for (name, text, expected) in &plans {
        let options = ReadOptions {
            name: Some(name.clone()),
            ..ReadOptions::default()
        };
        let faults = match read_plan(text, &options) {
            Ok(plan) => {
                wrong.push(format!("{name}: accepted as {}", plan.form));
                continue;
            }
            Err(faults) => faults,
        };
        let missing = expected
            .iter()
            .filter(|line| !faults.iter().any(|fault| matches(fault, line)));
        wrong.extend(missing.map(|line| format!("{name}: not reported: {line}")));
        let extra = faults
            .iter()
            .filter(|fault| !expected.iter().any(|line| matches(fault, line)));
        wrong.extend(extra.map(|fault| format!("{name}: not listed: {fault}")));
        if faults.len() != expected.len() {
            wrong.push(format!(
                "{name}: {} faults for {} lines",
                faults.len(),
                expected.len()
            ));
        }
    }
    assert!(plans.len() >= 70, "{} plans", plans.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_fault_says_what_is_wrong_and_what_would_be_right() {
    for (name, text, _) in corpus() {
        for fault in read_plan(&text, &ReadOptions::default()).expect_err(&name) {
            assert!(
                !fault.path.is_empty() && !fault.problem.is_empty(),
                "{name}: {fault:?}"
            );
            assert!(
                fault.to_string().len() < 4000,
                "{name}: a fault repeats the input: {fault}"
            );
            assert!(
                !fault.to_string().chars().any(char::is_control),
                "{name}: {fault:?}"
            );
            // A list of values, an example, or the bound in the text; syntax errors have only their place.
            let told = [
                "at most",
                "control character",
                "must be one",
                "stands in",
                "nested deeper",
                "line ",
            ];
            let told = told.iter().any(|part| fault.problem.contains(part));
            assert!(
                told || !fault.allowed.is_empty() || !fault.example.is_empty(),
                "{name}: {fault:?}"
            );
        }
    }
}

#[test]
fn faults_are_bounded() {
    let phases = "{ id: 'bad id', gaol: x }, ".repeat(5_000);
    let text = format!(
        "schema: autopack/plan/v1\nrun: {{ goal: x }}\ntiers: [{{ id: T1, phases: [{phases}] }}]\n"
    );
    let faults = read_plan(&text, &ReadOptions::default()).expect_err("all wrong");
    assert_eq!(faults.len(), Faults::MAX);
}
