//! What an agent's program says about itself, asked in the sandbox.
//!
//! Invariant: a program that does not answer is unknown, not refused: only what it says can speak against it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use autopack_adapters::Manifest;
use autopack_adapters::probe::{Probe, Verdict};
use autopack_sandbox::{CancellationToken, Sandbox, Spec, env};

use crate::tools;

/// How long a program may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Help texts are read up to this size.
const HELP: usize = 512 * 1024;

/// An adapter on this machine.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its manifest.
    pub manifest: &'static Manifest,
    /// The program's file; `None`: it is not there, or the plan names it.
    pub path: Option<PathBuf>,
    /// What it said.
    pub probe: Probe,
    /// Whether it will do; `None`: there is nothing to judge.
    pub verdict: Option<Verdict>,
}

/// Looks for an adapter's program in `path` and asks it; `scratch` is an existing folder that it may use as its home.
pub async fn find(
    sandbox: &Sandbox,
    manifest: &'static Manifest,
    path: &OsStr,
    scratch: &Path,
) -> Found {
    let found = Some(&manifest.program)
        .filter(|program| !program.is_empty())
        .and_then(|program| tools::find(program, path));
    let probe = match &found {
        Some(program) => {
            let env = env::scrubbed(&[], scratch, scratch, &BTreeMap::new());
            ask(sandbox, manifest, program, env, scratch).await
        }
        None => Probe::default(),
    };
    Found {
        verdict: found.as_ref().map(|_| probe.judge(manifest)),
        path: found,
        manifest,
        probe,
    }
}

/// Asks a program for its version and its flags.
pub(crate) async fn ask(
    sandbox: &Sandbox,
    manifest: &Manifest,
    program: &Path,
    env: BTreeMap<String, String>,
    folder: &Path,
) -> Probe {
    let (version, help) = tokio::join!(
        answer(sandbox, program, &manifest.probe.version, &env, folder),
        answer(sandbox, program, &manifest.probe.help, &env, folder)
    );
    Probe::read(&version, &help)
}

/// What a program prints for these arguments; empty: they are none, or it failed.
async fn answer(
    sandbox: &Sandbox,
    program: &Path,
    args: &[String],
    env: &BTreeMap<String, String>,
    folder: &Path,
) -> String {
    if args.is_empty() {
        return String::new();
    }
    let mut argv = vec![program.to_string_lossy().into_owned()];
    argv.extend(args.iter().cloned());
    let mut spec = Spec::new(argv, folder.to_owned());
    spec.env.clone_from(env);
    spec.limits.wall = PATIENCE;
    spec.limits.output_keep_head = HELP;
    match sandbox.run(spec, CancellationToken::new()).await {
        Ok(outcome) if outcome.end.success() => outcome.output.text(),
        Ok(_) | Err(_) => String::new(),
    }
}
