//! The project that a run belongs to when nobody names one.
//!
//! Invariant: the name satisfies the rule for ids, and the same repository always gives the same name.

use std::fs;

use autopack_domain::ids::is_user_id;
use autopack_git::{Target, TargetKind};

/// From the remote `origin`, else from the folder's name.
pub(crate) fn default_project(target: &Target) -> String {
    let name = match &target.kind {
        TargetKind::Url => last_component(&target.location),
        TargetKind::LocalPath { common_dir, .. } => fs::read_to_string(common_dir.join("config"))
            .ok()
            .and_then(|config| origin_url(&config))
            .map_or_else(
                || last_component(&target.location),
                |url| last_component(&url),
            ),
    };
    sanitised(&name)
}

/// The last part of a path or address, without `.git`.
fn last_component(location: &str) -> String {
    let trimmed = location.trim_end_matches('/');
    let trimmed = trimmed.strip_suffix("/.git").unwrap_or(trimmed);
    let last = trimmed.rsplit(['/', ':']).next().unwrap_or_default();
    last.strip_suffix(".git").unwrap_or(last).to_owned()
}

/// The address of `origin` in a git configuration file; files that it includes are not read.
fn origin_url(config: &str) -> Option<String> {
    let mut inside = false;
    for line in config.lines().map(str::trim) {
        if line.starts_with('[') {
            let section: String = line.chars().filter(|c| !c.is_whitespace()).collect();
            inside = section.starts_with("[remote\"origin\"]");
        } else if inside
            && let Some((key, value)) = line.split_once('=')
            && key.trim().eq_ignore_ascii_case("url")
        {
            return Some(value.trim().trim_matches('"').to_owned()).filter(|url| !url.is_empty());
        }
    }
    None
}

/// The name as an id; `default` if nothing of it can be used.
fn sanitised(name: &str) -> String {
    let mut id = String::new();
    for c in name.chars().take(120) {
        let c = if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '-'
        };
        let begins = !id.is_empty() || c.is_ascii_alphanumeric();
        let doubles = c == '.' && id.ends_with('.');
        if begins && !doubles {
            id.push(c);
        }
    }
    let id = id.trim_end_matches(['.', '-', '_']);
    let id = id.strip_suffix(".lock").unwrap_or(id);
    if is_user_id(id) {
        id.to_owned()
    } else {
        "default".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_last_component() {
        for (location, name) in [
            ("https://example.org/team/app.git", "app"),
            ("git@example.org:app.git", "app"),
            ("/srv/repos/app.git/", "app"),
            ("/home/me/my project", "my-project"),
            ("/home/me/app/.git", "app"),
            ("/home/me/..weird..lock", "weird"),
            ("/", "default"),
            ("/home/me/äöü", "default"),
        ] {
            assert_eq!(sanitised(&last_component(location)), name, "{location}");
        }
    }

    #[test]
    fn origin_is_found_in_a_configuration() {
        let config = "[core]\n\tbare = false\n[remote \"up\"]\n\turl = x\n[remote \"origin\"]\n\turl = git@h:a/b.git\n\tfetch = +x\n";
        assert_eq!(origin_url(config).as_deref(), Some("git@h:a/b.git"));
        assert_eq!(origin_url("[remote \"up\"]\nurl = x\n"), None);
    }
}
