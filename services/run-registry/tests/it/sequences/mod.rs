//! Any commands in any order through the RPCs, over stores that are opened again in between: what is stored keeps its
//! invariants, and the events alone lead to it.
//!
//! Invariant: a sequence follows from its number; a failure tells the number and the commands so far.

mod judge;
mod parts;
mod player;

use crate::harness::{Harness, Place};
use player::Player;

/// Runs that are worked on at a time: they share commits, limits and the log.
const AT_A_TIME: usize = 20;
/// Commands of a run before and after the store is opened again.
const COMMANDS: usize = 14;

#[tokio::test]
async fn five_hundred_sequences_keep_the_invariants_on_sqlite() {
    Box::pin(play(Place::sqlite(), 500)).await;
}

#[tokio::test]
async fn fifty_sequences_keep_the_invariants_on_postgres() {
    Box::pin(play(Place::postgres(), 50)).await;
}

async fn play(place: Place, sequences: usize) {
    let mut h = Harness::start(&place).await;
    let (mut ended, mut done) = (0, 0);
    while done < sequences {
        let some = AT_A_TIME.min(sequences - done);
        let mut players = Vec::with_capacity(some);
        for number in done..done + some {
            players.push(Player::start(&h, number).await);
        }
        go_on(&h, &mut players).await;
        h = again(h, &place).await;
        let looks = players.iter_mut().map(|player| player.look(&h));
        futures::future::join_all(looks).await;
        go_on(&h, &mut players).await;
        for player in &mut players {
            ended += usize::from(player.replay(&h).await);
        }
        done += some;
    }
    judge::database_is_sound(&h).await;
    // Sequences that never come far would prove little.
    assert!(ended * 50 >= sequences, "{ended} of {sequences} runs ended");
    h.stop().await;
}

async fn go_on(h: &Harness, players: &mut [Player]) {
    let played = players.iter_mut().map(|player| async move {
        for _ in 0..COMMANDS {
            player.play(h).await;
        }
    });
    futures::future::join_all(played).await;
}

/// The store, opened by another registry: beside one that still runs, as after a crash, where the epoch alone ends it;
/// where a lock is held, after its end.
async fn again(old: Harness, place: &Place) -> Harness {
    if place.base.is_some() {
        old.stop().await;
        return Harness::start(place).await;
    }
    let fresh = Harness::start(place).await;
    // What it answers to is the epoch; its end need not be a clean one.
    old.supervisor
        .shutdown(std::time::Duration::from_secs(5))
        .await;
    fresh
}
