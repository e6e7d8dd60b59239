//! Issues of runs and backlogs of projects: recorded, listed, and weighed when a run is created.
//!
//! Invariant: lists answer with every row that parses; the ages of a backlog are judged by `policy::backlog` alone.

use std::fmt::Write as _;

use autopack_domain::{
    AttemptUid, Fault, Fence, Reason, Refusal, RunUid,
    backlog::{BacklogEntry, BacklogStatus, MAX_NOTE},
    issue::{DebtStatus, Issue, IssueCounts, NewIssue, Place, Severity},
    phase::Phase,
    plan::SafetyProfile,
    run::{Run, RunAggregate},
    tier::Tier,
};
use autopack_policy::{
    backlog::{MAX_AGED, MAX_PROPOSALS, Thresholds, aged, cleanup_phases},
    strategy::{Backlog, Ruleset},
};
use autopack_store::issues::{self, IssueFilter};
use autopack_store_write::{Close, WriteError, no_entry};

use super::{Core, request_key, store_refusal, write_refusal};

/// Rows of a page by default, and at most.
const PAGE: (u64, u64) = (50, 500);

/// An issue with the ids of its phase and tier, empty for one of the run itself.
pub type Placed = (Issue, (String, String));

/// An issue after a report, with what it led to.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The issue.
    pub issue: Placed,
    /// The run.
    pub run: Run,
    /// Its tier and phase, each with its index.
    pub place: Option<((usize, Tier), (usize, Phase))>,
    /// What the project knows of it; `None` if that row does not parse.
    pub entry: Option<(BacklogEntry, BacklogStatus)>,
}

/// A page of issues.
#[derive(Clone, Debug)]
pub struct IssuePage {
    /// The issues.
    pub issues: Vec<Placed>,
    /// The token of the next page.
    pub next: String,
    /// Distinct keys over the whole run.
    pub counts: IssueCounts,
    /// What the minor ones amount to; of a run that cannot be read, whatever it tolerates.
    pub debt: DebtStatus,
}

/// A page of a backlog.
#[derive(Clone, Debug)]
pub struct BacklogPage {
    /// The entries, the oldest first.
    pub entries: Vec<(BacklogEntry, BacklogStatus)>,
    /// The token of the next page.
    pub next: String,
    /// What decided.
    pub thresholds: Thresholds,
    /// Phases that would clean what has aged.
    pub proposals: Vec<serde_json::Value>,
    /// Rows that do not parse.
    pub set_aside: Vec<String>,
}

impl Core {
    /// Records an issue of a phase, or of the run itself.
    pub async fn record_issue(
        &self,
        run: RunUid,
        request_id: &str,
        phase: &str,
        issue: NewIssue,
        by: Option<(AttemptUid, Fence)>,
    ) -> Result<Recorded, Refusal> {
        let body = format!("{run}\n{phase}\n{issue:?}\n{by:?}");
        let key = request_key(request_id, "RecordIssue", &body)?;
        let (wanted, report) = (phase.to_owned(), issue.clone());
        self.command(run, key, move |a, c, now| {
            let place = place_of(a, &wanted)?;
            a.record_issue(place, report.clone(), by, now, c)
        })
        .await?;
        let (wanted, key) = (phase.to_owned(), issue.key);
        let look = move |a: &RunAggregate| {
            // A worker may leave out the phase; what it reported is found by its attempt.
            let place = place_of(a, &wanted).ok()?;
            let by_attempt = |(_, i): &(Place, &Issue)| {
                i.key == key && by.is_some_and(|(uid, _)| i.attempt == Some(uid))
            };
            let found = a.issues.get(place, &key).map(|issue| (place, issue));
            let found = found.or_else(|| a.issues.iter().find(by_attempt));
            found.map(|(place, issue)| (placed(a, place, issue), a.run.clone(), views(a, place)))
        };
        let found = self.writer.read(run, look).await.map_err(write_refusal)?;
        let (issue, run, place) = found.ok_or_else(|| {
            Refusal::new(
                Reason::InternalFault,
                "the issue was stored and is not there",
            )
        })?;
        let entry = self.entry(&run, &issue.0.key).await?;
        Ok(Recorded {
            issue,
            run,
            place,
            entry,
        })
    }

    async fn entry(
        &self,
        run: &Run,
        key: &str,
    ) -> Result<Option<(BacklogEntry, BacklogStatus)>, Refusal> {
        let profile = |a: &RunAggregate| a.strategy.safety_profile;
        let profile = self.writer.read(run.uid, profile).await;
        self.entry_under(&run.project, key, profile.map_err(write_refusal)?)
            .await
    }

    /// An entry, judged by the thresholds of a profile.
    async fn entry_under(
        &self,
        project: &str,
        key: &str,
        profile: SafetyProfile,
    ) -> Result<Option<(BacklogEntry, BacklogStatus)>, Refusal> {
        let found = issues::entries(&self.database.read, project, [key])
            .await
            .map_err(store_refusal)?;
        let Some(entry) = found.into_iter().find_map(|(_, entry)| entry.ok()) else {
            return Ok(None);
        };
        let ruleset = self.ruleset(project).await?;
        let thresholds = Thresholds::of(&ruleset, profile);
        let successes = self.successes(project, thresholds).await?;
        let status = thresholds.status(&entry, &successes);
        Ok(Some((entry, status)))
    }

    /// A page of a run's issues; the run may be one that cannot be read.
    pub async fn list_issues(
        &self,
        run: &str,
        phase: &str,
        severity: &str,
        resolved: bool,
        (size, token): (i32, &str),
    ) -> Result<IssuePage, Refusal> {
        let size = page_size(size)?;
        if !severity.is_empty() && Severity::parse(severity).is_none() {
            let text = format!("`{severity}` is not a severity");
            let fault = Fault::new("severity", text).allowed(Severity::spellings());
            return Err(Refusal::invalid(Reason::ArgumentInvalid, vec![fault]));
        }
        let after = parse_token::<1>(token)?.map(|([phase], key)| (phase, key));
        let owner = self.owner(run).await?;
        let filter = IssueFilter {
            place: (!phase.is_empty())
                .then(|| owner.place(phase))
                .transpose()?,
            severity: (!severity.is_empty()).then(|| severity.to_owned()),
            resolved,
        };
        let rows = issues::list(&self.database.read, owner.uid(), &filter, size + 1, after)
            .await
            .map_err(store_refusal)?;
        let page = &rows[..rows.len().min(size as usize)];
        let next = match page.last() {
            Some(last) if rows.len() > page.len() => token_of([last.position.0], &last.position.1),
            _ => String::new(),
        };
        let sound = page.iter().filter_map(|row| row.issue.as_ref().ok());
        let (counts, debt) = owner.counts();
        Ok(IssuePage {
            issues: sound
                .map(|(place, issue)| owner.placed(*place, issue))
                .collect(),
            next,
            counts,
            debt,
        })
    }

    /// A page of a project's backlog.
    pub async fn backlog_page(
        &self,
        project: &str,
        profile: &str,
        (size, token): (i32, &str),
    ) -> Result<BacklogPage, Refusal> {
        let size = page_size(size)?;
        let profile = profile_of(profile)?;
        let after = parse_token::<2>(token)?.map(|([runs, tiers], key)| (runs, tiers, key));
        self.project(project).await?;
        let thresholds = Thresholds::of(&self.ruleset(project).await?, profile);
        let first = after.is_none();
        let rows = issues::page(&self.database.read, project, size + 1, after)
            .await
            .map_err(store_refusal)?;
        let successes = self.successes(project, thresholds).await?;
        let page = &rows[..rows.len().min(size as usize)];
        let next = match page.last() {
            Some(((runs, tiers, key), _)) if rows.len() > page.len() => {
                token_of([*runs, *tiers], key)
            }
            _ => String::new(),
        };
        let mut entries = Vec::with_capacity(page.len());
        let mut set_aside = Vec::new();
        for (_, row) in page {
            match row {
                Ok(entry) => entries.push((entry.clone(), thresholds.status(entry, &successes))),
                Err(corrupt) => set_aside.push(corrupt.to_string()),
            }
        }
        let proposals = if first {
            let old = self
                .aged(project, thresholds, &successes, MAX_PROPOSALS)
                .await?;
            cleanup_phases(&old)
        } else {
            Vec::new()
        };
        Ok(BacklogPage {
            entries,
            next,
            thresholds,
            proposals,
            set_aside,
        })
    }

    /// Closes an entry of a backlog with a reason. A repeated request answers with the entry as it is now.
    pub async fn resolve_issue(
        &self,
        (project, key, note): (&str, &str, &str),
        request_id: &str,
    ) -> Result<(BacklogEntry, BacklogStatus), Refusal> {
        let note = note.trim();
        if note.is_empty() || note.chars().count() > MAX_NOTE {
            let fault = Fault::new("note", format!("must be 1 to {MAX_NOTE} characters"));
            let fault = fault.example("The generator of that file is not ours.");
            return Err(Refusal::invalid(Reason::ArgumentInvalid, vec![fault]));
        }
        let body = format!("{project}\n{key}\n{note}");
        let request = request_key(request_id, "ResolveIssue", &body)?;
        self.project(project).await?;
        let close = Close {
            project: project.to_owned(),
            key: key.to_owned(),
            note: note.to_owned(),
        };
        let (project, key) = (project.to_owned(), key.to_owned());
        match self.writer.close(close, request).await {
            Err(WriteError::Repeated(_)) => {
                let found = self.entry_under(&project, &key, SafetyProfile::Normal);
                found.await?.ok_or_else(|| no_entry(&project, &key))
            }
            closed => closed
                .map(|entry| (entry, BacklogStatus::Resolved))
                .map_err(write_refusal),
        }
    }

    /// What the backlog says at the creation of a run; a project without old issues costs one query.
    pub(crate) async fn backlog(
        &self,
        project: &str,
        ruleset: &Ruleset,
        profile: SafetyProfile,
    ) -> Result<Backlog, Refusal> {
        let thresholds = Thresholds::of(ruleset, profile);
        let ages = (thresholds.runs, thresholds.tiers);
        let any = issues::aged(&self.database.read, project, ages, None, 1).await;
        if any.map_err(store_refusal)?.is_empty() {
            return Ok(Backlog::default());
        }
        let successes = self.successes(project, thresholds).await?;
        let old = self.aged(project, thresholds, &successes, MAX_AGED).await?;
        Ok(Backlog {
            aged: aged(&old, thresholds, &successes),
        })
    }

    /// Entries that need a cleanup, the oldest first.
    pub(super) async fn aged(
        &self,
        project: &str,
        thresholds: Thresholds,
        successes: &[autopack_domain::Timestamp],
        limit: usize,
    ) -> Result<Vec<BacklogEntry>, Refusal> {
        let ages = (thresholds.runs, thresholds.tiers);
        // Seen before that, an entry is resolved.
        let since = successes.get(thresholds.runs as usize - 1).copied();
        let old = issues::aged(&self.database.read, project, ages, since, limit as u64).await;
        let mut old = old.map_err(store_refusal)?;
        old.retain(|e| thresholds.status(e, successes) == BacklogStatus::NeedsCleanup);
        Ok(old)
    }
}

/// A safety profile by its name; empty: the default.
pub(super) fn profile_of(text: &str) -> Result<SafetyProfile, Refusal> {
    if text.is_empty() {
        return Ok(SafetyProfile::Normal);
    }
    SafetyProfile::parse(text).ok_or_else(|| {
        let fault = Fault::new("safety_profile", format!("`{text}` is not one"));
        let fault = fault.allowed(SafetyProfile::spellings());
        Refusal::invalid(Reason::ArgumentInvalid, vec![fault])
    })
}

/// The place that an id names; empty: the run itself.
pub(super) fn place_of(a: &RunAggregate, phase: &str) -> Result<Place, Refusal> {
    if phase.is_empty() {
        return Ok(None);
    }
    a.find_phase(phase).map(Some)
}

pub(super) fn placed(a: &RunAggregate, place: Place, issue: &Issue) -> Placed {
    let ids = place.and_then(|p| a.phases.get(p)).map(|phase| {
        let tier = &a.tiers[phase.tier];
        (phase.id.to_string(), tier.id.to_string())
    });
    (issue.clone(), ids.unwrap_or_default())
}

fn views(a: &RunAggregate, place: Place) -> Option<((usize, Tier), (usize, Phase))> {
    let index = place?;
    let phase = a.phases.get(index)?.clone();
    Some(((phase.tier, a.tiers[phase.tier].clone()), (index, phase)))
}

fn page_size(size: i32) -> Result<u64, Refusal> {
    let size = u64::try_from(size).map_err(|_| {
        let fault = Fault::new("page_size", "must not be negative").example("50");
        Refusal::invalid(Reason::ArgumentInvalid, vec![fault])
    })?;
    Ok(if size == 0 { PAGE.0 } else { size.min(PAGE.1) })
}

/// Numbers and a key, as a word that survives any address.
pub(super) fn token_of<const N: usize>(numbers: [i64; N], key: &str) -> String {
    let mut token = String::new();
    for number in numbers {
        let _ = write!(token, "{number}~");
    }
    for byte in key.bytes() {
        let _ = write!(token, "{byte:02x}");
    }
    token
}

pub(super) fn parse_token<const N: usize>(
    token: &str,
) -> Result<Option<([i64; N], String)>, Refusal> {
    if token.is_empty() {
        return Ok(None);
    }
    let read = || {
        let mut parts = token.split('~');
        let mut numbers = [0; N];
        for number in &mut numbers {
            *number = parts.next()?.parse().ok()?;
        }
        let hex = parts
            .next()
            .filter(|hex| hex.is_ascii() && hex.len() % 2 == 0)?;
        let bytes: Option<Vec<u8>> = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok())
            .collect();
        let key = String::from_utf8(bytes?).ok()?;
        parts.next().is_none().then_some((numbers, key))
    };
    let found = read().ok_or_else(|| Refusal::page_token(token));
    found.map(Some)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

    use super::*;

    #[test]
    fn a_token_comes_back_and_anything_else_is_refused() {
        let token = token_of([-1, 7], "a~b é");
        let back = parse_token::<2>(&token).unwrap();
        assert_eq!(back, Some(([-1, 7], "a~b é".to_owned())));
        assert_eq!(parse_token::<2>("").unwrap(), None);
        for bad in [
            "1", "1~2", "1~2~x", "1~2~0", "1~2~00~", "~~", "1~2~ff", "é~1~00",
        ] {
            let refusal = parse_token::<2>(bad).unwrap_err();
            assert_eq!(refusal.reason, Reason::PageTokenInvalid, "{bad}");
        }
    }
}
