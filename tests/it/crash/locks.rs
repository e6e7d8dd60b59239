//! Lock files that a killed git left behind.

use std::fs;
use std::path::{Path, PathBuf};

use crate::scene::{RUN, Scene};
use crate::trial::{Keep, Went, reference};

/// Every folder of a git directory in which a reference or a file of its own may be locked.
fn places(git_dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = ["HEAD", "config", "index", "packed-refs", "shallow", "FETCH_HEAD"]
        .iter()
        .map(|name| git_dir.join(format!("{name}.lock")))
        .collect();
    let mut open = vec![git_dir.join("refs"), git_dir.join("autopack-indexes")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
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

/// Killed after the own clone was made and something has landed.
fn killed_in_the_middle() -> Keep {
    for _ in 0..5 {
        let kept = Keep::new(Scene::new());
        let went = kept.scene().kill_after(reference().took / 2);
        if went == Went::Killed && kept.scene().repo.branch(RUN).is_some() {
            return kept;
        }
    }
    panic!("the run was not killed in the middle");
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

#[test]
fn a_lock_of_our_branch_in_the_users_repository_does_not_stop_the_next_start() {
    let kept = killed_in_the_middle();
    let branch = kept.scene().repo.git_dir().join("refs/heads/autonomous").join(format!("{RUN}.lock"));
    fs::write(&branch, "").unwrap();
    kept.scene().must_end_well(reference());
}
