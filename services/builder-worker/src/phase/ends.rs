//! What the end of a sandboxed command means for a builder and for a step of a gate.
//!
//! Invariant: total over every end; only an exit with code 0 is a builder's success.

use autopack_domain::Cause;
use autopack_policy::gate::StepEnd;
use autopack_sandbox::End;

use crate::error::Stop;

/// Why a builder's end is no success: the cause and the words. `None`: it is one.
pub(crate) fn builder_failure(
    end: &End,
    timeout_seconds: u32,
    missing_program: Option<&str>,
) -> Option<(Cause, String)> {
    Some(match end {
        End::Exited(0) => return None,
        End::Exited(127) if missing_program.is_some() => not_found(missing_program),
        End::NotFound | End::NotExecutable if missing_program.is_some() => {
            not_found(missing_program)
        }
        End::Exited(code) => (
            Cause::BuilderFailed,
            format!("the builder ended with exit code {code}"),
        ),
        End::Signalled(signal) => (
            Cause::BuilderFailed,
            format!("the builder was ended by signal {signal}"),
        ),
        End::TimedOut => (
            Cause::BuilderTimeout,
            format!("the builder did not end within {timeout_seconds} s"),
        ),
        End::DiskLimit => (
            Cause::DiskLimit,
            "the builder wrote more than `limits.disk_mb`".to_owned(),
        ),
        End::MemoryLimit => limit("memory", "memory_mb"),
        End::CpuLimit => limit("processor time", "cpu_seconds"),
        End::ProcessLimit => limit("processes", "processes"),
        End::OutputLimit => (
            Cause::ResourceLimit,
            "the builder wrote too much output".to_owned(),
        ),
        End::NotFound | End::NotExecutable => (
            Cause::WorkerError,
            "the worker has no /bin/sh that runs".to_owned(),
        ),
        End::SupervisorLost => (
            Cause::WorkerError,
            "the sandbox's supervisor was lost while the builder ran".to_owned(),
        ),
        End::Unconfined(layers) => unconfined(layers),
        End::SpawnFailed(why) => (
            Cause::WorkerError,
            format!("the builder could not be started: {why}"),
        ),
        End::Cancelled => (
            Cause::WorkerError,
            "the builder was cancelled by nobody".to_owned(),
        ),
    })
}

fn not_found(program: Option<&str>) -> (Cause, String) {
    let program = program.unwrap_or_default();
    (
        Cause::BuilderNotFound,
        format!("`{program}` is neither on the worker's PATH nor in the repository"),
    )
}

fn unconfined(layers: &str) -> (Cause, String) {
    (
        Cause::SandboxIncomplete,
        format!(
            "the worker requires these layers of the sandbox, and cannot put them on: {layers}"
        ),
    )
}

fn limit(what: &str, key: &str) -> (Cause, String) {
    (
        Cause::ResourceLimit,
        format!("the builder used more {what} than `limits.{key}`"),
    )
}

/// A step's end for the verdict, or why there is none.
pub(crate) fn step_end(end: &End) -> Result<StepEnd, Stop> {
    Ok(match end {
        End::Exited(code) => StepEnd::Exited(*code),
        End::Signalled(signal) => StepEnd::Signalled(*signal),
        End::TimedOut => StepEnd::TimedOut,
        End::MemoryLimit => StepEnd::MemoryLimit,
        End::DiskLimit => StepEnd::DiskLimit,
        End::CpuLimit => StepEnd::CpuLimit,
        End::OutputLimit => StepEnd::OutputLimit,
        End::ProcessLimit => StepEnd::ProcessLimit,
        End::NotFound | End::NotExecutable => StepEnd::NotFound,
        // Somebody killed it together with what it watched.
        End::SupervisorLost => StepEnd::Signalled(9),
        End::Cancelled => return Err(Stop::Interrupted),
        End::Unconfined(layers) => {
            let (cause, words) = unconfined(layers);
            return Err(Stop::failed(cause, words));
        }
        End::SpawnFailed(why) => {
            return Err(Stop::failed(
                Cause::WorkerError,
                format!("a gate step could not be started: {why}"),
            ));
        }
    })
}

/// An end for people.
pub(crate) fn end_text(end: StepEnd) -> String {
    match end {
        StepEnd::Exited(code) => format!("exit code {code}"),
        StepEnd::Signalled(signal) => format!("ended by signal {signal}"),
        StepEnd::TimedOut => "time-out".to_owned(),
        StepEnd::MemoryLimit => "over its memory limit".to_owned(),
        StepEnd::DiskLimit => "over its disk limit".to_owned(),
        StepEnd::CpuLimit => "over its processor time".to_owned(),
        StepEnd::OutputLimit => "over its output limit".to_owned(),
        StepEnd::ProcessLimit => "over its number of processes".to_owned(),
        StepEnd::NotFound => "not found".to_owned(),
        StepEnd::SetupFailed => "the set-up failed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_of_a_builder_has_its_cause() {
        let cause = |end: End, missing: Option<&str>| {
            builder_failure(&end, 5, missing).map(|(cause, _)| cause)
        };
        assert_eq!(cause(End::Exited(0), Some("x")), None);
        for (end, missing, want) in [
            (End::Exited(1), None, Cause::BuilderFailed),
            (End::Exited(127), None, Cause::BuilderFailed),
            (End::Exited(127), Some("agent"), Cause::BuilderNotFound),
            (End::NotFound, Some("agent"), Cause::BuilderNotFound),
            (End::Signalled(9), None, Cause::BuilderFailed),
            (End::TimedOut, None, Cause::BuilderTimeout),
            (End::DiskLimit, None, Cause::DiskLimit),
            (End::MemoryLimit, None, Cause::ResourceLimit),
            (End::CpuLimit, None, Cause::ResourceLimit),
            (End::ProcessLimit, None, Cause::ResourceLimit),
            (End::OutputLimit, None, Cause::ResourceLimit),
            (End::SupervisorLost, None, Cause::WorkerError),
            (End::SpawnFailed("x".into()), None, Cause::WorkerError),
            (End::Unconfined("x".into()), None, Cause::SandboxIncomplete),
        ] {
            assert_eq!(cause(end.clone(), missing), Some(want), "{end:?}");
        }
    }

    #[test]
    fn every_end_of_a_step_is_judged_or_stops_the_work() {
        assert_eq!(step_end(&End::Exited(3)).unwrap(), StepEnd::Exited(3));
        assert_eq!(
            step_end(&End::SupervisorLost).unwrap(),
            StepEnd::Signalled(9)
        );
        assert_eq!(step_end(&End::NotExecutable).unwrap(), StepEnd::NotFound);
        assert!(matches!(step_end(&End::Cancelled), Err(Stop::Interrupted)));
        assert!(matches!(
            step_end(&End::SpawnFailed("x".into())),
            Err(Stop::Failed(_))
        ));
    }
}
