//! `SchedulerService`: decode, ask the loop, encode. No decisions.
//!
//! Invariant: the loop is asked through a bounded queue and with a deadline, so callers cannot hold it up.

use std::time::Duration;

use autopack_domain::{Fault, Reason, Refusal};
use autopack_wire::{
    client::Clients,
    convert::duration_to_proto,
    registry,
    scheduler::{self as pb, scheduler_service_server::SchedulerService},
    status::to_status,
};
use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Response, Status};

use crate::inquiry::{Inquiry, Waiting};

/// How long the loop may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Phases of a page by default, and at most.
const PAGE: (usize, usize) = (50, 500);

type Reply<T> = Result<Response<T>, Status>;

/// The service, in front of the loop.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) inquiries: mpsc::Sender<Inquiry>,
    pub(crate) clients: Clients,
}

impl Api {
    async fn ask<T>(&self, make: impl FnOnce(oneshot::Sender<T>) -> Inquiry) -> Result<T, Status> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.inquiries.send(make(reply)).await.ok()?;
            answer.await.ok()
        };
        let refuse = |text| to_status(&Refusal::new(Reason::SchedulerUnavailable, text));
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(refuse("the scheduler is stopping")),
            Err(_) => Err(refuse("the scheduler did not answer in time")),
        }
    }
}

#[tonic::async_trait]
impl SchedulerService for Api {
    async fn explain(&self, request: Request<pb::ExplainRequest>) -> Reply<pb::ExplainResponse> {
        let r = request.into_inner();
        let (found, now) = self
            .ask(|reply| Inquiry::Explain {
                run: r.run_id,
                phase: r.phase_id,
                reply,
            })
            .await?
            .map_err(|refusal| to_status(&refusal))?;
        let phases = found.into_iter().map(|w| encode(w, now));
        Ok(Response::new(pb::ExplainResponse {
            phases: phases.collect(),
        }))
    }

    async fn list_queue(
        &self,
        request: Request<pb::ListQueueRequest>,
    ) -> Reply<pb::ListQueueResponse> {
        let r = request.into_inner();
        let (size, start) = page(&r)?;
        let lane = (!r.lane.is_empty()).then(|| autopack_domain::lane::name(&r.lane));
        let listing = self.ask(Inquiry::List).await?;
        let fits = |w: &Waiting| {
            lane.as_ref().is_none_or(|l| *l == w.lane)
                && (r.project.is_empty() || r.project == w.project)
        };
        let all: Vec<Waiting> = listing.phases.into_iter().filter(fits).collect();
        let total = all.len();
        let page = all.into_iter().skip(start).take(size);
        let phases = page.map(|w| encode(w, listing.now)).collect();
        let end = start + size;
        Ok(Response::new(pb::ListQueueResponse {
            phases,
            next_page_token: if end < total {
                end.to_string()
            } else {
                String::new()
            },
            total: u32::try_from(total).unwrap_or(u32::MAX),
            in_flight: listing.in_flight,
            window: listing.window,
            slots: listing.slots,
            paused_lanes: listing.paused,
        }))
    }

    async fn pause_lane(
        &self,
        request: Request<pb::PauseLaneRequest>,
    ) -> Reply<pb::PauseLaneResponse> {
        let pb::PauseLaneRequest { lane, paused } = request.into_inner();
        let stored = self
            .clients
            .dispatch
            .clone()
            .pause_lane(registry::PauseLaneRequest { lane, paused })
            .await?
            .into_inner();
        // The loop asks for what is in force at once; it would find out by itself within a second.
        let _ = self.inquiries.try_send(Inquiry::PolicyChanged);
        Ok(Response::new(pb::PauseLaneResponse {
            paused_lanes: stored.paused_lanes,
        }))
    }
}

/// Size and start of the page; every fault at once.
fn page(request: &pb::ListQueueRequest) -> Result<(usize, usize), Status> {
    let Ok(size) = usize::try_from(request.page_size) else {
        let fault = Fault::new("page_size", "must not be negative");
        return Err(to_status(&Refusal::invalid(
            Reason::ArgumentInvalid,
            vec![fault],
        )));
    };
    let size = if size == 0 { PAGE.0 } else { size.min(PAGE.1) };
    if request.page_token.is_empty() {
        return Ok((size, 0));
    }
    let token = &request.page_token;
    let start = token.parse();
    let start = start.map_err(|_| to_status(&Refusal::page_token(token)))?;
    Ok((size, start))
}

fn encode(w: Waiting, now: autopack_domain::Timestamp) -> pb::WaitingPhase {
    pb::WaitingPhase {
        run_id: w.run,
        run_uid: w.run_uid.to_string(),
        phase_id: w.phase,
        project: w.project,
        lane: w.lane,
        priority: w.priority.into(),
        position: u32::try_from(w.position).unwrap_or(u32::MAX),
        age: w.since.map(|since| duration_to_proto(now.since(since))),
        holds: w
            .holds
            .into_iter()
            .map(|h| pb::Hold {
                rule: h.rule.to_owned(),
                facts: h.facts,
                remedy: h.remedy.to_owned(),
            })
            .collect(),
    }
}
