//! Issues of runs and backlogs of projects, and what issues amount to for a run, a tier and a phase.

use autopack_domain::{
    issue::{Cleanliness, DebtStatus, IssueState, Severity},
    schemas,
};

use super::{
    Table,
    column::{AT, ATTEMPT, Column, Kind, count, moment, run_uid, set_by, text, uuid},
};

const KEY: &str = "docs__readme__stale";

pub(super) fn tables() -> Vec<Table> {
    vec![issue(), backlog()]
}

/// Distinct keys of a run, a tier or a phase, and what they amount to.
pub(super) fn counters(column: Column) -> Vec<Column> {
    vec![
        count("minor_issues", "0", "Distinct open keys that are minor.").default("0"),
        count("major_issues", "0", "Distinct open keys that are major.").default("0"),
        count("resolved_issues", "1", "Distinct keys that were cleaned.").default("0"),
        column,
    ]
}

/// Of a run.
pub(super) fn debt_status() -> Column {
    Column::new(
        "debt_status",
        Kind::Closed(DebtStatus::spellings),
        "clean",
        "What its minor issues amount to.",
    )
    .default("'clean'")
}

/// Of a tier.
pub(super) fn cleanliness() -> Column {
    Column::new(
        "cleanliness",
        Kind::Closed(Cleanliness::spellings),
        "clean",
        "Whether its issues are within its limits.",
    )
    .default("'clean'")
}

/// Of a phase.
pub(super) fn issue_state() -> Column {
    Column::new(
        "issue_state",
        Kind::Closed(IssueState::spellings),
        "no_issues",
        "What its issues amount to.",
    )
    .default("'no_issues'")
}

fn key() -> Column {
    Column::new(
        "issue_key",
        Kind::Filled,
        KEY,
        "The key: the only thing that tells issues apart.",
    )
}

fn severity(name: &'static str, text: &'static str) -> Column {
    Column::new(name, Kind::Closed(Severity::spellings), "minor", text)
}

fn texts(name: &'static str, example: &'static str, text: &'static str) -> Column {
    Column::new(name, Kind::Json(schemas::list, false), example, text)
}

fn issue() -> Table {
    let columns = vec![
        run_uid(),
        Column::new(
            "phase",
            Kind::Number(-1, i64::MAX),
            "0",
            "Index of its phase; -1: the run itself.",
        ),
        key(),
        severity("severity", "The gravest that was reported."),
        severity(
            "effective_severity",
            "With ageing: a minor one that was aged when the run was made counts as major.",
        ),
        text("source", "static_check", "Who found it first."),
        text("category", "docs", "As it was reported first."),
        text(
            "task_category",
            "docs",
            "The task category of its phase; empty for the run's own.",
        ),
        text(
            "complexity",
            "low",
            "The complexity of its phase; empty for the run's own.",
        ),
        text(
            "description",
            "The README names a flag that is gone.",
            "As it was reported last.",
        ),
        texts(
            "evidence",
            r#"["tests/readme.rs"]"#,
            "Where to look, of all reports.",
        ),
        texts("paths", r#"["README.md"]"#, "Affected paths."),
        count("occurrences", "1", "Reports."),
        Column::new("first_seen_at", Kind::Moment, AT, "The first report."),
        Column::new("last_seen_at", Kind::Moment, AT, "The last report."),
        uuid(
            "attempt_uid",
            ATTEMPT,
            "The attempt that reported it last; null: none.",
        )
        .optional(),
        moment(
            "resolved_at",
            "When it was cleaned; a later report opens it again.",
        ),
    ];
    Table {
        name: "issue",
        text: "Issues of runs: a key is stored once per phase, and counted once per phase, tier and run.",
        key: &["run_uid", "phase", "issue_key"],
        run: "run_uid",
        columns: set_by("RecordIssue", columns),
    }
}

fn backlog() -> Table {
    let columns = vec![
        Column::new("project", Kind::Filled, "demo", "The project.").parent("project", "name"),
        key(),
        text("category", "docs", "As it was reported first."),
        severity(
            "severity",
            "The gravest that was reported; ageing does not change it.",
        ),
        count("age_in_runs", "1", "Distinct runs that saw it."),
        count("age_in_tiers", "1", "Distinct tiers that saw it."),
        texts(
            "seen_in_tiers",
            r#"["T1"]"#,
            "Ids of these tiers, in the order of their first sight.",
        ),
        count("occurrences", "1", "Reports."),
        texts("paths", r#"["README.md"]"#, "Affected paths."),
        text("first_seen_run", "demo-1", "The run that saw it first."),
        Column::new("first_seen_at", Kind::Moment, AT, "When that was."),
        text("last_seen_run", "demo-1", "The run that saw it last."),
        Column::new("last_seen_at", Kind::Moment, AT, "When that was."),
        text(
            "cleaned_run",
            "demo-2",
            "The run that cleaned it last, if it was not seen since.",
        )
        .optional(),
        moment("cleaned_at", "When that was."),
        text(
            "closed_note",
            "The generator of that file is not ours.",
            "Why an operator closed it, if it was not seen since.",
        )
        .optional(),
        moment("closed_at", "When that was."),
    ];
    Table {
        name: "backlog",
        text: "What the runs of a project found, and for how long.",
        key: &["project", "issue_key"],
        run: "",
        columns: set_by("RecordIssue", columns),
    }
}
