//! `backlog`.

use autopack_domain::{Timestamp, backlog::BacklogEntry, issue::Severity};
use sea_orm::ActiveValue::Set;

use super::{closed, parse, run::json, small};
use crate::{CorruptRow, entity::backlog};

/// A row as an entry.
pub fn read(row: backlog::Model) -> Result<BacklogEntry, CorruptRow> {
    let id = format!("{}/{}", row.project, row.issue_key);
    let list = |column, text: &str| {
        parse("backlog", &id, column, text, |t| {
            serde_json::from_str(t).ok()
        })
    };
    Ok(BacklogEntry {
        severity: closed(
            "backlog",
            &id,
            "severity",
            &row.severity,
            Severity::parse,
            Severity::spellings,
        )?,
        tiers: list("seen_in_tiers", &row.seen_in_tiers)?,
        paths: list("paths", &row.paths)?,
        key: row.issue_key,
        category: row.category,
        runs: small(row.age_in_runs),
        occurrences: small(row.occurrences),
        first_run: row.first_seen_run,
        first_seen_at: Timestamp(row.first_seen_at),
        last_run: row.last_seen_run,
        last_seen_at: Timestamp(row.last_seen_at),
        cleaned: row.cleaned_run.zip(row.cleaned_at.map(Timestamp)),
        closed: row.closed_note.zip(row.closed_at.map(Timestamp)),
    })
}

/// An entry as a row.
pub fn write(project: &str, entry: &BacklogEntry) -> backlog::ActiveModel {
    let cleaned = entry.cleaned.as_ref();
    let closed = entry.closed.as_ref();
    backlog::ActiveModel {
        project: Set(project.to_owned()),
        issue_key: Set(entry.key.clone()),
        category: Set(entry.category.clone()),
        severity: Set(entry.severity.as_str().to_owned()),
        age_in_runs: Set(entry.runs.into()),
        age_in_tiers: Set(entry.tiers.len() as i64),
        seen_in_tiers: Set(json(&entry.tiers)),
        occurrences: Set(entry.occurrences.into()),
        paths: Set(json(&entry.paths)),
        first_seen_run: Set(entry.first_run.clone()),
        first_seen_at: Set(entry.first_seen_at.0),
        last_seen_run: Set(entry.last_run.clone()),
        last_seen_at: Set(entry.last_seen_at.0),
        cleaned_run: Set(cleaned.map(|(run, _)| run.clone())),
        cleaned_at: Set(cleaned.map(|(_, at)| at.0)),
        closed_note: Set(closed.map(|(note, _)| note.clone())),
        closed_at: Set(closed.map(|(_, at)| at.0)),
    }
}
