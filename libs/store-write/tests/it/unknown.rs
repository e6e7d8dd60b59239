//! A commit whose answer is lost: it is looked up, and carried out exactly once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use autopack_testkit::Postgres;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::base::{open, start};

/// A goal that only the batch to be cut carries: a batch is one message, and it holds its commit.
const GOAL: &str = "the goal of the batch that is cut";

/// What the proxy does with the next commit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// It reaches the server; the answer does not come back.
    AfterCommit,
    /// It does not reach the server.
    BeforeCommit,
}

/// A proxy to the server that cuts the connection of one commit, once armed.
async fn proxy(server: u16, cut: Cut) -> (u16, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let armed = Arc::new(AtomicBool::new(false));
    let trigger = Arc::clone(&armed);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let trigger = Arc::clone(&trigger);
            tokio::spawn(async move {
                let up = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                // The end of either side, or the cut, ends both.
                let _ = relay(client, up, cut, &trigger).await;
            });
        }
    });
    (port, armed)
}

async fn relay(
    mut client: TcpStream,
    mut up: TcpStream,
    cut: Cut,
    armed: &AtomicBool,
) -> std::io::Result<()> {
    let (mut asked, mut told) = (vec![0; 65536], vec![0; 65536]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let bytes = &asked[..read?];
                if bytes.is_empty() {
                    return Ok(());
                }
                let commit = bytes.windows(GOAL.len()).any(|w| w == GOAL.as_bytes());
                let hit = commit && armed.swap(false, Ordering::SeqCst);
                if hit && cut == Cut::BeforeCommit {
                    return Ok(());
                }
                up.write_all(bytes).await?;
                if hit {
                    // The server has committed when it answers; nobody hears it.
                    let heard = up.read(&mut told).await?;
                    assert!(heard > 0, "the server answers");
                    return Ok(());
                }
            }
            read = up.read(&mut told) => {
                let bytes = &told[..read?];
                if bytes.is_empty() {
                    return Ok(());
                }
                client.write_all(bytes).await?;
            }
        }
    }
}

async fn one_commit_is_cut(cut: Cut, settled: u64, told: &[&str]) {
    let base = Postgres::shared().database();
    let (port, armed) = proxy(Postgres::shared().port(), cut).await;
    let running = start(open(&base.url_at(port), Duration::from_secs(15)).await).await;
    running.create("before", "g").await.unwrap();
    let mut commits = running.handle.subscribe();
    running.told.take();
    armed.store(true, Ordering::SeqCst);
    let stored = running
        .create("cut", GOAL)
        .await
        .expect("it is answered all the same");
    assert!(!armed.load(Ordering::SeqCst), "the commit was cut");
    let stats = running.handle.stats();
    assert_eq!(stats.settled, settled, "{stats:?}");
    assert!(stats.reconnections >= 1, "{stats:?}");
    assert_eq!(running.told.take(), told, "figures follow what is stored");
    let told = commits.recv().await.unwrap();
    assert!(
        told.iter().all(|e| e.run == stored.uid),
        "subscribers hear of it, once"
    );
    assert!(commits.try_recv().is_err());
    running.create("after", "g").await.unwrap();
    assert_eq!(
        base.sql("SELECT string_agg(id, ' ' ORDER BY created_at, uid) FROM run"),
        "before cut after"
    );
    let gapless = "SELECT count(*) = max(sequence) AND count(DISTINCT uid) = count(*) FROM event";
    assert_eq!(base.sql(gapless), "t");
    assert_eq!(base.sql("SELECT epoch FROM registry_epoch"), "1");
}

#[tokio::test]
async fn a_commit_that_happened_is_found_and_not_repeated() {
    one_commit_is_cut(Cut::AfterCommit, 1, &["committed"]).await;
}

#[tokio::test]
async fn a_commit_that_did_not_happen_is_repeated() {
    one_commit_is_cut(Cut::BeforeCommit, 0, &["undone", "committed"]).await;
}
