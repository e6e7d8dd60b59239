//! Measurements with best effort: sending never waits and never fails, receiving tells what is missing.
//!
//! Invariant: a measurement that was not sent, or that the stream discarded, leaves a hole in its sender's
//! numbers, and whoever reads on sees a gap in its place.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::{BuildHasher, Hasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use autopack_wire::r#gen::bus::v1::TelemetryMessage;

use crate::error::BusError;

/// Kinds that one process numbers at most; kinds are words of the code, never data.
const KINDS: usize = 256;
/// Senders and kinds that a reader remembers at most.
const MEMORY: usize = 4096;

/// What is measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measurement {
    /// A word of letters, digits and underscores.
    pub kind: String,
    /// When, in microseconds since 1970.
    pub at: i64,
    /// Names and words.
    pub labels: BTreeMap<String, String>,
    /// Figures.
    pub values: BTreeMap<String, f64>,
}

/// Which measurements a reader wants, and from where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TelemetryOptions {
    /// This kind only; `None`: all.
    pub kind: Option<String>,
    /// Name of a position that the server keeps: a reader of the same name goes on where the last one
    /// stopped. `None`: from now on. In process a position ends with the process.
    pub durable: Option<String>,
}

/// One item of a telemetry source.
#[derive(Clone, Debug, PartialEq)]
pub enum TelemetryItem {
    /// So many measurements of this sender and kind are missing before the next.
    Gap {
        /// The sender.
        sender: String,
        /// The kind.
        kind: String,
        /// How many.
        missed: u64,
    },
    /// The next measurement.
    Message(Arc<TelemetryMessage>),
}

/// Measurements in the order of each sender.
#[async_trait]
pub trait TelemetrySource: Send {
    /// Waits for the next item; `None` once the bus is closed. A dropped `next` loses nothing.
    async fn next(&mut self) -> Result<Option<TelemetryItem>, BusError>;
}

/// The telemetry of a bus.
#[async_trait]
pub trait TelemetryBus {
    /// Sends if there is room in the buffer; false: dropped and counted. Never waits.
    fn send_telemetry(&self, measurement: Measurement) -> bool;

    /// A source of measurements.
    async fn telemetry(
        &self,
        options: TelemetryOptions,
    ) -> Result<Box<dyn TelemetrySource>, BusError>;
}

/// Numbers what this process sends.
#[derive(Debug)]
pub(crate) struct Numbers {
    sender: String,
    last: Mutex<HashMap<String, u64>>,
}

impl Numbers {
    pub(crate) fn new() -> Self {
        let draw = RandomState::new().build_hasher().finish();
        Self {
            sender: format!("{draw:016x}"),
            last: Mutex::default(),
        }
    }

    /// The message with the next number of its kind; `None`: too many kinds.
    pub(crate) fn message(&self, measurement: Measurement) -> Option<TelemetryMessage> {
        let number = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.len() >= KINDS && !last.contains_key(&measurement.kind) {
                return None;
            }
            let number = last.entry(measurement.kind.clone()).or_default();
            *number += 1;
            *number
        };
        Some(TelemetryMessage {
            kind: measurement.kind,
            sender: self.sender.clone(),
            number,
            time: Some(prost_types::Timestamp {
                seconds: measurement.at.div_euclid(1_000_000),
                nanos: (measurement.at.rem_euclid(1_000_000) * 1000) as i32,
            }),
            labels: measurement.labels.into_iter().collect(),
            values: measurement.values.into_iter().collect(),
        })
    }
}

/// What a source still has to hand out, and what it has seen.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    last: HashMap<(String, String), u64>,
    order: VecDeque<(String, String)>,
    ready: VecDeque<TelemetryItem>,
}

impl Readings {
    /// The next item to hand out; take all before pushing more.
    pub(crate) fn pop(&mut self) -> Option<TelemetryItem> {
        self.ready.pop_front()
    }

    /// A measurement arrived; one that was handed out before is left out.
    pub(crate) fn push(&mut self, message: Arc<TelemetryMessage>) {
        let key = (message.sender.clone(), message.kind.clone());
        let number = message.number;
        match self.last.get_mut(&key) {
            Some(last) if number <= *last => return,
            Some(last) => {
                let missed = number - *last - 1;
                *last = number;
                if missed > 0 {
                    let (sender, kind) = key;
                    self.ready.push_back(TelemetryItem::Gap {
                        sender,
                        kind,
                        missed,
                    });
                }
            }
            None => self.remember(key, number),
        }
        self.ready.push_back(TelemetryItem::Message(message));
    }

    fn remember(&mut self, key: (String, String), number: u64) {
        self.order.push_back(key.clone());
        self.last.insert(key, number);
        if self.order.len() > MEMORY
            && let Some(oldest) = self.order.pop_front()
        {
            self.last.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(sender: &str, number: u64) -> Arc<TelemetryMessage> {
        Arc::new(TelemetryMessage {
            kind: "k".into(),
            sender: sender.into(),
            number,
            ..TelemetryMessage::default()
        })
    }

    #[test]
    fn holes_are_told_and_doubles_left_out() {
        let mut readings = Readings::default();
        for (sender, number) in [("a", 7), ("a", 8), ("b", 1), ("a", 8), ("a", 11), ("b", 2)] {
            readings.push(message(sender, number));
        }
        let mut told = Vec::new();
        while let Some(item) = readings.pop() {
            told.push(match item {
                TelemetryItem::Gap { sender, missed, .. } => format!("{sender}-{missed}"),
                TelemetryItem::Message(message) => format!("{}{}", message.sender, message.number),
            });
        }
        assert_eq!(told, ["a7", "a8", "b1", "a-2", "a11", "b2"]);
    }

    #[test]
    fn memory_is_bounded_on_both_sides() {
        let mut readings = Readings::default();
        for n in 0..2 * MEMORY {
            readings.push(message(&n.to_string(), 1));
            readings.pop();
        }
        assert_eq!(
            (readings.last.len(), readings.order.len()),
            (MEMORY, MEMORY)
        );
        let numbers = Numbers::new();
        let of = |kind: usize| {
            numbers.message(Measurement {
                kind: kind.to_string(),
                ..Measurement::default()
            })
        };
        assert!((0..KINDS).all(|kind| of(kind).is_some()));
        assert!(of(KINDS).is_none());
        assert_eq!(of(3).unwrap().number, 2);
    }
}
