//! Skeleton.
#![allow(missing_docs, clippy::pedantic)]

/// Generated from `proto/`.
pub mod r#gen {
    pub mod types { pub mod v1 { tonic::include_proto!("autopack.types.v1"); } }
    pub mod bus { pub mod v1 { tonic::include_proto!("autopack.bus.v1"); } }
    pub mod registry { pub mod v1 { tonic::include_proto!("autopack.registry.v1"); } }
}
