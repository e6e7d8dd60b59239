//! `autopack`: the command line, and every service in one process.
//!
//! Invariant: this file holds no logic: it decides whether the process is a sandbox supervisor, parses the
//! arguments, runs the command, and returns its exit code.

#![allow(
    clippy::result_large_err,
    reason = "an error ends the command: nobody copies it in a loop"
)]

mod aliases;
mod bench;
mod cli;
mod commands;
mod connect;
mod credentials;
mod doctor;
mod engine;
mod error;
mod explain;
mod facts;
mod failpoints;
mod features;
mod follow;
mod host;
mod output;
mod plan_files;
mod project;
mod report;
mod runfiles;
mod submit;
mod target;
mod view;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{cli::Cli, error::Exit};

fn main() -> ExitCode {
    // First of all: a supervisor has one thread and no runtime.
    if let Some(code) = autopack_sandbox::supervisor_main_if_requested() {
        return code;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return output::usage(&error).into(),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::stderr(&format!("error: the runtime cannot start: {error}"));
            return Exit::Error.into();
        }
    };
    let exit = runtime.block_on(commands::run(cli));
    // What still runs after a second interrupt ends with the process.
    runtime.shutdown_background();
    exit.into()
}
