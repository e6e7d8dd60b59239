//! The supervisor as a program of its own, for tests and for hosts that cannot re-execute themselves.
//!
//! Invariant: it does nothing unless it is started as the supervisor.

use std::process::ExitCode;

fn main() -> ExitCode {
    autopack_sandbox::supervisor_main_if_requested().unwrap_or_else(|| {
        eprintln!("autopack-supervisor is started by Autopack and does nothing on its own");
        ExitCode::from(2)
    })
}
