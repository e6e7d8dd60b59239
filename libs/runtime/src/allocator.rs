//! The allocator of every process: mimalloc, also for SQLite and other C code.
//!
//! Invariant: nothing depends on it but speed. Commands are made of many small blocks that one thread takes and another
//! gives back, where the allocator of the C library spends a quarter of the registry's time.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
