//! Private references that many ask for at a time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use autopack_git::GitError;
use common::{World, repository};
use futures::future::join_all;

#[tokio::test]
async fn each_caller_hears_of_its_own_reference() {
    let world = World::new().await;
    let dir = world.path("user");
    repository(&dir);
    let (_, base) = world.fetched(&dir).await;
    let own = &world.own;
    // `tier` cannot be a reference and the folder of others: one of these is refused.
    let names: Vec<String> = (0..40).map(|n| format!("tier/T{n}")).collect();
    own.set_private_ref("demo-1", "tier/T0", &base)
        .await
        .unwrap();
    let all = names.iter().map(String::as_str).chain(["tier"]);
    let outcomes = join_all(all.map(|name| own.set_private_ref("demo-1", name, &base))).await;
    let (last, others) = outcomes.split_last().unwrap();
    assert!(matches!(last, Err(GitError::Failed { .. })), "{last:?}");
    assert!(others.iter().all(Result::is_ok), "{others:?}");
    let mut written: Vec<String> = own
        .private_refs("demo-1")
        .await
        .unwrap()
        .into_iter()
        .map(|found| found.name)
        .collect();
    let mut wanted = names;
    wanted.sort();
    written.sort();
    assert_eq!(written, wanted);
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_nobody_with_it() {
    let world = World::new().await;
    let dir = world.path("user");
    repository(&dir);
    let (_, base) = world.fetched(&dir).await;
    let own = world.own.clone();
    let mut tasks = Vec::new();
    for n in 0..20 {
        let (own, base) = (own.clone(), base.clone());
        tasks.push(tokio::spawn(async move {
            own.set_private_ref("demo-1", &format!("tier/T{n}"), &base)
                .await
        }));
        tokio::task::yield_now().await;
    }
    // The one whose command runs, and one that waits.
    tasks.remove(0).abort();
    tasks.remove(9).abort();
    for outcome in join_all(tasks).await {
        outcome.unwrap().unwrap();
    }
    let written = own.private_refs("demo-1").await.unwrap();
    assert!(written.len() >= 18, "{written:?}");
}
