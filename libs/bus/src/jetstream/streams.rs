//! Streams and consumers: made if missing, adjusted if they differ.
//!
//! Invariant: filters of two consumers never overlap, or the server refuses the second.

use std::time::Duration;

use async_nats::jetstream::{
    Context, ErrorCode,
    consumer::{AckPolicy, PullConsumer, pull},
    context::{CreateStreamErrorKind, GetStreamErrorKind},
    stream::{
        Config, ConsumerErrorKind, DiscardPolicy, RawMessageErrorKind, RetentionPolicy,
        StorageType, Stream,
    },
};

use super::fault;
use crate::{
    config::BusConfig,
    error::BusError,
    subject::{self, BANDS, EVENTS_ALL, EVENTS_STREAM, JOBS_ALL, JOBS_STREAM},
};

/// How long the server remembers ids.
const DEDUPE_WINDOW: Duration = Duration::from_mins(2);
/// Unacknowledged jobs per consumer; at the bound the whole consumer stalls, so far above all slots.
const MAX_ACK_PENDING: i64 = 10_000;
/// Waiting pulls per consumer, one for each idle slot.
const MAX_WAITING: i64 = 4_096;

/// Makes and finds what lives on the server.
pub(super) struct Streams {
    context: Context,
    jobs: Config,
    events: Config,
    one_filter: bool,
}

impl Streams {
    /// `one_filter`: the server is too old for several filters, so a lane has one consumer without bands.
    pub(super) fn new(context: Context, config: &BusConfig, one_filter: bool) -> Self {
        let common = Config {
            storage: StorageType::File,
            num_replicas: config.replicas.max(1),
            duplicate_window: DEDUPE_WINDOW,
            allow_direct: true,
            ..Config::default()
        };
        let jobs = Config {
            name: JOBS_STREAM.to_owned(),
            description: Some("Jobs on offer; the registry holds the truth".to_owned()),
            subjects: vec![JOBS_ALL.to_owned()],
            retention: RetentionPolicy::WorkQueue,
            // Discarding old ones would lose jobs; refused publishers keep their outbox row.
            discard: DiscardPolicy::New,
            max_bytes: bytes(config.jobs_max_bytes),
            deny_purge: true,
            ..common.clone()
        };
        let events = Config {
            name: EVENTS_STREAM.to_owned(),
            description: Some("Committed events, for whoever comes late".to_owned()),
            subjects: vec![EVENTS_ALL.to_owned()],
            retention: RetentionPolicy::Limits,
            discard: DiscardPolicy::Old,
            max_bytes: bytes(config.events_max_bytes),
            max_age: config.events_max_age.max(DEDUPE_WINDOW),
            ..common
        };
        Self {
            context,
            jobs,
            events,
            one_filter,
        }
    }

    /// Makes both streams, or brings their limits up to the configuration.
    pub(super) async fn ensure(&self) -> Result<(), BusError> {
        for config in [&self.jobs, &self.events] {
            let done = self.context.create_or_update_stream(config.clone()).await;
            done.map_err(|error| {
                let code = match error.kind() {
                    CreateStreamErrorKind::JetStream(api) => Some(api.error_code()),
                    _ => fault::code(&error),
                };
                fault::management(format!("stream {}: {error}", config.name), code)
            })?;
        }
        Ok(())
    }

    /// The consumers of these lanes, most urgent band first.
    pub(super) async fn consumers(
        &self,
        lanes: &[String],
        ack_wait: Duration,
    ) -> Result<Vec<String>, BusError> {
        let stream = self.jobs_stream().await?;
        let mut names = Vec::new();
        for (name, filters) in self.layout(lanes) {
            self.consumer(&stream, &name, filters, ack_wait).await?;
            names.push(name);
        }
        Ok(names)
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

    async fn consumer(
        &self,
        stream: &Stream,
        name: &str,
        filters: Vec<String>,
        ack_wait: Duration,
    ) -> Result<(), BusError> {
        let mut config = pull::Config {
            durable_name: Some(name.to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait,
            // Attempts are counted by the registry; a message that is given up on would never leave.
            max_deliver: -1,
            max_ack_pending: MAX_ACK_PENDING,
            max_waiting: MAX_WAITING,
            ..pull::Config::default()
        };
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
        let kept = &made.cached_info().config;
        if filters.len() > 1 && kept.filter_subjects != filters {
            // An old server drops what it does not know, and the consumer would get everything.
            return Err(BusError::Config(format!(
                "consumer {name}: the server does not keep several filters"
            )));
        }
        Ok(())
    }

    /// The job stream, made anew if it is gone.
    async fn jobs_stream(&self) -> Result<Stream, BusError> {
        if let Some(stream) = self.find_jobs().await? {
            return Ok(stream);
        }
        self.ensure().await?;
        let found = self.find_jobs().await?;
        found.ok_or_else(|| BusError::Unavailable("the job stream vanished again".into()))
    }

    async fn find_jobs(&self) -> Result<Option<Stream>, BusError> {
        match self.context.get_stream(JOBS_STREAM).await {
            Ok(stream) => Ok(Some(stream)),
            Err(error) => {
                let code = match error.kind() {
                    GetStreamErrorKind::JetStream(api) => Some(api.error_code()),
                    _ => fault::code(&error),
                };
                if code == Some(ErrorCode::STREAM_NOT_FOUND) {
                    return Ok(None);
                }
                Err(fault::management(error, code))
            }
        }
    }

    /// When the job stream was made: another one after each loss.
    pub(super) async fn epoch(&self) -> Result<String, BusError> {
        let stream = self.jobs_stream().await?;
        let created = stream.cached_info().created;
        Ok(format!("{:x}", created.unix_timestamp_nanos()))
    }

    /// Whether the message of this sequence is stored; asked of the leader, replicas may be behind.
    pub(super) async fn has_job(&self, sequence: u64) -> Result<bool, BusError> {
        let stream = self.context.get_stream_no_info(JOBS_STREAM).await;
        let stream = stream.map_err(fault::unavailable)?;
        match stream.get_raw_message(sequence).await {
            Ok(_) => Ok(true),
            Err(error) => {
                let code = match error.kind() {
                    RawMessageErrorKind::NoMessageFound => return Ok(false),
                    RawMessageErrorKind::JetStream(api) => Some(api.error_code()),
                    _ => fault::code(&error),
                };
                match code {
                    Some(ErrorCode::NO_MESSAGE_FOUND | ErrorCode::STREAM_NOT_FOUND) => Ok(false),
                    code => Err(fault::management(error, code)),
                }
            }
        }
    }
}

fn bytes(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
