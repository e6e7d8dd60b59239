//! What a path of a repository may look like (SEMANTICS 5.1, with its traps closed).
//!
//! Invariant: a path that [`check`] accepts is relative, canonical UTF-8 without control characters,
//! and no file system resolves a component of it to `.git`, `.` or `..`.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// Longest accepted path, in bytes (what Linux accepts in one call).
pub const MAX_PATH_BYTES: usize = 4096;
/// Longest accepted component, in bytes.
pub const MAX_COMPONENT_BYTES: usize = 255;

/// Why a path is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathFault {
    /// Not valid UTF-8.
    NotUtf8,
    /// No characters.
    Empty,
    /// Starts with `/` or with a drive letter.
    Absolute,
    /// Two slashes in a row, or one at the end.
    EmptyComponent,
    /// A component `.`.
    Dot,
    /// A component `..`.
    DotDot,
    /// A component that some file system takes for `.git`.
    DotGit,
    /// A control character.
    Control,
    /// Longer than [`MAX_PATH_BYTES`] or a component longer than [`MAX_COMPONENT_BYTES`].
    TooLong,
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUtf8 => "the path is not valid UTF-8",
            Self::Empty => "the path is empty",
            Self::Absolute => "the path is absolute",
            Self::EmptyComponent => "the path has an empty component",
            Self::Dot => "the path has a `.` component",
            Self::DotDot => "the path has a `..` component",
            Self::DotGit => "the path has a component that some file systems take for `.git`",
            Self::Control => "the path has a control character",
            Self::TooLong => "the path is too long",
        })
    }
}

/// The path of a tree entry, or why it is refused. Nothing is repaired: git stores canonical paths.
pub fn check(raw: &[u8]) -> Result<&str, PathFault> {
    let path = std::str::from_utf8(raw).map_err(|_| PathFault::NotUtf8)?;
    check_str(path)?;
    Ok(path)
}

/// As [`check`], for text.
pub fn check_str(path: &str) -> Result<(), PathFault> {
    if path.is_empty() {
        return Err(PathFault::Empty);
    }
    if path.len() > MAX_PATH_BYTES {
        return Err(PathFault::TooLong);
    }
    if path.chars().any(char::is_control) {
        return Err(PathFault::Control);
    }
    if is_absolute(path) {
        return Err(PathFault::Absolute);
    }
    for component in path.split('/') {
        if component.is_empty() {
            return Err(PathFault::EmptyComponent);
        }
        if component.len() > MAX_COMPONENT_BYTES {
            return Err(PathFault::TooLong);
        }
        // A backslash is an ordinary character here and a separator elsewhere: both readings must hold.
        for piece in component.split('\\') {
            check_piece(piece)?;
        }
    }
    Ok(())
}

/// An entry of a plan in canonical form: `./`, `//` and a leading `./` are dropped (SEMANTICS 5.1), a
/// trailing `/` is kept.
pub fn normalise_entry(entry: &str) -> Result<String, PathFault> {
    if entry.is_empty() {
        return Err(PathFault::Empty);
    }
    if is_absolute(entry) {
        return Err(PathFault::Absolute);
    }
    let kept: Vec<&str> = entry
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    let path = kept.join("/");
    if path.is_empty() {
        // `./` names the whole repository; `**` says so.
        return Err(PathFault::Dot);
    }
    check_str(&path)?;
    Ok(if entry.ends_with('/') {
        format!("{path}/")
    } else {
        path
    })
}

/// The form in which two paths are one file on a file system that ignores case and Unicode form.
pub fn fold(path: &str) -> String {
    if path.is_ascii() {
        return path.to_ascii_lowercase();
    }
    let lower: String = path.nfc().flat_map(char::to_lowercase).collect();
    lower.nfc().collect()
}

/// Whether git, NTFS or HFS+ takes this component for the repository's own folder.
pub fn is_dot_git(component: &str) -> bool {
    is_ntfs_dot_git(component) || is_hfs_dot_git(component)
}

/// Every folder above a path, the longest last: `a/b/c` gives `a`, `a/b`.
pub fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

fn is_absolute(path: &str) -> bool {
    let bytes = path.as_bytes();
    let drive = bytes.len() >= 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':';
    let rooted = matches!(bytes.first(), Some(b'/' | b'\\'));
    // `a:b` is a legal file name; with a separator after the colon it is a drive.
    rooted || (drive && matches!(bytes.get(2), None | Some(b'/' | b'\\')))
}

fn check_piece(piece: &str) -> Result<(), PathFault> {
    match piece {
        "." => Err(PathFault::Dot),
        ".." => Err(PathFault::DotDot),
        _ if is_dot_git(piece) => Err(PathFault::DotGit),
        _ => Ok(()),
    }
}

/// `.git` or `git~1` in any case, then only dots and spaces, then the end or a stream name.
fn is_ntfs_dot_git(component: &str) -> bool {
    let lower = component.to_ascii_lowercase();
    let Some(rest) = lower
        .strip_prefix(".git")
        .or_else(|| lower.strip_prefix("git~1"))
    else {
        return false;
    };
    let tail = rest.trim_start_matches(['.', ' ']);
    tail.is_empty() || tail.starts_with(':')
}

/// `.git` in any case once the characters that HFS+ ignores are gone.
fn is_hfs_dot_git(component: &str) -> bool {
    if component.is_ascii() {
        return false;
    }
    let seen: String = component.chars().filter(|c| !is_hfs_ignored(*c)).collect();
    is_ntfs_dot_git(&fold(&seen))
}

fn is_hfs_ignored(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}
