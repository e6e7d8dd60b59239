//! Our own clones, one for each target repository, with their pools of folders and indexes.
//!
//! Invariant: a clone is opened once a process (which removes stale locks), and fetched by one slot at a time.

pub(crate) mod baselines;
pub(crate) mod bench;
pub(crate) mod caches;
pub(crate) mod mirrors;
pub(crate) mod toolset;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::hash::Hash;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use autopack_domain::Cause;
use autopack_git::{
    Change, FetchRefs, Git, GitError, Mode, Oid, OwnClone, PooledIndex, Target, TargetKind,
};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use self::baselines::Baselines;
use self::bench::Bench;
use self::toolset::Toolset;
use crate::error::Stop;
use crate::pool::Pool;

/// How many trees and toolsets are remembered a repository.
const REMEMBERED: usize = 1024;

/// All target repositories of a worker.
pub(crate) struct Repos {
    git: Git,
    data_dir: PathBuf,
    slots: usize,
    opened: tokio::sync::Mutex<HashMap<String, Arc<Opened>>>,
}

/// A target as one run names it, and the clone it shares with every other name of the same repository.
pub(crate) struct Opened {
    pub(crate) target: Target,
    pub(crate) repo: Arc<Repo>,
    used: Mutex<Instant>,
}

/// Modes by path of all files of a tree.
pub(crate) type Listing = BTreeMap<Vec<u8>, Mode>;

/// Listings that are remembered a repository; each phase needs the one of its tip.
const LISTINGS: usize = 8;

/// One clone.
pub(crate) struct Repo {
    pub(crate) own: OwnClone,
    /// Names its folders.
    pub(crate) key: String,
    pub(crate) builds: Arc<Pool<Bench>>,
    pub(crate) gates: Arc<Pool<Bench>>,
    pub(crate) indexes: Arc<Pool<PooledIndex>>,
    fetched: tokio::sync::Mutex<Option<Instant>>,
    trees: Mutex<HashMap<Oid, Oid>>,
    listings: Mutex<HashMap<Oid, Arc<Listing>>>,
    toolsets: Mutex<HashMap<Oid, Arc<Toolset>>>,
    pub(crate) baselines: Baselines,
}

impl Repos {
    pub(crate) fn new(git: Git, data_dir: PathBuf, slots: usize) -> Self {
        Self {
            git,
            data_dir,
            slots,
            opened: tokio::sync::Mutex::default(),
        }
    }

    /// Finds a repository and opens the clone for it.
    pub(crate) async fn open(&self, location: &str) -> Result<Arc<Opened>, GitError> {
        let mut all = self.opened.lock().await;
        if let Some(found) = all.get(location) {
            found.touch();
            return Ok(Arc::clone(found));
        }
        let target = Target::discover(&self.git, location).await?;
        let key = key_of(&target);
        let known = all.values().find(|opened| opened.repo.key == key);
        let repo = match known {
            Some(opened) => Arc::clone(&opened.repo),
            None => Arc::new(self.open_clone(&target, key).await?),
        };
        let opened = Arc::new(Opened {
            target,
            repo,
            used: Mutex::new(Instant::now()),
        });
        all.insert(location.to_owned(), Arc::clone(&opened));
        Ok(opened)
    }

    fn clones(&self) -> PathBuf {
        self.data_dir.join("repos")
    }

    fn work_folders(&self) -> PathBuf {
        self.data_dir.join("workspaces")
    }

    fn tmp(&self) -> PathBuf {
        self.data_dir.join("tmp")
    }

    async fn open_clone(&self, target: &Target, key: String) -> Result<Repo, GitError> {
        let dir = self.clones().join(&key);
        let own = OwnClone::open_or_create_as(&self.git, &dir, target.object_format()).await?;
        let work = self.work_folders().join(&key);
        let (builds, gates) = (work.clone(), work);
        let indexes = dir.join("autopack-indexes");
        Ok(Repo {
            own,
            key,
            builds: Pool::new(self.slots, move |n| {
                Bench::new(&builds.join(format!("build-{n}")))
            }),
            gates: Pool::new(self.slots, move |n| {
                Bench::new(&gates.join(format!("gate-{n}")))
            }),
            indexes: Pool::new(self.slots, move |n| {
                PooledIndex::new(indexes.join(n.to_string()))
            }),
            fetched: tokio::sync::Mutex::default(),
            trees: Mutex::default(),
            listings: Mutex::default(),
            toolsets: Mutex::default(),
            baselines: Baselines::default(),
        })
    }
}

impl Opened {
    fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// How long nobody has asked for it.
    fn idle(&self) -> std::time::Duration {
        let used = *self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.elapsed()
    }

    /// Fetches every branch and tag, unless a fetch has begun since `asked`.
    pub(crate) async fn fetch(&self, asked: Instant) -> Result<(), GitError> {
        let mut last = self.repo.fetched.lock().await;
        if last.is_some_and(|began| began >= asked) {
            return Ok(());
        }
        let began = Instant::now();
        self.repo.own.fetch(&self.target, &FetchRefs::All).await?;
        *last = Some(began);
        Ok(())
    }

    /// The tree of a commit, fetched if the clone does not have it; no commit (an empty repository) has the empty tree.
    pub(crate) async fn tree(&self, commit: Option<&Oid>, branch: &str) -> Result<Oid, Stop> {
        let Some(commit) = commit else {
            return Ok(self.repo.own.empty_tree()?);
        };
        if let Some(tree) = remembered(&self.repo.trees, commit) {
            return Ok(tree);
        }
        let tree = self.find_tree(commit, branch).await?;
        remember(&self.repo.trees, commit.clone(), tree.clone());
        Ok(tree)
    }

    async fn find_tree(&self, commit: &Oid, branch: &str) -> Result<Oid, Stop> {
        let asked = Instant::now();
        if let Some(tree) = self.repo.known_tree(commit).await? {
            return Ok(tree);
        }
        {
            let _turn = self.repo.fetched.lock().await;
            if let Some(tree) = self.repo.known_tree(commit).await? {
                return Ok(tree);
            }
            let refs = FetchRefs::Branches(vec![branch.to_owned()]);
            self.repo.own.fetch(&self.target, &refs).await?;
        }
        if let Some(tree) = self.repo.known_tree(commit).await? {
            return Ok(tree);
        }
        self.fetch(asked).await?;
        self.repo.known_tree(commit).await?.ok_or_else(|| {
            let detail = format!(
                "commit {commit} is not in {} any more; restore the branch that held it",
                self.target.location
            );
            Stop::failed(Cause::RepositoryUnavailable, detail)
        })
    }
}

impl Repo {
    async fn known_tree(&self, commit: &Oid) -> Result<Option<Oid>, GitError> {
        match self.own.tree_of(commit).await {
            Ok(tree) => Ok(Some(tree)),
            Err(GitError::ObjectMissing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Remembers a commit that was just made.
    pub(crate) fn note_tree(&self, commit: &Oid, tree: &Oid) {
        remember(&self.trees, commit.clone(), tree.clone());
    }

    /// The files of a tree that differs from `base` in `changes`: read once, then carried on from tip to tip.
    pub(crate) async fn listing(
        &self,
        base: &Oid,
        tree: &Oid,
        changes: &[Change],
    ) -> Result<Arc<Listing>, GitError> {
        if let Some(found) = remembered(&self.listings, tree) {
            return Ok(found);
        }
        let before = match remembered(&self.listings, base) {
            Some(before) => before,
            None => self.read_listing(base).await?,
        };
        let mut files = Listing::clone(&before);
        for change in changes {
            if change.new_mode == Mode::ABSENT {
                files.remove(&change.path);
            } else {
                files.insert(change.path.clone(), change.new_mode);
            }
        }
        Ok(self.keep_listing(tree, files))
    }

    async fn read_listing(&self, tree: &Oid) -> Result<Arc<Listing>, GitError> {
        let paths = self.own.list_paths(tree).await?;
        let files = paths.into_iter().map(|(mode, path)| (path, mode)).collect();
        Ok(self.keep_listing(tree, files))
    }

    fn keep_listing(&self, tree: &Oid, files: Listing) -> Arc<Listing> {
        let files = Arc::new(files);
        let mut all = self.listings.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= LISTINGS {
            all.clear();
        }
        all.insert(tree.clone(), Arc::clone(&files));
        files
    }

    /// What the repository's toolchains need, as seen in a tree.
    pub(crate) async fn toolset(&self, tree: &Oid) -> Result<Arc<Toolset>, GitError> {
        if let Some(found) = remembered(&self.toolsets, tree) {
            return Ok(found);
        }
        let found = Arc::new(Toolset::read(&self.own, tree).await?);
        remember(&self.toolsets, tree.clone(), Arc::clone(&found));
        Ok(found)
    }
}

/// The same for every name and worktree of one repository.
fn key_of(target: &Target) -> String {
    let identity = match &target.kind {
        TargetKind::LocalPath { common_dir, .. } => common_dir.as_os_str().as_encoded_bytes(),
        TargetKind::Url => target.location.as_bytes(),
    };
    hex(&Sha256::digest(identity), 12)
}

/// The first bytes of a digest in hex.
pub(crate) fn hex(digest: &[u8], bytes: usize) -> String {
    let mut text = String::with_capacity(bytes * 2);
    for byte in digest.iter().take(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn remembered<K: Hash + Eq, V: Clone>(map: &Mutex<HashMap<K, V>>, key: &K) -> Option<V> {
    map.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(key)
        .cloned()
}

fn remember<K: Hash + Eq, V>(map: &Mutex<HashMap<K, V>>, key: K, value: V) {
    let mut map = map.lock().unwrap_or_else(PoisonError::into_inner);
    if map.len() >= REMEMBERED {
        map.clear();
    }
    map.insert(key, value);
}
