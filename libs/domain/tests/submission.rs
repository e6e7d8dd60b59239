//! Documents of builders and auditors: read as a whole, refused with every fault.

#![allow(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use autopack_domain::{
    Fault, Timestamp, json_schema, schemas,
    submission::{
        Awaited, Content, EditOp, Handoff, Recommendation, ResultStatus, Submission, Wait,
        read_audit, read_result,
    },
    usage::{Provenance, Usage},
};
use serde_json::json;

fn paths(faults: &[Fault]) -> Vec<&str> {
    faults.iter().map(|fault| fault.path.as_str()).collect()
}

#[test]
fn a_result_is_read_with_its_claims() {
    let document = json!({
        "schema": "autopack/builder-result/v1", "run_id": "r", "phase_id": "P", "builder": "bot-7",
        "edits": [
            { "op": "replace", "path": "src/a.rs", "start_line": 3, "end_line": 4, "content": "x\n", "context_before": "fn a() {" },
            { "op": "append", "path": "src/a.rs", "content": "y" },
            { "op": "create", "path": "src/b.rs", "content": "z\n" }
        ],
        "changed_files": ["src/a.rs", "src/b.rs"],
        "usage": [{ "model": "m", "total": 12, "provenance": "estimated" }, { "total": 3 }],
        "probes": [{ "type": "lint", "exit_code": 0 }, { "type": "unit tests", "exit_code": 1, "output": "a\n1 failed\n" }],
        "issues": [{ "key": "docs__readme__stale", "category": "docs" }]
    });
    let result = read_result(&document.to_string(), "r", "P").unwrap();
    assert_eq!(
        (result.builder.as_str(), result.status),
        ("bot-7", ResultStatus::Success)
    );
    let Some(Content::Edits(edits)) = &result.content else {
        panic!("no edits")
    };
    assert_eq!(
        (edits[0].op, edits[0].start, edits[0].end),
        (EditOp::Replace, 3, 4)
    );
    assert_eq!(result.usage[0].role, "builder");
    assert_eq!(
        (result.usage[0].provenance, result.usage[1].provenance),
        (Provenance::Estimated, Provenance::Reported)
    );
    let issues: Vec<_> = result
        .issues
        .iter()
        .map(|i| (i.key.as_str(), i.source.as_str()))
        .collect();
    assert_eq!(
        issues,
        [
            ("docs__readme__stale", "builder"),
            ("probe__P__unit_tests", "probe")
        ]
    );
    assert!(result.issues[1].description.contains("1 failed"));
    // What is stored comes back.
    let stored = serde_json::to_string(&result).unwrap();
    let back: autopack_domain::submission::BuilderResult = serde_json::from_str(&stored).unwrap();
    assert_eq!(back.content, result.content);
}

#[test]
fn every_fault_of_a_result_is_named_by_its_field() {
    let document = json!({
        "run_id": "other", "phase_id": "P", "builder": " bot", "status": "done", "token_used": 5,
        "patch": "x", "edits": [
            { "op": "replace", "path": "../a", "start_line": 4, "end_line": 3 },
            { "op": "rewrite", "path": "b" },
            { "op": "write", "path": "c", "content": "", "line": 1 },
            { "op": "insert", "path": "c", "line": 0, "content": "x" }
        ],
        "changed_files": ["/etc/passwd", ".git/config"],
        "usage": [{ "total": -1, "provenance": "guessed" }],
        "probes": [{ "type": "lint" }],
        "issues": [{ "key": "", "category": "docs", "severity": "medium", "source": "auditor" }]
    });
    let faults = read_result(&document.to_string(), "r", "P").unwrap_err();
    let found = paths(&faults);
    for path in [
        "token_used",
        "run_id",
        "status",
        "builder",
        "changed_files[0]",
        "changed_files[1]",
        "usage[0].total",
        "usage[0].provenance",
        "probes[0].exit_code",
        "issues[0].key",
        "issues[0].severity",
        "issues[0].source",
        "edits",
    ] {
        assert!(found.contains(&path), "{path} is not in {found:?}");
    }
    assert!(
        faults
            .iter()
            .any(|f| f.path == "status" && f.allowed.contains(&"needs_review".to_owned()))
    );
    let mut edits = document;
    edits.as_object_mut().unwrap().remove("patch");
    edits["status"] = json!("success");
    let faults = read_result(&edits.to_string(), "r", "P").unwrap_err();
    let found = paths(&faults);
    for path in [
        "edits[0].path",
        "edits[0].end_line",
        "edits[0].content",
        "edits[1].op",
        "edits[2].line",
        "edits[3].line",
        "edits[3].path",
    ] {
        assert!(found.contains(&path), "{path} is not in {found:?}");
    }
}

#[test]
fn a_result_has_one_change_and_a_failure_none() {
    let read = |value: serde_json::Value| read_result(&value.to_string(), "r", "P");
    let none = read(json!({ "builder": "b" })).unwrap_err();
    assert_eq!(paths(&none), ["patch"]);
    let empty = read(json!({ "builder": "b", "patch": " \n" })).unwrap_err();
    assert_eq!(paths(&empty), ["patch"]);
    let failed = read(json!({ "builder": "b", "status": "failed", "patch": "x" })).unwrap_err();
    assert_eq!(paths(&failed), ["patch"]);
    assert!(
        read(json!({ "builder": "b", "status": "failed" }))
            .unwrap()
            .content
            .is_none()
    );
    assert!(read(json!({ "builder": "b", "edits": [] })).is_ok());
    for bad in [
        "",
        "[]",
        "{",
        "\"x\"",
        "{\"builder\":\"a\",\"builder\":\"b\",\"patch\":\"x\"}",
    ] {
        assert!(read_result(bad, "r", "P").is_err(), "{bad}");
    }
    let large = format!(
        "{{\"builder\":\"b\",\"patch\":\"{}\"}}",
        "x".repeat(4 << 20)
    );
    assert_eq!(
        paths(&read_result(&large, "r", "P").unwrap_err()),
        ["document"]
    );
}

#[test]
fn an_audit_says_what_is_wrong_and_patches_come_with_an_approval() {
    let read = |value: serde_json::Value| read_audit(&value.to_string(), "r", "P");
    let good = read(json!({
        "schema": "autopack/auditor-result/v1", "auditor": "ada", "recommendation": "approve",
        "confidence": "high", "patches": [{ "description": "typo", "patch": "diff" }],
        "usage": [{ "total": 5 }]
    }))
    .unwrap();
    assert_eq!(
        (good.recommendation, good.patches.len()),
        (Recommendation::Approve, 1)
    );
    assert_eq!(good.usage[0].role, "auditor");
    let bad = read(json!({
        "auditor": "", "recommendation": "revise", "patches": [{ "patch": "" }], "confidence": "certain", "verdict": 1
    }))
    .unwrap_err();
    let found = paths(&bad);
    for path in [
        "verdict",
        "auditor",
        "confidence",
        "patches",
        "patches[0].patch",
        "notes",
    ] {
        assert!(found.contains(&path), "{path} is not in {found:?}");
    }
}

#[test]
fn a_stored_handoff_fits_its_schema() {
    let handoff = Handoff {
        wait: Some(Wait {
            what: Awaited::Audit,
            until: Timestamp(7),
        }),
        submission: Some(Submission {
            builder: "b".into(),
            digest: "d".into(),
            size: 3,
            at: Timestamp(5),
            auditor: "a".into(),
            audit_digest: "e".into(),
        }),
        audit: true,
        approval: None,
        usage: vec![Usage {
            provider: "p".into(),
            model: "m".into(),
            role: "builder".into(),
            purpose: String::new(),
            total: 9,
            prompt: Some(4),
            completion: None,
            provenance: Provenance::Reported,
        }],
    };
    for value in [handoff, Handoff::default()] {
        let stored = serde_json::to_value(&value).unwrap();
        let faults = json_schema::faults(&schemas::handoff(), &stored);
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(serde_json::from_value::<Handoff>(stored).unwrap(), value);
    }
}
