//! One run, and commands that are chosen among what is there.

use autopack_domain::{
    ErrorKind,
    attempt::Attempt,
    run::RunAggregate,
    states::{AttemptState, PhaseState},
};
use autopack_wire::{
    convert::{RecordedEvent, snapshot_from_proto},
    registry as pb,
    status::from_status,
    types,
};
use tokio_stream::StreamExt as _;
use tonic::Status;

use super::judge;
use crate::harness::{Harness, request};

const PHASES: [&str; 5] = ["A", "B", "C", "D", "E"];

fn plan(id: &str, project: &str) -> String {
    format!(
        r#"
schema: autopack/plan/v1
run: {{ id: {id}, goal: Prove the invariants, project: {project}, budgets: {{ tokens: 1200000, phases: 12, minutes: 100 }} }}
tiers:
  - id: T1
    phases:
      - {{ id: A, goal: a, depends_on: [], builder: {{ kind: command, run: "true" }}, gate: {{ steps: [] }} }}
      - {{ id: B, goal: b, depends_on: [A], builder: {{ kind: command, run: "true" }}, gate: {{ steps: [] }} }}
      - {{ id: C, goal: c, depends_on: [], builder: {{ kind: external, timeout_seconds: 60 }}, gate: {{ steps: [] }} }}
  - id: T2
    phases:
      - {{ id: D, goal: d, depends_on: [], builder: {{ kind: noop }}, gate: {{ steps: [] }} }}
      - {{ id: E, goal: e, depends_on: [], builder: {{ kind: command, run: "true" }}, gate: {{ steps: [] }} }}
"#
    )
}

/// Numbers that follow from a seed (SplitMix64).
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

/// One run with its sequence.
pub(super) struct Player {
    pub(super) numbers: Numbers,
    pub(super) run: types::Run,
    /// As it was when it was frozen.
    first: RunAggregate,
    /// As it was last seen.
    pub(super) seen: RunAggregate,
    told: Vec<String>,
}

impl Player {
    /// A run that is ready to be worked on.
    pub(super) async fn start(h: &Harness, number: usize) -> Self {
        let (id, project) = (
            format!("sequence-{number}"),
            format!("project-{}", number % 4),
        );
        let made = h.create(request(&plan(&id, &project))).await.unwrap();
        let run = made.run.unwrap();
        h.bootstrap(&run).await;
        let first = snapshot(h, &run).await;
        Self {
            numbers: Numbers(number as u64),
            seen: first.clone(),
            first,
            run,
            told: Vec::new(),
        }
    }

    /// Where it stands, for people.
    fn name(&self) -> String {
        format!("{}: {}", self.run.id, self.told.join(", "))
    }

    /// One command, and what must hold after it.
    pub(super) async fn play(&mut self, h: &Harness) {
        let (what, done) = self.command(h).await;
        let answer = match &done {
            Ok(()) => "ok".to_owned(),
            Err(status) => {
                let error = from_status(status);
                let named = !matches!(
                    error.kind,
                    ErrorKind::Bug | ErrorKind::Corrupt | ErrorKind::Unavailable
                );
                assert!(
                    named && error.reason.is_some(),
                    "{} then {what}: {status:?}",
                    self.name()
                );
                error.reason_code
            }
        };
        self.told.push(format!("{what} {answer}"));
        self.look(h).await;
    }

    /// What is stored must be sound, and follow from what was stored before.
    pub(super) async fn look(&mut self, h: &Harness) {
        let now = snapshot(h, &self.run).await;
        if now.run.last_event == self.seen.run.last_event {
            return;
        }
        let issues = judge::issues(h, &self.run.id).await;
        judge::run(&self.seen, &now, &issues, &self.name());
        self.seen = now;
    }

    /// The events alone lead from the first state to the last; whether the run has ended.
    pub(super) async fn replay(&mut self, h: &Harness) -> bool {
        let want = snapshot(h, &self.run).await;
        let mut copy = self.first.clone();
        let mut count = copy.run.last_event;
        let watch = pb::WatchRunRequest {
            run_id: self.run.id.clone(),
            after_sequence: count,
        };
        let mut registry = h.clients.registry.clone();
        let mut events = registry.watch_run(watch).await.unwrap().into_inner();
        while count < want.run.last_event {
            let next = tokio::time::timeout(std::time::Duration::from_secs(30), events.next());
            let message = next
                .await
                .unwrap_or_else(|_| panic!("{}: an event is missing", self.name()));
            let Some(pb::watch_run_response::Message::Event(event)) =
                message.unwrap().unwrap().message
            else {
                continue;
            };
            count += 1;
            assert_eq!(event.run_sequence, count, "{}: no gap", self.name());
            let recorded = RecordedEvent::try_from(event).unwrap();
            let heard = copy.absorb(&recorded.event);
            assert!(heard, "{}: {:?}", self.name(), recorded.event);
        }
        judge::same(&copy, &want, &self.name());
        want.run.state.is_terminal()
    }

    fn attempt(&mut self, wanted: impl Fn(&Attempt) -> bool) -> Option<Attempt> {
        let all: Vec<&Attempt> = self.seen.attempts.values().filter(|a| wanted(a)).collect();
        // Now and then any of them, which must be refused.
        let all = if all.is_empty() || self.numbers.below(8) == 0 {
            self.seen.attempts.values().collect()
        } else {
            all
        };
        let chosen = (!all.is_empty()).then(|| self.numbers.below(all.len()));
        chosen.map(|n| all[n].clone())
    }

    /// A phase as a scheduler chooses it: ready, and in the tier that is open.
    fn ready(&mut self) -> Option<usize> {
        let run = &self.seen;
        let complete = |&on: &usize| run.phases[on].state == PhaseState::Complete;
        let ready: Vec<usize> = (0..run.phases.len())
            .filter(|&p| {
                run.phases[p].state == PhaseState::Queued && run.phases[p].current.is_none()
            })
            .filter(|&p| run.open_tier() == Some(run.phases[p].tier))
            .filter(|&p| run.depends(p).iter().all(complete))
            .collect();
        (!ready.is_empty()).then(|| ready[self.numbers.below(ready.len())])
    }

    /// What brings the run on: work, a lease, an offer, whichever there is something for.
    async fn go_on(&mut self, h: &Harness) -> (String, Result<(), Status>) {
        let first = self.numbers.below(2) == 0;
        let leased = self.attempt(|a| a.state.is_leased());
        if let Some(attempt) = leased.filter(|_| first) {
            return self.work(h, &attempt).await;
        }
        if let Some(phase) = self.ready() {
            return (format!("offer {phase}"), self.offer(h, phase).await);
        }
        if let Some(attempt) = self.attempt(|a| a.state == AttemptState::Offered) {
            let what = format!("lease {}", attempt.phase);
            return (what, self.lease(h, &attempt).await);
        }
        ("nothing to do".to_owned(), Ok(()))
    }

    async fn command(&mut self, h: &Harness) -> (String, Result<(), Status>) {
        let id = self.run.id.clone();
        let mut registry = h.clients.registry.clone();
        let phase = PHASES[self.numbers.below(PHASES.len())].to_owned();
        match self.numbers.below(44) {
            0 => {
                let request = pb::PauseRunRequest {
                    run_id: id,
                    ..Default::default()
                };
                ("pause".into(), registry.pause_run(request).await.map(drop))
            }
            1..3 => {
                let request = pb::ResumeRunRequest {
                    run_id: id,
                    ..Default::default()
                };
                (
                    "resume".into(),
                    registry.resume_run(request).await.map(drop),
                )
            }
            3 => {
                let request = pb::StartRunRequest {
                    run_id: id,
                    ..Default::default()
                };
                ("start".into(), registry.start_run(request).await.map(drop))
            }
            4 if self.numbers.below(4) == 0 => {
                let request = pb::CancelRunRequest {
                    run_id: id,
                    ..Default::default()
                };
                (
                    "cancel".into(),
                    registry.cancel_run(request).await.map(drop),
                )
            }
            5..7 => {
                let phase_id = if self.numbers.below(2) == 0 {
                    phase
                } else {
                    String::new()
                };
                let request = pb::RetryRunRequest {
                    run_id: id,
                    phase_id,
                    ..Default::default()
                };
                ("retry".into(), registry.retry_run(request).await.map(drop))
            }
            7..35 => self.go_on(h).await,
            35..37 => {
                let issue = types::NewIssue {
                    key: format!("key-{}", self.numbers.below(4)),
                    severity: if self.numbers.below(6) == 0 {
                        "major"
                    } else {
                        "minor"
                    }
                    .into(),
                    source: "probe".into(),
                    category: "docs".into(),
                    ..Default::default()
                };
                let phase_id = if self.numbers.below(5) == 0 {
                    String::new()
                } else {
                    phase
                };
                let request = pb::RecordIssueRequest {
                    run_id: id,
                    phase_id,
                    issue: Some(issue),
                    ..Default::default()
                };
                (
                    "issue".into(),
                    h.clients.issues().record_issue(request).await.map(drop),
                )
            }
            37..40 => {
                let document = serde_json::json!({
                    "builder": "somebody", "patch": "diff --git a/f b/f\n", "usage": [{ "total": 70, "model": "m" }],
                });
                let request = pb::SubmitBuilderResultRequest {
                    run_id: id,
                    phase_id: "C".into(),
                    request_id: String::new(),
                    document: document.to_string(),
                };
                (
                    "submit".into(),
                    h.clients
                        .submissions()
                        .submit_builder_result(request)
                        .await
                        .map(drop),
                )
            }
            40 => {
                use types::phase::State;
                let to = [
                    State::Failed,
                    State::Skipped,
                    State::Queued,
                    State::Complete,
                ][self.numbers.below(4)];
                let request = pb::UpdatePhaseStatusRequest {
                    run_id: id,
                    phase_id: phase,
                    state: to.into(),
                    ..Default::default()
                };
                (
                    "set".into(),
                    h.clients
                        .submissions()
                        .update_phase_status(request)
                        .await
                        .map(drop),
                )
            }
            41 => {
                let request = pb::PromoteRunRequest {
                    run_id: id,
                    strategy: "ff".into(),
                    ..Default::default()
                };
                (
                    "promote".into(),
                    h.clients.promotions().promote_run(request).await.map(drop),
                )
            }
            42 if self.numbers.below(3) == 0 => {
                let request = pb::ExhaustBudgetRequest {
                    run_uid: self.run.uid.clone(),
                    expected_version: self.seen.run.version,
                    phases: Vec::from_iter(self.ready().map(|p| p as u32)),
                    cause: "BUDGET_TOKENS".into(),
                    detail: "none left".into(),
                };
                (
                    "exhaust".into(),
                    h.clients
                        .dispatch
                        .clone()
                        .exhaust_budget(request)
                        .await
                        .map(drop),
                )
            }
            _ => {
                let request = pb::OfferJobRequest {
                    run_uid: self.run.uid.clone(),
                    expected_version: self.seen.run.version,
                    kind: "cleanup".into(),
                };
                (
                    "cleanup".into(),
                    h.clients
                        .dispatch
                        .clone()
                        .offer_job(request)
                        .await
                        .map(drop),
                )
            }
        }
    }
}

/// The run as it is stored.
async fn snapshot(h: &Harness, run: &types::Run) -> RunAggregate {
    let request = pb::GetSnapshotRequest {
        run_uid: run.uid.clone(),
    };
    let answer = h.clients.dispatch.clone().get_snapshot(request).await;
    snapshot_from_proto(answer.unwrap().into_inner()).unwrap()
}
