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

/// Crashes after the move was stored and before it was made; the branch is where it was.
async fn stored_and_not_made() -> World {
    let mut world = landed().await;
    world.fake.state().hang_in = Some("prepare_promotion");
    let wanted = promotion(&world, PromotionStrategy::Squash, "release");
    world.fake.state().promotion = Some(wanted);
    world.offer_job(JobKind::Promote, None).await;
    until("the worker hangs", || {
        world.fake.state().calls.contains(&"prepare_promotion")
    })
    .await;
    world.crash().await;
    world.fake.state().hang_in = None;
    world.start();
    world
}

fn has_withdrawn(world: &World) -> bool {
    world.fake.state().calls.contains(&"withdraw_promotion")
}

#[tokio::test]
async fn a_move_is_forgotten_only_by_a_worker_that_has_read_the_branch() {
    let mut world = stored_and_not_made().await;
    let away = world.path("away");
    std::fs::rename(world.repo(), &away).unwrap();
    let stored = world.fake.state().promotion.clone().unwrap();
    let (cause, detail) = promote(&mut world, stored.clone()).await.unwrap_err();
    assert_eq!(cause, Cause::RepositoryUnavailable, "{detail}");
    assert!(!has_withdrawn(&world), "nobody has read it");
    std::fs::rename(&away, world.repo()).unwrap();
    let (state, commit) = promote(&mut world, stored.clone()).await.unwrap();
    assert!(has_withdrawn(&world));
    assert_eq!(state, PromotionState::Landed);
    assert_eq!(tip(&world, "release"), commit);
    world.shut_down().await;
}

#[tokio::test]
async fn a_promotion_that_the_registry_ends_is_not_gone_on_with() {
    let mut world = stored_and_not_made().await;
    let base = tip(&world, "release");
    world.fake.state().last_try = true;
    world.offer_job(JobKind::Promote, None).await;
    until("the branch was read", || has_withdrawn(&world)).await;
    world.shut_down().await;
    assert_eq!(tip(&world, "release"), base);
    let state = world.fake.state();
    assert!(state.promoted.is_empty() && state.failed_jobs.is_empty());
}

#[tokio::test]
async fn a_symbolic_branch_is_named_and_a_checkout_by_another_name_is_left_alone() {
    let mut world = landed().await;
    world.git(&["symbolic-ref", "refs/heads/alias", "refs/heads/release"]);
    let base = tip(&world, "release");
    let wanted = promotion(&world, PromotionStrategy::FastForward, "alias");
    let (cause, detail) = promote(&mut world, wanted).await.unwrap_err();
    assert_eq!(cause, Cause::PromotionTargetSymbolic, "{detail}");
    assert!(detail.contains("name release instead"), "{detail}");
    let symbolic = world.git(&["symbolic-ref", "refs/heads/alias"]);
    assert_eq!(symbolic, "refs/heads/release");
    world.git(&["symbolic-ref", "HEAD", "refs/heads/alias"]);
    let before = world.git(&["status", "--porcelain"]);
    let wanted = promotion(&world, PromotionStrategy::FastForward, "release");
    let (cause, detail) = promote(&mut world, wanted).await.unwrap_err();
    assert_eq!(cause, Cause::PromotionTargetCheckedOut, "{detail}");
    assert_eq!(tip(&world, "release"), base);
    assert_eq!(world.git(&["status", "--porcelain"]), before);
    world.shut_down().await;
}

#[tokio::test]
async fn a_target_that_was_deleted_after_the_move_was_stored_is_said_to_be_missing() {
    let mut world = stored_and_not_made().await;
    world.git(&["branch", "-D", "release"]);
    let stored = world.fake.state().promotion.clone().unwrap();
    let (cause, detail) = promote(&mut world, stored).await.unwrap_err();
    assert_eq!(cause, Cause::PromotionTargetMissing, "{detail}");
    world.shut_down().await;
}

#[tokio::test]
async fn a_look_without_the_base_names_it() {
    let mut world = landed().await;
    let gone = "1".repeat(40);
    world.fake.state().run.base_sha.clone_from(&gone);
    world.offer_job(JobKind::IntegrationStatus, None).await;
    until("the look has ended", || {
        !world.fake.state().failed_jobs.is_empty()
    })
    .await;
    let (cause, detail) = world.fake.state().failed_jobs.pop().unwrap();
    assert_eq!(cause, Cause::RepositoryUnavailable, "{detail}");
    assert!(detail.contains(&gone), "{detail}");
    world.shut_down().await;
}

/// What somebody else does to the repository right before the branch is moved.
static IN_BETWEEN: std::sync::Mutex<Option<(std::path::PathBuf, Vec<String>)>> =
    std::sync::Mutex::new(None);

fn in_between(place: &str) {
    if place != builder_worker::failpoints::PROMOTE_PREPARED {
        return;
    }
    if let Some((repo, args)) = IN_BETWEEN.lock().unwrap().take() {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        crate::world::git(&repo, &args);
    }
}

#[tokio::test]
async fn whoever_moves_or_deletes_the_branch_in_between_keeps_what_they_did() {
    let mut world = World::idle();
    world.start_with(in_between);
    world.git(&["branch", "release"]);
    let patch = adding("made.txt", "by the run");
    let phase = world.patch_phase("P1", &patch);
    assert_eq!(world.execute(phase).await.cause, None);
    let theirs = world.git(&[
        "commit-tree",
        "-m",
        "Theirs",
        "-p",
        "release",
        "release^{tree}",
    ]);
    let move_it = ["update-ref", "refs/heads/release", &theirs];
    let drop_it = ["update-ref", "-d", "refs/heads/release"];
    let wanted = promotion(&world, PromotionStrategy::Squash, "release");
    for (args, there) in [(&move_it[..], true), (&drop_it[..], false)] {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        *IN_BETWEEN.lock().unwrap() = Some((world.repo(), args));
        let (cause, detail) = promote(&mut world, wanted.clone()).await.unwrap_err();
        assert_eq!(cause, Cause::PromotionTargetMoved, "{detail}");
        assert!(
            detail.contains(if there { &theirs } else { "absent" }),
            "{detail}"
        );
        let after = world.git(&["for-each-ref"]);
        assert_eq!(after.contains(&theirs), there, "{after}");
        assert_eq!(after.contains("refs/heads/release"), there, "{after}");
    }
    world.shut_down().await;
}
