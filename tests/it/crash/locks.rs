//! Lock files that a killed git left behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use autopack_testkit::{Autopack, Phase, Plan, TempRepo, series};

use crate::scene::{RUN, Scene};
use crate::trial::{Keep, Went, reference};

/// How long somebody holds a lock: less than git waits for it.
const HELD: Duration = Duration::from_secs(2);

/// Every folder of a git directory in which a reference or a file of its own may be locked.
fn places(git_dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = [
        "HEAD",
        "config",
        "index",
        "packed-refs",
        "shallow",
        "FETCH_HEAD",
    ]
    .iter()
    .map(|name| git_dir.join(format!("{name}.lock")))
    .collect();
    let mut open = vec![git_dir.join("refs"), git_dir.join("autopack-indexes")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder)
            .into_iter()
            .flatten()
            .filter_map(Result::ok)
        {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_none_or(|end| end != "lock") {
                found.push(PathBuf::from(format!("{}.lock", path.display())));
            }
        }
    }
    found
}

/// Killed after something has landed, so that the own clone and the branch are there.
fn killed_in_the_middle() -> Keep {
    let kept = Keep::new(Scene::new());
    let went = kept
        .scene()
        .kill_when(|| kept.scene().repo.branch(RUN).is_some());
    assert_eq!(went, Went::Killed);
    kept
}

#[test]
fn locks_in_our_own_clone_do_not_stop_the_next_start() {
    let kept = killed_in_the_middle();
    let mut locks = Vec::new();
    for entry in fs::read_dir(kept.scene().autopack.data().join("repos")).unwrap() {
        locks.extend(places(&entry.unwrap().path()));
    }
    assert!(locks.len() > 8, "{locks:?}");
    for lock in &locks {
        fs::write(lock, "").unwrap();
    }
    kept.scene().must_end_well(reference());
    let left: Vec<&PathBuf> = locks.iter().filter(|lock| lock.exists()).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The lock of our branch in the user's repository.
fn lock_of(repo: &TempRepo) -> PathBuf {
    repo.git_dir()
        .join("refs/heads/autonomous")
        .join(format!("{RUN}.lock"))
}

/// What the process that held it would do at its end.
#[test]
fn a_lock_of_our_branch_in_the_users_repository_is_waited_for() {
    let kept = killed_in_the_middle();
    let lock = lock_of(&kept.scene().repo);
    fs::write(&lock, "").unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(HELD);
            fs::remove_file(&lock).unwrap();
        });
        kept.scene().must_end_well(reference());
    });
}

/// Nothing is deleted in the user's repository: the run says which file is in the way, and goes on once it is gone.
#[test]
fn a_lock_that_stays_in_the_users_repository_is_named_and_costs_nothing_but_a_retry() {
    let repo = TempRepo::small();
    let base = repo.git(&["rev-parse", "HEAD"]);
    let autopack = Autopack::new();
    let plan = Plan::new(RUN).phase(Phase::patch("P1", series::adding("one.txt", "one\n")));
    let plan = plan.write(&autopack.folder("plan"));
    let lock = lock_of(&repo);
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    fs::write(&lock, "").unwrap();

    let answer = autopack.run(&plan, repo.path());
    answer.done.expect_code(3);
    assert_eq!(
        answer.json["state"], "DONE_FAILED_ENVIRONMENT",
        "{:#}",
        answer.json
    );
    let detail = answer.json["phases"][0]["detail"]
        .as_str()
        .unwrap_or_default();
    assert!(detail.contains(lock.to_str().unwrap()), "{detail}");
    assert!(repo.branch(RUN).is_none() && lock.exists());

    fs::remove_file(&lock).unwrap();
    autopack.call(&["retry", RUN]).expect_code(0);
    let answer = autopack.run(&plan, repo.path());
    answer.done.expect_code(0);
    assert_eq!(repo.landed(&base, RUN).len(), 1);
    autopack.call(&["doctor", "--verify"]).expect_code(0);
}
