//! The self-check: what is stored, runs that are left alone, ids.
//!
//! Invariant: nothing that is stored is changed; a run that can be read again is taken back.

use autopack_domain::{
    Finding, FindingCode, Refusal,
    finding::Place,
    plan::{Normalised, Warning, WarningCode},
};
use autopack_policy::id_convention::{Convention, Inferred, infer};
use autopack_store::{
    audit::{self, Audit, Part, Scope, ids},
    set_aside,
};

use super::{
    Core, lock, store_refusal,
    walk::{Mending, Page},
};

/// Findings of an answer: by default, and at most.
const LIMIT: (usize, usize) = (1000, 10_000);

impl Core {
    /// Findings, or those of one run, which may be one that cannot be read: a page of them.
    pub async fn diagnose(&self, run: &str, limit: u32, token: &str) -> Result<Page, Refusal> {
        let limit = if limit == 0 {
            LIMIT.0
        } else {
            (limit as usize).min(LIMIT.1)
        };
        let run = match run {
            "" => None,
            id => Some(self.uid_of(id).await?),
        };
        self.walk(run, limit, token, Mending::No).await
    }

    /// Findings of a part, those that no row has included, up to the limit.
    pub(super) async fn examine(&self, scope: &Scope) -> Result<Audit, Refusal> {
        let db = &self.database.read;
        let mut audit = audit::examine(db, scope).await.map_err(store_refusal)?;
        self.add_set_aside(scope, &mut audit);
        let wanted = match &scope.part {
            Part::Runs { .. } => return Ok(audit),
            Part::Run(uid) => Some(ids::id_of(db, uid).await.map_err(store_refusal)?),
            Part::All | Part::Rest => None,
        };
        let runs = ids::newest(db, "").await.map_err(store_refusal)?;
        let inferred = infer(&runs);
        let named = inferred.offenders.iter().map(|o| o.run.as_str());
        let imported = ids::imported(db, named).await.map_err(store_refusal)?;
        let departing = inferred.offenders.iter().filter(|offender| {
            let other = |id: &Option<String>| id.as_ref() != Some(&offender.run);
            !wanted.as_ref().is_some_and(other) && !imported.contains(&offender.run)
        });
        let found: Vec<Finding> = departing
            .map(|o| id_finding(inferred.convention, &o.run, &o.phase))
            .collect();
        audit.add_last(found, scope.limit);
        Ok(audit)
    }

    /// The convention of ids, from the newest runs of a project; empty: of all.
    pub async fn id_convention(&self, project: &str) -> Result<Inferred, Refusal> {
        let runs = ids::newest(&self.database.read, project).await;
        Ok(infer(&runs.map_err(store_refusal)?))
    }

    /// A warning for each phase of a new plan that has the id of its run, unless the other runs do the same. Nothing
    /// is refused for it. Other runs are read only for a plan that has such a phase.
    pub(crate) async fn warn_of_ids(
        &self,
        run: &str,
        normalised: &mut Normalised,
    ) -> Result<(), Refusal> {
        let mut warnings = Vec::new();
        for (t, tier) in normalised.plan.tiers.iter().enumerate() {
            for (p, phase) in tier.phases.iter().enumerate() {
                if phase.id.as_str().eq_ignore_ascii_case(run) {
                    warnings.push(Warning {
                        code: WarningCode::IdConvention,
                        path: format!("tiers[{t}].phases[{p}].id"),
                        text: format!(
                            "the phase has the id of its run; elsewhere {}",
                            Convention::ParentChild.rule()
                        ),
                        original: phase.id.to_string(),
                    });
                }
            }
        }
        if warnings.is_empty() {
            return Ok(());
        }
        if self.id_convention("").await?.convention == Convention::ParentChild {
            normalised.warnings.append(&mut warnings);
        }
        Ok(())
    }

    async fn uid_of(&self, id: &str) -> Result<String, Refusal> {
        let found = ids::uid_of(&self.database.read, id).await;
        found
            .map_err(store_refusal)?
            .ok_or_else(|| super::reads::no_run(id))
    }

    /// Runs of the part that are left alone for a reason that no finding names yet.
    fn add_set_aside(&self, scope: &Scope, audit: &mut Audit) {
        let mut unnamed = Vec::new();
        for found in lock(&self.set_aside).iter() {
            let mut named = audit.findings.iter().filter(|f| f.code.is_error());
            if !scope.part.has(&found.run_uid) || named.any(|f| f.run == found.run_id) {
                continue;
            }
            let corrupt = &found.corrupt;
            let place = Place::new(corrupt.table, &corrupt.id, corrupt.column);
            let finding = Finding::new(FindingCode::RunSetAside, place, corrupt.to_string());
            let finding = finding.value(&corrupt.value).valid([corrupt.valid.clone()]);
            unnamed.push(finding.run(&found.run_id));
        }
        audit.add_last(unnamed, scope.limit);
    }

    /// Runs whose rows can be read again are served again.
    pub(crate) async fn take_back(&self) -> Result<(), Refusal> {
        let aside = lock(&self.set_aside).clone();
        for found in aside {
            let still = set_aside::find_one(&self.database.read, &found.run_uid).await;
            if still.map_err(store_refusal)?.is_some() {
                continue;
            }
            lock(&self.set_aside).retain(|other| other.run_uid != found.run_uid);
            tracing::info!(
                run = found.run_id,
                "a run that was set aside can be read again"
            );
            if let Ok(uid) = found.run_uid.parse() {
                self.take_in(uid).await?;
                self.is_readable(uid).await?;
                self.reconsider(uid).await?;
            }
        }
        Ok(())
    }
}

fn id_finding(convention: Convention, run: &str, phase: &str) -> Finding {
    let (code, problem) = match convention {
        Convention::ParentChild => (
            FindingCode::RunIdEqualsPhaseId,
            format!("phase `{phase}` has the id of its run"),
        ),
        Convention::SameId => (
            FindingCode::IdConvention,
            format!("the only phase of run `{run}` is called `{phase}`"),
        ),
    };
    Finding::new(code, Place::new("phase", "", "id"), problem)
        .value(phase)
        .valid([convention.rule()])
        .run(run)
}
