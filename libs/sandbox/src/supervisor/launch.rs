//! Starts the command.
//!
//! Invariant: what runs between fork and exec puts every limit on before the first instruction of the command, and
//! a limit that cannot be set keeps it from starting.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{getpid, getppid, getuid, setsid};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::confine::Own;
use super::output::Output;
use crate::wire::Started;
use crate::{End, Spec, tree};

/// The least number of threads a user may have below a process limit, whatever else runs: a backstop for the
/// moments between two samples, not a limit that an honest command meets.
const THREADS_BACKSTOP: u64 = 2048;

/// A running command.
pub(super) struct Child {
    /// Its process, group and session.
    pub(super) pid: i32,
    /// Becomes readable when it ends.
    pub(super) pidfd: OwnedFd,
}

/// Starts it, or tells why it does not start.
pub(super) fn start(spec: &Spec, output: &mut Output, own: Own) -> Result<Child, End> {
    let failed = |doing: &str, error: io::Error| End::SpawnFailed(format!("{doing}: {error}"));
    if !spec.cwd.is_dir() {
        return Err(End::SpawnFailed(format!(
            "the working folder {} does not exist",
            spec.cwd.display()
        )));
    }
    let (program, args) = spec
        .argv
        .split_first()
        .ok_or_else(|| End::SpawnFailed("no program is given".into()))?;
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where untrusted commands start"
    )]
    let mut command = Command::new(program);
    let (stdout, stderr) = output
        .writers()
        .map_err(|error| failed("cannot make pipes", error))?;
    command
        .args(args)
        .env_clear()
        .envs(&spec.env)
        .current_dir(&spec.cwd)
        .stdin(stdin(spec).map_err(|error| failed("cannot pass standard input", error))?)
        .stdout(stdout)
        .stderr(stderr);
    let report = io::stdout()
        .as_fd()
        .try_clone_to_owned()
        .map_err(|error| failed("cannot reach the worker", error))?;
    before_exec(&mut command, rlimits(spec), report, own);
    let pid = match command.spawn() {
        Ok(child) => child.id() as i32,
        Err(error) => {
            return Err(match error.raw_os_error() {
                Some(libc::ENOENT | libc::ENOTDIR) => End::NotFound,
                Some(libc::EACCES) if !on_path(program, spec) => End::NotFound,
                Some(libc::EACCES | libc::ENOEXEC | libc::EPERM) => End::NotExecutable,
                _ => failed("cannot start the command", error),
            });
        }
    };
    // Its ends of the pipes are closed here, so that their end is seen when the tree is gone.
    drop(command);
    let pidfd = Pid::from_raw(pid)
        .ok_or(rustix::io::Errno::SRCH)
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()))
        .map_err(|error| {
            tree::kill_all(
                &tree::descendants(getpid().as_raw(), &tree::scan()),
                getpid().as_raw(),
            );
            failed("cannot watch the command", error.into())
        })?;
    Ok(Child { pid, pidfd })
}

/// Whether any folder of the path has such a file, or none is needed. The search itself answers "permission denied"
/// if it met a folder that it could not look into, and found nothing.
fn on_path(program: &str, spec: &Spec) -> bool {
    let path = spec.env.get("PATH").map_or("", String::as_str);
    program.contains('/')
        || path
            .split(':')
            .any(|folder| Path::new(folder).join(program).is_file())
}

/// `/dev/null`, or a file in memory that holds the given bytes.
fn stdin(spec: &Spec) -> io::Result<Stdio> {
    let Some(bytes) = &spec.stdin else {
        return Ok(Stdio::null());
    };
    let mut file = File::from(rustix::fs::memfd_create(
        "stdin",
        rustix::fs::MemfdFlags::CLOEXEC,
    )?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

/// The limits the kernel holds, each as soft and hard value.
fn rlimits(spec: &Spec) -> Vec<(Resource, u64, u64)> {
    let limits = &spec.limits;
    let mut set = vec![(Resource::RLIMIT_CORE, 0, 0)];
    if let Some(cpu) = limits.cpu {
        // A second later than the supervisor's own measure, which counts the whole tree.
        let seconds = cpu.as_secs() + 1 + u64::from(cpu.subsec_nanos() > 0);
        set.push((Resource::RLIMIT_CPU, seconds, seconds + 1));
    }
    if let Some(bytes) = limits.disk_bytes {
        set.push((Resource::RLIMIT_FSIZE, bytes, bytes));
    }
    if let Some(files) = limits.open_files {
        set.push((Resource::RLIMIT_NOFILE, files, files));
    }
    if let Some(processes) = limits.processes
        && !getuid().is_root()
    {
        let running: u64 = tree::scan().iter().map(|process| process.threads).sum();
        let threads = running + (u64::from(processes) * 8).max(THREADS_BACKSTOP);
        set.push((Resource::RLIMIT_NPROC, threads, threads));
    }
    // Nobody may raise a hard limit.
    for (resource, soft, hard) in &mut set {
        if let Ok((_, ceiling)) = getrlimit(*resource) {
            *hard = (*hard).min(ceiling);
            *soft = (*soft).min(*hard);
        }
    }
    set
}

/// What the child does to itself before it becomes the command.
#[expect(
    unsafe_code,
    reason = "session, limits and death signal are set between fork and exec"
)]
fn before_exec(
    command: &mut Command,
    limits: Vec<(Resource, u64, u64)>,
    report: OwnedFd,
    own: Own,
) {
    let supervisor = getpid();
    let prepare = move || {
        let session = setsid()?;
        // The worker learns the session before the command can do anything to its supervisor.
        rustix::io::write(
            &report,
            &Started {
                pid: session.as_raw(),
            }
            .line(),
        )?;
        for (resource, soft, hard) in &limits {
            setrlimit(*resource, *soft, *hard)?;
        }
        umask(Mode::from_bits_truncate(0o022));
        // No program gains rights by being started, so each can be killed, and keeps its death signal.
        prctl::set_no_new_privs()?;
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        if getppid() != supervisor {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        SigSet::empty().thread_set_mask()?;
        // Out of memory, the kernel takes the command before its supervisor.
        let _ = std::fs::write("/proc/self/oom_score_adj", "500");
        // Last: it closes what the lines above need.
        own.put_on()
    };
    // SAFETY: the supervisor has a single thread, so the child may use whatever it finds after the fork.
    unsafe {
        command.pre_exec(prepare);
    }
}
