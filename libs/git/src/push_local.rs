//! The fast way into a repository on this machine: copy the new objects, then swap the reference.
//!
//! Invariant: objects are complete in the target before the reference names them, and appear there under their final
//! name in one step. One process for the usual landing; no `receive-pack`, so no hook, quarantine or clean-up.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::clone::OwnClone;
use crate::error::GitError;
use crate::oid::Oid;
use crate::refs;
use crate::runner::GitOutput;
use crate::target::{Target, TargetKind};

/// Makes names of temporary files differ within this process.
static COUNTER: AtomicU64 = AtomicU64::new(0);
/// More objects than this travel as a pack.
const LOOSE: usize = 2_000;
/// After this time a clean-up in the target may have removed what no reference of it names.
const FRESH: Duration = Duration::from_secs(2);

/// A commit on its way to a target: its objects may be there already, where nothing names them yet.
#[derive(Debug, Clone)]
pub struct Offer {
    commit: Oid,
    expected: Option<Oid>,
    placed: Option<(PathBuf, Instant)>,
}

impl Offer {
    /// A commit of which the target has nothing.
    pub(crate) fn none(commit: &Oid, expected: Option<&Oid>) -> Self {
        Self {
            commit: commit.clone(),
            expected: expected.cloned(),
            placed: None,
        }
    }

    /// The commit.
    pub fn commit(&self) -> &Oid {
        &self.commit
    }

    /// Where the branch has to be for the commit to land; `None`: it must not exist.
    pub fn expected(&self) -> Option<&Oid> {
        self.expected.as_ref()
    }

    /// Whether the repository has all objects, by our recent doing.
    pub(crate) fn is_in(&self, common_dir: &Path) -> bool {
        let placed = self.placed.as_ref();
        placed.is_some_and(|(at, since)| at == common_dir && since.elapsed() < FRESH)
    }
}

impl OwnClone {
    /// Gets a commit's objects to a target on this machine ahead of its push, so that the push has only the branch to
    /// move. No reference changes: a commit that is never pushed leaves objects that git's clean-up removes.
    ///
    /// `objects` are all trees and blobs that the commit has and `expected`, its only parent, has not, each before
    /// what it names (see [`crate::TreeDiff`]); without them history is walked. A remote target gets everything with
    /// the push.
    pub async fn offer(
        &self,
        target: &Target,
        commit: &Oid,
        expected: Option<&Oid>,
        objects: Option<&[Oid]>,
    ) -> Result<Offer, GitError> {
        let mut offer = Offer::none(commit, expected);
        let TargetKind::LocalPath { common_dir, .. } = &target.kind else {
            return Ok(offer);
        };
        let begun = Instant::now();
        // Where the branch is at the parent, all that the parent reaches is there; else the swap fails anyway.
        let known = objects.filter(|_| expected.is_some());
        let copied = match known {
            Some(objects) => {
                let names = std::iter::once(commit).chain(objects);
                let names = names.map(Oid::to_string).collect();
                self.copy_loose(common_dir, names).await?
            }
            None => false,
        };
        if !copied {
            self.hand_over(common_dir, commit, expected).await?;
        }
        offer.placed = Some((common_dir.clone(), begun));
        Ok(offer)
    }

    /// Copies objects; `false`, with nothing done, when one is not loose or they are very many.
    async fn copy_loose(&self, common_dir: &Path, names: Vec<String>) -> Result<bool, GitError> {
        let (from, to) = (self.objects(), common_dir.join("objects"));
        let copied = tokio::task::spawn_blocking(move || copy_loose(&from, &to, &names)).await;
        copied.map_err(|e| {
            GitError::io("copying objects into", common_dir, std::io::Error::other(e))
        })?
    }

    /// Puts all objects that `commit` needs and the target lacks into the target.
    pub(crate) async fn hand_over(
        &self,
        common_dir: &Path,
        commit: &Oid,
        expected: Option<&Oid>,
    ) -> Result<(), GitError> {
        let mut known = vec![commit.to_string()];
        if let Some(expected) = expected {
            // If the reference is there, so is all it reaches; if not, the swap fails anyway.
            known.push(format!("^{expected}"));
        } else {
            let call = self
                .git
                .call(common_dir, "for-each-ref")
                .git_dir(common_dir);
            let output = call.arg("--format=%(objectname) %(refname)").ok().await?;
            known.extend(
                refs::parse(&output.stdout)?
                    .into_iter()
                    .map(|(_, oid)| format!("^{oid}")),
            );
        }
        known.push(String::new());
        let stdin = known.join("\n");
        let call = self.read("rev-list").args([
            "--objects",
            "--no-object-names",
            "--ignore-missing",
            "--stdin",
        ]);
        let listed = call.stdin(stdin).ok().await?.stdout;
        let names = String::from_utf8_lossy(&listed);
        let names = names.lines().map(ToOwned::to_owned).collect();
        if self.copy_loose(common_dir, names).await? {
            Ok(())
        } else {
            self.hand_over_pack(common_dir, listed).await
        }
    }

    /// For objects that came to us in a pack, or are very many.
    async fn hand_over_pack(&self, common_dir: &Path, names: Vec<u8>) -> Result<(), GitError> {
        let staging = self
            .dir
            .join(format!("hand-over-{}-{}", std::process::id(), unique()));
        fs::create_dir_all(&staging).map_err(|e| GitError::io("creating", &staging, e))?;
        let call = self
            .read("pack-objects")
            .args(["-q", "--delta-base-offset"])
            .arg(staging.join("pack"));
        let packed = call.stdin(names).ok().await;
        let moved = packed.and_then(|_| move_packs(&staging, &common_dir.join("objects/pack")));
        let _ = fs::remove_dir_all(&staging);
        moved
    }

    /// Swaps one reference of the target. With the hooks path at nothing, `reference-transaction` does not run.
    pub(crate) async fn update_ref(
        &self,
        common_dir: &Path,
        full: &str,
        expected: Option<&Oid>,
        new: Option<&Oid>,
    ) -> Result<GitOutput, GitError> {
        let stdin = match (new, expected) {
            (Some(new), Some(expected)) => format!("update {full}\0{new}\0{expected}\0"),
            (Some(new), None) => format!("update {full}\0{new}\0{}\0", new.zero_like()),
            (None, Some(expected)) => format!("delete {full}\0{expected}\0"),
            (None, None) => return Ok(GitOutput::default()),
        };
        let call = self
            .git
            .call(common_dir, "update-ref")
            .git_dir(common_dir)
            .writes()
            .finishes();
        call.args(["--no-deref", "-m", "autopack", "-z", "--stdin"])
            .stdin(stdin)
            .whole()
            .await
    }
}

/// See [`OwnClone::copy_loose`]; the last name comes first.
fn copy_loose(from: &Path, to: &Path, names: &[String]) -> Result<bool, GitError> {
    let place = |name: &String| PathBuf::from(&name[..2]).join(&name[2..]);
    let files: Vec<PathBuf> = names
        .iter()
        .filter(|name| name.len() > 2)
        .map(place)
        .collect();
    if files.len() > LOOSE || !files.iter().all(|file| from.join(file).is_file()) {
        return Ok(false);
    }
    // Each name stands before what it names, so no object is there before that.
    for file in files.iter().rev() {
        let folder = to.join(file.parent().unwrap_or(file));
        if !folder.is_dir() {
            match fs::create_dir(&folder) {
                Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(GitError::io("creating", &folder, e));
                }
                _ => share_like(&folder, to),
            }
        }
        place_file(&from.join(file), &to.join(file))?;
    }
    Ok(true)
}

/// Moves finished packs, each before its index: a pack without one is ignored by git.
fn move_packs(staging: &Path, to: &Path) -> Result<(), GitError> {
    fs::create_dir_all(to).map_err(|e| GitError::io("creating", to, e))?;
    let entries = fs::read_dir(staging).map_err(|e| GitError::io("reading", staging, e))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    files.sort_by_key(|file| file.extension().is_some_and(|e| e == "idx"));
    for file in files {
        if let Some(name) = file.file_name() {
            place_file(&file, &to.join(name))?;
        }
    }
    Ok(())
}

/// Copies under a temporary name that git's own clean-up knows, then renames.
fn place_file(from: &Path, to: &Path) -> Result<(), GitError> {
    let temporary = to.with_file_name(format!(
        "tmp_obj_autopack_{}_{}",
        std::process::id(),
        unique()
    ));
    let copied = fs::copy(from, &temporary).and_then(|_| {
        fs::set_permissions(&temporary, fs::Permissions::from_mode(0o444))?;
        fs::rename(&temporary, to)
    });
    copied.map_err(|e| {
        let _ = fs::remove_file(&temporary);
        GitError::io("copying an object to", to, e)
    })
}

/// Gives a new folder the mode of the object store, so that a shared repository stays shared.
fn share_like(folder: &Path, store: &Path) {
    if let Ok(meta) = fs::metadata(store) {
        let _ = fs::set_permissions(folder, meta.permissions());
    }
}

fn unique() -> u64 {
    COUNTER.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_is_believed_for_its_repository_and_not_for_long() {
        let commit = Oid::parse(&"1".repeat(40)).unwrap();
        let since = |age: Duration| Instant::now().checked_sub(age).unwrap();
        let placed = |age| Offer {
            placed: Some((PathBuf::from("/a"), since(age))),
            ..Offer::none(&commit, None)
        };
        assert!(placed(Duration::ZERO).is_in(Path::new("/a")));
        assert!(!placed(Duration::ZERO).is_in(Path::new("/b")));
        assert!(!placed(FRESH).is_in(Path::new("/a")));
        assert!(!Offer::none(&commit, None).is_in(Path::new("/a")));
    }
}
