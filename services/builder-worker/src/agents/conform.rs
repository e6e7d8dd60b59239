//! The conformance kit: a stand-in plays each fault, and the driver must make of it what the kit says.
//!
//! Invariant: nothing here knows an adapter by name, and nothing outlives the test of a fault.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use autopack_adapters::kit::{self, Fault, Seen};
use autopack_adapters::probe::Verdict;
use autopack_adapters::{Manifest, invoke};
use autopack_sandbox::{CancellationToken, End, Sandbox, Spec, env};
use tokio::sync::watch;

use super::drive::{Drive, drive};
use super::probe;

/// What the stand-in is asked.
const PROMPT: &str = "Write the file a.txt and end.";
/// How long one that hangs may stay after its end.
const GRACE: Duration = Duration::from_millis(300);
/// When one that says no end is ended.
const SHORT: Duration = Duration::from_secs(3);
/// When any other is ended; the machine may be busy.
const LONG: Duration = Duration::from_mins(2);

/// Plays one fault in the folder `scratch`, which must exist and be empty. Answers what went wrong; empty: it passes.
pub async fn conform(
    sandbox: &Sandbox,
    manifest: &'static Manifest,
    fault: Fault,
    scratch: &Path,
) -> Vec<String> {
    match play(sandbox, manifest, fault, scratch).await {
        Ok(seen) => kit::judge(manifest, fault, PROMPT, &seen),
        Err(problem) => vec![problem],
    }
}

async fn play(
    sandbox: &Sandbox,
    manifest: &'static Manifest,
    fault: Fault,
    scratch: &Path,
) -> Result<Seen, String> {
    let scene = kit::scene(manifest, fault, ":");
    let program = scratch.join(kit::PROGRAM);
    let (home, tree) = (scratch.join("home"), scratch.join("tree"));
    let prompt_file = scratch.join(kit::PROMPT_FILE);
    let events = scratch.join("events.jsonl");
    let write = || -> io::Result<()> {
        fs::create_dir(&home)?;
        fs::create_dir(&tree)?;
        fs::write(&program, &scene.script)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        fs::write(scratch.join(kit::EVENTS), &scene.stream)?;
        fs::write(&prompt_file, PROMPT)
    };
    write().map_err(|error| format!("{}: {error}", scratch.display()))?;
    let scrubbed = |extra: &BTreeMap<String, String>| env::scrubbed(&[], &home, &home, extra);
    let probe = probe::ask(
        sandbox,
        manifest,
        &program,
        scrubbed(&BTreeMap::new()),
        &tree,
    )
    .await;
    let newer = match probe.judge(manifest) {
        Verdict::Usable { newer, .. } => newer,
        Verdict::Refused(why) => return Err(format!("the stand-in is refused: {why}")),
    };
    let shown = |path: &Path| path.to_string_lossy().into_owned();
    let (program, prompt, events_file) = (shown(&program), shown(&prompt_file), shown(&events));
    let (home_shown, folder) = (shown(&home), shown(&tree));
    let request = invoke::Request {
        program: &program,
        prompt_file: &prompt,
        events_file: &events_file,
        home: &home_shown,
        folder: &folder,
        session: "00000000-0000-4000-8000-000000000000",
        ..invoke::Request::default()
    };
    let made = invoke::invocation(manifest, &request, &probe);
    let mut spec = Spec::new(made.argv, tree.clone());
    spec.env = scrubbed(&made.env);
    let hangs = matches!(fault, Fault::HangAfterEnd | Fault::SignalsIgnored);
    let early = manifest.says_end_early();
    spec.limits.wall = if hangs && !early { SHORT } else { LONG };
    let this = Drive {
        manifest,
        spec,
        prompt: PROMPT,
        exchange: scratch,
        events: &events,
        poll: Duration::from_millis(50),
        grace: GRACE,
        newer,
    };
    let (told, _) = watch::channel(None);
    let driven = drive(sandbox, this, CancellationToken::new(), &told)
        .await
        .map_err(|error| error.to_string())?;
    Ok(Seen {
        exit: match driven.outcome.end {
            End::Exited(code) => Some(code),
            _ => None,
        },
        timed_out: driven.outcome.end == End::TimedOut,
        stopped: driven.stopped,
        survivors: driven.outcome.survivors,
        prompt: fs::read_to_string(scratch.join("prompt-seen")).unwrap_or_default(),
        report: driven.report,
    })
}
