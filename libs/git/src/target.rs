//! The user's repository: what it is and where.
//!
//! Invariant: a target is looked at, fetched from, and one branch of it is moved; nothing else of it is written.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::call::Git;
use crate::clone::ObjectFormat;
use crate::error::{GitError, detail};

/// A repository that runs are made on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// What identifies it to a reader: the resolved path or the URL.
    pub location: String,
    /// How to reach it.
    pub kind: TargetKind,
}

/// How a target is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetKind {
    /// A repository on this machine.
    LocalPath {
        /// The git folder of the checkout that was named; its `HEAD` is the user's.
        git_dir: PathBuf,
        /// The git folder that holds objects and branches; differs in a linked worktree.
        common_dir: PathBuf,
        /// The top of the checkout that was named, if it has one.
        work_tree: Option<PathBuf>,
        /// Whether the repository as a whole is bare.
        bare: bool,
        /// Whether its history is cut.
        shallow: bool,
        /// How it names objects.
        format: ObjectFormat,
    },
    /// Anything else that git can fetch from.
    Url,
}

impl Target {
    /// Resolves what the user typed: any path in a repository or worktree, a bare repository, or a URL.
    /// `file://` URLs are local paths.
    pub async fn discover(git: &Git, path_or_url: &str) -> Result<Self, GitError> {
        let path = Path::new(path_or_url);
        if let Some(local) = path_or_url.strip_prefix("file://") {
            let local = percent_decode(local.strip_prefix("localhost").unwrap_or(local));
            return Self::local(git, Path::new(std::ffi::OsStr::from_bytes(&local))).await;
        }
        if !path.exists() && looks_like_url(path_or_url) {
            return Self::url(path_or_url);
        }
        Self::local(git, path).await
    }

    /// A target that is always spoken to by git's own protocol, without looking at it.
    pub fn url(url: &str) -> Result<Self, GitError> {
        let scheme = url.split_once("://").map(|(scheme, _)| scheme);
        let known = matches!(scheme, Some("https" | "http" | "ssh" | "git" | "file"));
        let helper = url.contains("::") && scheme.is_none_or(|s| s.contains("::"));
        let scp = scheme.is_none() && looks_like_url(url);
        if (known || scp) && !helper && !url.starts_with('-') && !url.chars().any(char::is_control)
        {
            Ok(Self {
                location: url.to_owned(),
                kind: TargetKind::Url,
            })
        } else {
            Err(GitError::UnsupportedUrl {
                url: url.chars().take(200).collect(),
            })
        }
    }

    /// How the target names objects; a URL is taken to use git's default.
    pub fn object_format(&self) -> ObjectFormat {
        match &self.kind {
            TargetKind::LocalPath { format, .. } => *format,
            TargetKind::Url => ObjectFormat::Sha1,
        }
    }

    async fn local(git: &Git, path: &Path) -> Result<Self, GitError> {
        let resolved = path.canonicalize().map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => GitError::TargetMissing {
                path: path.to_owned(),
            },
            _ => GitError::io("resolving", path, e),
        })?;
        let not_a_repository = || GitError::NotARepository {
            path: path.to_owned(),
        };
        if !resolved.is_dir() {
            return Err(not_a_repository());
        }
        let output = git
            .call(&resolved, "rev-parse")
            .args([
                "--path-format=absolute",
                "--is-inside-work-tree",
                "--is-shallow-repository",
            ])
            .args([
                "--show-object-format",
                "--show-cdup",
                "--git-dir",
                "--git-common-dir",
            ])
            .whole()
            .await?;
        if output.status != 0 {
            let words = detail(&output.stderr);
            return Err(if words.contains("not a git repository") {
                not_a_repository()
            } else {
                GitError::UnusableRepository {
                    path: path.to_owned(),
                    detail: words,
                }
            });
        }
        let lines: Vec<&[u8]> = output.stdout.split(|b| *b == b'\n').collect();
        // Without a checkout, the way up to its top is not even an empty line.
        let (inside, shallow, format, up, git_dir, common_dir) = match lines[..] {
            [inside, shallow, format, up, git_dir, common_dir, b""] => {
                (inside, shallow, format, up, git_dir, common_dir)
            }
            [inside, shallow, format, git_dir, common_dir, b""] => {
                (inside, shallow, format, b"".as_slice(), git_dir, common_dir)
            }
            _ => {
                return Err(GitError::unexpected(
                    "six lines about the repository",
                    &output.stdout,
                ));
            }
        };
        let as_path = |raw: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(raw));
        let common_dir = as_path(common_dir);
        let work_tree = (inside == b"true").then(|| resolved.join(as_path(up)));
        let work_tree = work_tree.map(|top| top.canonicalize().unwrap_or(top));
        let git_dir = as_path(git_dir);
        Ok(Self {
            location: work_tree
                .as_ref()
                .unwrap_or(&git_dir)
                .to_string_lossy()
                .into_owned(),
            kind: TargetKind::LocalPath {
                bare: is_bare(git, &common_dir).await?,
                git_dir,
                common_dir,
                work_tree,
                shallow: shallow == b"true",
                format: ObjectFormat::parse(&String::from_utf8_lossy(format))?,
            },
        })
    }
}

/// Asked of the common folder: in a linked worktree of a bare repository the checkout itself is not bare.
async fn is_bare(git: &Git, common_dir: &Path) -> Result<bool, GitError> {
    let call = git.call(common_dir, "config").git_dir(common_dir);
    let output = call.args(["--bool", "core.bare"]).whole().await?;
    Ok(match output.stdout.trim_ascii() {
        b"true" => true,
        b"false" => false,
        _ => !common_dir.ends_with(".git"),
    })
}

/// A scheme, or `host:path` with no slash before the colon.
fn looks_like_url(text: &str) -> bool {
    text.contains("://")
        || text
            .find(':')
            .is_some_and(|colon| colon > 0 && !text[..colon].contains('/'))
}

/// The path of a `file://` URL as bytes.
fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_from_paths() {
        for good in [
            "https://example.org/a.git",
            "ssh://git@example.org/a",
            "git@example.org:a/b.git",
        ] {
            assert!(Target::url(good).is_ok(), "{good}");
        }
        for bad in [
            "ext::sh -c touch",
            "-oProxy=x:y",
            "foo://x",
            "ext::x://y",
            "a/b:c",
            "host",
            "http::https://x",
        ] {
            assert!(Target::url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn file_urls_are_decoded() {
        assert_eq!(percent_decode("/a%20b/%zz%"), b"/a b/%zz%");
    }
}
