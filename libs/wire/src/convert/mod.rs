//! Domain to proto and back.
//!
//! Invariant: domain to proto is total (`From<&X>`); proto to domain (`TryFrom<types::X>`) finds *all* faults
//! and names each field by its dotted proto path. What went out comes back equal.
//!
//! Records that need their index travel as a pair: `types::Tier::from((index, &tier))` and
//! `<(usize, Tier)>::try_from(message)`. Fields of requests are read with [`read`] and [`At`], so that handlers
//! report their faults the same way.

mod approval;
mod at;
mod attempt;
mod builder;
mod event;
mod fault;
mod finding;
mod gate;
mod issue;
mod job;
mod phase;
mod plan;
mod plan_phase;
mod project;
mod promotion;
mod run;
mod snapshot;
mod states;
mod strategy;
mod submission;
mod tier;
mod time;
mod usage;
mod worker;

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod samples_gate;
#[cfg(test)]
mod tests;

pub use at::{At, Decode, read};
pub use event::RecordedEvent;
pub use issue::{entry_to_proto, issue_to_proto};
pub use project::NamedLimits;
pub use promotion::integration_to_proto;
pub use snapshot::{snapshot_from_proto, snapshot_to_proto};
pub use time::{duration_to_proto, time_to_proto};
pub use worker::tool_versions;

/// `TryFrom` for each pair by its [`Decode`].
macro_rules! try_from_proto {
    ($($proto:ty => $domain:ty),+ $(,)?) => {
        $(impl TryFrom<$proto> for $domain {
            type Error = Vec<autopack_domain::Fault>;
            fn try_from(message: $proto) -> Result<Self, Self::Error> {
                $crate::convert::read(|at| <$domain as $crate::convert::Decode<$proto>>::decode(message, at))
            }
        })+
    };
}
pub(crate) use try_from_proto;
