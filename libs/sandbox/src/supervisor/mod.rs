//! The supervisor process: it starts one command, watches it, and ends everything it left.
//!
//! Invariant: it returns only when no descendant is alive, or when what is left cannot be killed. It has one thread
//! and starts before any runtime, so forking and changing namespaces are safe.

mod confine;
mod host;
mod landlock;
mod launch;
mod meter;
mod mounts;
mod output;
mod sweep;
mod watch;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Instant;

use serde::Serialize;

use crate::wire::{self, Report};
use crate::{End, Spec};

/// The first argument of a process that is to be the supervisor.
pub const SUPERVISOR_ARG: &str = "__autopack-supervisor";

/// Runs the supervisor if this process was started as one. Call it first in `main`, before any thread or runtime
/// exists, and return the code.
pub fn supervisor_main_if_requested() -> Option<ExitCode> {
    if std::env::args_os().nth(1)? != SUPERVISOR_ARG {
        return None;
    }
    Some(match supervise() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("supervisor: {error}");
            ExitCode::FAILURE
        }
    })
}

/// The whole life of the supervisor.
fn supervise() -> io::Result<()> {
    host::become_supervisor()?;
    let mut lifeline = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let spec = wire::read_spec(&mut lifeline)?;
    let report = run(&spec, &lifeline).unwrap_or_else(not_started);
    // Nobody may be reading any more; the tree is gone either way.
    let _ = say(&report);
    Ok(())
}

/// Starts the command and sees it through; `Err` when it did not start.
fn run(spec: &Spec, lifeline: &File) -> Result<Report, End> {
    // Before anything is hidden: the files may lie where the command may not look.
    let mut output = output::Output::new(spec)?;
    let confined = confine::confine(spec)?;
    let began = Instant::now();
    let child = launch::start(spec, &mut output, confined.own)?;
    host::hide();
    let mut meter = meter::Meter::new(&spec.limits);
    let mut end = watch::until_end(spec, &child, lifeline, began, &mut output, &mut meter);
    let wall = began.elapsed();
    let swept = sweep::end_tree(
        child.pid,
        matches!(end, End::Exited(_) | End::Signalled(_)),
        &mut output,
    );
    output.drain();
    let cpu = meter::reaped_cpu();
    end = watch::after_the_end(spec, end, cpu);
    let log_truncated = output.log_truncated();
    Ok(Report {
        end,
        output: output.finish(),
        log_truncated,
        wall,
        cpu,
        peak_memory_bytes: meter.peak_memory(),
        left_behind: swept.left_behind,
        survivors: swept.survivors,
        layers: confined.layers.into_iter().map(str::to_owned).collect(),
    })
}

/// The report on a command that never ran.
fn not_started(end: End) -> Report {
    Report {
        end,
        output: crate::CapturedOutput::default(),
        log_truncated: false,
        wall: std::time::Duration::ZERO,
        cpu: std::time::Duration::ZERO,
        peak_memory_bytes: 0,
        left_behind: 0,
        survivors: 0,
        layers: Vec::new(),
    }
}

/// One line to the worker.
fn say(message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(&line)?;
    stdout.flush()
}
