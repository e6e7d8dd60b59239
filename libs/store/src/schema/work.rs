//! Tiers, phases, attempts and jobs.

use autopack_domain::{
    phase::PhaseOutcome,
    run::{JobKind, JobState},
    schemas,
    states::{AttemptState, PhaseState, TierState},
};

use super::{
    Table,
    column::{
        AT, ATTEMPT, Column, JOB, Kind, SHA, WORKER, count, flag, moment, run_uid, set_by, text,
        uuid,
    },
    issues,
    runs::{causes, counters},
};

pub(super) fn tables() -> Vec<Table> {
    vec![tier(), phase(), attempt(), job()]
}

fn tier() -> Table {
    let mut columns = vec![
        run_uid(),
        count("idx", "0", "Its place in the plan, from 0."),
        Column::new(
            "id",
            Kind::UserId,
            "T1",
            "The plan's id; unique in the run.",
        ),
        Column::new(
            "state",
            Kind::Closed(TierState::spellings),
            "PENDING",
            "Computed from its phases.",
        ),
    ];
    columns.extend(counters());
    columns.extend([
        count("tokens_cap", "1500000", "Cap on tokens; null: none.").optional(),
        count(
            "tokens_reserved",
            "0",
            "Tokens held for attempts in flight.",
        ),
        count("tokens_settled", "0", "Tokens booked."),
        count("ci_runs_cap", "3", "Cap on gate runs; null: none.").optional(),
        count("ci_runs_settled", "0", "Gate runs so far."),
        text(
            "snapshot",
            SHA,
            "The commit that a private ref holds; empty: none yet.",
        ),
        moment("started_at", "When its first phase was dispatched."),
        moment("completed_at", "When it ended."),
    ]);
    columns.extend(issues::counters(issues::cleanliness()));
    Table {
        name: "tier",
        text: "Tiers of a run, in order.",
        key: &["run_uid", "idx"],
        run: "run_uid",
        columns: set_by("CreateRun", columns),
    }
}

fn phase() -> Table {
    let mut columns = vec![
        run_uid(),
        count("idx", "0", "Its index in the run, from 0."),
        Column::new(
            "id",
            Kind::UserId,
            "P1.1",
            "The plan's id; unique in the run.",
        ),
        count("tier", "0", "Index of its tier."),
        count(
            "place",
            "0",
            "Its place in the tier; goal, scope, builder and gate stand there in `run_document.plan`.",
        ),
        Column::new(
            "state",
            Kind::Closed(PhaseState::spellings),
            "QUEUED",
            "Where it stands.",
        ),
        count("attempts_made", "0", "Attempts so far."),
        count("attempts_charged", "0", "Attempts that were charged."),
        count(
            "infra_charged",
            "0",
            "Infrastructure failures that were charged.",
        ),
        count("crashes", "0", "Crash credits used."),
        count("conflicts", "0", "Landing conflicts."),
        moment("not_before", "Not to be offered before."),
        Column::new(
            "cause",
            Kind::Closed(causes),
            "GATE_FAILED",
            "Why it did not succeed; null: it did, or has not ended.",
        )
        .optional(),
        text("detail", "", "The cause's detail for people."),
        text("commit_sha", SHA, "The commit that landed; empty: none."),
        Column::new(
            "outcome",
            Kind::Closed(PhaseOutcome::spellings),
            "committed",
            "What came out; null: it has not succeeded.",
        )
        .optional(),
        count("tokens_cap", "500000", "Cap on tokens; null: none.").optional(),
        count(
            "tokens_reserved",
            "0",
            "Tokens held for its attempt in flight.",
        ),
        count("tokens_settled", "0", "Tokens booked."),
        uuid(
            "current_attempt",
            ATTEMPT,
            "The attempt that is on offer or leased; null: none.",
        )
        .optional(),
        moment("started_at", "When its first attempt was leased."),
        moment("completed_at", "When it ended."),
    ];
    columns.extend(issues::counters(issues::issue_state()));
    columns.push(
        Column::new(
            "handoff",
            Kind::Json(schemas::handoff, false),
            r#"{"wait":{"for":"submission","until":1767225600000000},"submission":null,"audit":false,"usage":[]}"#,
            "Between the submissions of an `external` phase: what it waits for, and the result at hand; null: nothing.",
        )
        .optional(),
    );
    Table {
        name: "phase",
        text: "Phases of a run: where each stands. What it shall do is in the run's plan.",
        key: &["run_uid", "idx"],
        run: "run_uid",
        columns: set_by("CreateRun, AddPhase", columns),
    }
}

fn attempt() -> Table {
    let artifact = r#"[{"name":"output","digest":"9f86d081","size":12}]"#;
    let columns = vec![
        uuid("uid", ATTEMPT, "The attempt."),
        run_uid(),
        count("phase", "0", "Index of its phase in the run."),
        Column::new(
            "number",
            Kind::Number(1, i64::MAX),
            "1",
            "1 for the first attempt of the phase.",
        ),
        Column::new(
            "state",
            Kind::Closed(AttemptState::spellings),
            "OFFERED",
            "Where it stands.",
        ),
        uuid("job_uid", JOB, "The job that offered it."),
        count("fence", "0", "Fence of its lease; 0 before."),
        uuid("worker_uid", WORKER, "Who holds or held it; null: nobody.").optional(),
        text(
            "tip",
            SHA,
            "The tip it was built on; empty before the lease.",
        ),
        text("tree", SHA, "The gated tree; empty before."),
        text("commit_sha", SHA, "The commit that landed; empty: none."),
        text(
            "intent_tip",
            SHA,
            "The tip that its landing expects; null: no intent.",
        )
        .optional(),
        text("intent_tree", SHA, "The tree that it means to land.").optional(),
        text("intent_commit", SHA, "The commit that it means to land.").optional(),
        flag(
            "intent_resolved",
            "true",
            "Whether somebody has read the branch since.",
        )
        .optional(),
        Column::new(
            "cause",
            Kind::Closed(causes),
            "GATE_FAILED",
            "Why it did not succeed; null: it did, or has not ended.",
        )
        .optional(),
        text(
            "detail",
            "",
            "The cause's detail for people, bounded and redacted.",
        ),
        text(
            "gate",
            "passed; cargo test",
            "The verdict word and the steps; empty before.",
        ),
        count(
            "tests",
            "12",
            "Tests that the gate counted; null: none were counted.",
        )
        .optional(),
        count("tokens_reserved", "0", "Tokens held for it."),
        count("tokens_used", "0", "Tokens booked for it."),
        Column::new("offered_at", Kind::Moment, AT, "When it was offered."),
        moment("leased_at", "When it was leased."),
        moment("finished_at", "When it ended."),
        Column::new(
            "artifacts",
            Kind::Json(schemas::artifacts, false),
            artifact,
            "Files of it that are kept.",
        ),
        Column::new(
            "facts",
            Kind::Json(schemas::attempt_facts, false),
            "{}",
            "Facts for later comparison.",
        ),
    ];
    Table {
        name: "attempt",
        text: "Attempts: one execution of a phase by one worker.",
        key: &["uid"],
        run: "run_uid",
        columns: set_by("OfferPhases", columns),
    }
}

fn job() -> Table {
    let columns = vec![
        uuid("uid", JOB, "The job, new for each offer."),
        run_uid(),
        Column::new(
            "kind",
            Kind::Closed(JobKind::spellings),
            "bootstrap",
            "What for.",
        ),
        Column::new(
            "state",
            Kind::Closed(JobState::spellings),
            "OFFERED",
            "Where it stands.",
        ),
        count("fence", "0", "Fence of its lease; 0 before."),
        uuid("worker_uid", WORKER, "Who holds it; null: nobody.").optional(),
        count("failures", "0", "Failures with it so far."),
        moment("not_before", "Not to be offered before."),
    ];
    Table {
        name: "job",
        text: "Jobs that need the repository but are not phases.",
        key: &["uid"],
        run: "run_uid",
        columns: set_by("OfferJob", columns),
    }
}
