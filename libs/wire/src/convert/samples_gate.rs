//! A gate with every field set, for round trips.

use std::collections::BTreeMap;

use autopack_domain::plan::{
    GateProfile, GateSpec, KnownFailures, Quarantined, ReportKind, ReportSpec, StepKind, StepSpec,
    TestRules,
};

fn step(kind: StepKind) -> StepSpec {
    StepSpec {
        run: "cargo test".into(),
        kind,
        dir: "sub".into(),
        timeout_seconds: 600,
        env: BTreeMap::from([("E".to_owned(), "1".to_owned())]),
        report: Some(ReportSpec {
            kind: ReportKind::Junit,
            path: "target/reports".into(),
        }),
    }
}

pub(super) fn gate() -> GateSpec {
    GateSpec {
        profile: GateProfile::Strict,
        setup: vec![step(StepKind::Check)],
        steps: Some(vec![step(StepKind::Test)]),
        tests: TestRules {
            integrity: false,
            may_remove: vec!["old::*".into()],
            may_skip: vec!["slow::*".into()],
            may_empty: vec!["stub".into()],
            promised: vec!["new::*".into()],
            quarantine: vec![Quarantined {
                id: "net::*".into(),
                until: "2027-01-31".into(),
                reason: "the server".into(),
            }],
            known_failures: KnownFailures::Allow,
            reruns: 3,
        },
    }
}
