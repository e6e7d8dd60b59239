//! What a program says about itself: its version, and which flags it knows.
//!
//! Invariant: a flag counts as missing only if the help was read and does not name it.

use crate::manifest::Manifest;

/// A version's numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(Vec<u64>);

impl Version {
    /// The first thing in a text that looks like one: numbers with dots between.
    pub fn find(text: &str) -> Option<Self> {
        let is_part = |c: char| c.is_ascii_digit() || c == '.';
        text.split(|c: char| !is_part(c))
            .map(|word| word.trim_matches('.'))
            .filter(|word| word.contains('.'))
            .find_map(|word| {
                let parts: Option<Vec<u64>> = word.split('.').map(|n| n.parse().ok()).collect();
                parts.map(Self)
            })
    }

    /// Whether this is beyond every version that starts like `known`: 2.2 and 3.0 are beyond 2.1, 2.1.9 is not.
    fn is_beyond(&self, known: &Self) -> bool {
        self.0.iter().take(known.0.len()).gt(known.0.iter())
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&parts.join("."))
    }
}

/// What was learned about one program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// Its version, if it told one.
    pub version: Option<Version>,
    /// Its help, if it printed one.
    help: Option<String>,
}

/// Whether a program will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It will, without what these names say.
    Usable {
        /// What is lost.
        degraded: Vec<String>,
        /// Its version is beyond those whose events are known.
        newer: bool,
    },
    /// It will not, for this reason.
    Refused(String),
}

impl Probe {
    /// From what the two commands printed; empty: nothing.
    pub fn read(version: &str, help: &str) -> Self {
        Self {
            version: Version::find(version),
            help: Some(help.to_owned()).filter(|help| help.contains("--")),
        }
    }

    /// Whether the program knows a flag, as far as is known.
    pub fn knows(&self, flag: &str) -> bool {
        let Some(help) = &self.help else {
            return true;
        };
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        help.match_indices(flag).any(|(at, _)| {
            let before = help[..at].chars().next_back();
            let after = help[at + flag.len()..].chars().next();
            !before.is_some_and(is_word) && !after.is_some_and(is_word)
        })
    }

    /// Judges the program by its manifest.
    pub fn judge(&self, manifest: &Manifest) -> Verdict {
        if let (Some(version), Some(oldest)) =
            (&self.version, Version::find(&manifest.probe.oldest))
            && *version < oldest
        {
            return Verdict::Refused(format!(
                "{} {version} is older than {oldest}, the oldest that is supported",
                manifest.title
            ));
        }
        let mut degraded = Vec::new();
        for group in &manifest.args {
            let Some(flag) = group.flags.iter().find(|flag| !self.knows(flag)) else {
                continue;
            };
            if group.degrades.is_empty() {
                return Verdict::Refused(format!(
                    "this version of {} has no flag `{flag}`",
                    manifest.title
                ));
            }
            degraded.push(group.degrades.clone());
        }
        let known = Version::find(&manifest.probe.known);
        let newer = self
            .version
            .as_ref()
            .zip(known)
            .is_some_and(|(version, known)| version.is_beyond(&known));
        Verdict::Usable { degraded, newer }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autopack_domain::plan::Adapter;

    #[test]
    fn versions_are_found_in_what_people_print() {
        for (text, version) in [
            ("2.1.15 (Claude Code)", Some("2.1.15")),
            ("codex-cli 0.98.0-alpha.2", Some("0.98.0")),
            ("aider v0.86.1.", Some("0.86.1")),
            ("no version 7", None),
            ("", None),
        ] {
            assert_eq!(
                Version::find(text).map(|v| v.to_string()).as_deref(),
                version
            );
        }
        let of = |text| Version::find(text).unwrap();
        assert!(of("0.9.1") < of("0.10.0"));
        assert!(of("3.0.0").is_beyond(&of("2.1")) && !of("2.1.99").is_beyond(&of("2.1")));
    }

    #[test]
    fn a_missing_flag_refuses_or_degrades_by_name() {
        let claude = Manifest::of(Adapter::Claude);
        let flags: Vec<&str> = claude
            .args
            .iter()
            .flat_map(|g| &g.flags)
            .map(String::as_str)
            .collect();
        let help = |without: &str| {
            let kept: Vec<&str> = flags.iter().copied().filter(|f| *f != without).collect();
            format!("Options:\n  {}", kept.join(" x\n  "))
        };
        let judge =
            |version: &str, without: &str| Probe::read(version, &help(without)).judge(claude);
        assert_eq!(
            judge("2.1.3", ""),
            Verdict::Usable {
                degraded: vec![],
                newer: false
            }
        );
        assert_eq!(
            judge("9.0.0", ""),
            Verdict::Usable {
                degraded: vec![],
                newer: true
            }
        );
        assert_eq!(
            judge("2.1.3", "--strict-mcp-config"),
            Verdict::Usable {
                degraded: vec!["no_tool_server_ban".into()],
                newer: false
            }
        );
        assert!(
            matches!(judge("2.1.3", "--output-format"), Verdict::Refused(why) if why.contains("`--output-format`"))
        );
        assert!(
            matches!(judge("0.1.0", ""), Verdict::Refused(why) if why.contains("0.1.0 is older"))
        );
        // A help that could not be read refuses nothing.
        let silent = Probe::read("2.1.3", "");
        assert_eq!(
            silent.judge(claude),
            Verdict::Usable {
                degraded: vec![],
                newer: false
            }
        );
    }

    #[test]
    fn a_flag_is_a_whole_word() {
        let probe = Probe::read("", "  --model-list x\n  -m, --models\n");
        assert!(!probe.knows("--model") && probe.knows("--models") && probe.knows("-m"));
    }
}
