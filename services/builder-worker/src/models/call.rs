//! One question to one model.
//!
//! Invariant: whatever becomes of the call, its provider's breaker hears of it once, and what was used is told with
//! its provenance.

use std::time::Duration;

use autopack_adapters::endpoint::{Reader, Refusal, Reply, Request, Told, Who, refusal};
use autopack_policy::provider::{Outcome, Wait};
use autopack_sandbox::CancellationToken;
use hyper::HeaderMap;
use tokio::time::{Instant, timeout_at};

use super::http::{Got, Post, post};
use super::{Models, Target};

/// What is asked.
pub(crate) struct Question<'a> {
    pub(crate) target: &'a Target,
    pub(crate) system: &'a str,
    pub(crate) turns: &'a [(Who, String)],
    pub(crate) max_output: u64,
    /// How long the endpoint may be silent.
    pub(crate) silence: Duration,
    /// When the answer must be whole.
    pub(crate) deadline: Instant,
    /// Ends the call.
    pub(crate) cancel: &'a CancellationToken,
}

impl Question<'_> {
    /// Bytes that are asked.
    pub(crate) fn bytes(&self) -> u64 {
        let turns: usize = self.turns.iter().map(|(_, text)| text.len()).sum();
        (self.system.len() + turns) as u64
    }
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Asked {
    /// A whole reply.
    Reply(Reply),
    /// The stream broke off; what had come, and how long to wait.
    Broken(Reply, String, Wait),
    /// No answer: why, in the provider's words, and how long to wait.
    Refused(Refusal, String, Wait),
    /// It was not asked: its provider is left alone for now.
    Held(Wait),
}

/// Asks. May be dropped at any point.
pub(crate) async fn ask(models: &Models, question: &Question<'_>) -> Asked {
    let target = question.target;
    let Some(provider) = models.list.providers.get(&target.provider) else {
        let words = format!("the provider `{}` is not known", target.provider);
        return Asked::Refused(Refusal::Request, words, NONE);
    };
    let permit = match models.admit(&target.provider) {
        Ok(permit) => permit,
        Err(wait) => return Asked::Held(wait),
    };
    let request = Request {
        model: &target.model,
        system: question.system,
        turns: question.turns,
        max_output: question.max_output,
        output_key: &provider.output_key,
    };
    let url = format!("{}{}", provider.url, provider.protocol.path());
    let call = Post {
        url: &url,
        headers: provider.protocol.headers(provider.key.text()),
        body: request.body(provider.protocol).to_string().into_bytes(),
        silence: question.silence,
    };
    let mut reader = Reader::new(provider.protocol);
    let mut sink = |bytes: &[u8]| {
        reader.feed(bytes);
        !reader.is_done()
    };
    let got = tokio::select! {
        biased;
        () = question.cancel.cancelled() => Err(Ended::Given),
        got = timeout_at(question.deadline, post(call, &mut sink)) => match got {
            Ok(got) => got.map_err(Ended::NoAnswer),
            Err(_) => Err(Ended::Given),
        },
    };
    let too_much = reader.is_broken();
    let reply = reader.finish();
    match got {
        Err(Ended::Given) => {
            let wait = permit.settle(Outcome::Nothing);
            Asked::Broken(reply, "the call was given up".to_owned(), wait)
        }
        Err(Ended::NoAnswer(words)) => {
            let wait = permit.settle(Outcome::Failed);
            Asked::Refused(Refusal::Failed, words, wait)
        }
        Ok(Got::Refused {
            status,
            headers,
            body,
        }) => {
            let header = |name: &str| header(&headers, name);
            let told = Told {
                retry_after: header("retry-after"),
                retry_after_ms: header("retry-after-ms"),
                ..Told::of(status, &body)
            };
            let why = refusal(&told);
            let wait = permit.settle(outcome(why));
            Asked::Refused(why, format!("status {status}: {}", told.words), wait)
        }
        Ok(Got::Streamed | Got::Broken(_)) if too_much => {
            let wait = permit.settle(Outcome::Answered);
            Asked::Broken(
                reply,
                "the answer is larger than what is read".to_owned(),
                wait,
            )
        }
        Ok(got @ (Got::Streamed | Got::Broken(_))) => {
            if let Some((kind, words)) = reply.error.clone() {
                let told = Told {
                    kind,
                    words,
                    ..Told::default()
                };
                let wait = permit.settle(outcome(refusal(&told)));
                return Asked::Broken(reply, format!("{}: {}", told.kind, told.words), wait);
            }
            // Some servers leave out the last event; a reason to end and the figures are as good.
            if reply.complete || (reply.stop.is_some() && reply.counted) {
                permit.settle(Outcome::Answered);
                return Asked::Reply(reply);
            }
            let words = match got {
                Got::Broken(words) => words,
                _ => "the stream ended in the middle".to_owned(),
            };
            let wait = permit.settle(Outcome::Failed);
            Asked::Broken(reply, words, wait)
        }
    }
}

/// Why a call has no end of its own.
enum Ended {
    /// Its time was over, or the work was called off.
    Given,
    /// It never got an answer.
    NoAnswer(String),
}

const NONE: Wait = Wait {
    time: Duration::ZERO,
    exhausted: false,
};

/// What a refusal shows of the provider.
fn outcome(why: Refusal) -> Outcome {
    match why {
        Refusal::Paused(told) => Outcome::Paused(told),
        Refusal::Exhausted(told) => Outcome::Exhausted(told),
        Refusal::Failed => Outcome::Failed,
        // It answers; what it was asked was wrong.
        Refusal::Key | Refusal::Model | Refusal::TooLong | Refusal::Request => Outcome::Nothing,
    }
}

fn header(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}
