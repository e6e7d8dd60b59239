//! The contract, RPC by RPC, on real services: it answers, it refuses as its comment in `proto/` documents, and it asks
//! who is calling.
//!
//! Invariant: the RPCs and their documented errors are read from the descriptor, so a new one fails here until it is
//! called.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::needless_update,
    reason = "tests: a broken expectation is a failure; some requests of a list of cases have more fields than others"
)]

mod approvals;
mod artifacts;
mod book;
mod bytes;
mod callers;
mod desk;
mod dispatch;
mod documented;
mod issues;
mod landing;
mod letters;
mod operators;
mod promotions;
mod raw;
mod reports;
mod runs;
mod scene;
mod services;
mod submissions;
mod work;

use crate::{book::Book, scene::Scene};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rpc_answers_refuses_as_documented_and_asks_who_calls() {
    let mut scene = Scene::new();
    let mut book = Book::new(scene.nodes());
    runs::call(&mut book).await;
    operators::call(&mut book).await;
    issues::call(&mut book).await;
    submissions::call(&mut book).await;
    approvals::call(&mut book).await;
    dispatch::call(&mut book).await;
    work::call(&mut book).await;
    landing::call(&mut book).await;
    promotions::call(&mut book, &scene).await;
    reports::call(&mut book).await;
    artifacts::call(&mut book).await;
    letters::call(&mut book, &scene).await;
    scene.start_scheduler();
    book.reach(scene.nodes());
    callers::call(&mut book).await;
    // The last, for it ends the worker.
    services::call(&mut book).await;
    book.close();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_bytes_get_an_answer_or_a_reason_from_every_service() {
    let mut scene = Scene::new();
    scene.start_scheduler();
    let mut book = Book::new(scene.nodes());
    bytes::send(&mut book).await;
}
