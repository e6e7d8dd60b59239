//! Promotions and the status of integration branches: asked for here, carried out by workers.
//!
//! Invariant: whether a run may be promoted is `policy::promotion`'s answer, taken in the same transaction that stores
//! the promotion; the registry never touches git.

use std::sync::Arc;

use autopack_domain::{
    Cause, Fault, Fence, JobUid, PromotionUid, Reason, Refusal, RunUid,
    integration::{Integration, Seen},
    promotion::{Promoted, Promotion, PromotionIntent, PromotionState, Wanted},
    run::{
        Run, RunAggregate,
        promote::{NewPromotion, no_promotion},
    },
};
use autopack_policy::promotion::answers;
use autopack_store::promotions;
use autopack_store_write::WriteError;

use super::{Core, lock, request_key, store_refusal, write_refusal};

/// What a lease is about, with the fence that proves it.
pub(crate) type Held = (RunUid, JobUid, Fence);

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The promotion; a target that is empty stands for the plan's base.
    pub wanted: Wanted,
    /// Who asks.
    pub by: String,
    /// Names the intention.
    pub request: String,
}

impl Core {
    /// Asks for a promotion, or finds the one that the same request made before.
    pub async fn promote(&self, id: &str, asked: Asked) -> Result<(Promotion, Run), Refusal> {
        let run = self.find(id).await?;
        let body = format!("{run} {:?} {}", asked.wanted, asked.by);
        let key = request_key(&asked.request, "PromoteRun", &body)?;
        let (clock, ids) = (Arc::clone(&self.ports.clock), Arc::clone(&self.ports.ids));
        let (request, wanted) = (asked.request.clone(), asked.wanted.clone());
        let done = self
            .writer
            .on_run(run, key, move |a, c| {
                check_rules(a)?;
                let new = NewPromotion {
                    uid: PromotionUid(ids.uuid()),
                    job: JobUid(ids.uuid()),
                    wanted: with_target(&a.run, asked.wanted.clone())?,
                    by: asked.by.clone(),
                    request: asked.request.clone(),
                };
                let promotion = a.request_promotion(new, clock.now(), c)?;
                Ok((promotion, a.run.clone()))
            })
            .await;
        match done {
            Err(WriteError::Repeated(run)) => {
                let record = self.writer.read(run, |a| a.run.clone()).await;
                let record = record.map_err(write_refusal)?;
                let wanted = with_target(&record, wanted)?;
                let found = self.promotions_of(run).await?;
                // A request that joined an open promotion left its name at none.
                let own = found.iter().find(|p| p.request == request);
                let first = own.or_else(|| found.iter().find(|p| p.wanted == wanted));
                let first = first.ok_or_else(|| no_promotion(&run, "of this request"))?;
                Ok((first.clone(), record))
            }
            other => other.map_err(write_refusal),
        }
    }

    /// Gives up a promotion that no worker can bring to an end. A repeated request answers with the one that was given
    /// up last.
    pub async fn abandon_promotion(
        &self,
        id: &str,
        request: &str,
        (by, why): (String, String),
    ) -> Result<Promotion, Refusal> {
        let run = self.find(id).await?;
        let key = request_key(request, "AbandonPromotion", &format!("{run}\n{by}\n{why}"))?;
        let clock = Arc::clone(&self.ports.clock);
        let done = self.writer.on_run(run, key, move |a, c| {
            a.abandon_promotion((&by, &why), clock.now(), c)
        });
        match done.await {
            Err(WriteError::Repeated(run)) => {
                let found = self.promotions_of(run).await?;
                let given_up = |p: &Promotion| p.cause == Some(Cause::PromotionAbandoned);
                let found = found.into_iter().find(given_up);
                found.ok_or_else(|| no_promotion(&run, "of this request"))
            }
            other => other.map_err(write_refusal),
        }
    }

    /// One promotion.
    pub async fn promotion(&self, uid: PromotionUid) -> Result<(RunUid, Promotion), Refusal> {
        let found = promotions::by_uid(&self.database.read, uid).await;
        let found = found.map_err(store_refusal)?;
        found.ok_or_else(|| {
            let text = format!("no promotion {uid}");
            Refusal::new(Reason::PromotionNotFound, text).with("promotion", uid)
        })
    }

    /// The promotions of a run, newest first; rows that do not parse are left to the self-check.
    pub async fn promotions_of(&self, run: RunUid) -> Result<Vec<Promotion>, Refusal> {
        let found = promotions::of_run(&self.database.read, run).await;
        let found = found.map_err(store_refusal)?;
        Ok(found.into_iter().filter_map(Result::ok).collect())
    }

    /// What became of a pull request. One that is recorded already is answered as it is.
    pub async fn record_pull_request(
        &self,
        uid: PromotionUid,
        url: String,
        detail: String,
    ) -> Result<Promotion, Refusal> {
        let (run, known) = self.promotion(uid).await?;
        if known.state == PromotionState::Opened && known.url == url {
            return Ok(known);
        }
        if !url.is_empty() && !is_address(&url) {
            let fault = Fault::new("url", "is no address of a page")
                .example("https://git.example/ann/demo/pull/1");
            return Err(Refusal::invalid(Reason::ArgumentInvalid, vec![fault]));
        }
        let clock = Arc::clone(&self.ports.clock);
        let done = self.writer.on_run(run, None, move |a, c| {
            let end = if url.is_empty() {
                Err((Cause::PullRequestRefused, detail.clone()))
            } else {
                Ok(Promoted {
                    state: PromotionState::Opened,
                    commit: String::new(),
                    url: url.clone(),
                })
            };
            a.finish_pull_request(uid, end, clock.now(), c)
        });
        done.await.map_err(write_refusal)
    }

    /// A worker is about to move the branch, or has seen that the move of an earlier one was not made (`None`). Whether
    /// the promotion has ended by this.
    pub async fn prepare_promotion(
        &self,
        (run, job, fence): Held,
        intent: Option<PromotionIntent>,
    ) -> Result<bool, Refusal> {
        let clock = Arc::clone(&self.ports.clock);
        let done = self.writer.on_run(run, None, move |a, c| {
            let (held, now) = ((job, fence), clock.now());
            match intent.clone() {
                Some(intent) => a.prepare_promotion(held, intent, now, c).map(|()| false),
                None => a.withdraw_promotion(held, now, c),
            }
        });
        let ended = done.await.map_err(write_refusal)?;
        if ended {
            lock(&self.leases).end(job.0);
        }
        Ok(ended)
    }

    /// A worker has ended a promotion well.
    pub async fn finish_promotion(
        &self,
        (run, job, fence): Held,
        state: PromotionState,
        commit: String,
    ) -> Result<(), Refusal> {
        self.command(run, None, move |a, c, now| {
            let end = Promoted {
                state,
                commit: commit.clone(),
                url: String::new(),
            };
            a.finish_promotion((job, fence), end, now, c)
        })
        .await?;
        lock(&self.leases).end(job.0);
        Ok(())
    }

    /// How the integration branch stood, and whether a look is under way.
    pub async fn integration_status(
        &self,
        id: &str,
    ) -> Result<(Run, Option<Integration>, bool), Refusal> {
        let run = self.find(id).await?;
        let look = |a: &RunAggregate| (a.run.clone(), a.looks());
        let (record, looks) = self.writer.read(run, look).await.map_err(write_refusal)?;
        let status = promotions::status(&self.database.read, &run.to_string()).await;
        Ok((record, status.map_err(store_refusal)?, looks))
    }

    /// Asks a worker to look at the integration branch.
    pub async fn refresh_integration(
        &self,
        id: &str,
        target: String,
    ) -> Result<(Run, Integration), Refusal> {
        let (run, known, _) = self.integration_status(id).await?;
        let (clock, ids) = (Arc::clone(&self.ports.clock), Arc::clone(&self.ports.ids));
        let done = self.writer.on_run(run.uid, None, move |a, c| {
            let job = JobUid(ids.uuid());
            let asked = a.request_look(job, &target, known.clone(), clock.now(), c)?;
            Ok((a.run.clone(), asked))
        });
        done.await.map_err(write_refusal)
    }

    /// A worker has looked.
    pub async fn finish_integration_status(
        &self,
        (run, job, fence): Held,
        seen: Seen,
    ) -> Result<(), Refusal> {
        self.command(run, None, move |a, c, now| {
            a.finish_look((job, fence), seen.clone(), now, c)
        })
        .await?;
        lock(&self.leases).end(job.0);
        Ok(())
    }
}

/// Refuses with every rule that does not hold.
fn check_rules(a: &RunAggregate) -> Result<(), Refusal> {
    let unmet: Vec<_> = answers(&a.run, &a.tiers)
        .into_iter()
        .filter(|answer| !answer.holds)
        .collect();
    if unmet.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = unmet.iter().map(|answer| answer.rule).collect();
    let mut text = format!("run {} may not be promoted:", a.run.id);
    for answer in &unmet {
        use std::fmt::Write as _;
        let _ = write!(
            text,
            "\n  {}: {}. {}",
            answer.rule, answer.facts, answer.remedy
        );
    }
    let mut refusal = Refusal::new(Reason::PromotionIneligible, text)
        .with("run", &a.run.id)
        .with("rules", names.join(","));
    refusal.faults = unmet
        .iter()
        .map(|answer| {
            let problem = format!("{}. {}", answer.facts, answer.remedy);
            Fault::new(format!("promotion_rules.{}", answer.rule), problem)
        })
        .collect();
    Err(refusal)
}

/// How the names of integration branches begin; in any case, for some file systems do not tell cases apart.
const INTEGRATION: &str = "autonomous/";

/// Names the branch: what the plan names as its base, unless that is no branch's name.
fn with_target(run: &Run, mut wanted: Wanted) -> Result<Wanted, Refusal> {
    if wanted.target.is_empty() {
        wanted.target.clone_from(&run.base_ref);
    }
    let target = &wanted.target;
    let problem = if target.is_empty() || *target == run.base_sha || target == "HEAD" {
        "names no branch, and neither does the plan's base"
    } else if target.to_ascii_lowercase().starts_with(INTEGRATION) {
        "is the integration branch of a run, which only that run's landings move"
    } else if !is_branch(target) {
        "is no name of a branch"
    } else {
        return Ok(wanted);
    };
    let fault = Fault::new("target_branch", problem).example("main");
    Err(Refusal::invalid(Reason::ArgumentInvalid, vec![fault]))
}

/// Whether people may be shown it as the address of a page.
fn is_address(url: &str) -> bool {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let shown = |c: char| !c.is_whitespace() && !c.is_control() && !"<>\"'`".contains(c);
    rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(shown))
}

/// Whether git would take the name for a branch (`git check-ref-format --branch`).
fn is_branch(name: &str) -> bool {
    let forbidden = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    let part = |part: &str| {
        !part.is_empty() && !part.starts_with('.') && part.strip_suffix(".lock").is_none()
    };
    name.len() <= 200
        && !name.starts_with('-')
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.contains("@{")
        && name != "@"
        && !name.contains(forbidden)
        && name.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::is_branch;

    #[test]
    fn names_that_git_refuses_are_refused_before_a_worker_sees_them() {
        for good in ["main", "release/1.2", "a-b_c", "ü"] {
            assert!(is_branch(good), "{good}");
        }
        for bad in [
            "", "-x", "a..b", "a b", "a~1", "a:b", "/a", "a/", "a//b", ".a", "a.lock", "@",
            "a@{1}", "a\\b", "a\nb", "a.",
        ] {
            assert!(!is_branch(bad), "{bad:?}");
        }
    }
}
