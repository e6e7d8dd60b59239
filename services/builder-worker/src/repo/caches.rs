//! The caches of gates, within their bounds.
//!
//! Invariant: a cache goes whole and never while a gate has it; one that is needed again is made anew, its set-up
//! included. Times are the registry's, stored beside the cache, where no gate can write.

use std::collections::HashMap;
use std::fs;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use autopack_domain::Timestamp;
use autopack_sandbox::CancellationToken;
use tokio::time::{MissedTickBehavior, interval};

use super::bench::{blocking, discard, disk_bytes};
use crate::config::CacheLimits;
use crate::context::Context;
use crate::host::make_private;

/// End of the name of the file that says when a cache was used last, in microseconds since 1970.
const STAMP: &str = "used";
/// Beginning of the names of folders that are being removed.
const DOOMED: &str = "evicted-cache-";

/// Caches that gates have at the moment, and how many gates each.
type Taken = Arc<Mutex<HashMap<PathBuf, usize>>>;

/// All caches of a data directory, by repository and key.
#[derive(Clone, Debug)]
pub(crate) struct Caches {
    folder: PathBuf,
    tmp: PathBuf,
    taken: Taken,
}

/// A cache that a gate has; it stays while the value lives.
#[derive(Debug)]
pub(crate) struct InUse {
    /// Where it is.
    pub(crate) folder: PathBuf,
    /// It was not there before.
    pub(crate) is_new: bool,
    taken: Taken,
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        if let Some(count) = taken.get_mut(&self.folder) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.folder);
            }
        }
    }
}

/// A cache on disk.
struct Found {
    folder: PathBuf,
    used: Timestamp,
    bytes: u64,
}

/// Keeps the caches within their bounds until `end` is cancelled.
pub(crate) async fn keep(context: Arc<Context>, end: CancellationToken) {
    let limits = context.config.caches;
    if limits.bytes.is_none() && limits.entries.is_none() {
        return;
    }
    let mut ticks = interval(limits.every.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let (caches, now) = (context.host.caches.clone(), context.now());
        // It runs to its end on a thread of its own, also when nobody waits for it any more.
        let swept = blocking(move || caches.sweep(limits, now));
        tokio::select! {
            () = end.cancelled() => return,
            swept = swept => if let Err(error) = swept {
                tracing::warn!(%error, "caches of gates could not be kept within their bounds");
            }
        }
    }
}

impl Caches {
    /// Those of a data directory.
    pub(crate) fn of(data_dir: &Path) -> Self {
        Self {
            folder: data_dir.join("caches"),
            tmp: data_dir.join("tmp"),
            taken: Taken::default(),
        }
    }

    /// Takes a cache into use, made if it is not there. Blocks.
    pub(crate) fn take(&self, repo: &str, key: &str, now: Timestamp) -> std::io::Result<InUse> {
        let folder = self.folder.join(repo).join(key);
        {
            let mut taken = lock(&self.taken);
            *taken.entry(folder.clone()).or_default() += 1;
        }
        // From here on nobody removes it, and an error gives it back.
        let cache = InUse {
            is_new: !folder.is_dir(),
            folder,
            taken: Arc::clone(&self.taken),
        };
        make_private(&cache.folder)?;
        fs::write(stamp(&cache.folder), now.0.to_string())?;
        Ok(cache)
    }

    /// Removes the longest unused until the rest is few and small enough. Blocks.
    pub(crate) fn sweep(&self, limits: CacheLimits, now: Timestamp) -> std::io::Result<()> {
        self.remove_doomed();
        let mut all = self.survey(now, limits.bytes.is_some())?;
        all.sort_by_key(|found| found.used);
        let mut entries = all.len();
        let mut bytes: u64 = all.iter().map(|found| found.bytes).sum();
        for found in all {
            let many = limits.entries.is_some_and(|most| entries > most);
            let large = limits.bytes.is_some_and(|most| bytes > most);
            if !many && !large {
                break;
            }
            if self.evict(&found.folder)? {
                let path = found.folder.display();
                tracing::info!(cache = %path, bytes = found.bytes, "a cache of gates was removed");
                entries -= 1;
                bytes = bytes.saturating_sub(found.bytes);
            }
        }
        Ok(())
    }

    /// Every cache on disk; one without a stamp counts as used now.
    fn survey(&self, now: Timestamp, measure: bool) -> std::io::Result<Vec<Found>> {
        let mut all = Vec::new();
        for repo in folders(&self.folder)? {
            for folder in folders(&repo)? {
                let text = fs::read_to_string(stamp(&folder)).unwrap_or_default();
                let used = text.trim().parse().map_or(now, Timestamp);
                if used == now && text.is_empty() {
                    fs::write(stamp(&folder), now.0.to_string())?;
                }
                let bytes = if measure { disk_bytes(&folder) } else { 0 };
                all.push(Found {
                    folder,
                    used,
                    bytes,
                });
            }
        }
        Ok(all)
    }

    /// Takes a cache out of the way and removes it; false: a gate has it.
    fn evict(&self, folder: &Path) -> std::io::Result<bool> {
        let name = |path: Option<&std::ffi::OsStr>| {
            path.map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default()
        };
        let repo = name(folder.parent().and_then(Path::file_name));
        let doomed = self
            .tmp
            .join(format!("{DOOMED}{repo}-{}", name(folder.file_name())));
        discard(&doomed)?;
        {
            // Whoever wants it waits here, and finds it gone.
            let taken = lock(&self.taken);
            if taken.contains_key(folder) {
                return Ok(false);
            }
            fs::rename(folder, &doomed)?;
        }
        match fs::remove_file(stamp(folder)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        discard(&doomed)?;
        Ok(true)
    }

    /// What an earlier pass could not remove to the end.
    fn remove_doomed(&self) {
        let entries = fs::read_dir(&self.tmp).into_iter().flatten().flatten();
        for entry in entries.filter(|e| e.file_name().to_string_lossy().starts_with(DOOMED)) {
            if let Err(error) = discard(&entry.path()) {
                tracing::warn!(path = %entry.path().display(), %error, "a removed cache is still on disk");
            }
        }
    }
}

fn stamp(folder: &Path) -> PathBuf {
    folder.with_extension(STAMP)
}

fn folders(of: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for entry in fs::read_dir(of)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn lock(taken: &Taken) -> MutexGuard<'_, HashMap<PathBuf, usize>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn limits(entries: Option<usize>, bytes: Option<u64>) -> CacheLimits {
        CacheLimits {
            entries,
            bytes,
            ..CacheLimits::default()
        }
    }

    /// Caches `a` to `d` of a MiB each, used one after the other.
    fn filled() -> (tempfile::TempDir, Caches) {
        let data = tempfile::tempdir().unwrap();
        for name in ["caches", "tmp"] {
            fs::create_dir(data.path().join(name)).unwrap();
        }
        let caches = Caches::of(data.path());
        for (n, key) in ["a", "b", "c", "d"].iter().enumerate() {
            let taken = caches.take("repo", key, Timestamp(n as i64 + 1)).unwrap();
            assert!(taken.is_new);
            fs::write(taken.folder.join("kept"), vec![b'x'; MIB]).unwrap();
        }
        (data, caches)
    }

    fn left(caches: &Caches) -> Vec<String> {
        let all = caches.survey(Timestamp(99), false).unwrap();
        let mut names: Vec<String> = all
            .iter()
            .map(|found| found.folder.file_name().unwrap().to_string_lossy().into())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_longest_unused_go_until_few_enough_are_left() {
        let (data, caches) = filled();
        let again = caches.take("repo", "a", Timestamp(9)).unwrap();
        assert!(!again.is_new, "what it keeps is still there");
        drop(again);
        caches.sweep(limits(Some(2), None), Timestamp(10)).unwrap();
        assert_eq!(left(&caches), ["a", "d"], "a was used again");
        assert!(!data.path().join("caches/repo/b.used").exists());
        assert_eq!(fs::read_dir(data.path().join("tmp")).unwrap().count(), 0);
        assert!(caches.take("repo", "b", Timestamp(11)).unwrap().is_new);
    }

    #[test]
    fn the_longest_unused_go_until_the_rest_is_small_enough() {
        let (_data, caches) = filled();
        let most = 5 * MIB as u64 / 2;
        caches
            .sweep(limits(None, Some(most)), Timestamp(10))
            .unwrap();
        assert_eq!(left(&caches), ["c", "d"]);
    }

    #[test]
    fn a_cache_that_a_gate_has_stays() {
        let (_data, caches) = filled();
        let one = caches.take("repo", "a", Timestamp(1)).unwrap();
        let two = caches.take("repo", "a", Timestamp(1)).unwrap();
        for held in [Some(one), Some(two)] {
            caches.sweep(limits(Some(0), None), Timestamp(10)).unwrap();
            assert_eq!(left(&caches), ["a"]);
            drop(held);
        }
        caches.sweep(limits(Some(0), None), Timestamp(10)).unwrap();
        assert!(left(&caches).is_empty());
    }
}
