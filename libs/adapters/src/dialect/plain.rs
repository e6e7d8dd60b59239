//! A program without a protocol: what it prints is text.
//!
//! Invariant: no event comes from it; its exit code is its claim.

use serde_json::Value;

use super::Dialect;
use crate::event::Event;

pub(super) struct Plain;

impl Dialect for Plain {
    fn event(&mut self, _: &Value, _: &mut Vec<Event>) {}
}
