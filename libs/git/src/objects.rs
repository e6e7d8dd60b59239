//! Reading trees and blobs of our own clone.
//!
//! Invariant: paths are raw bytes as git stores them, content is bounded by the caller's cap, no filter or text
//! conversion runs.

use crate::clone::OwnClone;
use crate::error::GitError;
use crate::oid::{Mode, Oid};

/// How much of a blob decides whether it is binary; git's own figure.
const SNIFF: usize = 8_000;
/// Room for the header line of `cat-file --batch`.
const HEADER: usize = 100;

/// A file, link or submodule of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// Its mode.
    pub mode: Mode,
    /// Its blob, or the commit of a submodule.
    pub oid: Oid,
    /// Its path from the top, raw.
    pub path: Vec<u8>,
}

/// The content of a blob, perhaps cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// At most the asked number of bytes.
    pub bytes: Vec<u8>,
    /// Whether there is more.
    pub truncated: bool,
}

/// The size of one blob; `None` when it is not in the clone (a submodule's commit never is).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobSize {
    /// Which.
    pub oid: Oid,
    /// In bytes.
    pub size: Option<u64>,
}

/// Whether content counts as binary: a NUL in the first 8000 bytes.
pub fn is_binary(content: &[u8]) -> bool {
    content.iter().take(SNIFF).any(|byte| *byte == 0)
}

impl OwnClone {
    /// All files of a tree or commit, in git's order; with `paths`, those at or below one of them.
    pub async fn list_tree(
        &self,
        tree: &Oid,
        paths: Option<&[&[u8]]>,
    ) -> Result<Vec<TreeEntry>, GitError> {
        let output = self
            .read("ls-tree")
            .args(["-r", "-z", "--full-tree", tree.as_str()])
            .ok()
            .await?;
        let mut entries = parse_tree(&output.stdout)?;
        if let Some(paths) = paths {
            entries.retain(|entry| paths.iter().any(|path| is_at_or_below(&entry.path, path)));
        }
        Ok(entries)
    }

    /// Modes and paths of all files of a tree or commit.
    pub async fn list_paths(&self, tree: &Oid) -> Result<Vec<(Mode, Vec<u8>)>, GitError> {
        let entries = self.list_tree(tree, None).await?;
        Ok(entries
            .into_iter()
            .map(|entry| (entry.mode, entry.path))
            .collect())
    }

    /// The tree of a commit.
    pub async fn tree_of(&self, commit: &Oid) -> Result<Oid, GitError> {
        let call = self
            .read("rev-parse")
            .args(["--verify", "--quiet", "--end-of-options"]);
        let output = call.arg(format!("{commit}^{{tree}}")).whole().await?;
        if output.status == 0 {
            Oid::parse_bytes(&output.stdout)
        } else {
            Err(GitError::ObjectMissing {
                name: commit.to_string(),
            })
        }
    }

    /// Sizes of blobs, in the given order.
    pub async fn blob_sizes(&self, oids: &[Oid]) -> Result<Vec<BlobSize>, GitError> {
        if oids.is_empty() {
            return Ok(Vec::new());
        }
        let stdin: String = oids.iter().flat_map(|oid| [oid.as_str(), "\n"]).collect();
        let call = self
            .read("cat-file")
            .args(["--batch-check=%(objectsize)", "--buffer"])
            .stdin(stdin);
        let output = call.ok().await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let sizes: Vec<Option<u64>> = text.lines().map(|line| line.parse().ok()).collect();
        if sizes.len() != oids.len() {
            return Err(GitError::unexpected(
                "one size for each object",
                &output.stdout,
            ));
        }
        Ok(oids
            .iter()
            .cloned()
            .zip(sizes)
            .map(|(oid, size)| BlobSize { oid, size })
            .collect())
    }

    /// The first `cap` bytes of a blob.
    pub async fn read_blob(&self, oid: &Oid, cap: usize) -> Result<Blob, GitError> {
        self.read_object(oid.as_str(), cap)
            .await?
            .ok_or_else(|| GitError::ObjectMissing {
                name: oid.to_string(),
            })
    }

    /// The first `cap` bytes of a file of a tree or commit; `None` when there is no file at that path.
    pub async fn read_file(
        &self,
        tree: &Oid,
        path: &[u8],
        cap: usize,
    ) -> Result<Option<Blob>, GitError> {
        if path.is_empty()
            || path.starts_with(b"./")
            || path.starts_with(b"../")
            || path.contains(&0)
        {
            return Err(GitError::BadPath {
                path: path.escape_ascii().to_string(),
            });
        }
        let name = [tree.as_str().as_bytes(), b":", path].concat();
        self.read_object(name, cap).await
    }

    /// Whether a blob is binary; reads its beginning only.
    pub async fn blob_is_binary(&self, oid: &Oid) -> Result<bool, GitError> {
        Ok(is_binary(&self.read_blob(oid, SNIFF).await?.bytes))
    }

    async fn read_object(
        &self,
        name: impl Into<Vec<u8>>,
        cap: usize,
    ) -> Result<Option<Blob>, GitError> {
        let mut stdin = name.into();
        stdin.push(0);
        let call = self.read("cat-file").args(["--batch", "-z"]).stdin(stdin);
        let output = call.max_stdout(cap.saturating_add(HEADER)).output().await?;
        if output.status != 0 && !output.truncated {
            return Err(GitError::failed("cat-file", output.status, &output.stderr));
        }
        let end = output
            .stdout
            .iter()
            .position(|b| *b == b'\n')
            .unwrap_or(output.stdout.len());
        let (header, rest) = output.stdout.split_at(end);
        let header = String::from_utf8_lossy(header).into_owned();
        let mut words = header.rsplit(' ');
        let (size, kind) = (
            words.next().and_then(|size| size.parse::<usize>().ok()),
            words.next(),
        );
        let (Some(size), Some("blob")) = (size, kind) else {
            return Ok(None);
        };
        let keep = size.min(cap);
        let bytes = rest
            .get(1..=keep)
            .ok_or_else(|| GitError::unexpected("a whole blob", header.as_bytes()))?;
        Ok(Some(Blob {
            bytes: bytes.to_vec(),
            truncated: size > cap,
        }))
    }
}

/// Whether `path` is `above`, or in that folder.
fn is_at_or_below(path: &[u8], above: &[u8]) -> bool {
    let above = above.strip_suffix(b"/").unwrap_or(above);
    path.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/") || above.is_empty())
}

/// Reads `<mode> <type> <oid>\t<path>\0` records.
fn parse_tree(stdout: &[u8]) -> Result<Vec<TreeEntry>, GitError> {
    let record = |raw: &[u8]| {
        let wrong = || GitError::unexpected("a tree entry", raw);
        let tab = raw.iter().position(|b| *b == b'\t').ok_or_else(wrong)?;
        let mut words = raw[..tab].split(|b| *b == b' ');
        let mode = Mode::parse_bytes(words.next().ok_or_else(wrong)?)?;
        let oid = Oid::parse_bytes(words.nth(1).ok_or_else(wrong)?)?;
        Ok(TreeEntry {
            mode,
            oid,
            path: raw[tab + 1..].to_vec(),
        })
    };
    stdout
        .split(|b| *b == 0)
        .filter(|raw| !raw.is_empty())
        .map(record)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_match_whole_names() {
        assert!(is_at_or_below(b"src/a", b"src"));
        assert!(is_at_or_below(b"src/a", b"src/"));
        assert!(is_at_or_below(b"src", b"src"));
        assert!(is_at_or_below(b"src", b""));
        assert!(!is_at_or_below(b"srcs/a", b"src"));
    }

    #[test]
    fn a_nul_makes_it_binary() {
        assert!(is_binary(b"a\0b"));
        assert!(!is_binary("tête".as_bytes()));
        let late = [vec![b'a'; SNIFF], vec![0]].concat();
        assert!(!is_binary(&late));
    }
}
