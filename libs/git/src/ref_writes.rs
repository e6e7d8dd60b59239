//! References that are written together: starting git costs more than writing a reference.
//!
//! Invariant: a caller hears of its own reference only; one that git refuses costs the others a second command, never
//! their write. Writing one twice is harmless, so a caller that goes away half-way breaks nothing.

use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::clone::OwnClone;
use crate::error::GitError;
use crate::oid::Oid;

/// References that one command writes at most.
const TOGETHER: usize = 256;

/// What waits to be written in one clone.
#[derive(Default)]
pub(crate) struct RefWrites {
    waiting: Mutex<Vec<Write>>,
    /// Held while git runs: meanwhile others gather.
    writing: tokio::sync::Mutex<()>,
}

struct Write {
    name: String,
    oid: Oid,
    done: oneshot::Sender<Result<(), GitError>>,
}

impl RefWrites {
    /// Writes one, with those that wait. Cancel-safe: what was taken and not told is asked for again by its caller.
    pub(crate) async fn set(&self, own: &OwnClone, name: String, oid: Oid) -> Result<(), GitError> {
        loop {
            let (done, mut told) = oneshot::channel();
            let write = Write {
                name: name.clone(),
                oid: oid.clone(),
                done,
            };
            self.lock().push(write);
            let _turn = self.writing.lock().await;
            loop {
                match told.try_recv() {
                    Ok(outcome) => return outcome,
                    Err(oneshot::error::TryRecvError::Empty) => write_all(own, self.take()).await,
                    // Taken by one that went away.
                    Err(oneshot::error::TryRecvError::Closed) => break,
                }
            }
        }
    }

    fn take(&self) -> Vec<Write> {
        let mut waiting = self.lock();
        let count = waiting.len().min(TOGETHER);
        waiting.drain(..count).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Write>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write_all(own: &OwnClone, writes: Vec<Write>) {
    if writes.len() > 1 {
        let mut lines = String::new();
        for write in &writes {
            let _ = writeln!(lines, "update {} {}", write.name, write.oid.as_str());
        }
        let call = own.write("update-ref").arg("--stdin").stdin(lines);
        if call.ok().await.is_ok() {
            for write in writes {
                let _ = write.done.send(Ok(()));
            }
            return;
        }
    }
    for write in writes {
        let call = own.write("update-ref");
        let outcome = call.args([write.name.as_str(), write.oid.as_str()]).ok();
        let _ = write.done.send(outcome.await.map(drop));
    }
}
