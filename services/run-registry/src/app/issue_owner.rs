//! Whose issues a list shows: a run as it is, or the little that is known of one that cannot be read.
//!
//! Invariant: of a run that was set aside, only its issues and the ids of its phases are read.

use autopack_domain::{
    Reason, Refusal, RunUid,
    issue::{DebtStatus, Issue, IssueBook, IssueCounts, Place},
    run::{RunAggregate, issues::MAX_ISSUES},
};
use autopack_store::issues::{self, IssueFilter};

use super::{
    Core,
    issues::{Placed, place_of, placed},
    store_refusal,
};

/// The run of a list of issues.
pub(super) enum Owner {
    /// As its commands find it.
    Run(Box<RunAggregate>),
    /// It was set aside.
    Unreadable {
        uid: RunUid,
        /// Places and ids of its phases.
        phases: Vec<(i64, String)>,
        counts: IssueCounts,
    },
}

impl Core {
    /// The run that a caller names, or what can be said of one that cannot be read.
    pub(super) async fn owner(&self, id: &str) -> Result<Owner, Refusal> {
        let (uid, refusal) = match self.find(id).await {
            Ok(uid) => match self.snapshot(uid).await {
                Ok(whole) => return Ok(Owner::Run(Box::new(whole))),
                Err(refusal) => (Some(uid), refusal),
            },
            Err(refusal) => {
                let aside = self.aside(id);
                (aside.and_then(|found| found.run_uid.parse().ok()), refusal)
            }
        };
        let uid = match uid {
            Some(uid) if refusal.reason == Reason::DataCorrupt => uid,
            Some(_) | None => return Err(refusal),
        };
        let db = &self.database.read;
        let whose = issues::whose(db, uid).await.map_err(store_refusal)?;
        let all = IssueFilter {
            resolved: true,
            ..IssueFilter::default()
        };
        let rows = issues::list(db, uid, &all, MAX_ISSUES as u64, None).await;
        let mut book = IssueBook::default();
        for row in rows.map_err(store_refusal)? {
            if let Ok((place, issue)) = row.issue {
                book.put(place, issue);
            }
        }
        Ok(Owner::Unreadable {
            uid,
            phases: whose.map(|whose| whose.phases).unwrap_or_default(),
            counts: book.counts(|_| true),
        })
    }
}

impl Owner {
    pub(super) fn uid(&self) -> RunUid {
        match self {
            Self::Run(run) => run.run.uid,
            Self::Unreadable { uid, .. } => *uid,
        }
    }

    /// The place of a phase by its id.
    pub(super) fn place(&self, phase: &str) -> Result<Place, Refusal> {
        match self {
            Self::Run(run) => place_of(run, phase),
            Self::Unreadable { phases, .. } => {
                let found = phases.iter().find(|(_, id)| id == phase);
                let place = found.and_then(|(place, _)| usize::try_from(*place).ok());
                place.map(Some).ok_or_else(|| {
                    let text = format!("the run has no phase `{phase}`");
                    Refusal::new(Reason::PhaseNotFound, text).with("phase", phase)
                })
            }
        }
    }

    /// An issue with the ids of its phase and tier.
    pub(super) fn placed(&self, place: Place, issue: &Issue) -> Placed {
        match self {
            Self::Run(run) => placed(run, place, issue),
            Self::Unreadable { phases, .. } => {
                let at = place.and_then(|place| i64::try_from(place).ok());
                let id = phases.iter().find(|(place, _)| Some(*place) == at);
                let id = id.map(|(_, id)| id.clone()).unwrap_or_default();
                (issue.clone(), (id, String::new()))
            }
        }
    }

    pub(super) fn counts(&self) -> (IssueCounts, DebtStatus) {
        match self {
            Self::Run(run) => (run.run.issues, run.run.debt),
            Self::Unreadable { counts, .. } => (*counts, counts.debt(u32::MAX)),
        }
    }
}
