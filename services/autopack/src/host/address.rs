//! Which repository on which host, and where the host's API is.
//!
//! Invariant: only github.com has an API that follows from a repository's address; every other one is named by the
//! user, by https unless it is on this machine.

use std::fmt;

use crate::{cli::HostKind, error::CliError};

/// A repository on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) owner: String,
    pub(super) name: String,
}

impl Place {
    /// From `https://HOST/OWNER/NAME(.git)`, `ssh://git@HOST/OWNER/NAME` or `git@HOST:OWNER/NAME`.
    pub(super) fn parse(remote: &str) -> Option<Self> {
        let (host, path) = match remote.split_once("://") {
            Some(("http" | "https" | "ssh" | "git", rest)) => rest.split_once('/')?,
            Some(_) => return None,
            None => remote
                .split_once(':')
                .filter(|(host, _)| !host.contains('/'))?,
        };
        let host = host.rsplit('@').next()?.split(':').next()?;
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        // Gitea may be served below a path: the last two parts are the repository's.
        let (before, name) = path.rsplit_once('/')?;
        let owner = before.rsplit('/').next()?;
        let sound = |part: &str| {
            !part.is_empty()
                && part != ".."
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        [host, owner, name].into_iter().all(sound).then(|| Self {
            host: host.to_ascii_lowercase(),
            owner: owner.to_owned(),
            name: name.to_owned(),
        })
    }

    /// `OWNER/NAME`.
    pub(super) fn path(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}/{}", self.host, self.path())
    }
}

/// The API of github.com.
const GITHUB_COM: &str = "https://api.github.com";

/// The API of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Api {
    pub(super) kind: HostKind,
    /// Without a slash at its end.
    pub(super) base: String,
}

impl Api {
    /// The API for a repository: the named one, or GitHub's own.
    pub(super) fn of(
        place: &Place,
        kind: Option<HostKind>,
        named: Option<&str>,
    ) -> Result<Self, CliError> {
        let is_github = place.host == "github.com" || place.host == "ssh.github.com";
        let Some(named) = named.filter(|named| !named.is_empty()) else {
            if is_github && kind != Some(HostKind::Gitea) {
                return Ok(Self {
                    kind: HostKind::Github,
                    base: GITHUB_COM.to_owned(),
                });
            }
            return Err(CliError::usage(format!(
                "the API of {} is not known",
                place.host
            ))
            .hint(format!(
                "name it: --host-api https://{0}/api/v1 (Gitea, Forgejo), or --host github --host-api https://{0}/api/v3",
                place.host
            )));
        };
        let base = named.trim_end_matches('/').to_owned();
        let is_plain = base.strip_prefix("http://").is_some_and(is_loopback);
        if !is_plain && !base.starts_with("https://") {
            return Err(CliError::usage(format!(
                "--host-api {base}: a token is sent by https only, or to this machine"
            )));
        }
        let looks_like_github = is_github || base.ends_with("/api/v3");
        let guessed = if looks_like_github {
            HostKind::Github
        } else {
            HostKind::Gitea
        };
        Ok(Self {
            kind: kind.unwrap_or(guessed),
            base,
        })
    }

    /// Whether a token for github.com may go there.
    pub(super) fn is_github_com(&self) -> bool {
        self.base == GITHUB_COM
    }

    /// The name by which `gh` knows the host: github.com, or a GitHub of one's own at its usual place.
    pub(super) fn gh_host(&self) -> Option<String> {
        if self.kind != HostKind::Github {
            return None;
        }
        if self.is_github_com() {
            return Some("github.com".to_owned());
        }
        let rest = self.base.strip_prefix("https://")?;
        let host = rest.strip_suffix("/api/v3")?;
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
        (!host.starts_with('-') && host.bytes().all(is_name)).then(|| host.to_owned())
    }

    /// For people.
    pub(super) fn host(&self) -> &str {
        let rest = self.base.split_once("://").map_or("", |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }
}

/// Whether an address without its scheme is on this machine.
fn is_loopback(rest: &str) -> bool {
    let host = rest.split('/').next().unwrap_or_default();
    if host.contains('@') {
        return false;
    }
    let name = if let Some(v6) = host.strip_prefix('[') {
        v6.split(']').next().unwrap_or_default()
    } else {
        host.split(':').next().unwrap_or_default()
    };
    name == "localhost"
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// A part of a path; slashes stay.
pub(super) fn encode(text: &str) -> String {
    percent(text, b"-._~/")
}

/// A value of a query.
pub(super) fn encode_query(text: &str) -> String {
    percent(text, b"-._~")
}

fn percent(text: &str, plain: &[u8]) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_told_by_their_addresses() {
        for remote in [
            "https://github.com/Ann/demo.git",
            "https://user@github.com:443/Ann/demo",
            "git@github.com:Ann/demo.git",
            "ssh://git@GitHub.com:22/Ann/demo/",
        ] {
            let place = Place::parse(remote).unwrap();
            assert_eq!(
                (place.host.as_str(), place.path().as_str()),
                ("github.com", "Ann/demo"),
                "{remote}"
            );
        }
        for remote in [
            "",
            "/srv/demo",
            "file:///srv/a/b",
            "https://github.com/demo",
            "https://h/a/b?c",
            "git@h:../x",
            "a/b:c/d",
            "https://h/a b/c",
        ] {
            assert_eq!(Place::parse(remote), None, "{remote}");
        }
    }

    #[test]
    fn a_token_goes_to_github_or_where_the_user_says_and_never_in_the_clear() {
        let at = |host: &str| Place::parse(&format!("https://{host}/a/b")).unwrap();
        let api = Api::of(&at("github.com"), None, None).unwrap();
        assert_eq!(api.base, "https://api.github.com");
        assert!(Api::of(&at("evil.example"), None, None).is_err());
        assert!(Api::of(&at("evil.example"), Some(HostKind::Github), None).is_err());
        for bad in [
            "http://evil.example/api/v1",
            "http://localhost.evil.example/",
            "http://127.0.0.1@evil.example/",
            "ftp://x",
            "api.github.com",
        ] {
            assert!(Api::of(&at("h"), None, Some(bad)).is_err(), "{bad}");
        }
        let api = Api::of(&at("h"), None, Some("https://git.example/api/v1/")).unwrap();
        assert_eq!((api.kind, api.host()), (HostKind::Gitea, "git.example"));
        let api = Api::of(&at("h"), None, Some("https://git.example/api/v3")).unwrap();
        assert_eq!(api.kind, HostKind::Github);
        assert!(Api::of(&at("h"), None, Some("http://[::1]:3000/api/v1")).is_ok());
    }

    #[test]
    fn names_of_branches_cannot_leave_their_place() {
        assert_eq!(encode("autonomous/a b?c#d"), "autonomous/a%20b%3Fc%23d");
        assert_eq!(encode_query("a/b&c=d"), "a%2Fb%26c%3Dd");
    }
}
