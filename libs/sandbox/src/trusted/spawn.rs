//! The thread that starts trusted programs.
//!
//! Invariant: it never ends. The death signal of a child is sent when the *thread* that started it ends, and the
//! threads of a runtime come and go.

use std::io;
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{getpid, getppid};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

struct Order {
    command: Command,
    runtime: Handle,
    done: oneshot::Sender<io::Result<Child>>,
}

/// Starts a program that dies with this process.
pub(super) async fn spawn(mut command: Command) -> io::Result<Child> {
    die_with_parent(&mut command);
    let (done, child) = oneshot::channel();
    let order = Order {
        command,
        runtime: Handle::current(),
        done,
    };
    let gone = || io::Error::other("the thread that starts programs is gone");
    thread()?.send(order).map_err(|_| gone())?;
    child.await.map_err(|_| gone())?
}

fn thread() -> io::Result<Sender<Order>> {
    static THREAD: OnceLock<Sender<Order>> = OnceLock::new();
    if let Some(orders) = THREAD.get() {
        return Ok(orders.clone());
    }
    let (sender, orders) = channel::<Order>();
    std::thread::Builder::new()
        .name("spawn".into())
        .spawn(move || {
            for Order {
                mut command,
                runtime,
                done,
            } in orders
            {
                let _inside = runtime.enter();
                // A caller that is gone drops the child, which is killed by that.
                let _ = done.send(command.spawn());
            }
        })?;
    // Of two threads that came here at once, the loser's ends with its channel before it starts anything.
    Ok(THREAD.get_or_init(|| sender).clone())
}

/// The signal is set between fork and exec; a parent that died before that is noticed by its id.
#[expect(unsafe_code, reason = "the death signal is set between fork and exec")]
fn die_with_parent(command: &mut Command) {
    let parent = getpid();
    let prepare = move || {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        if getppid() == parent {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(libc::ESRCH))
        }
    };
    // SAFETY: both calls are plain system calls, and an error of this kind allocates nothing.
    unsafe {
        command.pre_exec(prepare);
    }
}
