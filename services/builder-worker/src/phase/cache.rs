//! What gates keep between runs: a cache folder and the kept folders of a checkout.
//!
//! Invariant: a cache belongs to one content of the files that decide it, and only gates write it; a declared gate
//! keeps nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use autopack_domain::Cause;
use autopack_domain::plan::GateSpec;
use autopack_git::Oid;
use autopack_policy::toolchain::CacheSpec;
use sha2::{Digest, Sha256};

use super::Job;
use crate::error::Stop;
use crate::repo::bench::{Bench, blocking};
use crate::repo::caches::InUse;
use crate::repo::{Opened, hex};

/// What the steps of one gate run with.
pub(crate) struct Cache {
    /// Stands for `{cache}`; `None`: nothing is kept. It stays while the gate runs.
    taken: Option<InUse>,
    env: BTreeMap<String, String>,
    key: Option<String>,
    /// The kept folders hold what the set-up made for this key.
    pub(crate) set_up_done: bool,
    /// Variables of the worker that the toolchains need.
    pub(crate) passthrough: Vec<String>,
    /// Bytes of the checkout before the first step.
    pub(crate) bytes_before: u64,
}

impl Cache {
    /// The step's variables with the cache's; the step wins.
    pub(crate) fn env(&self, step: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut env = self.env.clone();
        env.extend(
            step.iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        if let Some(taken) = &self.taken {
            let folder = taken.folder.to_string_lossy();
            for value in env.values_mut() {
                *value = value.replace("{cache}", &folder);
            }
        }
        env
    }

    /// The cache's folder, if anything is kept.
    pub(crate) fn folder(&self) -> &[PathBuf] {
        self.taken
            .as_ref()
            .map_or(&[], |taken| std::slice::from_ref(&taken.folder))
    }

    /// Whether the gate was inferred from the toolchains, which have a cache.
    pub(crate) fn is_inferred(&self) -> bool {
        self.key.is_some()
    }

    /// Remembers that the set-up was done; if that cannot be written it is done again.
    pub(crate) async fn mark_set_up(&self, bench: &Bench) {
        if let Some(key) = self.key.clone() {
            let mark = bench.setup_mark();
            let _ = blocking(move || std::fs::write(mark, key)).await;
        }
    }
}

/// Checks the tree out with what may be kept, and makes the cache folder.
pub(crate) async fn prepare(
    job: &Job<'_>,
    opened: &Opened,
    bench: &mut Bench,
    tree: &Oid,
) -> Result<Cache, Stop> {
    let repo = &opened.repo;
    let base = job.evidence.base.as_ref().map_or(tree, |(_, tree)| tree);
    let tools = repo.toolset(base).await?;
    let gate = &job.spec.gate;
    let mut cache = Cache {
        taken: None,
        env: BTreeMap::new(),
        key: None,
        set_up_done: false,
        passthrough: tools.passthrough(),
        bytes_before: 0,
    };
    let mut keep = Vec::new();
    if let Some(spec) = tools.cache(gate) {
        let key = key_of(opened, spec, gate, tree).await?;
        let (caches, of) = (job.cx.host.caches.clone(), repo.key.clone());
        let (mark, wanted, now) = (bench.setup_mark(), key.clone(), job.cx.now());
        let (taken, done) = blocking(move || {
            let taken = caches.take(&of, &wanted, now)?;
            let marked = std::fs::read_to_string(&mark).is_ok_and(|found| found == wanted);
            // What the set-up put into a cache that was removed since is gone.
            let done = marked && !taken.is_new;
            if !done {
                let _ = std::fs::remove_file(&mark);
            }
            Ok((taken, done))
        })
        .await
        .map_err(worker_error)?;
        cache.set_up_done = done;
        if cache.set_up_done {
            keep = spec.dirs_kept.iter().map(PathBuf::from).collect();
        }
        cache.env.clone_from(&spec.env);
        cache.taken = Some(taken);
        cache.key = Some(key);
    }
    bench.reset().await.map_err(worker_error)?;
    repo.own.checkout(tree, &mut bench.work, &keep).await?;
    // Kept folders must be there: somebody may have removed them.
    if keep.iter().any(|path| !bench.tree().join(path).exists()) {
        cache.set_up_done = false;
    }
    cache.bytes_before = bench.checkout_bytes().await;
    Ok(cache)
}

/// Digest of the gate's commands and of the files that decide the cache, as they are in the tree.
async fn key_of(
    opened: &Opened,
    spec: &CacheSpec,
    gate: &GateSpec,
    tree: &Oid,
) -> Result<String, Stop> {
    let mut digest = Sha256::new();
    for step in &gate.setup {
        digest.update(step.run.as_bytes());
        digest.update([0]);
        digest.update(step.dir.as_bytes());
        digest.update([0]);
    }
    let files: Vec<&[u8]> = spec.key_files.iter().map(String::as_bytes).collect();
    for entry in opened.repo.own.list_tree(tree, Some(&files)).await? {
        digest.update(&entry.path);
        digest.update([0]);
        digest.update(entry.oid.as_str().as_bytes());
        digest.update([0]);
    }
    for (name, value) in &spec.env {
        digest.update(name.as_bytes());
        digest.update(value.as_bytes());
        digest.update([0]);
    }
    Ok(hex(&digest.finalize(), 16))
}

fn worker_error(error: std::io::Error) -> Stop {
    let cause = if error.kind() == std::io::ErrorKind::StorageFull {
        Cause::DiskFull
    } else {
        Cause::WorkerError
    };
    Stop::failed(cause, format!("preparing the gate's folder: {error}"))
}
