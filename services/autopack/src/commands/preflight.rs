//! `autopack preflight`: the gate of a repository in its present checkout.
//!
//! Invariant: the first attempt that passes ends it; one that passed after another failed is told as flaky, never
//! passed over. A gate that cannot be inferred is an error, never a pass.

use std::{path::PathBuf, time::Duration};

use autopack_domain::{Cause, gate::Verdict, plan::GateProfile};
use autopack_runtime::env_alias::{DEFAULT_BACKOFF_SECONDS, DEFAULT_MAX_ATTEMPTS};
use builder_worker::checkout::{Attempt, CheckoutGate};
use serde_json::{Value, json};

use super::Context;
use crate::{
    cli::PreflightArgs,
    error::{CliError, Exit, Outcome},
    output::count,
};

/// A folder that goes with the value.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) async fn run(context: &Context, args: PreflightArgs) -> Outcome {
    let settings = &context.settings;
    let named = args.profile.as_deref().map(|name| {
        GateProfile::parse(name).ok_or_else(|| {
            let known = GateProfile::spellings().join(" or ");
            CliError::usage(format!("--profile {name}: it is {known}"))
        })
    });
    let profile = named.transpose()?;
    let profile = profile
        .or(settings.gate_profile)
        .unwrap_or(GateProfile::Normal);
    let attempts = settings.max_attempts.unwrap_or(DEFAULT_MAX_ATTEMPTS);
    let pause = settings.backoff_seconds.unwrap_or(DEFAULT_BACKOFF_SECONDS);
    let folder = std::env::temp_dir().join(format!("autopack-preflight-{}", std::process::id()));
    std::fs::create_dir(&folder).map_err(|e| CliError::io("cannot make", &folder, &e))?;
    let scratch = Scratch(folder);
    let gate = CheckoutGate::infer(&args.repo, &scratch.0, profile);
    let mut gate = gate.map_err(|why| {
        CliError::new(format!("no gate can be inferred: {why}"))
            .hint("a plan may declare one in `gate.steps`; preflight runs what is inferred")
    })?;
    let ui = context.ui;
    ui.say(&format!("profile {profile}: {}", gate.lines().join("; ")));
    let mut made: Vec<Attempt> = Vec::new();
    loop {
        let number = made.len() + 1;
        ui.say(&format!("attempt {number} of {attempts}"));
        let attempt = gate.attempt(&mut |line| ui.say(line)).await;
        let attempt = attempt.map_err(CliError::new)?;
        let passed = attempt.verdict.lands();
        // A program that is not there will not be there in a moment.
        let missing = Cause::GateNotFound;
        let hopeless = attempt.verdict == Verdict::Inconclusive { cause: missing };
        made.push(attempt);
        if passed || hopeless || made.len() as u64 >= u64::from(attempts) {
            break;
        }
        ui.say(&format!("failed; again in {pause} s"));
        tokio::time::sleep(Duration::from_secs(pause.into())).await;
    }
    let passed = made.last().is_some_and(|last| last.verdict.lands());
    ui.data(
        || report(profile, &made, passed),
        || sentence(profile, &made, passed),
    );
    Ok(if passed { Exit::Success } else { Exit::Error })
}

fn sentence(profile: GateProfile, made: &[Attempt], passed: bool) -> String {
    let tries = count(made.len(), "attempt");
    match (passed, made.len()) {
        (true, 1) => format!("preflight {profile}: passed\n"),
        (true, _) => format!("preflight {profile}: passed, but flaky: it took {tries}\n"),
        (false, _) => {
            let last = made.last();
            let word = last.map_or("failed", |last| last.verdict.word());
            let step = last.and_then(|last| last.steps.last());
            let step = step.map_or_else(String::new, |s| format!(" at `{}` ({})", s.run, s.end));
            format!("preflight {profile}: {word} after {tries}{step}\n")
        }
    }
}

fn report(profile: GateProfile, made: &[Attempt], passed: bool) -> Value {
    let attempts = made.iter().map(|attempt| {
        let steps = attempt.steps.iter();
        let steps = steps.map(|step| json!({ "run": step.run, "end": step.end }));
        json!({ "verdict": attempt.verdict, "steps": steps.collect::<Vec<_>>() })
    });
    json!({
        "profile": profile.as_str(),
        "passed": passed,
        "flaky": passed && made.len() > 1,
        "attempts": attempts.collect::<Vec<_>>(),
    })
}
