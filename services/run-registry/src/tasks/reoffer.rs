//! Offers again what the bus lost: whatever is on offer, was published, and is not stored any more.
//!
//! Invariant: what the stream still holds is never doubled, and what became a dead letter rests before it is
//! tried again, so that no fault of a job spins. An offer is replaced only if it is still the one that was
//! looked for.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use autopack_bus::{BusError, DeadReason};
use autopack_domain::{
    JobUid, Reason, Refusal, RunUid, Timestamp,
    run::{JobState, RunAggregate},
    states::AttemptState,
};
use autopack_store::{StoreError, cursors, jobs, read};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::{Core, bus_refusal, store_refusal, write_refusal};

/// How often the stream's identity is compared.
const PERIOD: Duration = Duration::from_secs(2);
/// The pause after the first look that failed; it doubles up to the period.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// How often its content is compared although it is the same stream.
const CONTENT_PERIOD: Duration = PERIOD;
/// Comparing the content may take one part in so many of the time.
const SHARE: u32 = 20;
/// An offer younger than this may be on its way to a worker.
const YOUNG: Duration = Duration::from_secs(2);
/// How long the relay may take to publish what is on offer.
const RELAY: Duration = Duration::from_secs(10);
/// How long a job that was delivered too often rests before it is offered again by itself.
const REST: Duration = Duration::from_mins(1);
/// Dead letters that are looked at.
const LETTERS: usize = 1_000;

/// What is on offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Offer {
    job: JobUid,
    since: Option<Timestamp>,
}

/// Runs until the token is cancelled.
pub async fn run(core: Arc<Core>, shutdown: CancellationToken) -> Result<(), String> {
    let clock = Arc::clone(&core.ports.clock);
    // At the start every offer of an earlier process is suspect.
    let mut known: Option<String> = None;
    let mut next = Duration::ZERO;
    let mut rested = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        // What a look costs is real time, whatever the clock shows.
        let (before, began) = (Instant::now(), clock.monotonic());
        let due = before >= rested && began >= next;
        match look(&core, known.as_ref(), due).await {
            Ok(Some(epoch)) => {
                known = Some(epoch);
                rested = Instant::now() + before.elapsed() * SHARE;
                next = began + CONTENT_PERIOD;
                pause = PERIOD;
            }
            Ok(None) => pause = PERIOD,
            // A bus that cannot be reached says nothing about its stream: the next look decides.
            Err(refusal) => {
                tracing::debug!(%refusal, "the job stream was not compared");
                pause = (pause * 2).min(PERIOD);
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Compares if the stream is another one or if it is time; the stream's identity if it did.
async fn look(core: &Core, known: Option<&String>, due: bool) -> Result<Option<String>, Refusal> {
    let bus = &core.ports.bus;
    bus.maintain().await.map_err(bus_refusal)?;
    let epoch = bus.stream_epoch().await.map_err(bus_refusal)?;
    let new = known != Some(&epoch);
    if !new && !due {
        return Ok(None);
    }
    if let Some(known) = known.filter(|_| new) {
        tracing::warn!(from = %known, to = %epoch, "the job stream is another one; what is on offer is offered again");
    }
    let offered = core.offered(new).await?;
    if offered.is_empty() {
        return Ok(Some(epoch));
    }
    core.published_all().await?;
    let stored = bus.stored_jobs().await.map_err(bus_refusal)?;
    let resting = core.resting().await.map_err(bus_refusal)?;
    for (run, offers) in offered {
        let lost: HashSet<JobUid> = offers
            .iter()
            .map(|offer| offer.job)
            .filter(|job| {
                let job = job.to_string();
                !stored.contains(&job) && !resting.contains(&job)
            })
            .collect();
        if lost.is_empty() {
            continue;
        }
        tracing::info!(%run, jobs = lost.len(), "lost by the bus; offered again");
        if let Err(refusal) = core.offer_again(run, lost).await {
            tracing::debug!(%run, %refusal, "not offered again");
        }
    }
    Ok(Some(epoch))
}

fn offers(a: &RunAggregate) -> Vec<Offer> {
    let attempts = a
        .attempts
        .values()
        .filter(|x| x.state == AttemptState::Offered);
    let attempts = attempts.map(|x| Offer {
        job: x.job,
        since: Some(x.offered_at),
    });
    let jobs = a.jobs.iter().filter(|j| j.state == JobState::Offered);
    let jobs = jobs.map(|j| Offer {
        job: j.uid,
        since: None,
    });
    attempts.chain(jobs).collect()
}

impl Core {
    /// What is on offer, by run; of a stream that is the same, only what has been for a while, and of runs that
    /// wait for nobody.
    async fn offered(&self, new: bool) -> Result<HashMap<RunUid, Vec<Offer>>, Refusal> {
        let age = if new { Duration::ZERO } else { YOUNG };
        let old = self.now().0.saturating_sub(age.as_micros() as i64);
        let db = &self.database.read;
        let runs = if new {
            self.sound(read::open_runs(db).await)
        } else {
            self.sound(read::moving_runs(db).await)
        };
        // Of a run that has ended, too, jobs may be on offer.
        let beside = self.sound(jobs::runs_with_jobs(db).await)?;
        let runs: BTreeSet<RunUid> = runs?.into_iter().chain(beside).collect();
        let mut offered = HashMap::new();
        for run in runs {
            let Ok(mut found) = self.writer.read(run, offers).await else {
                continue; // Set aside: reported at the start.
            };
            found.retain(|offer| offer.since.is_none_or(|since| since.0 <= old));
            if !found.is_empty() {
                offered.insert(run, found);
            }
        }
        Ok(offered)
    }

    /// Waits until the relay has published everything that is in the log by now.
    async fn published_all(&self) -> Result<(), Refusal> {
        let head = read::last_sequence(&self.database.read)
            .await
            .map_err(store_refusal)?;
        let mut published = self.published.subscribe();
        let caught_up = published.wait_for(|published| *published >= head);
        match tokio::time::timeout(RELAY, caught_up).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Refusal::new(
                Reason::BusUnavailable,
                "the relay is behind; the bus may be down",
            )),
        }
    }

    /// Jobs whose dead letter says that trying them again does not help, or not yet.
    async fn resting(&self) -> Result<HashSet<String>, BusError> {
        let rested = self.now().0.saturating_sub(REST.as_micros() as i64);
        let page = self.ports.bus.dead_letters(None, LETTERS).await?;
        let rests = |letter: &autopack_bus::DeadLetter| match letter.reason {
            DeadReason::MaxDeliveries | DeadReason::Terminated => letter.at > rested,
            DeadReason::Refused | DeadReason::Unreadable => true,
        };
        let resting = page.letters.into_iter().filter(rests);
        let jobs = resting.filter_map(|letter| letter.job());
        Ok(jobs.map(|job| job.job_uid).collect())
    }

    /// Offers these jobs of a run again, each under a new uid, as far as they are still on offer.
    pub(crate) async fn offer_again(
        &self,
        run: RunUid,
        lost: HashSet<JobUid>,
    ) -> Result<Vec<JobUid>, Refusal> {
        let ids = Arc::clone(&self.ports.ids);
        let clock = Arc::clone(&self.ports.clock);
        self.writer
            .on_run(run, None, move |a, c| {
                let now = clock.now();
                let mut made = Vec::new();
                let attempts: Vec<_> = a
                    .attempts
                    .values()
                    .filter(|x| x.state == AttemptState::Offered && lost.contains(&x.job))
                    .map(|x| x.uid)
                    .collect();
                for attempt in attempts {
                    let job = JobUid(ids.uuid());
                    a.offer_again(attempt, job, now, c)?;
                    made.push(job);
                }
                let waits = |j: &&autopack_domain::run::Job| {
                    j.state == JobState::Offered && lost.contains(&j.uid)
                };
                let waiting: Vec<JobUid> = a.jobs.iter().filter(waits).map(|j| j.uid).collect();
                for gone in waiting {
                    let job = JobUid(ids.uuid());
                    a.reoffer_job(gone, job, now, c);
                    made.push(job);
                }
                Ok(made)
            })
            .await
            .map_err(write_refusal)
    }

    /// The relay's cursor as stored.
    pub(crate) async fn cursor(&self) -> Result<u64, StoreError> {
        cursors::relay(&self.database.read).await
    }
}
