//! Streams: made if missing, mended if they differ.
//!
//! Invariant: only a managing bus changes anything on the server; the others find what it made.

use std::time::Duration;

use async_nats::jetstream::{
    Context, ErrorCode,
    context::{CreateStreamErrorKind, GetStreamErrorKind},
    stream::{Config, DiscardPolicy, RawMessageErrorKind, RetentionPolicy, StorageType, Stream},
};

use super::fault;
use crate::{
    config::BusConfig,
    error::BusError,
    stats::{Counters, count},
    subject::{
        ADVISORIES, ADVISORIES_STREAM, DLQ_ALL, DLQ_STREAM, EVENTS_ALL, EVENTS_STREAM, JOBS_ALL,
        JOBS_STREAM, TELEMETRY_ALL, TELEMETRY_STREAM,
    },
};

/// How long the server remembers ids.
const DEDUPE_WINDOW: Duration = Duration::from_mins(2);
/// What the server says about jobs is small, and read within seconds.
const ADVISORIES_BYTES: i64 = 16 << 20;
const ADVISORIES_AGE: Duration = Duration::from_hours(7 * 24);

/// Makes and finds the streams on the server.
pub(super) struct Streams {
    context: Context,
    manage: bool,
    wanted: Vec<Config>,
}

impl Streams {
    pub(super) fn new(context: Context, config: &BusConfig) -> Self {
        Self {
            context,
            manage: config.manage,
            wanted: wanted(config),
        }
    }

    /// Makes what is missing and mends what differs; on a bus that does not manage, nothing.
    pub(super) async fn ensure(&self, counters: &Counters) -> Result<(), BusError> {
        if !self.manage {
            return Ok(());
        }
        for config in &self.wanted {
            match self.find(&config.name).await? {
                None => self.put(config).await?,
                Some(stream) => {
                    let drift = drift(&stream.cached_info().config, config);
                    if drift.is_empty() {
                        continue;
                    }
                    count(&counters.drifts);
                    let drift = drift.join(", ");
                    tracing::warn!(stream = %config.name, drift, "a stream differs from the configuration; it is updated");
                    self.put(config).await.map_err(|error| match error {
                        BusError::Config(text) => BusError::Config(format!(
                            "{text}; it differs in {drift}: drain and delete the stream, or configure it as it is"
                        )),
                        other => other,
                    })?;
                }
            }
        }
        Ok(())
    }

    async fn put(&self, config: &Config) -> Result<(), BusError> {
        let done = self.context.create_or_update_stream(config.clone()).await;
        done.map(drop).map_err(|error| {
            let code = match error.kind() {
                CreateStreamErrorKind::JetStream(api) => Some(api.error_code()),
                _ => fault::code(&error),
            };
            fault::management(format!("stream {}: {error}", config.name), code)
        })
    }

    /// The stream of this name; `None`: there is none.
    pub(super) async fn find(&self, name: &str) -> Result<Option<Stream>, BusError> {
        match self.context.get_stream(name).await {
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

    /// The stream of this name, made anew if it is gone.
    pub(super) async fn get(&self, name: &str, counters: &Counters) -> Result<Stream, BusError> {
        if let Some(stream) = self.find(name).await? {
            return Ok(stream);
        }
        if !self.manage {
            return Err(BusError::Unavailable(format!(
                "stream {name} is not there; the registry makes it"
            )));
        }
        self.ensure(counters).await?;
        let found = self.find(name).await?;
        found.ok_or_else(|| BusError::Unavailable(format!("stream {name} vanished again")))
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

/// When a stream was made: another one after each loss.
pub(super) fn epoch(stream: &Stream) -> String {
    let created = stream.cached_info().created;
    format!("{:x}", created.unix_timestamp_nanos())
}

fn wanted(config: &BusConfig) -> Vec<Config> {
    let common = Config {
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        num_replicas: config.replicas.max(1),
        duplicate_window: DEDUPE_WINDOW,
        allow_direct: true,
        ..Config::default()
    };
    let of = |name: &str, what: &str, subjects: &[&str]| Config {
        name: name.to_owned(),
        description: Some(what.to_owned()),
        subjects: subjects.iter().map(ToString::to_string).collect(),
        ..common.clone()
    };
    let jobs = Config {
        retention: RetentionPolicy::WorkQueue,
        // Discarding old ones would lose jobs; refused publishers keep their outbox row.
        discard: DiscardPolicy::New,
        max_bytes: bytes(config.jobs_max_bytes),
        deny_purge: true,
        ..of(
            JOBS_STREAM,
            "Jobs on offer; the registry holds the truth",
            &[JOBS_ALL],
        )
    };
    let events = Config {
        max_bytes: bytes(config.events_max_bytes),
        max_age: config.events_max_age.max(DEDUPE_WINDOW),
        ..of(
            EVENTS_STREAM,
            "Committed events, for whoever comes late",
            &[EVENTS_ALL],
        )
    };
    let telemetry = Config {
        max_bytes: bytes(config.telemetry_max_bytes),
        max_age: config.telemetry_max_age.max(DEDUPE_WINDOW),
        ..of(
            TELEMETRY_STREAM,
            "Measurements, with best effort",
            &[TELEMETRY_ALL],
        )
    };
    let dead = Config {
        max_bytes: bytes(config.dead_max_bytes),
        max_age: config.dead_max_age.max(DEDUPE_WINDOW),
        max_messages_per_subject: 1,
        ..of(
            DLQ_STREAM,
            "Jobs that were given up on, and why",
            &[DLQ_ALL],
        )
    };
    let advisories = Config {
        max_bytes: ADVISORIES_BYTES,
        max_age: ADVISORIES_AGE,
        ..of(
            ADVISORIES_STREAM,
            "What the server says about jobs that it gives up on",
            &ADVISORIES,
        )
    };
    vec![jobs, events, telemetry, dead, advisories]
}

/// Names of the fields that matter and differ.
fn drift(found: &Config, wanted: &Config) -> Vec<&'static str> {
    let mut names = Vec::new();
    let mut check = |name, same: bool| {
        if !same {
            names.push(name);
        }
    };
    check("subjects", found.subjects == wanted.subjects);
    check("retention", found.retention == wanted.retention);
    check("discard", found.discard == wanted.discard);
    check("storage", found.storage == wanted.storage);
    check("max_bytes", found.max_bytes == wanted.max_bytes);
    check("max_age", found.max_age == wanted.max_age);
    check("num_replicas", found.num_replicas == wanted.num_replicas);
    check(
        "duplicate_window",
        found.duplicate_window == wanted.duplicate_window,
    );
    check("allow_direct", found.allow_direct == wanted.allow_direct);
    check("deny_purge", found.deny_purge == wanted.deny_purge);
    let per_subject = |config: &Config| config.max_messages_per_subject.max(0);
    check(
        "max_msgs_per_subject",
        per_subject(found) == per_subject(wanted),
    );
    names
}

fn bytes(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
