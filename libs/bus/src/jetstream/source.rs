//! The handle of a job source; the work is done by its puller.
//!
//! Invariant: a source has one puller, which ends with it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::{Shared, delivery::Delivery, fault, puller::Puller};
use crate::{
    error::BusError,
    message::JobOptions,
    port::{JobDelivery, JobSource},
};

/// Where the puller puts its answer.
pub(super) type Answer = oneshot::Sender<Result<Delivery, BusError>>;

pub(super) struct Source {
    demands: mpsc::Sender<Answer>,
}

/// Binds to the lanes' consumers and starts the puller.
pub(super) async fn open(shared: &Arc<Shared>, options: &JobOptions) -> Result<Source, BusError> {
    if options.lanes.is_empty() {
        return Err(BusError::Config("a job source needs a lane".into()));
    }
    if options.ack_wait < Duration::from_millis(100) {
        return Err(BusError::Config("ack_wait: 100 ms or more".into()));
    }
    let consumers = shared.consumers.names(&options.lanes);
    let bound = match shared.bind(&options.lanes, options.ack_wait).await {
        Ok(()) => true,
        // The puller tries again; the registry may be later than its workers.
        Err(error) if error.is_transient() => {
            tracing::info!(%error, "no jobs yet");
            false
        }
        Err(error) => return Err(error),
    };
    let inbox = shared.client.new_inbox();
    let subscribe = shared.client.subscribe(format!("{inbox}.*"));
    let subscriber = timeout(shared.request_timeout, subscribe)
        .await
        .map_err(fault::unavailable)?
        .map_err(fault::unavailable)?;
    let (demands, asked) = mpsc::channel(1);
    let puller = Puller::new(
        Arc::clone(shared),
        options.clone(),
        (consumers, bound),
        inbox,
        subscriber,
        asked,
    );
    shared.tasks.spawn(puller.run());
    Ok(Source { demands })
}

#[async_trait]
impl JobSource for Source {
    async fn next(&mut self) -> Result<Option<Box<dyn JobDelivery>>, BusError> {
        let (answer, answered) = oneshot::channel();
        if self.demands.send(answer).await.is_err() {
            return Ok(None);
        }
        match answered.await {
            Ok(Ok(delivery)) => Ok(Some(Box::new(delivery))),
            Ok(Err(error)) => Err(error),
            // The puller ended: the bus was closed.
            Err(_) => Ok(None),
        }
    }
}
