//! `issue`.

use autopack_domain::{
    RunUid, Timestamp,
    issue::{Issue, Place, Severity},
};
use sea_orm::ActiveValue::Set;

use super::{closed, parse, run::json, small, time};
use crate::{CorruptRow, entity::issue};

/// The phase of an issue of the run itself.
pub const OWN: i64 = -1;

/// The phase that a place is stored as.
pub fn phase(place: Place) -> i64 {
    place.map_or(OWN, |p| p as i64)
}

/// A row as an issue with its place.
pub fn read(row: issue::Model) -> Result<(Place, Issue), CorruptRow> {
    let id = format!("{}/{}/{}", row.run_uid, row.phase, row.issue_key);
    let severity = |column, text: &str| {
        closed(
            "issue",
            &id,
            column,
            text,
            Severity::parse,
            Severity::spellings,
        )
    };
    let list =
        |column, text: &str| parse("issue", &id, column, text, |t| serde_json::from_str(t).ok());
    let place = usize::try_from(row.phase).ok();
    let issue = Issue {
        severity: severity("severity", &row.severity)?,
        effective: severity("effective_severity", &row.effective_severity)?,
        evidence: list("evidence", &row.evidence)?,
        paths: list("paths", &row.paths)?,
        attempt: row
            .attempt_uid
            .as_deref()
            .map(|a| parse("issue", &id, "attempt_uid", a, |t| t.parse().ok()))
            .transpose()?,
        key: row.issue_key,
        source: row.source,
        category: row.category,
        task_category: row.task_category,
        complexity: row.complexity,
        description: row.description,
        occurrences: small(row.occurrences),
        first_seen_at: Timestamp(row.first_seen_at),
        last_seen_at: Timestamp(row.last_seen_at),
        resolved_at: time(row.resolved_at),
    };
    Ok((place, issue))
}

/// An issue as a row.
pub fn write(run: RunUid, place: Place, issue: &Issue) -> issue::ActiveModel {
    issue::ActiveModel {
        run_uid: Set(run.to_string()),
        phase: Set(phase(place)),
        issue_key: Set(issue.key.clone()),
        severity: Set(issue.severity.as_str().to_owned()),
        effective_severity: Set(issue.effective.as_str().to_owned()),
        source: Set(issue.source.clone()),
        category: Set(issue.category.clone()),
        task_category: Set(issue.task_category.clone()),
        complexity: Set(issue.complexity.clone()),
        description: Set(issue.description.clone()),
        evidence: Set(json(&issue.evidence)),
        paths: Set(json(&issue.paths)),
        occurrences: Set(issue.occurrences.into()),
        first_seen_at: Set(issue.first_seen_at.0),
        last_seen_at: Set(issue.last_seen_at.0),
        attempt_uid: Set(issue.attempt.map(|a| a.to_string())),
        resolved_at: Set(issue.resolved_at.map(|t| t.0)),
    }
}
