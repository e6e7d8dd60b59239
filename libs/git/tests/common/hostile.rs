//! Traps in a user's repository: each would append its name to a canary file if it ran.
//!
//! Invariant: [`Canary::ran`] is empty after every test; the test of the traps themselves shows that they are live.

use std::fs;
use std::path::{Path, PathBuf};

use super::{executable, git};

/// Where traps report.
pub struct Canary(pub PathBuf);

impl Canary {
    /// What ran.
    pub fn ran(&self) -> String {
        fs::read_to_string(&self.0).unwrap_or_default()
    }
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

/// Plants a trap in every place of a repository's git folder that git may start a program from.
pub fn set_traps(git_dir: &Path, canary: &Path) -> Canary {
    let trap = |name: &str| {
        format!(
            "#!/bin/sh\necho {name} >> '{}'\ncat 2>/dev/null\n",
            canary.display()
        )
    };
    let hooks = git_dir.join("hooks");
    fs::create_dir_all(&hooks).unwrap();
    for hook in HOOKS {
        fs::write(
            hooks.join(hook),
            trap(hook).replace("cat 2>/dev/null", "exit 0"),
        )
        .unwrap();
        executable(&hooks.join(hook));
    }
    let script = git_dir.join("trap.sh");
    fs::write(&script, trap("config")).unwrap();
    executable(&script);
    let script = script.to_str().unwrap();
    let included = git_dir.join("included");
    fs::write(
        &included,
        format!("[core]\n\tpager = {script}\n[diff]\n\texternal = {script}\n"),
    )
    .unwrap();
    let settings = [
        ("core.hooksPath", hooks.to_str().unwrap()),
        ("core.fsmonitor", script),
        ("core.sshCommand", script),
        ("core.gitProxy", script),
        ("core.editor", script),
        ("core.pager", script),
        ("core.askPass", script),
        ("core.alternateRefsCommand", script),
        ("filter.lfs.clean", script),
        ("filter.lfs.smudge", script),
        ("filter.lfs.process", script),
        ("filter.lfs.required", "true"),
        ("diff.external", script),
        ("diff.trap.textconv", script),
        ("merge.trap.driver", script),
        ("gpg.program", script),
        ("commit.gpgSign", "true"),
        ("uploadpack.packObjectsHook", script),
        ("uploadpack.hideRefs", "refs/none"),
        ("receive.procReceiveRefs", "refs/heads"),
        ("credential.helper", script),
        ("alias.rev-list", script),
        ("alias.update-ref", script),
        ("include.path", included.to_str().unwrap()),
        ("trailer.x.command", script),
        ("protocol.ext.allow", "always"),
        ("gc.auto", "1"),
    ];
    for (key, value) in settings {
        git(
            git_dir,
            &[
                "config",
                "--file",
                git_dir.join("config").to_str().unwrap(),
                key,
                value,
            ],
        );
    }
    let _ = fs::remove_file(canary);
    Canary(canary.to_owned())
}
