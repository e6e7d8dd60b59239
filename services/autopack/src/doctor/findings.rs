//! Findings for people, for programs, and as a plan.
//!
//! Invariant: each finding is printed with what, where, why it matters, the valid values, the fix, and whether `--fix`
//! applies it; the plan is one that `autopack plan validate` accepts.

use std::fmt::Write as _;

use autopack_domain::Finding;
use serde_json::{Value, json};

/// Valid values that a text shows before it counts the rest.
const SHOWN: usize = 20;

/// For programs.
pub(crate) fn as_json(finding: &Finding) -> Value {
    json!({
        "code": finding.code.code(),
        "severity": finding.code.severity_name(),
        "what": finding.problem,
        "where": {
            "table": finding.place.table,
            "row": finding.place.row,
            "column": finding.place.column,
        },
        "run": (!finding.run.is_empty()).then_some(&finding.run),
        "matters": finding.code.matters(),
        "value": finding.value,
        "valid": finding.valid,
        "fix": finding.fix,
        "safe": finding.safe,
    })
}

/// For people.
pub(crate) fn as_text(finding: &Finding) -> String {
    let mut text = String::new();
    let severity = finding.code.severity_name();
    let _ = writeln!(text, "{severity}: {}: {}", finding.code, finding.problem);
    let _ = writeln!(text, "  where   {}", finding.place);
    if !finding.run.is_empty() {
        let _ = writeln!(text, "  run     {}", finding.run);
    }
    let _ = writeln!(text, "  matters {}", finding.code.matters());
    if !finding.valid.is_empty() {
        let more = finding.valid.len().saturating_sub(SHOWN);
        let mut list = finding.valid[..finding.valid.len() - more].join(", ");
        if more > 0 {
            let _ = write!(list, " and {more} more");
        }
        let _ = writeln!(text, "  valid   {list}");
    }
    let _ = writeln!(text, "  fix     {}", finding.fix);
    let safe = match &finding.safe {
        Some(value) => format!("yes: `autopack doctor --fix` writes {value}"),
        None => "no: a person has to decide".to_owned(),
    };
    let _ = writeln!(text, "  safe    {safe}");
    text
}

/// A plan with one phase a finding, which names no builder: `autopack run --builder` chooses one.
pub(crate) fn as_plan(findings: &[Finding]) -> Value {
    let phases: Vec<Value> = findings
        .iter()
        .enumerate()
        .map(|(n, finding)| {
            let goal = format!(
                "{}: {} at {}. {} {}",
                finding.code,
                finding.problem,
                finding.place,
                finding.code.matters(),
                finding.fix
            );
            let name = format!("{} at {}", finding.code, finding.place);
            json!({
                "id": format!("F{}", n + 1),
                "name": line(&name, 72),
                "goal": line(&goal, 2000),
                "task_category": "debt_cleanup",
                "complexity": "low",
                "depends_on": [],
                "scope": { "paths": [], "acceptance_criteria": ["`autopack doctor` does not report it any more"] },
                "allow_noop": true,
                "gate": { "steps": [] },
                "labels": { "finding": finding.code.code() },
            })
        })
        .collect();
    json!({
        "schema": "autopack/plan/v1",
        "run": { "goal": "Mend what the self-check found" },
        "tiers": [{ "id": "T1", "name": "Findings", "phases": phases }],
    })
}

/// One line of at most so many characters.
fn line(text: &str, most: usize) -> String {
    let text: Vec<&str> = text.split_whitespace().collect();
    text.join(" ").chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use autopack_domain::{
        FindingCode,
        finding::Place,
        plan::{ReadOptions, read_plan},
    };

    fn findings() -> Vec<Finding> {
        let all = FindingCode::ALL.iter().map(|code| {
            let place = Place::new("run", "0197a4c2-0000-7000-8000-000000000001", "state");
            Finding::new(*code, place, "`READY` is \"odd\": it's\nno state")
                .value("READY")
                .valid((0..30).map(|n| format!("S{n}")))
                .run("demo")
        });
        all.collect()
    }

    #[test]
    fn a_text_says_what_where_why_valid_fix_and_safe() {
        let mut finding = findings().remove(0);
        let text = as_text(&finding);
        for word in [
            "where ",
            "run ",
            "matters ",
            "valid ",
            "fix ",
            "safe ",
            "and 10 more",
        ] {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert!(text.contains("safe    no"));
        finding.safe = Some("RUN_CREATED".to_owned());
        assert!(as_text(&finding).contains("writes RUN_CREATED"));
        assert_eq!(as_json(&finding)["safe"], "RUN_CREATED");
    }

    #[test]
    fn the_plan_is_a_plan() {
        let text = as_plan(&findings()).to_string();
        let read = read_plan(&text, &ReadOptions::default()).unwrap();
        assert_eq!(read.plan.tiers[0].phases.len(), FindingCode::ALL.len());
        assert!(read.warnings.is_empty(), "{:?}", read.warnings);
        assert_eq!(read.unbuilt.len(), FindingCode::ALL.len());
    }
}
