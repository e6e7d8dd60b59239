//! Callers that leave before their command is committed.

use std::time::Duration;

use autopack_domain::{Reason, Refusal, Timestamp};
use futures::poll;
use tokio::sync::oneshot;

use crate::base::{Base, both, start};

both!(what_follows_a_commit_follows_without_its_caller);

const NOW: Timestamp = Timestamp(1_700_000_000_000_001);
const SOON: Duration = Duration::from_secs(20);

async fn what_follows_a_commit_follows_without_its_caller(base: Base) {
    let running = start(base.open().await).await;
    let run = running.create("a", "g").await.unwrap();
    let (told, heard) = oneshot::channel();
    let pause = running.handle.on_run_then(
        run.uid,
        None,
        |a, c| a.pause(NOW, c).map(|()| a.run.paused),
        move |&paused| told.send(paused).unwrap(),
    );
    {
        let mut pause = Box::pin(pause);
        assert!(poll!(&mut pause).is_pending(), "it is queued");
    }
    let paused = tokio::time::timeout(SOON, heard).await.unwrap();
    assert!(paused.unwrap());

    // Nothing follows a refusal.
    let (told, heard) = oneshot::channel::<()>();
    let refuse =
        |_: &mut _, _: &mut _| -> Result<(), Refusal> { Err(Refusal::new(Reason::RunState, "no")) };
    let refused = running
        .handle
        .on_run_then(run.uid, None, refuse, move |()| {
            told.send(()).unwrap();
        });
    refused.await.unwrap_err();
    assert!(tokio::time::timeout(SOON, heard).await.unwrap().is_err());
}
