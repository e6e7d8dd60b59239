//! The clones of target repositories as a bounded cache.
//!
//! Invariant: a clone goes whole, with its work folders, and never while a job has it; one that is named again is made
//! anew. Times are the registry's, stored beside the clone.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use autopack_domain::Timestamp;
use autopack_sandbox::CancellationToken;
use tokio::time::{MissedTickBehavior, interval};

use super::bench::{blocking, discard, disk_bytes};
use super::{Opened, Repos};
use crate::config::MirrorLimits;
use crate::context::Context;

/// Beside the clone: when it was used last, in microseconds since 1970.
const STAMP: &str = "autopack-used";
/// Beginning of the names of folders that are being removed.
const DOOMED: &str = "evicted-";

/// A clone on disk.
struct Mirror {
    key: String,
    used: Timestamp,
    bytes: u64,
}

/// Keeps the clones within their bounds until `end` is cancelled.
pub(crate) async fn keep(context: Arc<Context>, end: CancellationToken) {
    let limits = context.config.mirrors;
    if limits.bytes.is_none() && limits.age.is_none() {
        return;
    }
    let mut ticks = interval(limits.every.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            _ = ticks.tick() => {}
        }
        // Dropped at any point it leaves a clone, or a doomed folder that the next pass removes.
        tokio::select! {
            () = end.cancelled() => return,
            swept = context.host.repos.sweep(limits, context.now()) => {
                if let Err(error) = swept {
                    tracing::warn!(%error, "clones could not be kept within their bounds");
                }
            }
        }
    }
}

impl Repos {
    /// Removes clones that are too old, then the longest unused until the rest is small enough.
    pub(crate) async fn sweep(&self, limits: MirrorLimits, now: Timestamp) -> std::io::Result<()> {
        let (folder, work) = (self.clones(), self.work_folders());
        let last = self.last_used(now).await;
        let tmp = self.tmp();
        let measure = limits.bytes.is_some();
        let mut all = blocking(move || {
            remove_doomed(&tmp);
            survey(&folder, &work, &last, now, measure)
        })
        .await?;
        all.sort_by_key(|mirror| mirror.used);
        let mut total: u64 = all.iter().map(|mirror| mirror.bytes).sum();
        for mirror in all {
            let idle = u64::try_from(now.0.saturating_sub(mirror.used.0)).unwrap_or(0);
            let old = limits
                .age
                .is_some_and(|age| Duration::from_micros(idle) >= age);
            let large = limits.bytes.is_some_and(|bytes| total > bytes);
            if (old || large) && self.evict(&mirror.key).await? {
                tracing::info!(
                    clone = mirror.key,
                    bytes = mirror.bytes,
                    "a clone was removed"
                );
                total = total.saturating_sub(mirror.bytes);
            }
        }
        Ok(())
    }

    /// When each clone of this process was used last.
    async fn last_used(&self, now: Timestamp) -> HashMap<String, Timestamp> {
        let all = self.opened.lock().await;
        let mut last = HashMap::new();
        for opened in all.values() {
            let idle = i64::try_from(opened.idle().as_micros()).unwrap_or(i64::MAX);
            let used = Timestamp(now.0.saturating_sub(idle));
            let known = last.entry(opened.repo.key.clone()).or_insert(used);
            *known = used.max(*known);
        }
        last
    }

    /// Takes a clone out of use; false: a job has it.
    async fn evict(&self, key: &str) -> std::io::Result<bool> {
        // Whoever opens a repository waits here, so nobody gets the clone from now on.
        let mut all = self.opened.lock().await;
        let names: Vec<String> = all
            .iter()
            .filter(|(_, opened)| opened.repo.key == key)
            .map(|(name, _)| name.clone())
            .collect();
        if names.iter().any(|name| in_use(&all[name], names.len())) {
            return Ok(false);
        }
        for name in &names {
            all.remove(name);
        }
        let tmp = self.tmp();
        let moves = [
            (self.clones().join(key), tmp.join(format!("{DOOMED}{key}"))),
            (
                self.work_folders().join(key),
                tmp.join(format!("{DOOMED}{key}-work")),
            ),
        ];
        for (from, to) in &moves {
            discard(to)?;
            match fs::rename(from, to) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        drop(all);
        blocking(move || moves.iter().try_for_each(|(_, doomed)| discard(doomed))).await?;
        Ok(true)
    }
}

/// Whether anybody but the table has the clone or one of its folders.
fn in_use(opened: &Arc<Opened>, names: usize) -> bool {
    let repo = &opened.repo;
    Arc::strong_count(opened) > 1
        || Arc::strong_count(repo) > names
        || Arc::strong_count(&repo.builds) > 1
        || Arc::strong_count(&repo.gates) > 1
        || Arc::strong_count(&repo.indexes) > 1
}

/// Every clone on disk; stamps those that this process used, and those that have no stamp.
fn survey(
    clones: &Path,
    work: &Path,
    last: &HashMap<String, Timestamp>,
    now: Timestamp,
    measure: bool,
) -> std::io::Result<Vec<Mirror>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(clones)? {
        let path = entry?.path();
        let Some(key) = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
        else {
            continue;
        };
        if !path.is_dir() {
            continue;
        }
        let stamp = path.join(STAMP);
        let stored = fs::read_to_string(&stamp)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .map(Timestamp);
        let used = last.get(&key).copied().or(stored).unwrap_or(now);
        if stored != Some(used) {
            fs::write(&stamp, used.0.to_string())?;
        }
        let bytes = if measure {
            disk_bytes(&path) + disk_bytes(&work.join(&key))
        } else {
            0
        };
        found.push(Mirror { key, used, bytes });
    }
    Ok(found)
}

/// What an earlier pass could not remove to the end.
fn remove_doomed(tmp: &Path) {
    let doomed = fs::read_dir(tmp).into_iter().flatten().flatten();
    for entry in doomed.filter(|entry| entry.file_name().to_string_lossy().starts_with(DOOMED)) {
        let path: PathBuf = entry.path();
        if let Err(error) = discard(&path) {
            tracing::warn!(path = %path.display(), %error, "a removed clone is still on disk");
        }
    }
}
