//! Dead letters: a stream of jobs that were given up on, filled by workers and from the server's advisories.
//!
//! Invariant: the letter is stored before the job leaves the queue, under a subject of its own, so that
//! doing it twice changes nothing. What an advisory says of an earlier stream is ignored.

use std::collections::BTreeMap;

use async_nats::{
    HeaderMap,
    header::NATS_MESSAGE_ID,
    jetstream::{
        Message,
        consumer::{AckPolicy, PullConsumer, pull},
        message::{PublishMessage, StreamMessage},
        stream::Stream,
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use tokio::time::timeout;

use super::{JetStreamBus, Shared, fault, scan, streams::epoch};
use crate::{
    dead_letter::{self, DeadLetter, DeadLetters, DeadPage, DeadReason},
    error::BusError,
    stats::count,
    subject::{self, ADVISORIES_STREAM, DLQ_ALL, DLQ_STREAM, JOBS_STREAM},
};

const REASON: &str = "Autopack-Dead-Reason";
const DETAIL: &str = "Autopack-Dead-Detail";
const SUBJECT: &str = "Autopack-Dead-Subject";
const DELIVERIES: &str = "Autopack-Dead-Deliveries";
const MESSAGE_ID: &str = "Autopack-Dead-Msg-Id";
/// The consumer that reads the advisories.
const READER: &str = "dead-letters";
/// Advisories read at a time.
const ADVISORIES_AT_ONCE: usize = 100;
/// Reasons of the server for a message that was deleted while a worker held it: by somebody's hand, or because a restart
/// found it acknowledged. Nobody gave it up, and what is still wanted is offered again.
const DELETED: [&str; 2] = [
    "Unacknowledged message was deleted",
    "Message deleted by stream limits",
];
/// Places looked at in one step towards older letters.
const STEP: u64 = 512;

/// A job to be buried.
pub(super) struct Corpse<'a> {
    pub(super) sequence: u64,
    pub(super) subject: &'a str,
    pub(super) headers: Option<&'a HeaderMap>,
    pub(super) body: Bytes,
    pub(super) deliveries: u64,
}

/// What the server says when it gives up on a message.
#[derive(serde::Deserialize)]
struct Advisory {
    #[serde(rename = "type")]
    kind: String,
    stream_seq: u64,
    #[serde(default)]
    deliveries: u64,
    #[serde(default)]
    reason: String,
}

/// Stores a letter; the job itself is still in the queue.
pub(super) async fn store(
    shared: &Shared,
    jobs: &Stream,
    corpse: Corpse<'_>,
    reason: DeadReason,
    detail: &str,
) -> Result<(), BusError> {
    let mut headers = HeaderMap::new();
    for (name, values) in corpse.headers.into_iter().flat_map(HeaderMap::iter) {
        // Headers of the server's own would be taken for orders about the letter.
        if !name.to_string().starts_with("Nats-") {
            for value in values {
                headers.append(name.clone(), value.clone());
            }
        }
    }
    let id = corpse.headers.and_then(|h| h.get(NATS_MESSAGE_ID));
    if let Some(id) = id {
        headers.insert(MESSAGE_ID, id.as_str());
    }
    headers.insert(REASON, reason.as_str());
    headers.insert(DETAIL, dead_letter::detail(detail).as_str());
    headers.insert(SUBJECT, corpse.subject);
    headers.insert(DELIVERIES, corpse.deliveries.to_string().as_str());
    let letter = subject::dead_letter(&epoch(jobs), corpse.sequence);
    let message = PublishMessage::build()
        .headers(headers)
        .payload(corpse.body);
    let send = async {
        let ack = shared.context.send_publish(letter, message).await?;
        ack.await
    };
    let after = shared.request_timeout;
    let sent = timeout(after, send).await.map_err(|_| BusError::Deadline {
        what: "storing a dead letter",
        after,
    })?;
    sent.map_err(|error| fault::publish(&error, after))?;
    count(&shared.counters.dead_letters);
    tracing::warn!(
        sequence = corpse.sequence,
        reason = reason.as_str(),
        detail,
        "a job became a dead letter"
    );
    Ok(())
}

#[async_trait]
impl DeadLetters for JetStreamBus {
    async fn bury(&self, _now: i64) -> Result<u64, BusError> {
        let shared = self.open()?;
        let stream = shared
            .streams
            .get(ADVISORIES_STREAM, &shared.counters)
            .await?;
        let config = pull::Config {
            durable_name: Some(READER.to_owned()),
            ack_policy: AckPolicy::Explicit,
            ..pull::Config::default()
        };
        let reader: PullConsumer = stream
            .get_or_create_consumer(READER, config)
            .await
            .map_err(fault::unavailable)?;
        let batch = reader.fetch().max_messages(ADVISORIES_AT_ONCE);
        let mut batch = batch.messages().await.map_err(fault::unavailable)?;
        let mut buried = 0;
        while let Some(message) = batch.next().await {
            let message = message.map_err(fault::unavailable)?;
            buried += u64::from(heed(shared, &message).await?);
            message.ack().await.map_err(fault::unavailable)?;
        }
        Ok(buried)
    }

    async fn dead_letters(&self, before: Option<u64>, limit: usize) -> Result<DeadPage, BusError> {
        let shared = self.open()?;
        let Some(stream) = shared.streams.find(DLQ_STREAM).await? else {
            return Ok(DeadPage::default());
        };
        let state = &stream.cached_info().state;
        let mut end = before.unwrap_or(state.last_sequence + 1);
        let mut letters = Vec::new();
        while end > state.first_sequence && state.messages > 0 {
            let start = end.saturating_sub(STEP).max(state.first_sequence);
            let most = usize::try_from(end - start).unwrap_or(usize::MAX);
            let found = scan::batch(shared, &stream, DLQ_ALL, start, most).await?;
            let mut found: Vec<_> = found.into_iter().filter(|m| m.sequence < end).collect();
            found.reverse();
            for message in found {
                if letters.len() == limit {
                    let before = letters.last().map(|letter: &DeadLetter| letter.place);
                    return Ok(DeadPage { letters, before });
                }
                letters.extend(read(message));
            }
            end = start;
        }
        Ok(DeadPage {
            letters,
            before: None,
        })
    }

    async fn dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, BusError> {
        let shared = self.open()?;
        Ok(last(shared, id)
            .await?
            .and_then(|(_, message)| read(message)))
    }

    async fn forget_dead_letter(&self, id: &str) -> Result<bool, BusError> {
        let shared = self.open()?;
        let Some((stream, message)) = last(shared, id).await? else {
            return Ok(false);
        };
        let gone = stream.delete_message(message.sequence).await;
        gone.map_err(fault::unavailable)
    }
}

/// Acts on one advisory; whether it made a dead letter.
async fn heed(shared: &Shared, message: &Message) -> Result<bool, BusError> {
    let advisory = match serde_json::from_slice::<Advisory>(&message.payload) {
        Ok(advisory) => advisory,
        Err(error) => {
            tracing::warn!(%error, "an advisory of the server could not be read");
            return Ok(false);
        }
    };
    let Some(jobs) = shared.streams.find(JOBS_STREAM).await? else {
        return Ok(false);
    };
    let said = message.info().map_err(fault::unavailable)?.published;
    if said < jobs.cached_info().created {
        return Ok(false);
    }
    let sequence = advisory.stream_seq;
    if DELETED.contains(&advisory.reason.as_str()) {
        tracing::info!(sequence, reason = advisory.reason, "a job left the queue");
        return Ok(false);
    }
    if advisory.kind.ends_with(".terminated") {
        let id = format!("{}-{sequence}", epoch(&jobs));
        if last(shared, &id).await?.is_some() {
            return Ok(false);
        }
        let corpse = Corpse {
            sequence,
            subject: "",
            headers: None,
            body: Bytes::new(),
            deliveries: advisory.deliveries,
        };
        store(
            shared,
            &jobs,
            corpse,
            DeadReason::Terminated,
            &advisory.reason,
        )
        .await?;
        return Ok(true);
    }
    let found = match jobs.get_raw_message(sequence).await {
        Ok(found) => found,
        // Acknowledged late, which removes it all the same.
        Err(error) if fault::is_missing(&error) => return Ok(false),
        Err(error) => return Err(fault::unavailable(error)),
    };
    let corpse = Corpse {
        sequence,
        subject: found.subject.as_str(),
        headers: Some(&found.headers),
        body: found.payload.clone(),
        deliveries: advisory.deliveries,
    };
    let detail = format!(
        "delivered {} times, never acknowledged",
        advisory.deliveries
    );
    store(shared, &jobs, corpse, DeadReason::MaxDeliveries, &detail).await?;
    match jobs.delete_message(sequence).await {
        Ok(_) => Ok(true),
        // It is gone already, or it will be seen twice, which changes nothing.
        Err(error) => {
            tracing::debug!(%error, sequence, "a dead job was not removed from the queue");
            Ok(true)
        }
    }
}

/// The stored letter of this id.
async fn last(shared: &Shared, id: &str) -> Result<Option<(Stream, StreamMessage)>, BusError> {
    let Some(letter) = subject::of_dead_letter(id) else {
        return Ok(None);
    };
    let Some(stream) = shared.streams.find(DLQ_STREAM).await? else {
        return Ok(None);
    };
    match stream.get_last_raw_message_by_subject(&letter).await {
        Ok(message) => Ok(Some((stream, message))),
        Err(error) if fault::is_missing(&error) => Ok(None),
        Err(error) => Err(fault::unavailable(error)),
    }
}

fn read(message: StreamMessage) -> Option<DeadLetter> {
    let header = |name: &str| {
        message
            .headers
            .get(name)
            .map(async_nats::HeaderValue::as_str)
    };
    let number = |name: &str| header(name).and_then(|n| n.parse().ok()).unwrap_or(0);
    let id = subject::dead_letter_id(&message.subject)?;
    let sequence = id.rsplit('-').next()?.parse().ok()?;
    let mut headers: BTreeMap<String, String> = message
        .headers
        .iter()
        .filter_map(|(name, values)| Some((name.to_string(), values.first()?.to_string())))
        .filter(|(name, _)| !name.starts_with("Autopack-Dead-") && !name.starts_with("Nats-"))
        .collect();
    headers.extend(header(MESSAGE_ID).map(|id| ("Nats-Msg-Id".to_owned(), id.to_owned())));
    Some(DeadLetter {
        place: message.sequence,
        reason: header(REASON).and_then(DeadReason::parse)?,
        detail: header(DETAIL).unwrap_or_default().to_owned(),
        subject: header(SUBJECT).unwrap_or_default().to_owned(),
        deliveries: number(DELIVERIES),
        at: i64::try_from(message.time.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX),
        id,
        sequence,
        headers,
        body: message.payload,
    })
}
