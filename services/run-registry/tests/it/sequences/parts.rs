//! What a scheduler and a worker do for a run.

use autopack_domain::attempt::Attempt;
use autopack_wire::{registry as pb, types};
use tonic::Status;

use super::player::Player;
use crate::harness::Harness;

impl Player {
    pub(super) async fn offer(&self, h: &Harness, phase: usize) -> Result<(), Status> {
        let request = pb::OfferPhasesRequest {
            run_uid: self.run.uid.clone(),
            expected_version: self.seen.run.version,
            phases: vec![phase as u32],
        };
        h.clients
            .dispatch
            .clone()
            .offer_phases(request)
            .await
            .map(drop)
    }

    pub(super) async fn lease(&self, h: &Harness, attempt: &Attempt) -> Result<(), Status> {
        let request = pb::LeaseJobRequest {
            job_uid: attempt.job.to_string(),
            kind: "phase".into(),
            run_uid: self.run.uid.clone(),
            attempt_uid: attempt.uid.to_string(),
            worker_uid: h.worker.clone(),
        };
        h.clients.work.clone().lease_job(request).await.map(drop)
    }

    /// What a worker says of an attempt; now and then with a fence of the past.
    pub(super) async fn work(
        &mut self,
        h: &Harness,
        attempt: &Attempt,
    ) -> (String, Result<(), Status>) {
        let mut work = h.clients.work.clone();
        let (run_uid, attempt_uid) = (self.run.uid.clone(), attempt.uid.to_string());
        let fence = attempt
            .fence
            .0
            .saturating_sub(u64::from(self.numbers.below(10) == 0));
        let used = types::Usage {
            role: "builder".into(),
            total: 1000 * self.numbers.below(500) as u64,
            provenance: "reported".into(),
            ..Default::default()
        };
        let usage = if self.numbers.below(2) == 0 {
            vec![used]
        } else {
            Vec::new()
        };
        match self.numbers.below(10) {
            0 => {
                use types::attempt::State;
                let stage = [
                    State::Building,
                    State::Governing,
                    State::Gating,
                    State::Landing,
                ][self.numbers.below(4)];
                let request = pb::ReportStageRequest {
                    run_uid,
                    attempt_uid,
                    fence,
                    stage: stage.into(),
                };
                ("stage".into(), work.report_stage(request).await.map(drop))
            }
            1 => {
                let request = pb::RecordUsageRequest {
                    run_uid,
                    attempt_uid,
                    fence,
                    usage,
                };
                ("use".into(), work.record_usage(request).await.map(drop))
            }
            2 => {
                let intent = types::Intent {
                    expected_tip: self.seen.run.tip.clone(),
                    tree: "tree".into(),
                    commit: format!("commit of {attempt_uid}"),
                    ..Default::default()
                };
                let request = pb::PrepareLandingRequest {
                    run_uid,
                    attempt_uid,
                    fence,
                    intent: Some(intent),
                };
                (
                    "prepare".into(),
                    work.prepare_landing(request).await.map(drop),
                )
            }
            3 => {
                let request = pb::ReleaseLeaseRequest {
                    run_uid,
                    uid: attempt_uid,
                    fence,
                };
                (
                    "release".into(),
                    work.release_lease(request).await.map(drop),
                )
            }
            n => {
                let causes = ["GATE_FAILED", "NO_CHANGE", "MERGE_CONFLICT", "WORKER_ERROR"];
                let cause = if n == 4 {
                    causes[self.numbers.below(4)]
                } else {
                    ""
                };
                let commit = attempt.intent.as_ref().map(|i| i.commit.clone());
                let outcome = match (cause, &commit) {
                    ("", Some(_)) => "committed",
                    ("", None) => "no_change",
                    _ => "",
                };
                let request = pb::SettleAttemptRequest {
                    run_uid,
                    attempt_uid,
                    fence,
                    cause: cause.into(),
                    outcome: outcome.into(),
                    commit: commit.unwrap_or_default(),
                    usage,
                    ..Default::default()
                };
                (
                    format!("settle {} {cause}", attempt.phase),
                    work.settle_attempt(request).await.map(drop),
                )
            }
        }
    }
}
