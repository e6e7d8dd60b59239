//! The event log, its readers, and facts that are kept for reports.

use autopack_domain::{EventKind, usage::Provenance};

use super::{
    Table,
    column::{AT, ATTEMPT, Column, Kind, count, flag, run_uid, set_by, text, uuid},
    runs::causes,
};

fn kinds() -> Vec<&'static str> {
    EventKind::ALL.iter().map(|kind| kind.code()).collect()
}

pub(super) fn tables() -> Vec<Table> {
    vec![
        event(),
        cursor(
            "relay_cursor",
            "The last event that was published to the bus.",
            "the relay",
        ),
        usage_event(),
        failure(),
        request(),
        epoch(),
        lane(),
        cursor(
            "trace_cursor",
            "The last event of which the spans were sent.",
            "the sender of spans",
        ),
    ]
}

fn event() -> Table {
    let columns = vec![
        Column::new(
            "sequence",
            Kind::Number(1, i64::MAX),
            "1",
            "Number within the log, gapless.",
        ),
        uuid(
            "uid",
            "0197a4c2-0000-7000-8000-000000000005",
            "The message id on the bus.",
        ),
        run_uid(),
        Column::new(
            "run_sequence",
            Kind::Number(1, i64::MAX),
            "1",
            "Number within the run, gapless.",
        ),
        Column::new("kind", Kind::Closed(kinds), "run_created", "What happened."),
        Column::new("at", Kind::Moment, AT, "When it was committed."),
        Column::new("body", Kind::Bytes, "", "The protobuf message `Event`."),
    ];
    Table {
        name: "event",
        text: "The event log, which is the outbox.",
        key: &["sequence"],
        run: "run_uid",
        columns: set_by("every command", columns),
    }
}

fn cursor(name: &'static str, what: &'static str, who: &'static str) -> Table {
    let columns = vec![
        Column::new("id", Kind::Number(1, 1), "1", "Always 1: there is one row."),
        count("sequence", "0", what),
    ];
    Table {
        name,
        text: what,
        key: &["id"],
        run: "",
        columns: set_by(who, columns),
    }
}

fn usage_event() -> Table {
    let columns = vec![
        run_uid(),
        count("number", "1000", "Unique in the run."),
        count("phase", "0", "Index of the phase."),
        uuid(
            "attempt_uid",
            ATTEMPT,
            "The attempt; all zeros: used for a result that no attempt took.",
        ),
        text(
            "provider",
            "anthropic",
            "Who served the model; empty: not told.",
        ),
        text("model", "a-model", "The model's name; empty: not told."),
        text("role", "builder", "builder, auditor or doctor."),
        text("purpose", "", "Free text."),
        count("total", "1200", "All tokens."),
        count("prompt", "1000", "Prompt tokens; null: not split.").optional(),
        count("completion", "200", "Completion tokens; null: not split.").optional(),
        Column::new(
            "provenance",
            Kind::Closed(Provenance::spellings),
            "reported",
            "Where the number came from.",
        ),
        Column::new("at", Kind::Moment, AT, "When it was booked."),
    ];
    Table {
        name: "usage_event",
        text: "Tokens that builders used.",
        key: &["run_uid", "number"],
        run: "run_uid",
        columns: set_by("RecordUsage, SettleAttempt", columns),
    }
}

fn failure() -> Table {
    let columns = vec![
        run_uid(),
        uuid("attempt_uid", ATTEMPT, "The attempt."),
        count("phase", "0", "Index of the phase."),
        Column::new(
            "cause",
            Kind::Closed(causes),
            "GATE_FAILED",
            "Why it did not succeed.",
        ),
        text("class", "test", "Class of the text; empty: none."),
        text(
            "signature",
            "",
            "The text without what differs from case to case.",
        ),
        text("raw", "", "The text, bounded and redacted."),
        Column::new("at", Kind::Moment, AT, "When it was recorded."),
    ];
    Table {
        name: "failure",
        text: "Failure texts with class and signature.",
        key: &["run_uid", "attempt_uid"],
        run: "run_uid",
        columns: set_by("SettleAttempt", columns),
    }
}

fn request() -> Table {
    let columns = vec![
        Column::new("id", Kind::Filled, "0197a4c2", "The caller's `request_id`."),
        Column::new("method", Kind::Filled, "CreateRun", "The method."),
        Column::new("digest", Kind::Filled, "9f86d081", "Digest of the request."),
        run_uid(),
        Column::new("at", Kind::Moment, AT, "When it was carried out."),
    ];
    Table {
        name: "request",
        text: "Idempotency keys of requests that were carried out.",
        key: &["id"],
        run: "run_uid",
        columns: set_by("every command with a request_id", columns),
    }
}

fn epoch() -> Table {
    let columns = vec![
        Column::new("id", Kind::Number(1, 1), "1", "Always 1: there is one row."),
        count(
            "epoch",
            "1",
            "Raised by each start of a registry; an older one is fenced.",
        ),
        text("instance", "", "Name of the registry's sessions.").default("''"),
        text(
            "address",
            "http://registry:7878",
            "Where the active registry is reached.",
        )
        .default("''"),
        text(
            "last_batch",
            "",
            "The last batch of commands that was committed.",
        )
        .default("''"),
    ];
    Table {
        name: "registry_epoch",
        text: "Who is the active registry.",
        key: &["id"],
        run: "",
        columns: set_by("the start of a registry", columns),
    }
}

fn lane() -> Table {
    let columns = vec![
        Column::new("name", Kind::Filled, "default", "The lane."),
        flag("paused", "false", "Nothing of it is offered."),
        Column::new("changed_at", Kind::Moment, AT, "When that was changed."),
    ];
    Table {
        name: "lane",
        text: "Lanes that somebody paused, or paused once.",
        key: &["name"],
        run: "",
        columns: set_by("PauseLane", columns),
    }
}
