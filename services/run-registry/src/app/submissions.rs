//! Results and audits from outside: checked as a whole, stored as artifacts, taken in by the domain.
//!
//! Invariant: nothing is stored of a document with a fault; a repeated request answers as it did before and stores
//! nothing again.

use autopack_domain::{
    Reason, Refusal, RunUid,
    phase::Phase,
    run::{
        Run, RunAggregate,
        external::{Audited, Submitted},
    },
    states::PhaseState,
    submission::{ResultStatus, Submission, read_audit, read_result},
};
use serde::Serialize;

use super::{Core, request_key, write_refusal};

/// A run and one of its phases, with its index.
pub type OnPhase = (Run, (usize, Phase));

impl Core {
    /// Takes a builder's result in.
    pub async fn submit_result(
        &self,
        run: RunUid,
        request_id: &str,
        phase: &str,
        document: &str,
    ) -> Result<OnPhase, Refusal> {
        let id = self.check_phase(run, phase).await?;
        let result = read_result(document, &id, phase)
            .map_err(|faults| Refusal::invalid(Reason::SubmissionInvalid, faults))?;
        let body = format!("{run}\n{phase}\n{document}");
        let key = request_key(request_id, "SubmitBuilderResult", &body)?;
        let stored = match result.status {
            ResultStatus::Failed => None,
            ResultStatus::Success | ResultStatus::NeedsReview => Some(self.keep(&result).await?),
        };
        let (decide, wanted) = (self.decide(), phase.to_owned());
        self.command(run, key, move |a, c, now| {
            let phase = a.find_phase(&wanted)?;
            let submission = stored.clone().map(|(digest, size)| Submission {
                builder: result.builder.clone(),
                digest,
                size,
                at: now,
                auditor: String::new(),
                audit_digest: String::new(),
            });
            let notes = match result.notes.trim() {
                "" => "the builder submitted no reason".to_owned(),
                notes => notes.to_owned(),
            };
            let submitted = Submitted {
                submission,
                audit: result.status == ResultStatus::NeedsReview,
                notes: format!("{}: {notes}", result.builder),
                usage: result.usage.clone(),
                issues: result.issues.clone(),
            };
            a.submit(phase, submitted, &decide, now, c)
        })
        .await?;
        self.on_phase(run, phase).await
    }

    /// Asks for an audit; with what the strategy wants looked at.
    pub async fn request_audit(
        &self,
        run: RunUid,
        phase: &str,
    ) -> Result<(OnPhase, String), Refusal> {
        let wanted = phase.to_owned();
        self.command(run, None, move |a, c, now| {
            let phase = a.find_phase(&wanted)?;
            a.request_audit(phase, now, c)
        })
        .await?;
        let wanted = phase.to_owned();
        let profile = move |a: &RunAggregate| {
            let phase = a.find_phase(&wanted)?;
            Ok::<_, Refusal>(a.phase_strategy(phase).auditor_profile.clone())
        };
        let profile = self.writer.read(run, profile).await;
        let profile = profile.map_err(write_refusal)??;
        Ok((self.on_phase(run, phase).await?, profile))
    }

    /// Takes an auditor's word in.
    pub async fn submit_audit(
        &self,
        run: RunUid,
        request_id: &str,
        phase: &str,
        document: &str,
    ) -> Result<OnPhase, Refusal> {
        let id = self.check_phase(run, phase).await?;
        let audit = read_audit(document, &id, phase)
            .map_err(|faults| Refusal::invalid(Reason::SubmissionInvalid, faults))?;
        let body = format!("{run}\n{phase}\n{document}");
        let key = request_key(request_id, "SubmitAuditorResult", &body)?;
        let (digest, _) = self.keep(&audit).await?;
        let (decide, wanted) = (self.decide(), phase.to_owned());
        self.command(run, key, move |a, c, now| {
            let phase = a.find_phase(&wanted)?;
            let audited = Audited {
                auditor: audit.auditor.clone(),
                recommendation: audit.recommendation,
                notes: audit.notes.clone(),
                digest: digest.clone(),
                usage: audit.usage.clone(),
                issues: audit.issues.clone(),
            };
            a.submit_audit(phase, audited, &decide, now, c)
        })
        .await?;
        self.on_phase(run, phase).await
    }

    /// Sets a phase's state by hand.
    pub async fn update_phase(
        &self,
        run: RunUid,
        request_id: &str,
        phase: &str,
        to: PhaseState,
        why: &str,
    ) -> Result<OnPhase, Refusal> {
        let why: String = why.chars().take(1000).collect();
        let body = format!("{run}\n{phase}\n{to}\n{why}");
        let key = request_key(request_id, "UpdatePhaseStatus", &body)?;
        let wanted = phase.to_owned();
        self.command(run, key, move |a, c, now| {
            let phase = a.find_phase(&wanted)?;
            a.update_phase(phase, to, &why, now, c)
        })
        .await?;
        self.on_phase(run, phase).await
    }

    /// Ends waits that are past their deadline by this registry's clock; how many.
    pub async fn expire_waits(
        &self,
        run: RunUid,
        version: u64,
        phases: Vec<usize>,
    ) -> Result<(u64, u32), Refusal> {
        let clock = std::sync::Arc::clone(&self.ports.clock);
        self.writer
            .on_run(run, None, move |a, c| {
                let now = clock.now();
                let mut expired = 0;
                for &phase in &phases {
                    super::dispatch::check_index(a, phase)?;
                }
                for &phase in &phases {
                    expired += u32::from(a.expire_wait(phase, now, c)?);
                }
                if expired == 0 {
                    // Overtaken as a whole: somebody submitted meanwhile.
                    a.check_version(version)?;
                }
                Ok((a.run.version, expired))
            })
            .await
            .map_err(write_refusal)
    }

    /// The run's own id; a run without that phase is refused.
    async fn check_phase(&self, run: RunUid, phase: &str) -> Result<String, Refusal> {
        let wanted = phase.to_owned();
        let look =
            move |a: &RunAggregate| a.find_phase(&wanted).map(|_| a.run.id.as_str().to_owned());
        self.writer.read(run, look).await.map_err(write_refusal)?
    }

    pub(super) async fn on_phase(&self, run: RunUid, phase: &str) -> Result<OnPhase, Refusal> {
        let wanted = phase.to_owned();
        let look = move |a: &RunAggregate| {
            let index = a.find_phase(&wanted)?;
            Ok::<_, Refusal>((a.run.clone(), (index, a.phases[index].clone())))
        };
        self.writer.read(run, look).await.map_err(write_refusal)?
    }

    /// Stores a document as it was understood; its digest and size.
    async fn keep(&self, document: &impl Serialize) -> Result<(String, u64), Refusal> {
        let bytes = serde_json::to_vec(document).map_err(|error| {
            let text = format!("the document cannot be written: {error}");
            Refusal::new(Reason::InternalFault, text)
        })?;
        let stored = self.ports.artifacts.put(bytes.into()).await;
        let stored = stored.map_err(|error| {
            tracing::warn!(%error, "the artifact store failed");
            let text = "the submitted document could not be stored; try again";
            Refusal::new(Reason::RegistryUnavailable, text)
        })?;
        Ok((stored.hex, stored.size))
    }
}
