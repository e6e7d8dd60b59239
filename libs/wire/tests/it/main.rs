//! The wire as its users see it: real generated services, real layers, real sockets.

mod client;
mod layers;
mod matrix;
mod serve;
mod stub;
