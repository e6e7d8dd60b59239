//! What the supervisor changes about itself before it starts anything.
//!
//! Invariant: after `become_supervisor`, orphans of the tree come to this process, no signal but SIGKILL and SIGSTOP
//! reaches it, and neither a descriptor nor a signal setting of the worker passes through it to the command.

use std::fs;
use std::io;

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use nix::unistd::{getgid, getuid, setsid};

use super::confine::{MOUNTS, NETWORK};

/// Takes over the role. The signal mask is undone again between the fork and the command.
pub(super) fn become_supervisor() -> io::Result<()> {
    SigSet::all().thread_block()?;
    heed_signals();
    prctl::set_child_subreaper(true)?;
    // It fails for the leader of a group, which then has a group of its own already.
    let _ = setsid();
    close_others_on_exec();
    // Holds no folder of the worker busy.
    std::env::set_current_dir("/")
}

/// Puts this process before all ordinary ones, or back among them: in the middle of a fork bomb it would otherwise
/// get a thousandth of a processor. It takes a right that containers often lack; then the early look at the number of
/// processes has to do.
#[expect(unsafe_code, reason = "scheduling classes have no safe wrapper")]
pub(super) fn go_first(first: bool) {
    let (policy, sched_priority) = if first {
        (libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, 1)
    } else {
        (libc::SCHED_OTHER, 0)
    };
    // SAFETY: the parameter outlives the call, which reads it only.
    unsafe {
        libc::sched_setscheduler(0, policy, &libc::sched_param { sched_priority });
    }
}

/// Keeps processes of the same user from tracing this one. Only after the command has started: it also closes this
/// process's own files in `/proc`.
pub(super) fn hide() {
    // It fails for values other than 0 and 1 only.
    let _ = prctl::set_dumpable(false);
}

/// Undoes what the worker, or whoever started it, ignores: an ignored signal stays ignored over exec.
#[expect(
    unsafe_code,
    reason = "changing what a signal does is unsafe in general"
)]
fn heed_signals() {
    for number in Signal::iterator() {
        // SAFETY: the default action runs no code of this process. SIGKILL and SIGSTOP refuse, which is right.
        let _ = unsafe { signal(number, SigHandler::SigDfl) };
    }
}

/// Marks every descriptor but the three standard ones to be closed in the command.
#[expect(unsafe_code, reason = "close_range has no safe wrapper")]
fn close_others_on_exec() {
    // SAFETY: the call takes three integers and closes nothing now. A kernel before 5.11 refuses it; descriptors
    // opened by Rust code are close-on-exec anyway.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3 as libc::c_uint,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        );
    }
}

/// Moves into namespaces of its own: a network with a loopback interface only, and mounts. Tells which of the two were
/// asked for and are to be had.
pub(super) fn leave(network: bool, mounts: bool) -> (bool, bool) {
    let wanted = [(network, NETWORK), (mounts, MOUNTS)];
    let flags = |on: &(bool, CloneFlags)| on.0.then_some(on.1);
    let mut left = CloneFlags::empty();
    if getuid().is_root() {
        for flag in wanted.iter().filter_map(flags) {
            if unshare(flag).is_ok() {
                left |= flag;
            }
        }
    }
    let rest: CloneFlags = wanted.iter().filter_map(flags).collect::<CloneFlags>() - left;
    if !rest.is_empty() && as_own_user(rest) {
        left |= rest;
    }
    if left.contains(NETWORK) {
        // Without it, programs that talk to themselves over 127.0.0.1 fail; that is theirs to report.
        let _ = loopback_up();
    }
    (left.contains(NETWORK), left.contains(MOUNTS))
}

/// Enters them by way of a user namespace in which this user is still itself.
fn as_own_user(flags: CloneFlags) -> bool {
    let (uid, gid) = (getuid(), getgid());
    unshare(CloneFlags::CLONE_NEWUSER | flags).is_ok()
        && fs::write("/proc/self/setgroups", "deny").is_ok()
        && fs::write("/proc/self/uid_map", format!("{uid} {uid} 1")).is_ok()
        && fs::write("/proc/self/gid_map", format!("{gid} {gid} 1")).is_ok()
}

/// Switches the loopback interface on.
#[expect(unsafe_code, reason = "interface flags are set by ioctl only")]
fn loopback_up() -> io::Result<()> {
    use std::os::fd::AsRawFd;

    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: an all-zero ifreq is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the descriptor is open and the request outlives the call, which reads it only.
    if unsafe {
        libc::ioctl(
            socket.as_raw_fd(),
            libc::SIOCSIFFLAGS as _,
            &raw const request,
        )
    } < 0
    {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
