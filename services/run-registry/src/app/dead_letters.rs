//! Dead letters: list, offer again, forget.
//!
//! Invariant: a letter is offered again only while its run waits for that very job, and forgotten only when
//! it does not; the run decides, never the letter.

use std::collections::HashSet;

use autopack_bus::DeadLetter;
use autopack_domain::{
    Fault, JobUid, Reason, Refusal, RunUid,
    run::{JobState, RunAggregate},
    states::AttemptState,
};

use super::{Core, bus_refusal, write_refusal};

/// Letters of a page: by default, and at most.
const PAGE: (usize, usize) = (50, 200);

/// A letter, and what the registry knows of its job.
#[derive(Clone, Debug)]
pub struct KnownLetter {
    /// As the bus keeps it.
    pub letter: DeadLetter,
    /// The job; `None` if the letter cannot be read.
    pub job: Option<JobUid>,
    /// Kind of the job.
    pub kind: String,
    /// The run of the job.
    pub run: Option<(RunUid, String)>,
    /// Id of the phase.
    pub phase: String,
    /// Where the job is now, in words.
    pub place: Place,
}

/// Where the job of a letter is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The run waits for this very job.
    Wanted,
    /// It does not, for this reason.
    MovedOn(String),
}

impl Core {
    /// Letters, newest first, and the token of the next page; with an id, that one.
    pub async fn list_dead_letters(
        &self,
        size: i32,
        token: &str,
        id: &str,
    ) -> Result<(Vec<KnownLetter>, String), Refusal> {
        if !id.is_empty() {
            return Ok((vec![self.letter(id).await?], String::new()));
        }
        let size = usize::try_from(size).map_err(|_| {
            let fault = Fault::new("page_size", "must not be negative");
            Refusal::invalid(Reason::ArgumentInvalid, vec![fault])
        })?;
        let size = if size == 0 { PAGE.0 } else { size.min(PAGE.1) };
        let before = match token {
            "" => None,
            token => Some(token.parse().map_err(|_| Refusal::page_token(token))?),
        };
        let page = self.ports.bus.dead_letters(before, size).await;
        let page = page.map_err(bus_refusal)?;
        let mut letters = Vec::with_capacity(page.letters.len());
        for letter in page.letters {
            letters.push(self.look_up(letter).await);
        }
        let next = page
            .before
            .map_or_else(String::new, |place| place.to_string());
        Ok((letters, next))
    }

    /// Offers the letter's job again under a new uid: an event of the log, and so a new message.
    pub async fn requeue_dead_letter(&self, id: &str) -> Result<(String, JobUid), Refusal> {
        let known = self.letter(id).await?;
        let moved_on = |why: &str| {
            Refusal::new(
                Reason::DeadLetterMovedOn,
                format!("dead letter {id} cannot be requeued: {why}; `autopack dlq discard {id}` forgets it"),
            )
            .with("dead_letter", id)
        };
        if let Place::MovedOn(why) = &known.place {
            return Err(moved_on(why));
        }
        let (Some(job), Some((run, name))) = (known.job, known.run) else {
            return Err(moved_on("its body cannot be read"));
        };
        let made = self.offer_again(run, HashSet::from([job])).await?;
        let Some(&made) = made.first() else {
            return Err(moved_on("its phase moved on in this moment"));
        };
        // The letter outlives a failure here: its job has moved on, and says so.
        if let Err(error) = self.ports.bus.forget_dead_letter(id).await {
            tracing::warn!(%error, letter = id, "requeued, but the dead letter is still there");
        }
        Ok((name, made))
    }

    /// Forgets a letter whose job nobody waits for.
    pub async fn discard_dead_letter(&self, id: &str) -> Result<(), Refusal> {
        let known = self.letter(id).await?;
        if known.place == Place::Wanted {
            let run = known.run.map(|(_, name)| name).unwrap_or_default();
            return Err(Refusal::new(
                Reason::DeadLetterWanted,
                format!(
                    "run {run} still waits for the job of dead letter {id}: `autopack dlq requeue {id}` offers it again, \
                     `autopack cancel {run}` ends the run"
                ),
            )
            .with("dead_letter", id)
            .with("run", run));
        }
        match self.ports.bus.forget_dead_letter(id).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(not_found(id)),
            Err(error) => Err(bus_refusal(error)),
        }
    }

    async fn letter(&self, id: &str) -> Result<KnownLetter, Refusal> {
        let letter = self.ports.bus.dead_letter(id).await.map_err(bus_refusal)?;
        match letter {
            Some(letter) => Ok(self.look_up(letter).await),
            None => Err(not_found(id)),
        }
    }

    async fn look_up(&self, letter: DeadLetter) -> KnownLetter {
        let message = letter.job().unwrap_or_default();
        let job = message.job_uid.parse().ok();
        let mut known = KnownLetter {
            job,
            kind: message.kind,
            run: None,
            phase: String::new(),
            place: Place::MovedOn("its body cannot be read, so it names no job".to_owned()),
            letter,
        };
        let (Some(job), Ok(run)) = (job, message.run_uid.parse::<RunUid>()) else {
            return known;
        };
        let phase = message.phase as usize;
        let of_phase = !message.attempt_uid.is_empty();
        let found = self
            .writer
            .read(run, move |a| {
                let phase = a.phases.get(phase).filter(|_| of_phase);
                let phase = phase.map_or_else(String::new, |p| p.id.to_string());
                (a.run.id.to_string(), phase, place(a, job))
            })
            .await;
        match found {
            Ok((name, phase, place)) => {
                known.run = Some((run, name));
                known.phase = phase;
                known.place = place;
            }
            Err(error) => {
                let refusal = write_refusal(error);
                known.place = Place::MovedOn(format!("its run {run} cannot be read: {refusal}"));
            }
        }
        known
    }
}

fn place(a: &RunAggregate, job: JobUid) -> Place {
    if let Some(attempt) = a.attempts.values().find(|x| x.job == job) {
        if attempt.state == AttemptState::Offered {
            return Place::Wanted;
        }
        let id = a.phases.get(attempt.phase).map(|p| p.id.to_string());
        return Place::MovedOn(format!(
            "the phase {} has moved on: attempt {} is {}",
            id.unwrap_or_default(),
            attempt.number,
            attempt.state
        ));
    }
    match a.jobs.iter().find(|j| j.uid == job) {
        Some(found) if found.state == JobState::Offered => Place::Wanted,
        Some(_) => Place::MovedOn("a worker has the job".to_owned()),
        None => Place::MovedOn(format!(
            "the phase has moved on: run {} is {}, and the job was offered again or is done",
            a.run.id, a.run.state
        )),
    }
}

fn not_found(id: &str) -> Refusal {
    Refusal::new(
        Reason::DeadLetterNotFound,
        format!("no dead letter `{id}`; `autopack dlq list` lists them"),
    )
    .with("dead_letter", id)
}
