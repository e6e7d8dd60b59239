//! Reads what a stream holds, from a sequence on, without a consumer.
//!
//! Invariant: bounded in messages, and each wait has a deadline; a server that is too old for batches is
//! asked for one message at a time.

use async_nats::{
    StatusCode,
    jetstream::{message::StreamMessage, stream::Stream},
};
use futures::StreamExt as _;
use tokio::time::timeout;

use super::{Shared, fault};
use crate::error::BusError;

/// Up to `most` messages of these subjects, from the sequence on; fewer: there are no more.
pub(super) async fn batch(
    shared: &Shared,
    stream: &Stream,
    filter: &str,
    from: u64,
    most: usize,
) -> Result<Vec<StreamMessage>, BusError> {
    if shared.one_by_one {
        return singly(stream, filter, from, most).await;
    }
    let name = &stream.cached_info().config.name;
    let inbox = shared.client.new_inbox();
    let after = shared.request_timeout;
    let late = |_| BusError::Deadline {
        what: "reading a stream",
        after,
    };
    let mut answers = timeout(after, shared.client.subscribe(inbox.clone()))
        .await
        .map_err(late)?
        .map_err(fault::unavailable)?;
    let body = serde_json::json!({ "seq": from.max(1), "batch": most, "next_by_subj": filter });
    let subject = format!("$JS.API.DIRECT.GET.{name}");
    let ask = shared
        .client
        .publish_with_reply(subject, inbox, body.to_string().into());
    timeout(after, ask)
        .await
        .map_err(late)?
        .map_err(fault::unavailable)?;
    let mut found = Vec::new();
    while found.len() < most {
        let answer = timeout(after, answers.next()).await.map_err(late)?;
        let answer = answer.ok_or(BusError::Closed)?;
        match answer.status {
            None => found.push(StreamMessage::try_from(answer).map_err(fault::unavailable)?),
            // The end of the batch, or nothing from there on.
            Some(status) if status.as_u16() == 204 || status == StatusCode::NOT_FOUND => break,
            Some(status) => {
                let why = answer.description.as_deref().unwrap_or_default();
                let why = format!("reading stream {name}: {} {why}", status.as_u16());
                return Err(BusError::Unavailable(why));
            }
        }
    }
    Ok(found)
}

async fn singly(
    stream: &Stream,
    filter: &str,
    from: u64,
    most: usize,
) -> Result<Vec<StreamMessage>, BusError> {
    let mut found = Vec::new();
    let mut next = from.max(1);
    while found.len() < most {
        let ask = stream.raw_message_builder().sequence(next);
        match ask.next_by_subject(filter).send().await {
            Ok(message) => {
                next = message.sequence + 1;
                found.push(message);
            }
            Err(error) if fault::is_missing(&error) => break,
            Err(error) => return Err(fault::unavailable(error)),
        }
    }
    Ok(found)
}
