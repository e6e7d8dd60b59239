//! The target repository as the user typed it.
//!
//! Invariant: what is sent to the registry is absolute, or an address that git can fetch from; nothing is written.

use std::{ffi::OsString, sync::Arc};

use autopack_git::{Git, Settings, Target, TargetKind};
use builder_worker::TrustedRunner;

use crate::error::CliError;

/// Git on this machine.
pub(crate) fn git() -> Git {
    let path =
        std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/local/bin:/usr/bin:/bin"));
    Git::new(Arc::new(TrustedRunner), Settings::new(path))
}

/// Looks at the repository.
pub(crate) async fn discover(repo: &str) -> Result<Target, CliError> {
    let git = git();
    autopack_git::check_version(&git).await?;
    Ok(Target::discover(&git, repo).await?)
}

/// The top of the target's checkout, in which no data directory may be.
pub(crate) fn checkout(target: &Target) -> Option<&std::path::Path> {
    match &target.kind {
        TargetKind::LocalPath {
            work_tree, git_dir, ..
        } => Some(work_tree.as_deref().unwrap_or(git_dir)),
        TargetKind::Url => None,
    }
}
