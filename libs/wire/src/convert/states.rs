//! State enums both ways.
//!
//! Invariant: the match in each direction is exhaustive, so a new state does not compile until it is here;
//! an unspecified or unknown number is a fault that lists what is allowed.

use autopack_domain::{
    Fault,
    promotion::PromotionState,
    run::JobState,
    states::{AttemptState, PhaseState, RunState, TierState},
};

use super::at::{At, Decode};
use crate::types;

macro_rules! states {
    ($proto:ty, $domain:ty, $($variant:ident),+ $(,)?) => {
        impl From<$domain> for $proto {
            fn from(state: $domain) -> Self {
                match state { $(<$domain>::$variant => Self::$variant),+ }
            }
        }
        impl Decode<$proto> for $domain {
            fn decode(state: $proto, at: &At<'_>) -> Option<Self> {
                match state {
                    $(<$proto>::$variant => Some(<$domain>::$variant),)+
                    <$proto>::Unspecified => at.refuse(
                        Fault::new(at.path(), "is not set").allowed(<$domain>::ALL.iter().map(|s| format!("STATE_{s}"))),
                    ),
                }
            }
        }
        impl Decode<i32> for $domain {
            fn decode(number: i32, at: &At<'_>) -> Option<Self> {
                match <$proto>::try_from(number) {
                    Ok(state) => Self::decode(state, at),
                    Err(_) => at.refuse(
                        Fault::new(at.path(), format!("{number} is not a state"))
                            .allowed(<$domain>::ALL.iter().map(|s| format!("STATE_{s}"))),
                    ),
                }
            }
        }
        super::try_from_proto!($proto => $domain);
    };
}

states!(
    types::run::State,
    RunState,
    Queued,
    PlanBootstrap,
    RunCreated,
    PhaseQueueing,
    PhaseExecution,
    Gate,
    CiRunning,
    SnapshotCreated,
    DoneSuccess,
    DoneFailedBudgetExhausted,
    DoneFailedPolicyViolation,
    DoneFailedRequiresHumanReview,
    DoneFailedEnvironment,
    DoneCancelled,
);
states!(
    types::tier::State,
    TierState,
    Pending,
    InProgress,
    Complete,
    Failed,
    Skipped
);
states!(
    types::phase::State,
    PhaseState,
    Queued,
    Executing,
    Gate,
    CiRunning,
    Complete,
    Failed,
    Skipped
);
states!(
    types::attempt::State,
    AttemptState,
    Offered,
    Building,
    Governing,
    Gating,
    Landing,
    Succeeded,
    Failed,
    Lost,
    HandedOver,
    Cancelled,
);
states!(
    types::repository_job::State,
    JobState,
    Offered,
    Leased,
    Done
);
states!(
    types::promotion::State,
    PromotionState,
    Pending,
    Landed,
    AlreadyThere,
    Opened,
    Failed
);
