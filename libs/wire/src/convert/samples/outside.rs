//! What comes from outside for a phase: a result and a person's word.

use autopack_domain::{
    Timestamp,
    approval::{Approval, ApprovalRequest, Ask, Decision, Guard, RiskLevel},
    submission::Submission,
};

pub(super) fn approval() -> Approval {
    Approval {
        request: ApprovalRequest {
            tree: "a".repeat(40),
            tip: "b".repeat(40),
            risk: RiskLevel::High,
            asks: vec![Ask {
                guard: Guard::Path,
                path: "migrations/1.sql".into(),
                detail: "why".into(),
            }],
            asked_by: "bot".into(),
        },
        attempt: 2,
        asked_at: Timestamp(11),
        decision: Some(Decision {
            approved: true,
            by: "ada".into(),
            note: "fine".into(),
            at: Timestamp(12),
        }),
    }
}

pub(super) fn submission() -> Submission {
    Submission {
        builder: "bot".into(),
        digest: "f".repeat(64),
        size: 31,
        at: Timestamp(5),
        auditor: "ada".into(),
        audit_digest: "0".repeat(64),
    }
}
