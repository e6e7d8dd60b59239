//! Times one patch phase (apply, write-tree, list changes, commit, push) against plain `git apply && git commit`.
//!
//! Run it with `cargo run --example patch_phase --release -p autopack-git`. Both sides work on the same generated
//! repository of 3,000 files, one small patch a round; the ratio of the medians is printed.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "an example program"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use common::{World, git, repository, write};

const FILES: usize = 3_000;
const ROUNDS: usize = 40;

fn patch(round: usize) -> Vec<u8> {
    let name = format!("src/m{}/f{}.txt", round % 60, round % 50);
    let (old, new) = (
        format!("line of {}", round % 3_000),
        format!("changed in round {round}"),
    );
    format!("--- a/{name}\n+++ b/{name}\n@@ -1,2 +1,2 @@\n-{old}\n+{new}\n tail\n").into_bytes()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1_000.0
}

#[tokio::main]
async fn main() {
    let world = World::new().await;
    let (plain, user) = (world.path("plain"), world.path("user"));
    for dir in [&plain, &user] {
        repository(dir);
        for n in 0..FILES {
            // Every patched file's first line names the round that changes it.
            let (folder, file) = (n % 60, n / 60);
            let round = (0..ROUNDS)
                .find(|r| r % 60 == folder && r % 50 == file)
                .unwrap_or(n);
            write(
                dir,
                &format!("src/m{folder}/f{file}.txt"),
                format!("line of {round}\ntail\n"),
            );
        }
        git(dir, &["add", "-A"]);
        git(dir, &["commit", "-q", "-m", "Many"]);
    }

    let mut plain_times = Vec::new();
    for round in 0..ROUNDS {
        let file = world.path("p.patch");
        std::fs::write(&file, patch(round)).unwrap();
        let begin = Instant::now();
        git(&plain, &["apply", "--index", file.to_str().unwrap()]);
        git(&plain, &["commit", "-q", "-m", "Phase"]);
        plain_times.push(begin.elapsed());
    }

    let (target, base) = world.fetched(&user).await;
    let mut index = world.index("bench");
    let (mut tip, mut expected) = (base, None);
    let (mut times, mut steps) = (Vec::new(), vec![Vec::new(); 4]);
    let started = world
        .runner
        .started
        .load(std::sync::atomic::Ordering::Relaxed);
    for round in 0..ROUNDS {
        let begin = Instant::now();
        let base_tree = index.holds().cloned().unwrap_or_else(|| tip.clone());
        let tree = world
            .own
            .apply_patch(&base_tree, &[patch(round)], &mut index)
            .await
            .unwrap();
        steps[0].push(begin.elapsed());
        let changes = world.own.list_changes(&base_tree, &tree).await.unwrap();
        assert_eq!(changes.len(), 1);
        steps[1].push(begin.elapsed());
        let commit = world
            .commit(&tree, std::slice::from_ref(&tip), "Phase\n")
            .await;
        steps[2].push(begin.elapsed());
        let outcome = world
            .own
            .push(&target, &commit, "autonomous/bench", expected.as_ref())
            .await
            .unwrap();
        assert_eq!(outcome, autopack_git::PushOutcome::Moved);
        steps[3].push(begin.elapsed());
        times.push(begin.elapsed());
        (tip, expected) = (commit.clone(), Some(commit));
    }
    let processes = world
        .runner
        .started
        .load(std::sync::atomic::Ordering::Relaxed)
        - started;
    let (plain_ms, ours_ms) = (median(plain_times), median(times));
    println!("files: {FILES}, rounds: {ROUNDS}");
    println!("plain git apply && git commit: {plain_ms:.1} ms");
    println!(
        "patch phase:                   {ours_ms:.1} ms, {:.1} processes",
        processes as f64 / ROUNDS as f64
    );
    for (name, times) in [
        "after apply + write-tree",
        "after list changes",
        "after commit",
        "after push",
    ]
    .iter()
    .zip(steps)
    {
        println!("  {name}: {:.1} ms", median(times));
    }
    println!("ratio: {:.2}", ours_ms / plain_ms);
}
