//! One suite over both buses, and what only one of them has.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod conformance;
mod events;
mod jetstream;
mod memory;
mod rig;
mod server;

/// Each test of the suites, once over each bus.
macro_rules! over_both {
    ($($suite:ident :: $test:ident),+ $(,)?) => {
        mod in_process {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$suite::$test(super::rig::Rig::in_process()).await; })+
        }
        mod over_jetstream {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$suite::$test(super::rig::Rig::jetstream().await).await; })+
        }
    };
}

over_both!(
    conformance::a_job_is_taken_once_and_gone_when_acknowledged,
    conformance::a_job_given_back_waits_for_its_delay,
    conformance::a_dropped_delivery_comes_back_at_once,
    conformance::an_unanswered_job_comes_back_and_a_late_ack_still_removes_it,
    conformance::progress_holds_a_job,
    conformance::an_id_is_stored_once,
    conformance::urgent_jobs_come_first,
    conformance::lanes_are_kept_apart,
    conformance::a_dropped_next_loses_nothing,
    conformance::nothing_is_prefetched,
    conformance::a_lost_stream_is_another_stream,
    conformance::closing_ends_everything,
    conformance::many_workers_share_many_jobs,
    events::events_come_in_order_after_a_first_gap,
    events::a_hole_in_the_numbers_is_a_gap,
    events::doubles_are_dropped,
    events::one_run_can_be_followed,
);
