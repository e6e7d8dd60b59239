//! Builds the environment of an untrusted command.
//!
//! Invariant: it starts empty. What comes from the host is named by the caller, and a name that looks like a secret
//! comes only if it is named in full.

use std::collections::BTreeMap;
use std::path::Path;

/// Where programs are looked for if the host does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the name of a secret contains.
const SECRET_WORDS: [&str; 8] = [
    "KEY",
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "CREDENTIAL",
    "AUTH",
    "COOKIE",
];

/// The environment of a command: `PATH` of the host, private `HOME` and `TMPDIR`, a fixed locale and time zone, the
/// host's variables that `passthrough` lists, and `extra`, which wins. A name in `passthrough` that ends in `*` stands
/// for all names that start so, but for those that look like secrets.
pub fn scrubbed(
    passthrough: &[&str],
    home: &Path,
    tmp: &Path,
    extra: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    // Variables that are not UTF-8 stay behind.
    let host = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    from_host(&host, passthrough, home, tmp, extra)
}

/// Whether a variable of this name is taken to hold a secret.
pub fn looks_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

fn from_host(
    host: &BTreeMap<String, String>,
    passthrough: &[&str],
    home: &Path,
    tmp: &Path,
    extra: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let path = host
        .get("PATH")
        .filter(|path| !path.is_empty())
        .map_or(DEFAULT_PATH, String::as_str);
    let mut env: BTreeMap<String, String> = [
        ("PATH", path),
        ("HOME", &home.to_string_lossy()),
        ("TMPDIR", &tmp.to_string_lossy()),
        ("LANG", "C.UTF-8"),
        ("TZ", "UTC"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    for (name, value) in host {
        let listed = passthrough
            .iter()
            .any(|wanted| match wanted.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix) && !looks_secret(name),
                None => wanted == name,
            });
        if listed {
            env.insert(name.clone(), value.clone());
        }
    }
    env.extend(
        extra
            .iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    env
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn build(
        host: &[(&str, &str)],
        passthrough: &[&str],
        extra: &[(&str, &str)],
    ) -> BTreeMap<String, String> {
        from_host(
            &map(host),
            passthrough,
            Path::new("/h"),
            Path::new("/t"),
            &map(extra),
        )
    }

    #[test]
    fn nothing_comes_unasked() {
        let env = build(
            &[
                ("PATH", "/p"),
                ("HOME", "/root"),
                ("GITHUB_TOKEN", "x"),
                ("FOO", "1"),
            ],
            &[],
            &[],
        );
        let expected = map(&[
            ("PATH", "/p"),
            ("HOME", "/h"),
            ("TMPDIR", "/t"),
            ("LANG", "C.UTF-8"),
            ("TZ", "UTC"),
        ]);
        assert_eq!(env, expected);
        assert_eq!(build(&[], &[], &[])["PATH"], DEFAULT_PATH);
    }

    #[test]
    fn a_prefix_does_not_bring_secrets_but_a_full_name_does() {
        let host = [
            ("CARGO_HOME", "/c"),
            ("CARGO_REGISTRY_TOKEN", "x"),
            ("API_KEY", "k"),
            ("CARGO", "no"),
        ];
        let env = build(&host, &["CARGO_*", "API_KEY", "MISSING"], &[]);
        assert_eq!(env.get("CARGO_HOME").map(String::as_str), Some("/c"));
        assert_eq!(env.get("API_KEY").map(String::as_str), Some("k"));
        assert!(!env.contains_key("CARGO_REGISTRY_TOKEN"));
        assert!(!env.contains_key("CARGO"));
        assert!(!env.contains_key("MISSING"));
        assert!(!build(&host, &["*"], &[]).contains_key("API_KEY"));
    }

    #[test]
    fn extra_wins() {
        assert_eq!(build(&[], &[], &[("TZ", "CET")])["TZ"], "CET");
    }
}
