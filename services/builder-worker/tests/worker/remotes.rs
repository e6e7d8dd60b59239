//! Targets behind a path, `file://`, `ssh://` and `https://`: landing, and what is said when it cannot be done.

use std::ffi::OsString;

use autopack_domain::Cause;
use autopack_domain::promotion::PromotionStrategy;
use autopack_domain::run::JobKind;
use autopack_testkit::https::HttpsServer;
use autopack_testkit::ssh::{SshServer, free_port};

use crate::promotions::{promote, promotion};
use crate::world::{World, adding, plan, until};

type Env = Vec<(OsString, OsString)>;

/// A worker on the world's repository behind this address.
fn start(world: &mut World, url: &str, env: Env) {
    url.clone_into(&mut world.fake.state().run.repository);
    let mut config = world.config();
    config.git_remote_env = env;
    world.start_on(config, |_| {});
}

/// Bootstraps; the cause and the detail if that fails.
async fn bootstrap(world: &mut World) -> Option<(Cause, String)> {
    let spec = world.patch_phase("P0", &adding("zero.txt", "0"));
    world
        .offer_job(JobKind::Bootstrap, Some(plan(vec![spec])))
        .await;
    until("the bootstrap has ended", || {
        let state = world.fake.state();
        state.bootstrapped.is_some() || !state.failed_jobs.is_empty()
    })
    .await;
    world.fake.state().failed_jobs.pop()
}

/// Two phases land, the second on the first; then somebody moves the branch.
async fn lands_and_never_overwrites(mut world: World, url: &str, env: Env) {
    start(&mut world, url, env);
    assert_eq!(bootstrap(&mut world).await, None, "{url}");
    let mut tips = Vec::new();
    for (id, file) in [("P1", "one.txt"), ("P2", "two.txt")] {
        let spec = world.patch_phase(id, &adding(file, "x"));
        let report = world.execute(spec).await;
        assert_eq!(report.cause, None, "{url}: {}", report.detail);
        assert_eq!(world.branch(), Some(report.commit.clone()), "{url}");
        tips.push(report.commit);
    }
    let parent = world.git(&["rev-parse", "autonomous/demo^"]);
    assert_eq!(parent, tips[0], "{url}: each on the one before");
    // Somebody puts the branch elsewhere.
    let theirs = world.git(&["commit-tree", "-m", "Theirs", "-p", &tips[1], "HEAD^{tree}"]);
    world.git(&["update-ref", "refs/heads/autonomous/demo", &theirs]);
    let refs = world.git(&["for-each-ref"]);
    let spec = world.patch_phase("P3", &adding("three.txt", "x"));
    let report = world.execute(spec).await;
    assert_eq!(
        report.cause,
        Some(Cause::BranchMoved),
        "{url}: {}",
        report.detail
    );
    assert!(report.detail.contains(&theirs), "{}", report.detail);
    assert_eq!(
        world.git(&["for-each-ref"]),
        refs,
        "{url}: nothing is overwritten"
    );
}

#[tokio::test]
async fn a_path_is_landed_on_by_compare_and_swap() {
    let world = World::idle();
    let path = world.repo().to_str().unwrap().to_owned();
    lands_and_never_overwrites(world, &path, Env::new()).await;
}

#[tokio::test]
async fn a_file_url_is_landed_on_by_compare_and_swap() {
    let world = World::idle();
    let url = format!("file://{}", world.repo().display());
    lands_and_never_overwrites(world, &url, Env::new()).await;
}

#[tokio::test]
async fn an_ssh_url_is_landed_on_by_compare_and_swap() {
    let world = World::idle();
    let server = SshServer::start();
    let url = server.url(&world.repo());
    lands_and_never_overwrites(world, &url, server.env()).await;
}

#[tokio::test]
async fn an_https_url_is_landed_on_by_compare_and_swap() {
    let world = World::idle();
    let server = HttpsServer::start(world.repo().parent().unwrap());
    lands_and_never_overwrites(world, &server.url("repo/.git"), server.env()).await;
}

#[tokio::test]
async fn a_wrong_key_or_password_is_said_to_be_wrong() {
    let world = World::idle();
    let https = HttpsServer::start(world.repo().parent().unwrap());
    let ssh = SshServer::start();
    let targets = [
        (
            https.url("repo/.git"),
            https.wrong_env(),
            "Authentication failed",
        ),
        (ssh.url(&world.repo()), ssh.wrong_env(), "Permission denied"),
    ];
    drop(world);
    for (url, env, words) in targets {
        let mut world = World::idle();
        start(&mut world, &url, env);
        let (cause, detail) = bootstrap(&mut world).await.unwrap();
        assert_eq!(cause, Cause::RepositoryDenied, "{url}: {detail}");
        assert!(detail.contains(words), "{detail}");
    }
}

#[tokio::test]
async fn a_remote_that_is_not_there_or_not_trusted_is_unavailable() {
    let world = World::idle();
    let https = HttpsServer::start(world.repo().parent().unwrap());
    let port = free_port();
    let mut untrusted = https.env();
    untrusted.retain(|(name, _)| name != "GIT_SSL_CAINFO");
    let targets = [
        (https.url("repo/.git"), untrusted, "certificate"),
        (https.url("no/such.git"), https.env(), "not found"),
        (
            format!("https://me:secret-word@127.0.0.1:{port}/a.git"),
            Env::new(),
            "connect",
        ),
        (
            format!("ssh://127.0.0.1:{port}/a.git"),
            Env::new(),
            "refused",
        ),
    ];
    drop(world);
    for (url, env, words) in targets {
        let mut world = World::idle();
        start(&mut world, &url, env);
        let (cause, detail) = bootstrap(&mut world).await.unwrap();
        assert_eq!(cause, Cause::RepositoryUnavailable, "{url}: {detail}");
        assert!(detail.to_lowercase().contains(words), "{detail}");
        assert!(!detail.contains("secret-word"), "{detail}");
    }
}

/// A hook of the host, which declines what its body says.
fn hook(world: &World, name: &str, body: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = world.repo().join(".git/hooks").join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_branch_that_the_host_protects_is_said_to_be_protected() {
    let mut world = World::idle();
    let server = SshServer::start();
    let url = server.url(&world.repo());
    world.git(&["branch", "release"]);
    start(&mut world, &url, server.env());
    let spec = world.patch_phase("P1", &adding("one.txt", "x"));
    let report = world.execute(spec).await;
    assert_eq!(report.cause, None, "{}", report.detail);
    let refs = world.git(&["for-each-ref"]);
    let words = "Gitea: Not allowed to push to protected branch release";
    hook(
        &world,
        "update",
        &format!("case \"$1\" in */release) echo '{words}' >&2; exit 1;; esac"),
    );
    let wanted = promotion(&world, PromotionStrategy::FastForward, "release");
    let (cause, detail) = promote(&mut world, wanted).await.unwrap_err();
    assert_eq!(cause, Cause::PromotionTargetProtected, "{detail}");
    assert!(detail.contains(words), "{detail}");
    assert!(cause.remedy().contains("--pull-request"));
    hook(&world, "pre-receive", "exit 1");
    let spec = world.patch_phase("P2", &adding("two.txt", "x"));
    let report = world.execute(spec).await;
    let told = (report.cause, report.detail);
    assert_eq!(told.0, Some(Cause::BranchProtected), "{}", told.1);
    assert!(told.1.contains("pre-receive hook declined"), "{}", told.1);
    assert_eq!(world.git(&["for-each-ref"]), refs, "nothing moved");
    world.shut_down().await;
}
