//! Projects, runs and their documents.

use autopack_domain::{Cause, schemas, states::RunState};

use super::{
    Table,
    column::{AT, Column, Kind, RUN, SHA, count, flag, moment, run_uid, set_by, text, uuid},
    issues,
};

const PLAN: &str = r#"{"schema":"autopack/plan/v1","run":{"id":"demo-1","project":"demo","goal":"Durations can be parsed and printed","base":"main","safety_profile":"normal","run_scope":"multi_tier","budgets":{"tokens":5000000,"phases":25,"minutes":120},"priority":5,"labels":{}},"tiers":[{"id":"T1","name":"Core","description":"","tokens":null,"ci_runs":null,"phases":[{"id":"P1.1","name":"Parse durations","goal":"`1h30m` parses to 5,400 seconds","description":"","task_category":"feature_scaffolding","complexity":"low","builder_mode":"tweak_light","depends_on":[],"scope":{"paths":["src/**"],"protected_paths":[],"read_only_context":[],"deliverables":["src/duration.rs"],"acceptance_criteria":[]},"builder":{"kind":"noop"},"allow_noop":false,"gate":{"profile":"normal","setup":[],"steps":[]},"max_attempts":null,"tokens":null,"limits":{"memory_mb":4096,"disk_mb":4096,"cpu_seconds":3600,"processes":512,"file_kb":10240,"files":100},"priority":null,"labels":{}}]}]}"#;

const STRATEGY: &str = r#"{"version":"v1","safety_profile":"normal","tokens":5000000,"phases":25,"minutes":120,"max_minor_issues":3,"aging_runs":3,"aging_tiers":2,"tier":[{"tokens":1500000,"ci_runs":3,"max_minor_issues":2,"max_major_issues":0}],"phase":[{"max_attempts":3,"max_infra":3,"tokens":500000,"estimate":0,"backoff_seconds":5,"gate_profile":"normal","auditor_profile":"","auto_apply":true}]}"#;

pub(super) fn causes() -> Vec<&'static str> {
    Cause::ALL.iter().map(|cause| cause.code()).collect()
}

/// Counters of phases by state, which runs and tiers keep.
pub(super) fn counters() -> Vec<Column> {
    vec![
        count("count_queued", "1", "Phases in QUEUED."),
        count("count_executing", "0", "Phases in EXECUTING."),
        count("count_gate", "0", "Phases in GATE."),
        count("count_ci_running", "0", "Phases in CI_RUNNING."),
        count("count_complete", "0", "Phases in COMPLETE."),
        count("count_failed", "0", "Phases in FAILED."),
        count("count_skipped", "0", "Phases in SKIPPED."),
    ]
}

pub(super) fn tables() -> Vec<Table> {
    vec![project(), run(), run_document()]
}

fn project() -> Table {
    let object = Kind::Json(schemas::free_object, true);
    let limits = Kind::Json(schemas::project_limits, true);
    let columns = vec![
        Column::new(
            "name",
            Kind::Filled,
            "demo",
            "What backlog, ruleset and limits hang on.",
        ),
        Column::new(
            "ruleset",
            object,
            "{}",
            "The ruleset, from `ImportRuleset`; empty: none.",
        )
        .default("''"),
        Column::new(
            "backlog",
            object,
            "{}",
            "The backlog in its stored form; empty: none.",
        )
        .default("''"),
        Column::new(
            "limits",
            limits,
            r#"{"max_running":8}"#,
            "Attempts at a time, from `SetProjectLimits`; empty: no limit.",
        )
        .default("''"),
        Column::new(
            "share",
            Kind::Number(1, 1_000_000),
            "1",
            "Its part of the offers, relative to other projects that wait.",
        )
        .default("1"),
        Column::new(
            "created_at",
            Kind::Moment,
            AT,
            "When its first run was made.",
        ),
    ];
    Table {
        name: "project",
        text: "Projects: ruleset, backlog and limits hang on them.",
        key: &["name"],
        run: "",
        columns: set_by("CreateRun", columns),
    }
}

fn run() -> Table {
    let mut columns = vec![
        uuid("uid", RUN, "The run, for ever."),
        Column::new(
            "id",
            Kind::UserId,
            "demo-1",
            "The id that the plan or the caller chose, else derived; unique without regard to case.",
        ),
        Column::new(
            "id_fold",
            Kind::Filled,
            "demo-1",
            "The id in lower case, which is what must be unique.",
        ),
        Column::new("project", Kind::Filled, "demo", "The project.").parent("project", "name"),
        Column::new(
            "state",
            Kind::Closed(RunState::spellings),
            "QUEUED",
            "Computed from the phases by one function in the same transaction.",
        ),
        count(
            "version",
            "1",
            "Raised by each command that changes the run.",
        ),
        count("last_event", "0", "Number of the run's last event."),
        count("revision", "0", "Raised by each reopening."),
        count("fence", "0", "The last fence that was minted."),
        flag("held", "false", "It waits for `StartRun`."),
        flag(
            "frozen",
            "false",
            "The bootstrap has resolved what needs the repository.",
        ),
        flag("started", "false", "It may be dispatched."),
        flag("paused", "false", "No new leases; running attempts finish."),
        flag(
            "cancelling",
            "false",
            "It ends as soon as landing intents are resolved.",
        ),
        text(
            "goal",
            "Durations can be parsed and printed",
            "The goal anchor.",
        ),
        text("base_ref", "main", "Branch, tag or commit, as written."),
        text(
            "base_sha",
            SHA,
            "The base commit; empty before the bootstrap.",
        ),
        text(
            "tip",
            SHA,
            "Tip of the integration branch; empty before the bootstrap.",
        ),
        text("branch", "autonomous/demo-1", "The integration branch."),
        text(
            "repository",
            "/srv/app",
            "Path or address of the target repository.",
        ),
        text(
            "digest",
            "9f86d081",
            "Digest of plan, files and repository.",
        ),
        Column::new(
            "priority",
            Kind::Number(0, 9),
            "5",
            "0 (last) to 9 (first).",
        ),
        count("tokens_cap", "5000000", "Cap on tokens; null: none.").optional(),
        count(
            "tokens_reserved",
            "0",
            "Tokens held for attempts in flight.",
        ),
        count("tokens_settled", "0", "Tokens booked."),
        count("phases_cap", "25", "Phases that may be dispatched."),
        count("phases_used", "0", "Phases that were dispatched."),
        count(
            "minutes_cap",
            "120",
            "Minutes since the first lease, pauses left out.",
        ),
        moment("first_lease_at", "When its first phase was leased."),
        moment("paused_at", "Since when it is paused."),
        count("paused_us", "0", "Microseconds of earlier pauses."),
    ];
    columns.extend(counters());
    columns.extend([
        count(
            "open_intents",
            "0",
            "Landing intents that nobody has resolved yet.",
        ),
        Column::new(
            "cause",
            Kind::Closed(causes),
            "GATE_FAILED",
            "Why it did not succeed; null: it did, or has not ended.",
        )
        .optional(),
        text("detail", "", "The cause's detail for people."),
        Column::new(
            "facts",
            Kind::Json(schemas::run_facts, false),
            "{}",
            "Facts for later comparison.",
        ),
        Column::new("created_at", Kind::Moment, AT, "When it was made."),
        moment("started_at", "When it was started."),
        moment("completed_at", "When it ended."),
    ]);
    columns.extend(issues::counters(issues::debt_status()));
    Table {
        name: "run",
        text: "Runs: one plan against one repository.",
        key: &["uid"],
        run: "uid",
        columns: set_by("CreateRun", columns),
    }
}

fn run_document() -> Table {
    let columns = vec![
        run_uid(),
        Column::new(
            "plan",
            Kind::Json(schemas::plan, false),
            PLAN,
            "The normalised plan; a phase's goal, scope, builder and gate stand in it.",
        ),
        Column::new(
            "strategy",
            Kind::Json(schemas::strategy, false),
            STRATEGY,
            "What was compiled from ruleset, backlog and plan, frozen with the run.",
        ),
        Column::new(
            "source",
            Kind::Text,
            "",
            "What an imported run was made from, `autopack/history/v1`; empty for every other run.",
        )
        .default("''"),
    ];
    Table {
        name: "run_document",
        text: "The large texts of a run, apart from what changes often.",
        key: &["run_uid"],
        run: "run_uid",
        columns: set_by("CreateRun", columns),
    }
}
