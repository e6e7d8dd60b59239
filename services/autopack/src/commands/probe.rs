//! `autopack doctor --probe run-state|issues|complete`.
//!
//! Invariant: the run that it makes has ended when the command ends, also after Ctrl-C.

use std::{fmt::Write as _, time::Duration};

use autopack_runtime::signals::EndSignals;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Context;
use crate::{
    cli::{DoctorArgs, ProbeKind},
    connect::Connection,
    doctor::{
        findings,
        probe::{self, Ask, Probe, repository},
    },
    error::{CliError, Exit, Outcome},
    output::count,
    target,
};

pub(super) async fn run(context: &Context, args: &DoctorArgs, kind: ProbeKind) -> Outcome {
    let mut signals = EndSignals::new()
        .map_err(|error| CliError::new(format!("signals cannot be caught: {error}")))?;
    let connection = context.connect().await?;
    let result = Box::pin(drive(context, args, kind, &connection, &mut signals)).await;
    connection.close().await;
    let (probe, interrupted) = result?;
    context
        .ui
        .data(|| as_json(kind, &probe), || as_text(kind, &probe));
    Ok(match (interrupted, probe.findings.is_empty()) {
        (true, _) => Exit::Interrupted,
        (false, true) => Exit::Success,
        (false, false) => Exit::Error,
    })
}

/// The probe, and whether somebody interrupted it.
async fn drive(
    context: &Context,
    args: &DoctorArgs,
    kind: ProbeKind,
    connection: &Connection,
    signals: &mut EndSignals,
) -> Result<(Probe, bool), CliError> {
    let repository = match &args.repo {
        Some(named) => target::discover(named).await?.location,
        None if connection.local => {
            let place = repository::ready(&context.settings.data_dir).await?;
            place.display().to_string()
        }
        None => {
            let text =
                "a probe of another machine's registry needs a repository that its workers reach";
            return Err(CliError::usage(text).hint(
                "--repo https://host/any.git; nothing is written to it but the branch of the probe",
            ));
        }
    };
    let ask = Ask {
        kind,
        repository,
        within: Duration::from_secs(args.timeout.into()),
        served: connection.engine.is_none(),
    };
    let end = CancellationToken::new();
    let probing = probe::run(&connection.clients, &ask, &end);
    tokio::pin!(probing);
    tokio::select! {
        probe = &mut probing => return Ok((probe, false)),
        signal = signals.next() => {
            context.ui.say(&format!("{signal}: cancelling the probe's run"));
            end.cancel();
        }
    }
    Ok((probing.await, true))
}

fn as_json(kind: ProbeKind, probe: &Probe) -> Value {
    json!({
        "probe": kind.name(),
        "well": probe.findings.is_empty(),
        "run": (!probe.run.is_empty()).then_some(&probe.run),
        "state": (!probe.state.is_empty()).then_some(&probe.state),
        "checks": probe.checks,
        "findings": probe.findings.iter().map(findings::as_json).collect::<Vec<_>>(),
    })
}

fn as_text(kind: ProbeKind, probe: &Probe) -> String {
    let mut text = format!("{:<10} {}\n", "probe", kind.name());
    if !probe.run.is_empty() {
        let _ = writeln!(text, "{:<10} {}, {}", "run", probe.run, probe.state);
    }
    let _ = writeln!(
        text,
        "{:<10} {}",
        "compared",
        count(probe.checks.len(), "fact")
    );
    let _ = writeln!(text, "{:<10} {}", "findings", probe.findings.len());
    for finding in &probe.findings {
        let _ = write!(text, "\n{}", findings::as_text(finding));
    }
    text
}
