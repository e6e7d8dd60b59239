//! Consumers of the job stream, one for each band of each lane.
//!
//! Invariant: filters of two consumers never overlap, or the server refuses the second. Only a managing bus
//! makes consumers; the others bind to what is there.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use async_nats::jetstream::{
    ErrorCode,
    consumer::{AckPolicy, Config, PullConsumer, pull},
    context::ConsumerInfoErrorKind,
    stream::{ConsumerErrorKind, Stream},
};

use super::fault;
use crate::{
    config::BusConfig,
    error::BusError,
    stats::{Counters, count},
    subject::{self, BANDS},
};

/// Fewest unacknowledged jobs of a consumer; at its bound the whole consumer stalls.
const LEAST_PENDING: i64 = 1_000;
/// Fewest waiting pulls of a consumer.
const LEAST_WAITING: i64 = 512;

/// Makes and finds the consumers.
pub(super) struct Consumers {
    manage: bool,
    one_filter: bool,
    max_deliver: i64,
    max_ack_pending: i64,
    max_waiting: i64,
    default_wait: Duration,
    /// Lanes that were made or bound, and their `ack_wait`.
    lanes: Mutex<BTreeMap<String, Duration>>,
}

impl Consumers {
    /// `one_filter`: the server is too old for several filters, so a lane has one consumer without bands.
    pub(super) fn new(config: &BusConfig, one_filter: bool) -> Self {
        let slots = i64::from(config.fleet_slots);
        let lanes = config.lanes.iter();
        let lanes = lanes.map(|lane| (subject::lane(lane), config.ack_wait));
        Self {
            manage: config.manage,
            one_filter,
            max_deliver: i64::from(config.max_deliver.max(1)),
            // Each slot holds one job at most; headroom for those that a dead worker held.
            max_ack_pending: (slots * 2).max(LEAST_PENDING),
            // Each idle slot has one pull at each consumer, and an older one may still stand.
            max_waiting: (slots * 2).max(LEAST_WAITING),
            default_wait: config.ack_wait,
            lanes: Mutex::new(lanes.collect()),
        }
    }

    /// Names of the consumers of these lanes, most urgent band first.
    pub(super) fn names(&self, lanes: &[String]) -> Vec<String> {
        self.layout(lanes)
            .into_iter()
            .map(|(name, _)| name)
            .collect()
    }

    /// Makes the consumers of all lanes that are known.
    pub(super) async fn ensure(
        &self,
        stream: &Stream,
        counters: &Counters,
    ) -> Result<(), BusError> {
        if !self.manage {
            return Ok(());
        }
        for (lane, ack_wait) in self.known() {
            for (name, filters) in self.layout(&[lane]) {
                self.make(stream, &name, filters, ack_wait, counters)
                    .await?;
            }
        }
        Ok(())
    }

    /// Whether a job of this lane would find nobody to wait for it; from now on the lane is known.
    pub(super) fn is_new(&self, lane: &str) -> bool {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.manage || lanes.contains_key(lane) {
            return false;
        }
        lanes.insert(lane.to_owned(), self.default_wait);
        true
    }

    /// Makes the consumers of these lanes, or finds them if others manage them.
    pub(super) async fn bind(
        &self,
        stream: &Stream,
        lanes: &[String],
        ack_wait: Duration,
        counters: &Counters,
    ) -> Result<(), BusError> {
        for (name, filters) in self.layout(lanes) {
            if self.manage {
                self.make(stream, &name, filters, ack_wait, counters)
                    .await?;
            } else {
                find(stream, &name, &filters, ack_wait).await?;
            }
        }
        if self.manage {
            let mut known = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            known.extend(lanes.iter().map(|lane| (subject::lane(lane), ack_wait)));
        }
        Ok(())
    }

    fn known(&self) -> BTreeMap<String, Duration> {
        self.lanes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn layout(&self, lanes: &[String]) -> Vec<(String, Vec<String>)> {
        let lanes = lanes.iter().map(|lane| subject::lane(lane));
        if self.one_filter {
            let one = |lane: String| {
                let filter = format!("autopack.jobs.*.{lane}");
                (format!("jobs-all-{lane}"), vec![filter])
            };
            return lanes.map(one).collect();
        }
        let lanes: Vec<String> = lanes.collect();
        let of_band = |band| lanes.iter().map(move |lane| subject::consumer(band, lane));
        BANDS.iter().flat_map(of_band).collect()
    }

    async fn make(
        &self,
        stream: &Stream,
        name: &str,
        filters: Vec<String>,
        ack_wait: Duration,
        counters: &Counters,
    ) -> Result<(), BusError> {
        let mut config = pull::Config {
            durable_name: Some(name.to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait,
            // Attempts are counted by the registry; this is the backstop that makes dead letters.
            max_deliver: self.max_deliver,
            max_ack_pending: self.max_ack_pending,
            max_waiting: self.max_waiting,
            ..pull::Config::default()
        };
        if let Some(found) = look(stream, name).await? {
            let mut drift = Vec::new();
            let mut check = |what, same: bool| {
                if !same {
                    drift.push(what);
                }
            };
            check("filters", filters_of(&found) == filters);
            check("ack_wait", found.ack_wait == ack_wait);
            check("max_deliver", found.max_deliver == self.max_deliver);
            check(
                "max_ack_pending",
                found.max_ack_pending == self.max_ack_pending,
            );
            if drift.is_empty() {
                return Ok(());
            }
            count(&counters.drifts);
            let drift = drift.join(", ");
            tracing::info!(
                consumer = name,
                drift,
                "a consumer differs from the configuration; it is updated"
            );
            // What the server does not let us change stays as it is.
            config.max_waiting = found.max_waiting;
        }
        if let [only] = filters.as_slice() {
            config.filter_subject.clone_from(only);
        } else {
            config.filter_subjects.clone_from(&filters);
        }
        let made: PullConsumer = stream.create_consumer(config).await.map_err(|error| {
            let code = match error.kind() {
                ConsumerErrorKind::JetStream(api) => Some(api.error_code()),
                _ => fault::code(&error),
            };
            fault::management(format!("consumer {name}: {error}"), code)
        })?;
        if filters_of(&made.cached_info().config) != filters {
            // An old server drops what it does not know, and the consumer would get everything.
            return Err(BusError::Config(format!(
                "consumer {name}: the server does not keep several filters"
            )));
        }
        Ok(())
    }
}

async fn look(stream: &Stream, name: &str) -> Result<Option<Config>, BusError> {
    match stream.consumer_info(name).await {
        Ok(info) => Ok(Some(info.config)),
        Err(error) => match error.kind() {
            ConsumerInfoErrorKind::NotFound => Ok(None),
            ConsumerInfoErrorKind::JetStream(api)
                if api.error_code() == ErrorCode::CONSUMER_NOT_FOUND =>
            {
                Ok(None)
            }
            _ => Err(fault::unavailable(error)),
        },
    }
}

/// Checks a consumer that others made.
async fn find(
    stream: &Stream,
    name: &str,
    filters: &[String],
    ack_wait: Duration,
) -> Result<(), BusError> {
    let found = look(stream, name).await?.ok_or_else(|| {
        BusError::Unavailable(format!(
            "consumer {name} is not there; the registry makes it"
        ))
    })?;
    if filters_of(&found) != filters {
        return Err(BusError::Config(format!(
            "consumer {name} does not filter {}; was it made by another version?",
            filters.join(", ")
        )));
    }
    if found.ack_wait < ack_wait {
        return Err(BusError::Config(format!(
            "consumer {name} delivers again after {} ms, this process expects {} ms: \
             bus.ack_wait_ms differs from the registry's",
            found.ack_wait.as_millis(),
            ack_wait.as_millis()
        )));
    }
    Ok(())
}

fn filters_of(config: &Config) -> Vec<String> {
    if config.filter_subjects.is_empty() {
        vec![config.filter_subject.clone()]
    } else {
        config.filter_subjects.clone()
    }
}
