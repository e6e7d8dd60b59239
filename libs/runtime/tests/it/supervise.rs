//! Tasks with an owner.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use autopack_runtime::{Kind, Supervisor};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn tasks_that_listen_end_cleanly() {
    let supervisor = Supervisor::new();
    for kind in [Kind::Critical, Kind::BestEffort] {
        let token = supervisor.token();
        supervisor.spawn("listener", kind, async move { token.cancelled().await });
    }
    assert_eq!(supervisor.running().len(), 2);
    let report = supervisor.shutdown(SOON).await;
    assert!(report.is_clean(), "{report:?}");
    assert!(supervisor.running().is_empty());
}

#[tokio::test]
async fn the_end_of_a_critical_task_ends_everything() {
    let supervisor = Supervisor::new();
    let token = supervisor.token();
    supervisor.spawn("other", Kind::BestEffort, async move {
        token.cancelled().await;
    });
    supervisor.spawn("server", Kind::Critical, async {
        Err::<(), _>("the port is taken")
    });
    timeout(SOON, supervisor.cancelled()).await.unwrap();
    let report = supervisor.shutdown(SOON).await;
    assert_eq!(report.failure.unwrap(), "server: the port is taken");
    assert!(report.aborted.is_empty());
}

#[tokio::test]
async fn a_critical_task_that_just_ends_is_a_failure_too() {
    let supervisor = Supervisor::new();
    supervisor.spawn("relay", Kind::Critical, async {});
    timeout(SOON, supervisor.cancelled()).await.unwrap();
    let report = supervisor.shutdown(SOON).await;
    assert_eq!(report.failure.unwrap(), "relay: it ended by itself");
}

fn defect(what: &str) {
    panic!("{what}");
}

#[tokio::test]
async fn a_panic_is_caught_and_reported() {
    let supervisor = Supervisor::new();
    supervisor.spawn("minor", Kind::BestEffort, async { defect("of no account") });
    supervisor.spawn("major", Kind::Critical, async {
        defect("bad 7");
    });
    timeout(SOON, supervisor.cancelled()).await.unwrap();
    let report = supervisor.shutdown(SOON).await;
    assert_eq!(report.failure.unwrap(), "major: panic: bad 7");
}

#[tokio::test(start_paused = true)]
async fn a_restarting_task_comes_back_until_it_is_told_to_end() {
    let supervisor = Supervisor::new();
    let starts = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&starts);
    supervisor.spawn_restarting("consumer", Duration::from_millis(10), move |token| {
        let start = count.fetch_add(1, Ordering::SeqCst);
        async move {
            match start {
                0 => Err("the bus went away"),
                1 => {
                    defect("a defect");
                    Ok(())
                }
                _ => {
                    token.cancelled().await;
                    Ok(())
                }
            }
        }
    });
    let three = async {
        while starts.load(Ordering::SeqCst) < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(SOON, three).await.unwrap();
    let report = supervisor.shutdown(SOON).await;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(starts.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_does_not_listen_is_aborted_and_named() {
    let supervisor = Supervisor::new();
    supervisor.spawn("deaf", Kind::BestEffort, std::future::pending::<()>());
    let before = tokio::time::Instant::now();
    let report = supervisor.shutdown(Duration::from_secs(2)).await;
    assert_eq!(report.aborted, ["deaf"]);
    assert!(before.elapsed() < Duration::from_secs(4));
}
