//! Makes a process without copying this one.
//!
//! Invariant: between clone and exec the child shares this process's memory while the starting thread stands still;
//! it makes plain system calls only, allocates nothing and never unwinds. A copy-on-write fork instead costs
//! milliseconds in a process of some hundred megabytes; the standard library avoids it too, but cannot set a death
//! signal then.
#![expect(
    unsafe_code,
    reason = "clone and what runs in the child have no safe wrappers"
)]

use std::ffi::{CString, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

/// Enough for a handful of frames.
const STACK: usize = 64 * 1024;

/// All that the child needs.
pub(super) struct Prepared {
    program: CString,
    argv: Vec<CString>,
    env: Vec<CString>,
    cwd: CString,
    stdio: [OwnedFd; 3],
    pub(super) finishes: bool,
}

/// A new process.
pub(super) struct Started {
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
}

impl Prepared {
    /// Takes the program's path, its words, its `NAME=value` pairs, its folder, its standard streams, and whether it
    /// goes on when this process is gone.
    pub(super) fn new(
        program: CString,
        argv: Vec<CString>,
        env: Vec<CString>,
        cwd: CString,
        stdio: [OwnedFd; 3],
        finishes: bool,
    ) -> io::Result<Self> {
        // A stream that lies where another is to go would be overwritten.
        if stdio.iter().any(|fd| fd.as_raw_fd() < 3) {
            return Err(io::Error::other(
                "this process runs without standard streams",
            ));
        }
        Ok(Self {
            program,
            argv,
            env,
            cwd,
            stdio,
            finishes,
        })
    }
}

/// What the child reads, and the one thing it writes.
struct Shared {
    program: *const c_char,
    argv: *const *const c_char,
    env: *const *const c_char,
    cwd: *const c_char,
    stdio: [c_int; 3],
    parent: libc::pid_t,
    mask: libc::sigset_t,
    /// What it gets when the starting thread ends; 0 for nothing.
    at_death: c_int,
    error: c_int,
}

/// Starts the program. It dies with the calling thread, unless it is one that finishes.
pub(super) fn start(prepared: &Prepared) -> io::Result<Started> {
    let pointers = |words: &[CString]| -> Vec<*const c_char> {
        words
            .iter()
            .map(|word| word.as_ptr())
            .chain([ptr::null()])
            .collect()
    };
    let (argv, env) = (pointers(&prepared.argv), pointers(&prepared.env));
    let stdio = &prepared.stdio;
    let mut stack = vec![0_u128; STACK / 16];
    let mut pidfd: c_int = -1;
    // SAFETY: all pointers stay valid until clone returns, which with CLONE_VFORK is after the child has executed the
    // program or ended. The stack is the child's alone, 16-byte aligned, and grows down from its end. Signals are
    // blocked meanwhile, so that no handler of this process runs in the child.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut mask: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut mask);
        let mut shared = Shared {
            program: prepared.program.as_ptr(),
            argv: argv.as_ptr(),
            env: env.as_ptr(),
            cwd: prepared.cwd.as_ptr(),
            stdio: [
                stdio[0].as_raw_fd(),
                stdio[1].as_raw_fd(),
                stdio[2].as_raw_fd(),
            ],
            parent: libc::getpid(),
            mask,
            // SIGTERM, not SIGKILL: git removes its lock files then.
            at_death: if prepared.finishes { 0 } else { libc::SIGTERM },
            error: 0,
        };
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
        let top = stack.as_mut_ptr().add(stack.len()).cast::<c_void>();
        let pid = libc::clone(child, top, flags, (&raw mut shared).cast(), &raw mut pidfd);
        let clone_error = io::Error::last_os_error();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const mask, ptr::null_mut());
        if pid < 0 {
            return Err(clone_error);
        }
        let pidfd = OwnedFd::from_raw_fd(pidfd);
        match ptr::read_volatile(&raw const shared.error) {
            0 => Ok(Started { pid, pidfd }),
            error => {
                libc::waitpid(pid, ptr::null_mut(), 0);
                Err(io::Error::from_raw_os_error(error))
            }
        }
    }
}

/// The life of the child before it is the program.
extern "C" fn child(shared: *mut c_void) -> c_int {
    let shared = shared.cast::<Shared>();
    // SAFETY: the starting thread keeps it alive and does not touch it while this runs.
    unsafe {
        become_program(&*shared);
        ptr::write_volatile(&raw mut (*shared).error, *libc::__errno_location());
    }
    127
}

/// Returns only on failure, with the reason in `errno`.
///
/// # Safety
///
/// All pointers of `shared` are valid, and this is a process of its own.
unsafe fn become_program(shared: &Shared) {
    // SAFETY: as the caller promises; each call is async-signal-safe.
    unsafe {
        heed_signals();
        if libc::setpgid(0, 0) < 0 || libc::prctl(libc::PR_SET_PDEATHSIG, shared.at_death) < 0 {
            return;
        }
        if libc::getppid() != shared.parent {
            *libc::__errno_location() = libc::ESRCH;
            return;
        }
        if libc::chdir(shared.cwd) < 0 {
            return;
        }
        let mut target = 0;
        while target < 3 {
            if libc::dup2(shared.stdio[target as usize], target) < 0 {
                return;
            }
            target += 1;
        }
        // What this process inherited without the mark to close it; a kernel before 5.11 leaves it open.
        libc::syscall(
            libc::SYS_close_range,
            3 as libc::c_uint,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        );
        libc::sigprocmask(libc::SIG_SETMASK, &raw const shared.mask, ptr::null_mut());
        libc::execve(shared.program, shared.argv, shared.env);
    }
}

/// Removes the handlers of this process, and what Rust sets for SIGPIPE; what its own parent ignored stays ignored.
///
/// # Safety
///
/// This is a process of its own.
unsafe fn heed_signals() {
    // SAFETY: the signal table is the child's own copy; numbers that cannot be set are refused.
    unsafe {
        let mut signal = 1;
        while signal <= 64 {
            let mut action: libc::sigaction = std::mem::zeroed();
            let known = libc::sigaction(signal, ptr::null(), &raw mut action) == 0;
            let kept = action.sa_sigaction == libc::SIG_DFL
                || (action.sa_sigaction == libc::SIG_IGN && signal != libc::SIGPIPE);
            if known && !kept {
                action = std::mem::zeroed();
                libc::sigaction(signal, &raw const action, ptr::null_mut());
            }
            signal += 1;
        }
    }
}
