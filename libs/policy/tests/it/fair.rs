//! The queue: shares, ageing, limits, windows, and what each costs.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use autopack_domain::{AttemptUid, RunUid, Timestamp, project::ProjectLimits};
use autopack_policy::fair::{
    AGE_STEP, Candidate, Load, MAX_PRIORITY, Pick, Policy, Queue, limits::Place, offers::Offer,
};
use proptest::prelude::*;
use uuid::Uuid;

const STEP: i64 = AGE_STEP.as_micros() as i64;

fn uid(n: usize) -> RunUid {
    RunUid(Uuid::from_u128(n as u128 + 1))
}

fn candidate(phase: usize, priority: u8, since: i64) -> Candidate {
    Candidate {
        phase,
        lane: Arc::from("default"),
        priority,
        labels: Arc::from([]),
        since: Timestamp(since),
    }
}

fn labelled(phase: usize, label: &str) -> Candidate {
    Candidate {
        labels: Arc::from([label.to_owned()]),
        ..candidate(phase, 5, 0)
    }
}

fn phases(n: usize) -> Vec<Candidate> {
    (0..n).map(|p| candidate(p, 5, 0)).collect()
}

fn put(queue: &mut Queue, run: usize, project: &str, candidates: Vec<Candidate>) {
    queue.put(uid(run), project, candidates, Load::default(), Vec::new());
}

fn limits(share: u32) -> ProjectLimits {
    ProjectLimits {
        share,
        ..ProjectLimits::default()
    }
}

fn shares(picks: &[Pick]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for pick in picks {
        *counts.entry(pick.project.to_string()).or_default() += 1;
    }
    counts
}

#[test]
fn offers_follow_the_shares_while_all_projects_wait() {
    let mut queue = Queue::default();
    let mut policy = Policy::default();
    policy.set_limits("big", limits(6));
    policy.set_limits("small", limits(3));
    queue.set_policy(policy);
    for (run, project) in ["big", "small", "one"].into_iter().enumerate() {
        put(&mut queue, run, project, phases(2000));
    }
    let picks = queue.pick(Timestamp(0), u32::MAX, 1000);
    let counts = shares(&picks);
    assert_eq!(counts["big"], 600);
    assert_eq!((counts["small"], counts["one"]), (300, 100));
    // Not in blocks: every stretch of ten offers serves everybody.
    for stretch in picks.chunks(10) {
        assert_eq!(shares(stretch).len(), 3);
    }
}

#[test]
fn a_project_that_was_away_gets_no_credit_for_it() {
    let mut queue = Queue::default();
    put(&mut queue, 0, "busy", phases(1000));
    assert_eq!(queue.pick(Timestamp(0), u32::MAX, 500).len(), 500);
    put(&mut queue, 1, "late", phases(1000));
    let counts = shares(&queue.pick(Timestamp(0), u32::MAX, 100));
    assert_eq!((counts["busy"], counts["late"]), (50, 50));
}

#[test]
fn runs_of_a_project_take_turns_and_urgent_ones_go_first() {
    let mut queue = Queue::default();
    put(&mut queue, 0, "p", phases(5));
    put(&mut queue, 1, "p", phases(5));
    let urgent = vec![candidate(0, 9, 0), candidate(1, 9, 0)];
    put(&mut queue, 2, "p", urgent);
    let order: Vec<RunUid> = queue
        .pick(Timestamp(10), u32::MAX, 6)
        .iter()
        .map(|p| p.run)
        .collect();
    assert_eq!(order, [2, 2, 0, 1, 0, 1].map(uid));
}

#[test]
fn a_step_of_priority_is_worth_a_step_of_waiting() {
    let mut queue = Queue::default();
    put(&mut queue, 0, "p", vec![candidate(0, 4, 0)]);
    put(&mut queue, 1, "p", vec![candidate(0, 5, STEP + 1)]);
    put(&mut queue, 2, "p", vec![candidate(0, 5, STEP - 1)]);
    let order: Vec<RunUid> = queue
        .pick(Timestamp(2 * STEP), u32::MAX, 3)
        .iter()
        .map(|p| p.run)
        .collect();
    assert_eq!(order, [2, 0, 1].map(uid));
}

#[test]
fn each_limit_holds_and_says_so() {
    let mut policy = Policy::default();
    let project = ProjectLimits {
        max_running: Some(5),
        per_run: Some(2),
        labels: BTreeMap::from([("gpu=1".to_owned(), 1)]),
        ..ProjectLimits::default()
    };
    policy.set_limits("p", project);
    let mut queue = Queue::default();
    queue.set_policy(policy.clone());
    let gpu = vec![
        labelled(0, "gpu=1"),
        labelled(1, "gpu=1"),
        labelled(2, "gpu=0"),
    ];
    put(&mut queue, 0, "p", gpu);
    for run in 1..4 {
        put(&mut queue, run, "p", phases(4));
    }
    let picks = queue.pick(Timestamp(0), 100, 100);
    assert_eq!(picks.len(), 5, "{picks:?}");
    let gpus = picks.iter().filter(|p| p.run == uid(0) && p.phase < 2);
    assert_eq!(gpus.count(), 1);
    for run in 0..4 {
        assert!(picks.iter().filter(|p| p.run == uid(run)).count() <= 2);
    }
    let gpu = ["gpu=1".to_owned()];
    let place = Place {
        run: uid(0),
        project: "p",
        lane: "default",
        labels: &gpu,
    };
    let mut tally = queue.tally().clone();
    let rules =
        |tally: &_| -> Vec<&str> { policy.holds(place, tally).iter().map(|h| h.rule).collect() };
    assert!(
        rules(&tally).contains(&"project_limit"),
        "{:?}",
        rules(&tally)
    );
    assert!(rules(&tally).contains(&"label_limit"));
    tally.add(uid(0), "p", "default", &[]);
    assert!(rules(&tally).contains(&"run_limit"));
    let lines = queue.order(Timestamp(0), 100);
    assert_eq!(lines.len(), 15 - 5);
    assert!(
        lines
            .iter()
            .all(|l| l.holds.iter().any(|h| h.rule == "project_limit"))
    );
    // An attempt ends: its place is taken by who waits, not more.
    put(&mut queue, 1, "p", phases(4));
    assert!(queue.tally().of_project("p") < 5);
    queue.pick(Timestamp(1), 100, 100);
    assert_eq!(queue.tally().of_project("p"), 5);
}

#[test]
fn a_paused_lane_holds_its_phases_and_no_others() {
    let lane = |phase| Candidate {
        lane: Arc::from("gpu"),
        ..candidate(phase, 5, 0)
    };
    let mut queue = Queue::default();
    let mut policy = Policy::default();
    policy.pause("gpu", true);
    queue.set_policy(policy.clone());
    put(&mut queue, 0, "p", vec![lane(0), candidate(1, 5, 0)]);
    assert_eq!(queue.order(Timestamp(0), 8)[1].holds[0].rule, "lane_paused");
    let picks = queue.pick(Timestamp(0), 8, 8);
    assert_eq!(picks.len(), 1);
    assert_eq!(&*picks[0].lane, "default");
    policy.pause("gpu", false);
    queue.set_policy(policy);
    assert_eq!(queue.pick(Timestamp(0), 8, 8)[0].phase, 0);
}

#[test]
fn each_lane_has_a_window_of_its_own() {
    let mut queue = Queue::default();
    let gpu = (0..9).map(|p| Candidate {
        lane: Arc::from("gpu"),
        ..candidate(p, 5, 0)
    });
    put(&mut queue, 0, "p", gpu.collect());
    put(&mut queue, 1, "p", phases(9));
    let picks = queue.pick(Timestamp(0), 4, 100);
    assert_eq!((picks.len(), queue.tally().in_lane("gpu")), (8, 4));
    assert!(queue.pick(Timestamp(0), 4, 100).is_empty());
    let lines = queue.order(Timestamp(0), 4);
    assert_eq!(lines.len(), 10);
    assert!(lines.iter().all(|l| l.holds[0].rule == "queue"));
}

#[test]
fn an_old_offer_is_not_passed_for_ever() {
    let offer = |priority| Offer {
        attempt: AttemptUid(Uuid::from_u128(77)),
        lane: "default".to_owned(),
        priority,
        since: Timestamp(0),
    };
    let mut queue = Queue::default();
    let mut load = Load::default();
    load.add("default", &[]);
    queue.put(uid(0), "slow", Vec::new(), load.clone(), vec![offer(6)]);
    put(
        &mut queue,
        1,
        "p",
        vec![candidate(0, 9, 0), candidate(1, 9, 0), candidate(2, 6, 0)],
    );
    // Three steps lie between the priorities.
    let now = Timestamp(3 * STEP);
    assert_eq!(queue.pick(now, 10, 1)[0].priority, 9, "still young enough");
    let late = Timestamp(3 * STEP + 1);
    assert_eq!(queue.order(late, 10)[1].holds[0].rule, "overtaking");
    let picks = queue.pick(late, 10, 10);
    assert_eq!(picks.len(), 1, "only what does not pass it: {picks:?}");
    assert_eq!(picks[0].priority, 6);
    // A worker takes it.
    queue.put(uid(0), "slow", Vec::new(), load, Vec::new());
    assert_eq!(queue.pick(late, 10, 10).len(), 1);
}

/// What waits does not cost: the work of a pass follows what it offers.
#[test]
fn the_cost_of_an_offer_does_not_grow_with_the_queue() {
    let cost = |runs: usize, each: usize| {
        let mut queue = Queue::default();
        for run in 0..runs {
            put(&mut queue, run, &format!("p{}", run % 50), phases(each));
        }
        let before = queue.work();
        for round in 0..100 {
            let picks = queue.pick(Timestamp(round), u32::MAX, 16);
            assert_eq!(picks.len(), 16);
        }
        queue.work() - before
    };
    let (small, large) = (cost(50, 200), cost(500, 200));
    assert!(large <= small + small / 10, "{small} steps, then {large}");
    // A full window costs nothing, however much waits.
    let mut queue = Queue::default();
    for run in 0..500 {
        put(&mut queue, run, &format!("p{run}"), phases(200));
    }
    assert_eq!(queue.pick(Timestamp(0), 16, 100).len(), 16);
    let before = queue.work();
    for _ in 0..1000 {
        assert!(queue.pick(Timestamp(1), 16, 100).is_empty());
    }
    assert_eq!(queue.work(), before);
}

#[test]
fn projects_at_their_limit_cost_nothing_until_something_of_theirs_ends() {
    let mut queue = Queue::default();
    let mut policy = Policy::default();
    let one = ProjectLimits {
        max_running: Some(1),
        ..ProjectLimits::default()
    };
    for p in 0..300 {
        policy.set_limits(&format!("p{p}"), one.clone());
    }
    queue.set_policy(policy);
    for p in 0..300 {
        put(&mut queue, p, &format!("p{p}"), phases(50));
    }
    assert_eq!(queue.pick(Timestamp(0), u32::MAX, usize::MAX).len(), 300);
    let before = queue.work();
    assert!(queue.pick(Timestamp(0), u32::MAX, 100).is_empty());
    assert_eq!(queue.work(), before);
    put(&mut queue, 7, "p7", phases(50));
    assert_eq!(queue.pick(Timestamp(0), u32::MAX, 100).len(), 1);
}

/// A run of the model: one phase of it is ready at any time.
#[derive(Clone, Debug)]
struct Runner {
    project: usize,
    priority: u8,
}

fn runners() -> impl Strategy<Value = (Vec<u32>, Vec<Runner>)> {
    (1_usize..6).prop_flat_map(|projects| {
        let shares = proptest::collection::vec(1_u32..20, projects);
        let runner = (0..projects, 0..=MAX_PRIORITY)
            .prop_map(|(project, priority)| Runner { project, priority });
        (shares, proptest::collection::vec(runner, 1..25))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The bound of the module's page: `(9 - p) x AGE_STEP`, then `n` turns of the project, each of which comes
    /// within `S / s` offers and one for each other project.
    #[test]
    fn every_ready_phase_is_offered_within_its_bound((share, runners) in runners(), tick in 1_i64..STEP) {
        let mut queue = Queue::default();
        let mut policy = Policy::default();
        for (p, s) in share.iter().enumerate() {
            policy.set_limits(&format!("p{p}"), limits(*s));
        }
        queue.set_policy(policy);
        let name = |r: &Runner| format!("p{}", r.project);
        let mut since: HashMap<usize, i64> = HashMap::new();
        let mut now = 0_i64;
        for (i, r) in runners.iter().enumerate() {
            put(&mut queue, i, &name(r), vec![candidate(0, r.priority, now)]);
            since.insert(i, now);
        }
        let total: u32 = share.iter().sum();
        let mut overdue: HashMap<usize, u64> = HashMap::new();
        for _ in 0..1200 {
            now += tick;
            let picks = queue.pick(Timestamp(now), u32::MAX, 1);
            prop_assert_eq!(picks.len(), 1);
            let served = picks[0].run.0.as_u128() as usize - 1;
            for (i, r) in runners.iter().enumerate() {
                if now > since[&i] + i64::from(9 - r.priority) * STEP {
                    let waited = overdue.entry(i).or_default();
                    *waited += 1;
                    let n = runners.iter().filter(|o| o.project == r.project).count() as u64 + 1;
                    let turn = u64::from(total.div_ceil(share[r.project])) + share.len() as u64;
                    prop_assert!(*waited <= n * turn, "{i} {r:?} waited {waited} of {n} x {turn}");
                }
            }
            overdue.remove(&served);
            let r = &runners[served];
            since.insert(served, now);
            put(&mut queue, served, &name(r), vec![candidate(0, r.priority, now)]);
        }
    }

    /// Whatever ends in whatever order, no limit is passed, and everything is offered in the end.
    #[test]
    fn limits_hold_and_the_queue_drains(
        max in 1_u32..6, per_run in 1_u32..4, gpu in 1_u32..3, window in 1_u32..12,
        ends in proptest::collection::vec(any::<prop::sample::Index>(), 400),
    ) {
        let drain = || {
            let mut policy = Policy::default();
            let tight = ProjectLimits {
                max_running: Some(max),
                per_run: Some(per_run),
                labels: BTreeMap::from([("gpu=1".to_owned(), gpu)]),
                ..ProjectLimits::default()
            };
            policy.set_limits("tight", tight);
            let mut queue = Queue::default();
            queue.set_policy(policy);
            let project = |run: usize| if run.is_multiple_of(2) { "tight" } else { "free" };
            let of = |phase: usize| if phase.is_multiple_of(3) { labelled(phase, "gpu=1") } else { candidate(phase, 5, 0) };
            let mut left: Vec<Vec<usize>> = (0..6).map(|_| (0..8).collect()).collect();
            for (run, phases) in left.iter().enumerate() {
                put(&mut queue, run, project(run), phases.iter().map(|p| of(*p)).collect());
            }
            let mut live: Vec<(usize, usize)> = Vec::new();
            let mut order = Vec::new();
            for (round, end) in ends.iter().enumerate() {
                for pick in queue.pick(Timestamp(round as i64), window, 5) {
                    let run = pick.run.0.as_u128() as usize - 1;
                    left[run].retain(|p| *p != pick.phase);
                    live.push((run, pick.phase));
                    order.push((run, pick.phase));
                }
                let tight: Vec<_> = live.iter().filter(|(r, _)| project(*r) == "tight").collect();
                assert!(tight.len() as u32 <= max && live.len() as u32 <= window);
                assert!(tight.iter().filter(|(_, p)| p.is_multiple_of(3)).count() as u32 <= gpu);
                for run in (0..6).step_by(2) {
                    assert!(live.iter().filter(|(r, _)| *r == run).count() as u32 <= per_run);
                }
                if live.is_empty() {
                    break;
                }
                let (run, _) = live.swap_remove(end.index(live.len()));
                let mut load = Load::default();
                for (_, phase) in live.iter().filter(|(r, _)| *r == run) {
                    load.add("default", &of(*phase).labels);
                }
                let rest = left[run].iter().map(|p| of(*p)).collect();
                queue.put(uid(run), project(run), rest, load, Vec::new());
            }
            order
        };
        let order = drain();
        prop_assert_eq!(order.len(), 48);
        prop_assert_eq!(order, drain(), "the same calls give the same offers");
    }
}
