//! What builders and gates may touch: which files, which network, and which layers of the sandbox must be on.
//!
//! Invariant: one place says what every untrusted command of a phase may write and what it does not see; a plan cannot
//! widen it.

use std::path::{Path, PathBuf};

use autopack_domain::fault::{Fault, Faults};
use autopack_runtime::switches::flag;
use autopack_sandbox::{Confine, Files, layer};

use crate::host::Host;
use crate::repo::bench::Bench;

/// Where people keep credentials, below the home folder of whoever runs the worker.
const CREDENTIALS: &[&str] = &[
    ".aws",
    ".azure",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".config/gcloud",
    ".config/gh",
    ".config/git/credentials",
    ".config/hub",
    ".config/op",
    ".docker",
    ".git-credentials",
    ".gnupg",
    ".gradle/gradle.properties",
    ".kube",
    ".local/share/keyrings",
    ".m2/settings.xml",
    ".netrc",
    ".npmrc",
    ".password-store",
    ".pypirc",
    ".ssh",
    ".vault-token",
];

/// Doors to daemons that act for whoever asks, outside of every limit.
const DAEMONS: &[&str] = &[
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/docker.sock",
    "/run/podman/podman.sock",
];

/// What confines the commands of phases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confinement {
    /// Whether they are kept to their own folders; off: they may what the worker's user may.
    pub files: bool,
    /// Whether the steps of a gate may use the network; its set-up always may.
    pub gate_network: bool,
    /// Whether builders may use the network.
    pub builder_network: bool,
    /// Folders besides their own that they may write.
    pub write: Vec<PathBuf>,
    /// What they do not see besides the data directory and the user's credentials.
    pub hide: Vec<PathBuf>,
    /// Layers of the sandbox without which no command is started.
    pub require: Vec<String>,
}

impl Default for Confinement {
    fn default() -> Self {
        Self {
            files: true,
            gate_network: false,
            builder_network: true,
            write: Vec::new(),
            hide: Vec::new(),
            require: Vec::new(),
        }
    }
}

/// Who runs the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// A builder.
    Builder,
    /// The set-up of a gate.
    SetUp,
    /// A step of a gate.
    Gate,
}

impl Confinement {
    /// Reads `AUTOPACK_SANDBOX_FILES` and the variables beside it; every fault at once.
    pub fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let usual = Self::default();
        let mut on = |name: &str, usual: bool| {
            let Some(text) = lookup(name).filter(|text| !text.trim().is_empty()) else {
                return usual;
            };
            flag(name, &text).unwrap_or_else(|fault| {
                faults.push(fault);
                usual
            })
        };
        let read = Self {
            files: on("AUTOPACK_SANDBOX_FILES", usual.files),
            gate_network: on("AUTOPACK_GATE_NETWORK", usual.gate_network),
            builder_network: on("AUTOPACK_BUILDER_NETWORK", usual.builder_network),
            write: list(lookup, "AUTOPACK_SANDBOX_WRITE")
                .map(PathBuf::from)
                .collect(),
            hide: list(lookup, "AUTOPACK_SANDBOX_HIDE")
                .map(PathBuf::from)
                .collect(),
            require: list(lookup, "AUTOPACK_SANDBOX_REQUIRE").collect(),
        };
        for fault in read.faults("AUTOPACK_SANDBOX_") {
            faults.push(fault);
        }
        faults.into_result(read)
    }

    /// What cannot work; `prefix` stands before the names `write`, `hide` and `require`.
    pub fn faults(&self, prefix: &str) -> Vec<Fault> {
        let name = |name: &str| {
            let upper = prefix.starts_with("AUTOPACK");
            format!(
                "{prefix}{}",
                if upper {
                    name.to_uppercase()
                } else {
                    name.to_owned()
                }
            )
        };
        let mut faults = Vec::new();
        for (list, paths) in [("write", &self.write), ("hide", &self.hide)] {
            let bad = paths.iter().filter(|path| !path.is_absolute());
            faults.extend(bad.map(|path| {
                let problem = format!("`{}` is not an absolute path", path.display());
                Fault::new(name(list), problem).example("/var/cache/shared")
            }));
        }
        let unknown = self
            .require
            .iter()
            .filter(|name| !layer::ALL.contains(&name.as_str()));
        faults.extend(unknown.map(|layer| {
            let problem = format!("`{layer}` is no layer of the sandbox");
            Fault::new(name("require"), problem).allowed(layer::ALL)
        }));
        faults
    }

    /// What a command at this bench may touch. `write` and `read` are folders of ours that it needs besides the bench's.
    pub(crate) fn of(
        &self,
        host: &Host,
        bench: &Bench,
        who: Who,
        write: &[PathBuf],
        read: &[PathBuf],
    ) -> Confine {
        let network = match who {
            Who::Builder => self.builder_network,
            Who::SetUp => true,
            Who::Gate => self.gate_network,
        };
        let mut require = self.require.clone();
        if network {
            // Asked of those that may not use it.
            require.retain(|name| name != layer::NO_NETWORK && name != layer::NO_TCP);
        }
        Confine {
            network,
            files: self.files.then(|| self.folders(host, bench, write, read)),
            require,
        }
    }

    fn folders(&self, host: &Host, bench: &Bench, write: &[PathBuf], read: &[PathBuf]) -> Files {
        let own = [bench.tree(), bench.home(), bench.tmp(), bench.exchange()];
        let shared = self
            .write
            .iter()
            .filter_map(|path| path.canonicalize().ok());
        let data = host.data_dir();
        // A data directory below `/tmp` would be covered, and what people keep beside it.
        let tmp = (!data.starts_with("/tmp") && !data.starts_with("/var/tmp")).then(|| bench.tmp());
        Files {
            write: own
                .into_iter()
                .chain(write.iter().cloned())
                .chain(shared)
                .collect(),
            read: read.to_vec(),
            hide: self.hidden(data),
            tmp,
        }
    }

    fn hidden(&self, data: &Path) -> Vec<PathBuf> {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let credentials = home
            .iter()
            .flat_map(|home| CREDENTIALS.iter().map(|name| home.join(name)));
        let all = credentials
            .chain(DAEMONS.iter().map(PathBuf::from))
            .chain(self.hide.iter().cloned());
        let found = all.filter_map(|path| path.canonicalize().ok());
        std::iter::once(data.to_owned()).chain(found).collect()
    }
}

/// The words of a list, with commas between or as TOML writes it.
fn list(lookup: &dyn Fn(&str) -> Option<String>, name: &str) -> impl Iterator<Item = String> {
    let text = lookup(name).unwrap_or_default();
    let bare = |word: &str| {
        word.trim_matches(|c: char| c.is_whitespace() || "[]\"'".contains(c))
            .to_owned()
    };
    let words: Vec<String> = text
        .split(',')
        .map(bare)
        .filter(|word| !word.is_empty())
        .collect();
    words.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Confinement, Vec<Fault>> {
        Confinement::read(&|name| {
            let found = pairs.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_set_confines() {
        let usual = read(&[("AUTOPACK_SANDBOX_FILES", "")]).unwrap();
        assert_eq!(usual, Confinement::default());
        assert!(usual.files && !usual.gate_network && usual.builder_network);
    }

    #[test]
    fn what_is_set_is_read() {
        let found = read(&[
            ("AUTOPACK_SANDBOX_FILES", "off"),
            ("AUTOPACK_GATE_NETWORK", "yes"),
            ("AUTOPACK_BUILDER_NETWORK", "0"),
            ("AUTOPACK_SANDBOX_WRITE", "/a,/b/c"),
            ("AUTOPACK_SANDBOX_REQUIRE", "[\"landlock\", \"mounts\"]"),
        ])
        .unwrap();
        assert!(!found.files && found.gate_network && !found.builder_network);
        assert_eq!(found.write, [PathBuf::from("/a"), PathBuf::from("/b/c")]);
        assert_eq!(found.require, ["landlock", "mounts"]);
    }

    #[test]
    fn every_fault_is_told() {
        let faults = read(&[
            ("AUTOPACK_SANDBOX_FILES", "perhaps"),
            ("AUTOPACK_SANDBOX_HIDE", "relative"),
            ("AUTOPACK_SANDBOX_REQUIRE", "walls"),
        ])
        .unwrap_err();
        let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "AUTOPACK_SANDBOX_FILES",
                "AUTOPACK_SANDBOX_HIDE",
                "AUTOPACK_SANDBOX_REQUIRE"
            ]
        );
    }
}
