//! The address of a repository's `origin`, for people and comparisons.
//!
//! Invariant: credentials in an address never leave this module; the configuration is read as text, includes are not
//! followed.

use std::io::Read;

use autopack_git::{Target, TargetKind};

/// The most that is read of a configuration.
const CONFIG: u64 = 256 * 1024;

/// The address, without user and password; `None` if there is none.
pub(crate) fn url(target: &Target) -> Option<String> {
    match &target.kind {
        TargetKind::Url => Some(without_secret(&target.location)),
        TargetKind::LocalPath { common_dir, .. } => {
            let file = std::fs::File::open(common_dir.join("config")).ok()?;
            let mut text = String::new();
            file.take(CONFIG).read_to_string(&mut text).ok()?;
            origin(&text).map(|url| without_secret(&url))
        }
    }
}

fn origin(config: &str) -> Option<String> {
    let mut inside = false;
    for line in config.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[remote \"origin\"]";
        } else if let Some((key, value)) = line.split_once('=')
            && inside
            && key.trim() == "url"
        {
            return Some(value.trim().trim_matches('"').to_owned());
        }
    }
    None
}

fn without_secret(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_is_found_and_shown_without_secrets() {
        let config = "[core]\n\tbare = false\n[remote \"up\"]\n\turl = x\n[remote \"origin\"]\n\tfetch = y\n\turl = https://me:pw@example.org/a.git\n";
        let found = origin(config).unwrap();
        assert_eq!(without_secret(&found), "https://example.org/a.git");
        assert_eq!(without_secret("git@example.org:a/b"), "git@example.org:a/b");
        assert_eq!(origin("[core]\n"), None);
    }
}
