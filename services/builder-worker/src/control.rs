//! The worker from outside: its service, and how it is taken out of service.
//!
//! Invariant: a drain is asked for once and only ever hastened; asking for it starts nothing and waits for nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use autopack_wire::worker::worker_service_server::WorkerServiceServer;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tonic::service::Routes;

use crate::api::Api;
use crate::board::Board;

/// Shown and steered from outside; cheap to clone. Made before the worker, so that a server can serve it from the start.
#[derive(Debug, Clone, Default)]
pub struct Control {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    board: Board,
    /// Until when what runs may go on; `None`: no drain was asked for.
    end: watch::Sender<Option<Instant>>,
    /// What a request without a grace means.
    grace: Mutex<Duration>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            board: Board::default(),
            end: watch::Sender::new(None),
            grace: Mutex::default(),
        }
    }
}

impl Control {
    /// The control of a worker that is not there yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The worker's service, alone.
    pub fn routes(&self) -> Routes {
        Routes::new(self.service())
    }

    /// The worker's service, to be served beside others.
    pub fn service(&self) -> WorkerServiceServer<Api> {
        WorkerServiceServer::new(Api::new(self.clone()))
    }

    /// Takes the worker out of service: no new job is begun, unstarted work is handed back at once, and what still
    /// runs after the grace too. A later call may only shorten the grace. `None`: as configured.
    pub fn drain(&self, grace: Option<Duration>) {
        let grace = grace.unwrap_or_else(|| self.configured());
        // So far ahead that it never comes, for a span that cannot be added.
        let now = Instant::now();
        let asked = now
            .checked_add(grace)
            .unwrap_or_else(|| now + Duration::from_hours(24 * 365));
        self.inner.end.send_modify(|end| {
            *end = Some(end.map_or(asked, |end| end.min(asked)));
        });
    }

    fn configured(&self) -> Duration {
        *self
            .inner
            .grace
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn configure(&self, grace: Duration) {
        *self
            .inner
            .grace
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = grace;
    }

    pub(crate) fn board(&self) -> &Board {
        &self.inner.board
    }

    /// How long what runs may still go on; `None`: no drain was asked for.
    pub(crate) fn grace_left(&self) -> Option<Duration> {
        let end = *self.inner.end.borrow();
        end.map(|end| end.saturating_duration_since(Instant::now()))
    }

    /// Waits until a drain is asked for.
    pub(crate) async fn asked(&self) {
        let mut end = self.inner.end.subscribe();
        // The sender lives as long as `self`.
        let _ = end.wait_for(Option::is_some).await;
    }

    /// Waits until a drain was asked for and its grace is over, however often that is shortened.
    pub(crate) async fn overdue(&self) {
        let mut watched = self.inner.end.subscribe();
        loop {
            let end = *watched.borrow_and_update();
            let over = async {
                match end {
                    Some(end) => sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = over => return,
                changed = watched.changed() => if changed.is_err() { return },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_drain_is_only_hastened() {
        let control = Control::new();
        control.configure(Duration::from_mins(1));
        assert_eq!(control.grace_left(), None);
        control.drain(None);
        control.asked().await;
        assert_eq!(control.grace_left(), Some(Duration::from_mins(1)));
        control.drain(Some(Duration::MAX));
        assert_eq!(control.grace_left(), Some(Duration::from_mins(1)));
        let began = Instant::now();
        let waiting = control.overdue();
        let hastened = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            control.drain(Some(Duration::from_secs(2)));
        };
        tokio::join!(waiting, hastened);
        assert_eq!(began.elapsed(), Duration::from_secs(3));
    }
}
