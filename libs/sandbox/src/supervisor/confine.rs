//! Puts the layers of confinement on: namespaces of the supervisor, and what the command does to itself before it starts.
//!
//! Invariant: a layer is named only once it is on; where a layer that was asked for by name cannot be put on, the command
//! is not started.

use std::io;

use nix::sched::CloneFlags;
use nix::unistd::getuid;

use super::landlock::{Ruleset, Wanted};
use super::{host, mounts};
use crate::outcome::layer;
use crate::spec::Files;
use crate::{End, Spec};

/// Rights of root that a build may need: those over its own files, users and low ports. All others are given up.
const KEPT: [libc::c_ulong; 8] = [0, 1, 3, 4, 5, 6, 7, 10];
/// More rights than any kernel knows.
const ALL_RIGHTS: libc::c_ulong = 64;

/// What is on.
pub(super) struct Confined {
    /// Names of the layers.
    pub(super) layers: Vec<&'static str>,
    /// What the command does to itself.
    pub(super) own: Own,
}

/// What the command does to itself between fork and exec.
#[derive(Default)]
pub(super) struct Own {
    ruleset: Option<Ruleset>,
    drops_rights: bool,
}

impl Own {
    /// Gives rights up and enters the domain, for good.
    pub(super) fn put_on(&self) -> io::Result<()> {
        if self.drops_rights {
            for right in (0..ALL_RIGHTS).filter(|right| !KEPT.contains(right)) {
                drop_right(right);
            }
        }
        self.ruleset.as_ref().map_or(Ok(()), Ruleset::enter)
    }
}

/// Puts on what the specification asks for and the host allows.
pub(super) fn confine(spec: &Spec) -> Result<Confined, End> {
    let mut layers = layer::ALWAYS.to_vec();
    let files = spec.confine.files.as_ref();
    let (no_network, own_mounts) = host::leave(!spec.confine.network, files.is_some());
    if no_network {
        layers.push(layer::NO_NETWORK);
    }
    let mut own = Own::default();
    if let Some(files) = files {
        let covered = own_mounts && covers(files);
        if covered {
            layers.push(layer::MOUNTS);
        }
        match ruleset(spec, files, covered, no_network) {
            Ok(ruleset) => {
                layers.push(layer::LANDLOCK);
                if ruleset.version >= 6 {
                    layers.push(layer::NO_SIGNALS);
                }
                if ruleset.version >= 4 && !spec.confine.network && !no_network {
                    layers.push(layer::NO_TCP);
                }
                own.ruleset = Some(ruleset);
            }
            Err(error) => eprintln!("supervisor: landlock is not to be had: {error}"),
        }
        if getuid().is_root() {
            own.drops_rights = true;
            layers.push(layer::FEWER_RIGHTS);
        }
    }
    let missing: Vec<&str> = spec
        .confine
        .require
        .iter()
        .map(String::as_str)
        .filter(|name| !layers.contains(name))
        .collect();
    if missing.is_empty() {
        return Ok(Confined { layers, own });
    }
    Err(End::Unconfined(missing.join(", ")))
}

fn covers(files: &Files) -> bool {
    match mounts::cover(files) {
        Ok(()) => true,
        Err(error) => {
            eprintln!("supervisor: hidden folders cannot be covered: {error}");
            false
        }
    }
}

fn ruleset(spec: &Spec, files: &Files, covered: bool, no_network: bool) -> io::Result<Ruleset> {
    let mut write = files.write.clone();
    if covered {
        write.push(mounts::SHM.into());
        if files.tmp.is_some() {
            write.extend(mounts::TMP.map(Into::into));
        }
    }
    write.retain(|path| path.exists());
    let read: Vec<_> = files
        .read
        .iter()
        .filter(|path| path.exists())
        .cloned()
        .collect();
    Ruleset::new(&Wanted {
        write: &write,
        read: &read,
        // A cover hides better than a rule does: it also keeps what is looked up by name only.
        hide: if covered { &[] } else { &files.hide },
        no_tcp: !spec.confine.network && !no_network,
    })
}

/// Namespaces that a specification may ask for.
pub(super) const NETWORK: CloneFlags = CloneFlags::CLONE_NEWNET;
/// As [`NETWORK`].
pub(super) const MOUNTS: CloneFlags = CloneFlags::CLONE_NEWNS;

#[expect(
    unsafe_code,
    reason = "this one of prctl's requests has no safe wrapper"
)]
fn drop_right(right: libc::c_ulong) {
    // SAFETY: the call takes integers; it fails for rights that the kernel does not know.
    unsafe {
        libc::prctl(libc::PR_CAPBSET_DROP, right, 0, 0, 0);
    }
}
