//! Programs in every place of a repository from which git may start one.
//!
//! Invariant: each appends its name to a canary file if it runs; [`Traps::are_live`] shows that they would.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::program;
use crate::repo::{TempRepo, executable};

/// Where traps report.
#[derive(Debug)]
pub struct Traps {
    canary: PathBuf,
    repo: PathBuf,
}

const HOOKS: &[&str] = &[
    "applypatch-msg",
    "pre-applypatch",
    "post-applypatch",
    "pre-commit",
    "pre-merge-commit",
    "prepare-commit-msg",
    "commit-msg",
    "post-commit",
    "pre-rebase",
    "post-checkout",
    "post-merge",
    "pre-push",
    "pre-receive",
    "update",
    "proc-receive",
    "post-receive",
    "post-update",
    "reference-transaction",
    "push-to-checkout",
    "pre-auto-gc",
    "post-rewrite",
    "sendemail-validate",
    "fsmonitor-watchman",
    "post-index-change",
];

impl Traps {
    /// Every hook.
    pub fn hooks(repo: &TempRepo) -> Self {
        let traps = Self::none(repo);
        let hooks = repo.git_dir().join("hooks");
        fs::create_dir_all(&hooks).unwrap();
        for hook in HOOKS {
            traps.program(&hooks.join(hook), hook, "exit 0");
        }
        traps
    }

    /// A file system monitor.
    pub fn fsmonitor(repo: &TempRepo) -> Self {
        let traps = Self::none(repo);
        let script = traps.script("fsmonitor", "printf '/\\0'");
        traps.config("core.fsmonitor", &script);
        traps.config("core.untrackedCache", "true");
        traps
    }

    /// Clean, smudge and process filters, textconv and merge drivers that tracked attributes ask for.
    pub fn filters(repo: &TempRepo) -> Self {
        repo.write(".gitattributes", "* filter=trap diff=trap merge=trap\n");
        repo.commit("Attributes");
        let traps = Self::none(repo);
        let script = traps.script("filter", "cat");
        for key in [
            "filter.trap.clean",
            "filter.trap.smudge",
            "diff.trap.textconv",
            "merge.trap.driver",
            "diff.external",
        ] {
            traps.config(key, &script);
        }
        traps.config("filter.trap.required", "true");
        traps
    }

    /// Programs of the receiving and sending side, of credentials, signing and transport.
    pub fn receive(repo: &TempRepo) -> Self {
        let traps = Self::hooks(repo);
        let script = traps.script("receive", "exit 0");
        for key in [
            "uploadpack.packObjectsHook",
            "core.sshCommand",
            "core.gitProxy",
            "core.askPass",
            "credential.helper",
            "gpg.program",
            "core.alternateRefsCommand",
            "core.pager",
            "core.editor",
            "alias.update-ref",
        ] {
            traps.config(key, &script);
        }
        traps.config("receive.procReceiveRefs", "refs/heads");
        traps.config("receive.denyCurrentBranch", "updateInstead");
        traps.config("commit.gpgSign", "true");
        traps
    }

    fn none(repo: &TempRepo) -> Self {
        Self {
            canary: repo.outside().join("canary"),
            repo: repo.path().to_owned(),
        }
    }

    fn script(&self, name: &str, then: &str) -> String {
        let path = self.canary.with_file_name(format!("trap-{name}.sh"));
        self.program(&path, name, then);
        path.to_str().unwrap().to_owned()
    }

    fn program(&self, path: &Path, name: &str, then: &str) {
        let text = format!(
            "#!/bin/sh\necho {name} >> '{}'\n{then}\n",
            self.canary.display()
        );
        fs::write(path, text).unwrap();
        executable(path);
    }

    fn config(&self, key: &str, value: &str) {
        crate::git::git(&self.repo, &["config", key, value]);
    }

    /// Fails unless an ordinary git command would set one off; the canary is clean again afterwards.
    #[track_caller]
    pub fn are_live(&self, args: &[&str]) {
        let mut git = Command::new("git");
        git.args(args)
            .current_dir(&self.repo)
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        let done = program::run(&mut git, Duration::from_secs(20));
        assert!(
            !self.ran().is_empty(),
            "git {args:?} set no trap off: {}",
            done.stderr
        );
        fs::remove_file(&self.canary).unwrap();
    }

    /// What ran.
    pub fn ran(&self) -> String {
        fs::read_to_string(&self.canary).unwrap_or_default()
    }
}
