//! The registry through its own RPCs, on a real database and the in-process bus. The tests play scheduler and worker.

mod commands;
mod harness;
mod recovery;
mod watching;
