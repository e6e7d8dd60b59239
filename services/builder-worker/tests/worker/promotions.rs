//! Promotions, and looks at the integration branch.

use autopack_domain::integration::Seen;
use autopack_domain::promotion::{Promotion, PromotionState, PromotionStrategy, Wanted};
use autopack_domain::run::JobKind;
use autopack_domain::{Cause, PromotionUid, Timestamp};
use uuid::Uuid;

use crate::world::{World, adding, until, write};

const ALL: [PromotionStrategy; 3] = [
    PromotionStrategy::FastForward,
    PromotionStrategy::Merge,
    PromotionStrategy::Squash,
];

/// A run with one landed commit, beside a branch `release` at its base.
async fn landed() -> World {
    let mut world = World::new();
    world.git(&["branch", "release"]);
    let patch = adding("made.txt", "by the run");
    let phase = world.patch_phase("P1", &patch);
    let report = world.execute(phase).await;
    assert_eq!(report.cause, None, "{}", report.detail);
    world
}

pub(crate) fn promotion(world: &World, strategy: PromotionStrategy, target: &str) -> Promotion {
    Promotion {
        uid: PromotionUid(Uuid::from_u128(77)),
        wanted: Wanted {
            strategy,
            target: target.to_owned(),
            expected: String::new(),
            pull_request: false,
        },
        by: "ann".into(),
        request: String::new(),
        tested: world.fake.state().run.tip.clone(),
        state: PromotionState::Pending,
        intent: None,
        commit: String::new(),
        url: String::new(),
        cause: None,
        detail: String::new(),
        asked_at: Timestamp(1_700_000_000_000_000),
        finished_at: None,
    }
}

/// Promotes, and waits for the end.
pub(crate) async fn promote(
    world: &mut World,
    promotion: Promotion,
) -> Result<(PromotionState, String), (Cause, String)> {
    world.fake.state().promotion = Some(promotion);
    world.offer_job(JobKind::Promote, None).await;
    until("the promotion has ended", || {
        let state = world.fake.state();
        !state.promoted.is_empty() || !state.failed_jobs.is_empty()
    })
    .await;
    let mut state = world.fake.state();
    let failed = state.failed_jobs.pop();
    failed.map_or_else(|| Ok(state.promoted.pop().unwrap()), Err)
}

fn tip(world: &World, branch: &str) -> String {
    world.git(&["rev-parse", &format!("refs/heads/{branch}")])
}

/// A commit on a branch that is not checked out.
fn advance(world: &World, branch: &str, file: &str) -> String {
    let at = world.path(&format!("aside-{file}"));
    let at = at.to_str().unwrap();
    world.git(&["worktree", "add", "-q", at, branch]);
    write(std::path::Path::new(at), file, "by somebody\n");
    world.git(&["-C", at, "add", "-A"]);
    world.git(&["-C", at, "commit", "-q", "-m", "Somebody's"]);
    world.git(&["worktree", "remove", "--force", at]);
    tip(world, branch)
}

#[tokio::test]
async fn each_strategy_brings_the_tested_tree_to_the_branch_once() {
    for strategy in ALL {
        let mut world = landed().await;
        let base = tip(&world, "release");
        let wanted = promotion(&world, strategy, "release");
        let (state, commit) = promote(&mut world, wanted.clone()).await.unwrap();
        assert_eq!(state, PromotionState::Landed, "{strategy:?}");
        assert_eq!(tip(&world, "release"), commit);
        let tree = |of: &str| world.git(&["rev-parse", &format!("{of}^{{tree}}")]);
        assert_eq!(tree(&commit), tree(&wanted.tested), "{strategy:?}");
        let parents = world.git(&["log", "-1", "--format=%P", &commit]);
        let expected = match strategy {
            PromotionStrategy::FastForward | PromotionStrategy::Squash => base.clone(),
            PromotionStrategy::Merge => format!("{base} {}", wanted.tested),
        };
        assert_eq!(parents, expected, "{strategy:?}");
        let is_own = commit == wanted.tested;
        assert_eq!(is_own, strategy == PromotionStrategy::FastForward);
        let held = world.private_ref(&format!("promotion/{}", wanted.uid));
        assert_eq!(held, Some(commit.clone()));
        let (state, found) = promote(&mut world, wanted).await.unwrap();
        assert_eq!((state, found), (PromotionState::AlreadyThere, commit));
        world.shut_down().await;
    }
}

#[tokio::test]
async fn what_no_gate_has_seen_is_named_and_nothing_moves() {
    let mut world = landed().await;
    let moved = advance(&world, "release", "other.txt");
    for (strategy, cause) in [
        (PromotionStrategy::FastForward, Cause::PromotionDiverged),
        (PromotionStrategy::Merge, Cause::PromotionUntested),
        (PromotionStrategy::Squash, Cause::PromotionUntested),
    ] {
        let wanted = promotion(&world, strategy, "release");
        let (found, detail) = promote(&mut world, wanted).await.unwrap_err();
        assert_eq!(found, cause, "{detail}");
        assert!(detail.contains("release"), "{detail}");
    }
    let there = advance(&world, "release", "made.txt");
    let wanted = promotion(&world, PromotionStrategy::Merge, "release");
    let (cause, detail) = promote(&mut world, wanted).await.unwrap_err();
    assert_eq!(cause, Cause::PromotionConflict, "{detail}");
    assert!(detail.contains("made.txt"), "{detail}");
    let mut wanted = promotion(&world, PromotionStrategy::Merge, "release");
    wanted.wanted.expected = moved;
    let (cause, detail) = promote(&mut world, wanted).await.unwrap_err();
    assert_eq!(cause, Cause::PromotionTargetMoved, "{detail}");
    assert_eq!(tip(&world, "release"), there, "nothing moved");
    let wanted = promotion(&world, PromotionStrategy::Merge, "no-such");
    let (cause, detail) = promote(&mut world, wanted).await.unwrap_err();
    assert_eq!(cause, Cause::PromotionTargetMissing, "{detail}");
    world.shut_down().await;
}

#[tokio::test]
async fn a_branch_that_is_checked_out_is_left_alone_with_what_to_do() {
    let mut world = landed().await;
    world.git(&["checkout", "-q", "release"]);
    let before = (
        tip(&world, "release"),
        world.git(&["status", "--porcelain"]),
    );
    let wanted = promotion(&world, PromotionStrategy::FastForward, "release");
    let (cause, detail) = promote(&mut world, wanted).await.unwrap_err();
    assert_eq!(cause, Cause::PromotionTargetCheckedOut, "{detail}");
    assert!(detail.contains("git merge autonomous/demo"), "{detail}");
    let after = (
        tip(&world, "release"),
        world.git(&["status", "--porcelain"]),
    );
    assert_eq!(before, after);
    world.shut_down().await;
}

#[tokio::test]
async fn an_integration_branch_that_somebody_moved_is_not_promoted() {
    let mut world = landed().await;
    let wanted = promotion(&world, PromotionStrategy::FastForward, "release");
    advance(&world, "autonomous/demo", "sneaked.txt");
    let (cause, detail) = promote(&mut world, wanted.clone()).await.unwrap_err();
    assert_eq!(cause, Cause::PromotionTipMoved, "{detail}");
    assert!(detail.contains(&wanted.tested), "{detail}");
    world.shut_down().await;
}

/// A worker that dies after the intent leaves the next one a branch that tells what happened.
#[tokio::test]
async fn whoever_comes_after_a_crash_finds_the_move_or_makes_it() {
    for died_in in ["prepare_promotion", "finish_promotion"] {
        let mut world = landed().await;
        let base = tip(&world, "release");
        world.fake.state().hang_in = Some(died_in);
        let wanted = promotion(&world, PromotionStrategy::Squash, "release");
        world.fake.state().promotion = Some(wanted);
        world.offer_job(JobKind::Promote, None).await;
        until("the worker hangs", || {
            world.fake.state().calls.contains(&died_in)
        })
        .await;
        world.crash().await;
        let there = tip(&world, "release");
        assert_eq!(there == base, died_in == "prepare_promotion");
        world.fake.state().hang_in = None;
        world.start();
        let stored = world.fake.state().promotion.clone().unwrap();
        let intent = stored.intent.clone().unwrap();
        let (state, commit) = promote(&mut world, stored).await.unwrap();
        assert_eq!(state, PromotionState::Landed, "{died_in}");
        assert_eq!(commit, intent.commit, "the same move, made once");
        assert_eq!(tip(&world, "release"), commit);
        let commits = world.git(&["rev-list", "--count", &format!("{base}..release")]);
        assert_eq!(commits, "1", "{died_in}");
        world.shut_down().await;
    }
}

/// Whoever goes on from a move, or takes it back, finds it told as landed; it is not made again.
#[tokio::test]
async fn what_comes_on_top_of_a_move_before_it_is_told_changes_nothing_of_it() {
    let mut world = landed().await;
    world.fake.state().hang_in = Some("finish_promotion");
    let wanted = promotion(&world, PromotionStrategy::Squash, "release");
    world.fake.state().promotion = Some(wanted);
    world.offer_job(JobKind::Promote, None).await;
    until("the branch has moved", || {
        world.fake.state().calls.contains(&"finish_promotion")
    })
    .await;
    world.crash().await;
    let on_top = advance(&world, "release", "other.txt");
    world.git(&["branch", "-D", "autonomous/demo"]);
    world.fake.state().hang_in = None;
    world.start();
    let stored = world.fake.state().promotion.clone().unwrap();
    let intent = stored.intent.clone().unwrap();
    let (state, commit) = promote(&mut world, stored).await.unwrap();
    assert_eq!((state, commit), (PromotionState::Landed, intent.commit));
    assert_eq!(tip(&world, "release"), on_top, "nothing moved");
    world.shut_down().await;
}

async fn look(world: &mut World, compare_with: &str) -> Seen {
    {
        let mut state = world.fake.state();
        state.seen = None;
        compare_with.clone_into(&mut state.compare_with);
    }
    world.offer_job(JobKind::IntegrationStatus, None).await;
    until("somebody has looked", || world.fake.state().seen.is_some()).await;
    world.fake.state().seen.clone().unwrap()
}

#[tokio::test]
async fn a_look_counts_commits_on_both_sides() {
    let mut world = landed().await;
    let checked_out = world.git(&["branch", "--show-current"]);
    world.fake.state().run.base_ref.clone_from(&checked_out);
    advance(&world, "release", "one.txt");
    let there = advance(&world, "release", "two.txt");
    let seen = look(&mut world, "release").await;
    assert_eq!(Some(seen.tip.clone()), world.branch());
    assert_eq!(seen.commits, 1);
    assert_eq!(seen.base.branch, checked_out);
    assert_eq!((seen.base.ahead, seen.base.behind), (1, 0));
    assert_eq!(seen.target.tip, there);
    assert_eq!((seen.target.ahead, seen.target.behind), (1, 2));
    let seen = look(&mut world, "no-such").await;
    assert_eq!((seen.target.tip.as_str(), seen.target.ahead), ("", 0));
    world.git(&["branch", "-D", "autonomous/demo"]);
    let seen = look(&mut world, "").await;
    assert_eq!((seen.tip.as_str(), seen.commits), ("", 0));
    assert_eq!(seen.target.branch, "");
    assert!(!seen.base.tip.is_empty());
    world.shut_down().await;
}
