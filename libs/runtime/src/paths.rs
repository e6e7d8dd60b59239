//! Default places, absolute paths, and addresses that may be shown.
//!
//! Invariant: a password never survives [`mask_database_url`].

use std::{
    io,
    path::{Path, PathBuf},
};

/// The data directory when none is named: `$XDG_STATE_HOME/autopack`, else
/// `$HOME/.local/state/autopack`; `None` if neither variable is set.
pub fn default_data_dir(lookup: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name| {
        let path = PathBuf::from(lookup(name)?);
        // The XDG specification: a relative path is to be ignored.
        path.is_absolute().then_some(path)
    };
    let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")));
    Some(state?.join("autopack"))
}

/// The path from the root, without `.` and with `..` resolved as text where nothing exists yet.
pub fn absolute(path: &Path) -> io::Result<PathBuf> {
    let full = std::path::absolute(path)?;
    let mut known = full.as_path();
    loop {
        if let Ok(real) = known.canonicalize() {
            let rest = full.strip_prefix(known).unwrap_or(Path::new(""));
            return Ok(join_lexically(real, rest));
        }
        match known.parent() {
            Some(parent) => known = parent,
            None => return Ok(full),
        }
    }
}

fn join_lexically(mut base: PathBuf, rest: &Path) -> PathBuf {
    use std::path::Component;
    for component in rest.components() {
        match component {
            Component::ParentDir => {
                base.pop();
            }
            Component::Normal(name) => base.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    base
}

/// The address with the password, and every secret parameter, replaced by `***`.
pub fn mask_database_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (before, query) = match rest.split_once('?') {
        Some((before, query)) => (before, Some(query)),
        None => (rest, None),
    };
    // The last `@`: a password may hold one.
    let masked = match before.rsplit_once('@') {
        None => before.to_owned(),
        Some((credentials, place)) => match credentials.split_once(':') {
            Some((user, _)) => format!("{user}:***@{place}"),
            None => before.to_owned(),
        },
    };
    let query = query.map(|query| {
        let parts: Vec<String> = query.split('&').map(mask_parameter).collect();
        format!("?{}", parts.join("&"))
    });
    format!("{scheme}://{masked}{}", query.unwrap_or_default())
}

fn mask_parameter(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((name, _)) if name.to_ascii_lowercase().contains("password") => {
            format!("{name}=***")
        }
        _ => parameter.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_directory_follows_xdg() {
        let at = |state: Option<&str>, home: Option<&str>| {
            default_data_dir(&|name| {
                let value = if name == "HOME" { home } else { state };
                value.map(ToOwned::to_owned)
            })
        };
        assert_eq!(at(Some("/s"), Some("/h")), Some("/s/autopack".into()));
        let from_home = Some("/h/.local/state/autopack".into());
        assert_eq!(at(None, Some("/h")), from_home);
        assert_eq!(at(Some("relative"), Some("/h")), from_home);
        assert_eq!(at(None, None), None);
    }

    #[test]
    fn passwords_are_masked_wherever_they_stand() {
        for (url, masked) in [
            ("postgres://u:p@h:5432/db", "postgres://u:***@h:5432/db"),
            ("postgres://u:p@x@h/db", "postgres://u:***@h/db"),
            ("postgres://u@h/db", "postgres://u@h/db"),
            (
                "postgres://h/db?user=u&password=p&sslmode=off",
                "postgres://h/db?user=u&password=***&sslmode=off",
            ),
            ("sqlite://a.db", "sqlite://a.db"),
            ("plain", "plain"),
        ] {
            assert_eq!(mask_database_url(url), masked);
        }
    }

    #[test]
    fn paths_become_absolute_through_what_exists() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        let link = real.join("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let found = absolute(&link.join("new/../other")).unwrap();
        assert_eq!(found, real.join("other"));
        assert!(absolute(Path::new("x")).unwrap().is_absolute());
    }
}
