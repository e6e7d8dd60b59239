//! A registry that keeps what it is told in memory and can be scripted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use autopack_domain::attempt::{Attempt, Intent};
use autopack_domain::integration::Seen;
use autopack_domain::plan::{PhaseSpec, Plan};
use autopack_domain::promotion::{Promotion, PromotionIntent, PromotionState};
use autopack_domain::run::{JobKind, Run, settle::Report};
use autopack_domain::states::AttemptState;
use autopack_domain::submission::Submission;
use autopack_domain::usage::Usage;
use autopack_domain::worker::WorkerProfile;
use autopack_domain::{AttemptUid, Cause, Fence, JobUid, Reason, RunUid, Timestamp, WorkerUid};
use builder_worker::CallError;
use builder_worker::ports::{
    Abilities, Held, JobHint, Leased, Presence, Pulse, Registry, Settled, Stored, Terms, Turn,
};
use builder_worker::preflight::Findings;
use sha2::{Digest, Sha256};
use tokio::sync::Barrier;
use uuid::Uuid;

/// A job on offer.
pub(crate) struct Offer {
    pub(crate) kind: JobKind,
    pub(crate) attempt: Option<(Attempt, PhaseSpec)>,
    pub(crate) plan: Option<Plan>,
    pub(crate) taken: bool,
}

/// Everything the registry knows.
pub(crate) struct State {
    pub(crate) run: Run,
    pub(crate) offers: HashMap<JobUid, Offer>,
    pub(crate) attempts: BTreeMap<AttemptUid, Attempt>,
    pub(crate) settled: HashMap<Uuid, Report>,
    pub(crate) released: HashSet<Uuid>,
    pub(crate) stages: HashMap<Uuid, Vec<AttemptState>>,
    pub(crate) usage: Vec<Usage>,
    pub(crate) artifacts: HashMap<String, Vec<u8>>,
    pub(crate) bootstrapped: Option<Findings>,
    pub(crate) failed_jobs: Vec<(Cause, String)>,
    pub(crate) cleaned: Vec<Option<AttemptUid>>,
    pub(crate) snapshots: Vec<(u32, String)>,
    pub(crate) completed_tier: Option<(String, u32)>,
    pub(crate) previous: (String, String),
    /// Charged attempts that the registry tells.
    pub(crate) charged: u32,
    pub(crate) stop: Vec<Uuid>,
    pub(crate) calls: Vec<&'static str>,
    pub(crate) turn: Option<Uuid>,
    pub(crate) fence: u64,
    /// Both attempts must have been built before either goes on.
    pub(crate) meet: Option<Arc<Barrier>>,
    /// The call that never returns, as if the worker had died in it (after its effect, for `prepare_landing`).
    pub(crate) hang_in: Option<&'static str>,
    /// How often `lease_job` says that the registry cannot be reached.
    pub(crate) unavailable: u32,
    pub(crate) registered: u32,
    pub(crate) forget_worker: bool,
    /// The registry's wall clock; it stands still.
    pub(crate) time: Option<Timestamp>,
    /// Heartbeats that were answered with it.
    pub(crate) told: u32,
    pub(crate) profile: WorkerProfile,
    /// What the last heartbeat said.
    pub(crate) presence: Presence,
    /// How often `lease_job` says that the job is for another worker.
    pub(crate) not_eligible: u32,
    pub(crate) fleet: Vec<Abilities>,
    /// Jobs for which `lease_job` fails, and how often it did.
    pub(crate) faulty: HashMap<JobUid, u32>,
    /// What the next promotion is about; its intent is kept.
    pub(crate) promotion: Option<Promotion>,
    pub(crate) promoted: Vec<(PromotionState, String)>,
    /// A move that was forgotten was the last try.
    pub(crate) last_try: bool,
    pub(crate) compare_with: String,
    pub(crate) seen: Option<Seen>,
    /// The result of the next external phase.
    pub(crate) submission: Option<Submission>,
}

pub(crate) struct Fake {
    state: Mutex<State>,
}

impl Fake {
    pub(crate) fn new(run: Run) -> Arc<Self> {
        let state = State {
            run,
            offers: HashMap::new(),
            attempts: BTreeMap::new(),
            settled: HashMap::new(),
            released: HashSet::new(),
            stages: HashMap::new(),
            usage: Vec::new(),
            artifacts: HashMap::new(),
            bootstrapped: None,
            failed_jobs: Vec::new(),
            cleaned: Vec::new(),
            snapshots: Vec::new(),
            completed_tier: None,
            previous: (String::new(), String::new()),
            charged: 0,
            stop: Vec::new(),
            calls: Vec::new(),
            turn: None,
            fence: 0,
            meet: None,
            hang_in: None,
            unavailable: 0,
            registered: 0,
            forget_worker: false,
            time: None,
            told: 0,
            profile: WorkerProfile::default(),
            presence: Presence::default(),
            not_eligible: 0,
            fleet: Vec::new(),
            faulty: HashMap::new(),
            promotion: None,
            promoted: Vec::new(),
            last_try: false,
            compare_with: String::new(),
            seen: None,
            submission: None,
        };
        Arc::new(Self {
            state: Mutex::new(state),
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn store(&self, bytes: &[u8]) -> String {
        let mut digest = String::new();
        for byte in Sha256::digest(bytes) {
            write!(digest, "{byte:02x}").unwrap();
        }
        self.state()
            .artifacts
            .insert(digest.clone(), bytes.to_vec());
        digest
    }

    pub(crate) fn artifact(&self, report: &Report, name: &str) -> Option<String> {
        let found = report
            .artifacts
            .iter()
            .find(|artifact| artifact.name == name)?;
        Some(String::from_utf8_lossy(&self.state().artifacts[&found.digest]).into_owned())
    }

    async fn called(&self, name: &'static str) {
        let hang = {
            let mut state = self.state();
            state.calls.push(name);
            state.hang_in == Some(name)
        };
        if hang {
            std::future::pending::<()>().await;
        }
    }

    fn check(&self, of: Held) -> Result<(), CallError> {
        let state = self.state();
        match state.attempts.get(&AttemptUid(of.uid)) {
            Some(attempt) if attempt.fence == of.fence && attempt.state.is_leased() => Ok(()),
            _ => Err(CallError::refused(Reason::LeaseFenced, "fenced")),
        }
    }
}

#[async_trait]
impl Registry for Fake {
    async fn register(&self, profile: &WorkerProfile) -> Result<Terms, CallError> {
        let mut state = self.state();
        state.registered += 1;
        state.profile = profile.clone();
        Ok(Terms {
            worker: WorkerUid(Uuid::from_u128(7)),
            lease: Duration::from_secs(5),
            heartbeat: Duration::from_millis(100),
            time: state.time,
        })
    }

    async fn lease_job(&self, job: &JobHint, worker: WorkerUid) -> Result<Leased, CallError> {
        self.called("lease_job").await;
        let mut state = self.state();
        let state = &mut *state;
        if let Some(times) = state.faulty.get_mut(&job.job) {
            *times += 1;
            return Err(CallError::refused(Reason::InternalFault, "a defect"));
        }
        if state.unavailable > 0 {
            state.unavailable -= 1;
            return Err(CallError::unavailable("not now"));
        }
        if state.not_eligible > 0 {
            state.not_eligible -= 1;
            return Err(CallError::refused(Reason::WorkerNotEligible, "not you"));
        }
        let gone = || CallError::refused(Reason::JobGone, "gone");
        let offer = state.offers.get_mut(&job.job).ok_or_else(gone)?;
        if std::mem::replace(&mut offer.taken, true) {
            return Err(gone());
        }
        state.fence += 1;
        let fence = Fence(state.fence);
        if let Some((attempt, _)) = &mut offer.attempt {
            attempt.fence = fence;
            attempt.state = AttemptState::Building;
            attempt.tip.clone_from(&state.run.tip);
            attempt.worker = Some(worker);
            state.attempts.insert(attempt.uid, attempt.clone());
        }
        let mut intents: Vec<Attempt> = state.attempts.values().cloned().collect();
        intents.retain(|attempt| attempt.intent.is_some());
        intents.reverse();
        Ok(Leased {
            fence,
            run: state.run.clone(),
            attempt: offer.attempt.as_ref().map(|(attempt, _)| attempt.clone()),
            phase: offer.attempt.as_ref().map(|(_, phase)| phase.clone()),
            strategy: None,
            previous: state.previous.clone(),
            charged: state.charged,
            plan: offer.plan.clone(),
            intents,
            tier_id: "T1".into(),
            submission: state.submission.clone(),
            approval: None,
            fleet: state.fleet.clone(),
            promotion: state.promotion.clone(),
            compare_with: state.compare_with.clone(),
        })
    }

    async fn heartbeat(
        &self,
        _: WorkerUid,
        leases: &[(Uuid, Fence)],
        presence: &Presence,
    ) -> Result<Pulse, CallError> {
        let mut state = self.state();
        state.presence = presence.clone();
        state.told += u32::from(state.time.is_some());
        let stop = leases
            .iter()
            .map(|(uid, _)| *uid)
            .filter(|uid| state.stop.contains(uid))
            .collect();
        Ok(Pulse {
            stop,
            unknown_worker: std::mem::take(&mut state.forget_worker),
            time: state.time,
        })
    }

    async fn report_stage(&self, of: Held, stage: AttemptState) -> Result<(), CallError> {
        self.called("report_stage").await;
        self.check(of)?;
        let meet = {
            let mut state = self.state();
            state.stages.entry(of.uid).or_default().push(stage);
            state.attempts.get_mut(&AttemptUid(of.uid)).unwrap().state = stage;
            state
                .meet
                .clone()
                .filter(|_| stage == AttemptState::Governing)
        };
        if let Some(meet) = meet {
            meet.wait().await;
        }
        Ok(())
    }

    async fn record_usage(&self, of: Held, usage: &[Usage]) -> Result<(), CallError> {
        self.called("record_usage").await;
        self.check(of)?;
        self.state().usage.extend_from_slice(usage);
        Ok(())
    }

    async fn await_turn(&self, of: Held, _: Duration) -> Result<Turn, CallError> {
        self.check(of)?;
        let mut state = self.state();
        let holder = *state.turn.get_or_insert(of.uid);
        Ok(Turn {
            granted: holder == of.uid,
            tip: state.run.tip.clone(),
        })
    }

    async fn prepare_landing(&self, of: Held, intent: &Intent) -> Result<(), CallError> {
        self.check(of)?;
        {
            let mut state = self.state();
            if intent.expected_tip != state.run.tip {
                return Err(CallError::refused(Reason::TipMoved, "moved"));
            }
            let attempt = state.attempts.get_mut(&AttemptUid(of.uid)).unwrap();
            assert_eq!(attempt.state, AttemptState::Landing);
            attempt.intent = Some(intent.clone());
        }
        self.called("prepare_landing").await;
        Ok(())
    }

    async fn settle(&self, of: Held, report: &Report) -> Result<Settled, CallError> {
        self.called("settle").await;
        self.check(of)?;
        let mut state = self.state();
        if state.turn == Some(of.uid) {
            state.turn = None;
        }
        if !report.commit.is_empty() {
            state.run.tip.clone_from(&report.commit);
        }
        let attempt = state.attempts.get_mut(&AttemptUid(of.uid)).unwrap();
        attempt.commit.clone_from(&report.commit);
        attempt.state = match report.cause {
            None => AttemptState::Succeeded,
            Some(_) => AttemptState::Failed,
        };
        if let Some(intent) = &mut attempt.intent {
            intent.resolved = true;
        }
        state.settled.insert(of.uid, report.clone());
        Ok(Settled {
            completed_tier: state.completed_tier.clone(),
            tip: state.run.tip.clone(),
        })
    }

    async fn release(&self, of: Held) -> Result<(), CallError> {
        self.called("release").await;
        self.state().released.insert(of.uid);
        Ok(())
    }

    async fn finish_bootstrap(&self, _: Held, findings: &Findings) -> Result<(), CallError> {
        self.state().bootstrapped = Some(findings.clone());
        Ok(())
    }

    async fn finish_cleanup(&self, _: Held, landed: Option<AttemptUid>) -> Result<(), CallError> {
        self.state().cleaned.push(landed);
        Ok(())
    }

    async fn prepare_promotion(&self, _: Held, intent: &PromotionIntent) -> Result<(), CallError> {
        let stored = Some(intent.clone());
        self.state().promotion.as_mut().unwrap().intent = stored;
        self.called("prepare_promotion").await;
        Ok(())
    }

    async fn withdraw_promotion(&self, _: Held) -> Result<bool, CallError> {
        self.called("withdraw_promotion").await;
        let mut state = self.state();
        state.promotion.as_mut().unwrap().intent = None;
        Ok(state.last_try)
    }

    async fn finish_promotion(
        &self,
        _: Held,
        state: PromotionState,
        commit: &str,
    ) -> Result<(), CallError> {
        self.called("finish_promotion").await;
        self.state().promoted.push((state, commit.to_owned()));
        Ok(())
    }

    async fn finish_look(&self, _: Held, seen: &Seen) -> Result<(), CallError> {
        self.state().seen = Some(seen.clone());
        Ok(())
    }

    async fn fail_job(&self, _: Held, cause: Cause, detail: &str) -> Result<(), CallError> {
        self.state().failed_jobs.push((cause, detail.to_owned()));
        Ok(())
    }

    async fn record_snapshot(&self, _: RunUid, tier: u32, commit: &str) -> Result<(), CallError> {
        self.state().snapshots.push((tier, commit.to_owned()));
        Ok(())
    }

    async fn put_artifact(&self, bytes: Vec<u8>) -> Result<Stored, CallError> {
        Ok(Stored {
            size: bytes.len() as u64,
            digest: self.store(&bytes),
        })
    }

    async fn get_artifact(&self, digest: &str, _: usize) -> Result<Vec<u8>, CallError> {
        self.called("get_artifact").await;
        let found = self.state().artifacts.get(digest).cloned();
        found.ok_or_else(|| CallError::refused(Reason::ArtifactNotFound, "no such artifact"))
    }
}
