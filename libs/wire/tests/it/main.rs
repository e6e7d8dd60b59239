//! The wire as its users see it: real generated services, real layers, real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod client;
mod discovery;
mod layers;
mod matrix;
mod readers;
mod serve;
mod several;
mod stub;
