//! The test: with one slot and with four, the branch ends at the tree of the last releases.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use autopack_testkit::{Autopack, git, program, repo};

use crate::chains::{Chains, History, id};
use crate::download;
use crate::packages;

/// How long one run may take.
const BOUND: Duration = Duration::from_mins(3);

#[test]
fn the_release_histories_come_out_identical_with_one_slot_and_with_four() {
    let since = Instant::now();
    let histories = all();
    eprintln!(
        "histories: the releases are here after {:?}",
        since.elapsed()
    );
    let chains = Chains::new(&histories);
    let before = chains.repo.fingerprint();
    for slots in ["1", "4"] {
        let run = format!("slots-{slots}");
        let autopack = own();
        let plan = chains.plan(&run).write(&autopack.folder("plan"));
        let args = [
            "run",
            plan.to_str().unwrap(),
            "--repo",
            chains.repo.path().to_str().unwrap(),
        ];
        let args = [&args[..], &["--workers", slots, "--json"]].concat();
        let done = program::run(&mut autopack.command(&args), BOUND);
        assert_eq!(
            done.code,
            Some(0),
            "with {slots} slots\n{}\n{}",
            done.stdout,
            done.stderr
        );
        eprintln!(
            "histories: {} phases with {slots} slots in {:?}",
            chains.phases.len(),
            done.took
        );
        check(&chains, &histories, &run);
        autopack.call(&["doctor", "--verify"]).expect_code(0);
        before.expect_same(&chains.repo.fingerprint());
    }
}

/// Every package, downloaded at the same time.
fn all() -> Vec<History> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = packages::ALL
            .iter()
            .map(|package| (package, scope.spawn(|| download::releases(package))))
            .collect();
        let joined = threads
            .into_iter()
            .map(|(package, thread)| match thread.join() {
                Ok(releases) => History { package, releases },
                Err(panic) => std::panic::resume_unwind(panic),
            });
        joined.collect()
    })
}

/// The binary with the user's home, where toolchains are.
fn own() -> Autopack {
    let mut autopack = Autopack::new();
    for name in [
        "HOME",
        "CARGO_HOME",
        "RUSTUP_HOME",
        "RUSTUP_TOOLCHAIN",
        "PYENV_ROOT",
        "PYENV_VERSION",
    ] {
        if let Ok(value) = std::env::var(name) {
            autopack = autopack.with(name, &value);
        }
    }
    autopack
}

/// One commit a release, in the order of each chain, and the tree of the last releases.
fn check(chains: &Chains, histories: &[History], run: &str) {
    assert_eq!(
        git::tree_of(chains.repo.path(), &repo::branch(run)),
        chains.tree,
        "the tree of the last releases"
    );
    let commits = chains.repo.landed(&chains.base, run);
    assert_eq!(commits.len(), chains.phases.len());
    let places: BTreeMap<&str, usize> = commits
        .iter()
        .enumerate()
        .map(|(n, commit)| (commit.trailer("Autopack-Phase"), n))
        .collect();
    for history in histories {
        let package = history.package;
        assert!(
            package.releases.len() > 10,
            "{} has too few releases",
            package.name
        );
        let mut last = None;
        for release in &package.releases[1..] {
            let place = places[id(package, release).as_str()];
            assert!(
                last < Some(place),
                "{} {release} landed too early",
                package.name
            );
            let gate = commits[place].trailer("Autopack-Gate");
            assert!(
                gate.starts_with("passed"),
                "{} {release}: {gate}",
                package.name
            );
            last = Some(place);
        }
    }
}
