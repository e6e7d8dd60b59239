//! One suite over both buses, and what only one of them has.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking"
)]

mod binding;
mod chaos;
mod conformance;
mod dead_letters;
mod events;
mod identity;
mod jetstream;
mod memory;
mod page;
mod rig;
mod telemetry;
mod tls;

/// Each test of the suites, once over each bus, JetStream in both supported versions.
macro_rules! over_all {
    ($($suite:ident :: $test:ident),+ $(,)?) => {
        mod in_process {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() { super::$suite::$test(super::rig::Rig::in_process()).await; })+
        }
        mod over_oldest_jetstream {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let rig = super::rig::Rig::jetstream(autopack_testkit::NatsVersion::Oldest).await;
                super::$suite::$test(rig).await;
            })+
        }
        mod over_newest_jetstream {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let rig = super::rig::Rig::jetstream(autopack_testkit::NatsVersion::Newest).await;
                super::$suite::$test(rig).await;
            })+
        }
    };
}

over_all!(
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
    conformance::the_less_urgent_have_their_turn,
    conformance::each_slot_holds_exactly_what_it_took,
    conformance::what_is_stored_is_told,
    dead_letters::a_job_delivered_too_often_is_buried,
    dead_letters::a_job_that_a_worker_gives_up_is_buried,
    dead_letters::letters_come_newest_first_in_pages,
    telemetry::measurements_come_in_order_and_by_kind,
    telemetry::redeliveries_are_counted,
    events::events_come_in_order_after_a_first_gap,
    events::a_hole_in_the_numbers_is_a_gap,
    events::doubles_are_dropped,
    events::one_run_can_be_followed,
);
