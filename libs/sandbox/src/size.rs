//! Measures folders a slice at a time.
//!
//! Invariant: one step looks at a bounded number of entries, so that a huge tree never keeps the supervisor from
//! its other work. Symbolic links are not followed; a file with several names counts once.

use std::collections::HashSet;
use std::fs::{self, ReadDir};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// A walk in progress.
pub(crate) struct SizeWalk {
    todo: Vec<PathBuf>,
    open: Option<ReadDir>,
    linked: HashSet<(u64, u64)>,
    bytes: u64,
}

impl SizeWalk {
    /// A walk over these folders.
    pub(crate) fn new(folders: &[PathBuf]) -> Self {
        Self {
            todo: folders.to_vec(),
            open: None,
            linked: HashSet::new(),
            bytes: 0,
        }
    }

    /// Allocated bytes counted so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Looks at no more than `entries` entries; `true` when the walk is complete.
    pub(crate) fn step(&mut self, entries: usize) -> bool {
        for _ in 0..entries {
            let Some(open) = &mut self.open else {
                let Some(next) = self.todo.pop() else {
                    return true;
                };
                self.open = fs::read_dir(next).ok();
                continue;
            };
            let Some(entry) = open.next() else {
                self.open = None;
                continue;
            };
            // What vanishes during the walk does not count.
            let Ok(entry) = entry else { continue };
            let Ok(meta) = entry.metadata() else { continue };
            if meta.nlink() > 1 && !meta.is_dir() && !self.linked.insert((meta.dev(), meta.ino())) {
                continue;
            }
            self.bytes += meta.blocks() * 512;
            if meta.is_dir() {
                self.todo.push(entry.path());
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_file_once_and_in_slices() {
        let folder = tempfile::tempdir().unwrap();
        let sub = folder.path().join("a/b");
        fs::create_dir_all(&sub).unwrap();
        fs::write(sub.join("file"), vec![1; 1 << 20]).unwrap();
        fs::hard_link(sub.join("file"), folder.path().join("again")).unwrap();
        std::os::unix::fs::symlink("/", folder.path().join("root")).unwrap();
        let mut walk = SizeWalk::new(&[folder.path().to_path_buf()]);
        let mut steps = 0;
        while !walk.step(1) {
            steps += 1;
        }
        assert!(steps > 5);
        assert!(
            (1 << 20..(1 << 20) + 256 * 1024).contains(&walk.bytes()),
            "{}",
            walk.bytes()
        );
    }
}
