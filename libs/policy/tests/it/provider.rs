//! The breaker of a provider: states, bounds, and the traps of the older one.

use std::time::Duration;

use autopack_policy::provider::{Bounds, Breaker, Outcome, Spent, State};

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A call that is let through, and its end.
fn call(breaker: &mut Breaker, now: u64, outcome: Outcome) -> (u64, bool) {
    breaker.admit(at(now)).unwrap();
    let wait = breaker.settle(at(now), outcome);
    (wait.time.as_secs(), wait.exhausted)
}

#[test]
fn five_failures_in_a_row_open_it_and_two_answers_close_it() {
    let mut breaker = Breaker::new(Bounds::default());
    for n in 0..4 {
        call(&mut breaker, n, Outcome::Failed);
    }
    call(&mut breaker, 4, Outcome::Answered);
    let waits: Vec<u64> = (5..10)
        .map(|n| call(&mut breaker, n, Outcome::Failed).0)
        .collect();
    assert_eq!(waits, [5, 10, 15, 20, 60]);
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.admit(at(39)).unwrap_err().time, at(30));
    // Looking does not advance it; asking does.
    assert_eq!(breaker.state(), State::Open);
    call(&mut breaker, 69, Outcome::Answered);
    assert_eq!(breaker.state(), State::HalfOpen);
    call(&mut breaker, 70, Outcome::Answered);
    assert_eq!(breaker.state(), State::Closed);
    let changes: Vec<(&str, u64)> = breaker
        .counts()
        .changes
        .iter()
        .map(|(k, v)| (k.as_str(), *v))
        .collect();
    assert_eq!(
        changes,
        [
            ("closed_to_open", 1),
            ("half_open_to_closed", 1),
            ("open_to_half_open", 1)
        ]
    );
    let counts = breaker.counts();
    assert_eq!(
        (
            counts.wanted,
            counts.rejected,
            counts.answered,
            counts.failed
        ),
        (13, 1, 3, 9)
    );
}

#[test]
fn one_probe_at_a_time_and_no_closing_by_time_alone() {
    let mut breaker = Breaker::new(Bounds::default());
    for n in 0..5 {
        call(&mut breaker, n, Outcome::Failed);
    }
    breaker.admit(at(100)).unwrap();
    assert!(
        breaker.admit(at(100)).is_err(),
        "a second probe beside the first"
    );
    breaker.settle(at(101), Outcome::Nothing);
    assert_eq!(breaker.state(), State::HalfOpen);
    // Hours without a call are no success.
    breaker.admit(at(90_000)).unwrap();
    assert_eq!(breaker.state(), State::HalfOpen);
    breaker.settle(at(90_000), Outcome::Failed);
    assert_eq!(
        breaker.state(),
        State::Open,
        "one failure of a probe opens it at once"
    );
}

#[test]
fn what_is_ours_to_blame_counts_neither_way() {
    let mut breaker = Breaker::new(Bounds::default());
    for n in 0..4 {
        call(&mut breaker, n, Outcome::Failed);
    }
    for n in 4..20 {
        call(&mut breaker, n, Outcome::Nothing);
    }
    assert_eq!(breaker.state(), State::Closed);
    call(&mut breaker, 20, Outcome::Failed);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_pause_is_kept_to_the_second_and_grows_where_no_time_is_told() {
    let mut breaker = Breaker::new(Bounds::default());
    assert_eq!(
        call(&mut breaker, 0, Outcome::Paused(Some(at(7)))),
        (7, false)
    );
    let held = breaker.admit(at(3)).unwrap_err();
    assert_eq!((held.time, held.exhausted), (at(4), false));
    let mut now = 7;
    let mut waits = Vec::new();
    for _ in 0..4 {
        let (wait, _) = call(&mut breaker, now, Outcome::Paused(None));
        waits.push(wait);
        now += wait;
    }
    assert_eq!(
        waits,
        [120, 240, 300, 300],
        "60 x 2^n, five minutes at most"
    );
    assert_eq!(
        breaker.state(),
        State::Closed,
        "a slow provider is not a broken one"
    );
    call(&mut breaker, now, Outcome::Answered);
    assert_eq!(call(&mut breaker, now, Outcome::Paused(None)).0, 60);
}

#[test]
fn an_empty_account_and_a_pause_without_end_are_exhaustion() {
    let mut breaker = Breaker::new(Bounds::default());
    assert_eq!(call(&mut breaker, 0, Outcome::Exhausted(None)), (900, true));
    assert!(breaker.admit(at(10)).unwrap_err().exhausted);
    let mut slow = Breaker::new(Bounds::default());
    let mut now = 0;
    let mut exhausted = Vec::new();
    for _ in 0..16 {
        let (wait, out) = call(&mut slow, now, Outcome::Paused(None));
        exhausted.push(out);
        now += wait;
    }
    assert!(!exhausted[12] && exhausted[15], "{exhausted:?}");
    call(&mut slow, now, Outcome::Answered);
    assert!(!call(&mut slow, now, Outcome::Paused(None)).1);
}

#[test]
fn four_fifths_of_a_week_are_enough_and_a_week_later_they_are_forgotten() {
    let mut spent = Spent::default();
    assert_eq!(spent.over(at(0), 100), None);
    spent.add(at(10), 40);
    spent.add(at(20), 39);
    assert_eq!(spent.over(at(30), 100), None);
    spent.add(at(7200), 1);
    let wait = spent.over(at(7200), 100).unwrap();
    let week = 7 * 24 * 3600;
    assert_eq!((wait.time, wait.exhausted), (at(week - 7200), true));
    assert_eq!(spent.over(at(week), 100), None, "only the last one is left");
    assert!(spent.over(at(week), 1).is_some());
    assert_eq!(spent.over(at(week + 7200), 1), None);
}
