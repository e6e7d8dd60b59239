//! The wire: what travels between the processes of Autopack, and how it becomes domain values again.
//!
//! Invariant: nothing but this crate converts between protobuf and `domain`, and a message that does not
//! convert is refused with every fault and its field path.
//!
//! - [`mod@gen`] (re-exported as [`types`], [`bus`], [`registry`], [`scheduler`], [`telemetry`], [`worker`]):
//!   generated from `proto/`
//! - [`convert`]: domain to proto (`From`) and back (`TryFrom`)
//! - [`status`]: refusals to gRPC status with details, and back
//! - [`client`]: the typed clients, over a channel and in process, with one set of layers
//! - [`server`]: the layers of every server: request id, deadline, limits, authorisation, panics, spans
//! - [`serve`]: sockets, health and reflection, shutdown with a deadline
//! - [`echo`]: what a bare call costs
//! - [`methods`], [`messages`], [`descriptor`], [`contract`]: facts about RPCs and requests, read from the descriptor

pub mod client;
pub mod contract;
pub mod convert;
pub mod descriptor;
pub mod echo;
pub mod messages;
pub mod methods;
pub mod serve;
pub mod server;
pub mod status;

/// Generated from `proto/`.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod r#gen {
    pub mod types {
        pub mod v1 {
            tonic::include_proto!("autopack.types.v1");
        }
    }
    pub mod bus {
        pub mod v1 {
            tonic::include_proto!("autopack.bus.v1");
        }
    }
    pub mod registry {
        pub mod v1 {
            tonic::include_proto!("autopack.registry.v1");
        }
    }
    pub mod scheduler {
        pub mod v1 {
            tonic::include_proto!("autopack.scheduler.v1");
        }
    }
    pub mod telemetry {
        pub mod v1 {
            tonic::include_proto!("autopack.telemetry.v1");
        }
    }
    pub mod worker {
        pub mod v1 {
            tonic::include_proto!("autopack.worker.v1");
        }
    }
}

pub use r#gen::{
    bus::v1 as bus, registry::v1 as registry, scheduler::v1 as scheduler,
    telemetry::v1 as telemetry, types::v1 as types, worker::v1 as worker,
};

/// The encoded `google.protobuf.FileDescriptorSet` of `proto/`.
pub const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/autopack.binpb"));
