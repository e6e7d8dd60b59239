//! `autopack promote` and `autopack integration`, over the real binary.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use autopack_testkit::git_host::{Flavour, GitHost, TOKEN};
use autopack_testkit::series::adding;
use autopack_testkit::{Answer, Autopack, Phase, Plan, TempRepo, git};

const ABORTED: i32 = 6;

/// A run that succeeded, on a repository whose branch `release` is at the run's base.
struct Ended {
    autopack: Autopack,
    repo: TempRepo,
    base: String,
}

fn ended() -> Ended {
    ended_of("https://git.example/ann/demo.git")
}

/// The same of a repository with this address.
fn ended_of(origin: &str) -> Ended {
    let repo = TempRepo::small();
    repo.git(&["branch", "release"]);
    repo.git(&["remote", "add", "origin", origin]);
    let base = repo.git(&["rev-parse", "release"]);
    let autopack = Autopack::new();
    let plan = Plan::new("demo")
        .run("base", "release")
        .phase(Phase::patch("P1", adding("a.txt", "a\n")))
        .phase(Phase::patch("P2", adding("b.txt", "b\n")));
    let file = plan.write(&autopack.folder("plan"));
    autopack.run(&file, repo.path()).done.expect_code(0);
    Ended {
        autopack,
        repo,
        base,
    }
}

impl Ended {
    #[track_caller]
    fn promote(&self, args: &[&str]) -> Answer {
        let mut all = vec!["promote", "demo"];
        all.extend(args);
        self.autopack.ask(&all)
    }

    /// Refused with this code, and the branch is where it was.
    #[track_caller]
    fn refuses(&self, args: &[&str], code: &str) -> serde_json::Value {
        let before = self.tip("release");
        let answer = self.promote(args);
        answer.done.expect_code(1);
        let error: serde_json::Value = serde_json::from_str(&answer.done.stderr).unwrap();
        assert_eq!(error["error"]["code"], code, "{error:#}");
        assert_ne!(error["error"]["hints"], serde_json::json!([]));
        assert_eq!(self.tip("release"), before, "nothing moved");
        error
    }

    /// What a host has after the integration branch was pushed there.
    fn pushed(&self) -> Vec<(String, String)> {
        vec![
            ("autonomous/demo".into(), self.tip("autonomous/demo")),
            ("release".into(), self.base.clone()),
        ]
    }

    fn tip(&self, branch: &str) -> String {
        self.repo
            .git(&["rev-parse", &format!("refs/heads/{branch}")])
    }

    fn tree(&self, of: &str) -> String {
        self.repo.git(&["rev-parse", &format!("{of}^{{tree}}")])
    }

    /// Somebody's commit on the branch, which is not checked out.
    fn advance(&self, branch: &str, file: &str) {
        let at = self.repo.outside().join(format!("aside-{file}"));
        let at = at.to_str().unwrap();
        self.repo.git(&["worktree", "add", "-q", at, branch]);
        std::fs::write(Path::new(at).join(file), "by somebody\n").unwrap();
        git::git(Path::new(at), &["add", "-A"]);
        git::git(Path::new(at), &["commit", "-q", "-m", "Somebody's"]);
        self.repo.git(&["worktree", "remove", "--force", at]);
    }
}

#[test]
fn each_strategy_brings_the_tested_tree_to_the_branch() {
    for (strategy, commits) in [("ff", "2"), ("merge", "3"), ("squash", "1")] {
        let run = ended();
        let checkout = || {
            let status = run.repo.git(&["status", "--porcelain"]);
            (run.repo.git(&["symbolic-ref", "HEAD"]), status)
        };
        let before = checkout();
        let answer = run.promote(&["--strategy", strategy]);
        answer.done.expect_code(0);
        assert_eq!(answer.json["state"], "LANDED", "{:#}", answer.json);
        assert_eq!(answer.json["target"], "release", "the plan's base");
        assert_eq!(answer.json["landed_commit"], run.tip("release").as_str());
        assert_eq!(
            run.tree("release"),
            run.tree("autonomous/demo"),
            "{strategy}"
        );
        let range = format!("{}..release", run.base);
        assert_eq!(run.repo.git(&["rev-list", "--count", &range]), commits);
        assert_eq!(checkout(), before);
        let again = run.promote(&["--strategy", strategy]);
        assert_eq!(again.json["state"], "ALREADY_THERE", "{strategy}");
        let shown = run.autopack.read(&["integration", "demo"]);
        let states: Vec<&str> = shown["promotions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p["state"].as_str().unwrap())
            .collect();
        assert_eq!(states, ["ALREADY_THERE", "LANDED"]);
    }
}

#[test]
fn what_stands_in_the_way_of_a_promotion_is_named_and_nothing_moves() {
    let run = ended();
    run.refuses(&["--to", "no-such"], "PROMOTION_TARGET_MISSING");
    run.refuses(
        &["--expected-tip", &"1".repeat(40)],
        "PROMOTION_TARGET_MOVED",
    );
    run.refuses(&["--to", "a..b"], "ARGUMENT_INVALID");
    run.repo.git(&["checkout", "-q", "release"]);
    let error = run.refuses(&[], "PROMOTION_TARGET_CHECKED_OUT");
    let text = error["error"]["message"].as_str().unwrap();
    assert!(text.contains("git merge autonomous/demo"), "{text}");
    run.repo.git(&["checkout", "-q", "-"]);
    run.advance("release", "other.txt");
    run.refuses(&[], "PROMOTION_DIVERGED");
    run.refuses(&["--strategy", "merge"], "PROMOTION_UNTESTED");
    run.advance("release", "a.txt");
    run.refuses(&["--strategy", "squash"], "PROMOTION_CONFLICT");
    run.advance("autonomous/demo", "sneaked.txt");
    run.refuses(&[], "PROMOTION_TIP_MOVED");
}

#[test]
fn rules_that_do_not_hold_are_named_with_an_exit_of_their_own() {
    let repo = TempRepo::small();
    let autopack = Autopack::new();
    let plan = Plan::new("demo").phase(Phase::command("P1", "false"));
    let file = plan.write(&autopack.folder("plan"));
    autopack.run(&file, repo.path()).done.expect_code(3);
    let answer = autopack.call(&["promote", "demo"]);
    answer.expect_code(3);
    assert!(answer.stderr.contains("PROMOTION_INELIGIBLE"), "{answer:?}");
    assert!(answer.stderr.contains("done_success"), "{answer:?}");
    let report = autopack.read(&["report", "run", "demo"]);
    assert_eq!(report["promotion_eligible"], false, "{report:#}");
}

#[test]
fn a_promotion_that_died_around_the_swap_is_found_or_made_by_the_next_command() {
    for (place, moved) in [
        ("worker.promote_prepared", false),
        ("worker.promote_moved", true),
        ("worker.before_settle", true),
        ("worker.before_ack", true),
    ] {
        let run = ended();
        let mut command = run
            .autopack
            .command(&["promote", "demo", "--strategy", "squash"]);
        let died = command
            .env("AUTOPACK_FAILPOINT", format!("{place}=1"))
            .output()
            .unwrap();
        assert_eq!(
            died.status.signal(),
            Some(ABORTED),
            "{place} was not hit (is the binary built with `--features autopack/failpoints`?)"
        );
        assert_eq!(run.tip("release") != run.base, moved, "{place}");
        let answer = run.promote(&["--strategy", "squash"]);
        answer.done.expect_code(0);
        // After the end was stored, the next one finds it there.
        let expected = if place == "worker.before_ack" {
            "ALREADY_THERE"
        } else {
            "LANDED"
        };
        assert_eq!(answer.json["state"], expected, "{place}: {:#}", answer.json);
        let range = format!("{}..release", run.base);
        assert_eq!(
            run.repo.git(&["rev-list", "--count", &range]),
            "1",
            "{place}"
        );
        assert_eq!(run.tree("release"), run.tree("autonomous/demo"));
    }
}

#[test]
fn an_integration_branch_is_shown_as_it_stands() {
    let run = ended();
    let shown = run.autopack.read(&["integration", "demo"]);
    assert_eq!(shown["branch"], "autonomous/demo");
    assert_eq!(shown["look_time"], serde_json::Value::Null);
    run.repo.git(&["branch", "other", "release"]);
    run.advance("other", "x.txt");
    let args = ["integration", "demo", "--refresh", "--to", "other"];
    let shown = run.autopack.read(&args);
    assert_eq!(shown["tip"], run.tip("autonomous/demo").as_str());
    assert_eq!(shown["tip"], shown["known_tip"]);
    assert_eq!(shown["commits"], 2);
    assert_eq!(
        (&shown["base"]["ahead"], &shown["base"]["behind"]),
        (&2.into(), &0.into())
    );
    assert_eq!(
        (&shown["target"]["ahead"], &shown["target"]["behind"]),
        (&2.into(), &1.into())
    );
    let text = run.autopack.call(&["integration", "demo"]);
    text.expect_code(0);
    assert!(
        text.stdout.contains("other: 2 commits ahead, 1 behind"),
        "{text:?}"
    );
    run.promote(&[]).done.expect_code(0);
    let shown = run.autopack.read(&["integration", "demo", "--refresh"]);
    assert_eq!(shown["base"]["ahead"], 0, "the base holds it");
}

#[test]
fn a_pull_request_is_opened_once_with_the_callers_token() {
    let mut run = ended();
    let host = GitHost::start(Flavour::Gitea);
    let api = host.api();
    let by_request = ["--pull-request", "--host-api", api.as_str()];
    let answer = run.promote(&by_request);
    answer.done.expect_code(2);
    assert!(answer.done.stderr.contains("GITEA_TOKEN"), "{answer:?}");
    run.autopack = run.autopack.with("GITEA_TOKEN", TOKEN);
    let answer = run.promote(&by_request);
    answer.done.expect_code(1);
    assert!(
        answer.done.stderr.contains("git push"),
        "the host lacks the branch: {answer:?}"
    );
    host.content().branches = run.pushed();
    for _ in 0..2 {
        let answer = run.promote(&by_request);
        answer.done.expect_code(0);
        assert_eq!(answer.json["state"], "OPENED");
        assert_eq!(answer.json["url"], "https://git.example/ann/demo/pull/1");
    }
    assert_eq!(host.content().pulls.len(), 1);
    assert_eq!(run.tip("release"), run.base, "no branch moved");
    let answer = run.promote(&["--pull-request"]);
    answer.done.expect_code(2);
    assert!(
        answer.done.stderr.contains("--host-api"),
        "a token goes where it was told: {answer:?}"
    );
    for file in run.autopack.files(&[]) {
        let content = std::fs::read(&file).unwrap_or_default();
        let held = content
            .windows(TOKEN.len())
            .any(|part| part == TOKEN.as_bytes());
        assert!(!held, "{} holds the token", file.display());
    }
}

#[test]
fn a_pull_request_without_a_clear_answer_stays_asked_for_and_is_found() {
    let mut run = ended();
    run.autopack = run.autopack.with("GITEA_TOKEN", TOKEN);
    let host = GitHost::start(Flavour::Gitea);
    let api = host.api();
    let by_request = ["--pull-request", "--host-api", api.as_str()];
    let seen = serde_json::json!({"commit": {"id": run.tip("autonomous/demo")}}).to_string();
    host.content().branches = run.pushed();
    host.content().first = vec![
        (200, String::new(), seen),
        (200, String::new(), "[]".into()),
        (502, String::new(), "Bad Gateway".into()),
    ];
    let answer = run.promote(&by_request);
    answer.done.expect_code(1);
    assert!(answer.done.stderr.contains("same command"), "{answer:?}");
    let shown = run.autopack.read(&["integration", "demo"]);
    assert_eq!(shown["promotions"][0]["state"], "PENDING", "{shown:#}");
    // Another promotion would lose sight of it.
    let error = run.refuses(&["--strategy", "squash"], "PROMOTION_BUSY");
    let text = error["error"]["message"].as_str().unwrap();
    assert!(text.contains("--pull-request"), "{text}");
    // The host had opened it after all.
    host.content().pulls = vec![("autonomous/demo".into(), "release".into())];
    let answer = run.promote(&by_request);
    answer.done.expect_code(0);
    assert_eq!(answer.json["uid"], shown["promotions"][0]["uid"]);
    assert_eq!(answer.json["url"], "https://git.example/ann/demo/pull/1");
    let posts = host.content().calls.clone();
    let posts = posts.iter().filter(|call| call.starts_with("POST"));
    assert_eq!(posts.count(), 1);
    run.promote(&["--strategy", "squash"]).done.expect_code(0);
}

/// A `gh` that asks a host on this machine, with a token of its own, and keeps what it was called with.
const GH: &str = r#"#!/usr/bin/env python3
import os, sys, urllib.error, urllib.request
args = sys.argv[1:]
with open("@LOG@", "a") as log:
    log.write(" ".join(args) + "\n")
    log.write(" ".join(sorted(os.environ)) + "\n")
if os.path.exists("@LOG@.out"):
    sys.stderr.write("To get started with GitHub CLI, please run:  gh auth login\n")
    sys.exit(4)
assert args[:4] == ["api", "--include", "--hostname", "github.com"], args
method, path = args[args.index("--method") + 1], args[args.index("--method") + 2]
body = sys.stdin.buffer.read() if "--input" in args else None
head = {"Authorization": "Bearer @TOKEN@", "Content-Type": "application/json"}
asked = urllib.request.Request("@API@" + path, data=body, headers=head, method=method)
try:
    answer = urllib.request.urlopen(asked)
except urllib.error.HTTPError as error:
    answer = error
sys.stdout.write("HTTP/2.0 %d x\r\nContent-Type: application/json\r\n\r\n" % answer.status)
sys.stdout.write(answer.read().decode())
sys.exit(0 if answer.status < 400 else 1)
"#;

#[test]
fn a_pull_request_is_opened_through_gh_where_no_token_is_set() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut run = ended_of("git@github.com:ann/demo.git");
    let host = GitHost::start(Flavour::GitHub);
    let folder = run.autopack.folder("bin");
    let log = folder.join("log");
    let script = GH
        .replace("@LOG@", log.to_str().unwrap())
        .replace("@API@", &host.api())
        .replace("@TOKEN@", TOKEN);
    std::fs::write(folder.join("gh"), script).unwrap();
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.join("gh"), mode).unwrap();
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", folder.display());
    run.autopack = run.autopack.with("PATH", &path).with("SECRET_WORD", "x");
    let out = folder.join("log.out");
    std::fs::write(&out, "").unwrap();
    let answer = run.promote(&["--pull-request"]);
    answer.done.expect_code(1);
    assert!(answer.done.stderr.contains("gh auth login"), "{answer:?}");
    std::fs::remove_file(out).unwrap();
    let answer = run.promote(&["--pull-request"]);
    answer.done.expect_code(1);
    assert!(answer.done.stderr.contains("git push"), "{answer:?}");
    host.content().branches = run.pushed();
    for _ in 0..2 {
        let answer = run.promote(&["--pull-request"]);
        answer.done.expect_code(0);
        assert_eq!(answer.json["url"], "https://git.example/ann/demo/pull/1");
    }
    assert_eq!(host.content().pulls.len(), 1);
    let told = std::fs::read_to_string(log).unwrap();
    assert!(
        told.contains("--method POST /repos/ann/demo/pulls --input -"),
        "{told}"
    );
    assert!(!told.contains("SECRET_WORD"), "{told}");
}
