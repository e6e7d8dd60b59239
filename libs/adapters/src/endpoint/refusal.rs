//! What an answer means that is none.
//!
//! Invariant: a provider that asks to wait, an account that is empty, a provider that fails and a call that is wrong
//! are told apart; whatever is not known is a failure of the provider, which is tried again.

use std::time::Duration;

use serde_json::Value;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Too much was asked at once; again after so long, if it says.
    Paused(Option<Duration>),
    /// The account has nothing left; again after so long, if it says.
    Exhausted(Option<Duration>),
    /// The provider failed or is overloaded.
    Failed,
    /// The key is missing or refused.
    Key,
    /// The model is not known or not allowed.
    Model,
    /// The question is longer than the model can read.
    TooLong,
    /// The request is wrong.
    Request,
}

impl Refusal {
    /// The name in facts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Paused(_) => "rate_limited",
            Self::Exhausted(_) => "quota_exhausted",
            Self::Failed => "provider_failed",
            Self::Key => "wrong_key",
            Self::Model => "wrong_model",
            Self::TooLong => "context_too_long",
            Self::Request => "wrong_request",
        }
    }
}

/// What was told with a status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The status; 0: an error in the middle of a stream.
    pub status: u16,
    /// Header `retry-after`, or empty.
    pub retry_after: String,
    /// Header `retry-after-ms`, or empty.
    pub retry_after_ms: String,
    /// The kind that the body names.
    pub kind: String,
    /// Its words.
    pub words: String,
}

impl Told {
    /// From a status and its body.
    pub fn of(status: u16, body: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        // Some compatible servers wrap the object in a list.
        let error = [&value["error"], &value[0]["error"], &value];
        let error = error.into_iter().find(|v| v.is_object() || v.is_string());
        let error = error.unwrap_or(&Value::Null);
        let word = |key: &str| error[key].as_str().unwrap_or_default();
        let words = match error.as_str().unwrap_or(word("message")) {
            "" => String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned(),
            words => words.to_owned(),
        };
        let kind = [word("code"), word("type")];
        let kind = kind.into_iter().find(|kind| !kind.is_empty());
        Self {
            status,
            kind: crate::lines::clip(kind.unwrap_or_default(), 60),
            words: crate::lines::clip(&words, 500),
            ..Self::default()
        }
    }

    fn wait(&self) -> Option<Duration> {
        let millis = self.retry_after_ms.trim().parse::<f64>().ok();
        let seconds = self.retry_after.trim().parse::<f64>().ok();
        let seconds = millis.map(|ms| ms / 1000.0).or(seconds)?;
        (seconds.is_finite() && seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(1e6)))
    }
}

/// Judges it.
pub fn refusal(told: &Told) -> Refusal {
    let words = told.words.to_ascii_lowercase();
    let kind = told.kind.to_ascii_lowercase();
    let says = |list: &[&str]| {
        list.iter()
            .any(|word| words.contains(word) || kind.contains(word))
    };
    let empty = says(&[
        "insufficient_quota",
        "exceeded your current quota",
        "credit balance",
        "billing_hard_limit",
        "billing_error",
        "usage limit",
        "spend limit",
    ]);
    if empty || told.status == 402 {
        return Refusal::Exhausted(told.wait());
    }
    if told.status == 429 || says(&["rate_limit"]) {
        return Refusal::Paused(told.wait());
    }
    if [503, 529].contains(&told.status) && told.wait().is_some() {
        return Refusal::Paused(told.wait());
    }
    if told.status >= 500 || [0, 408, 409, 425].contains(&told.status) {
        return Refusal::Failed;
    }
    let long = says(&[
        "context_length_exceeded",
        "prompt is too long",
        "maximum context length",
        "request_too_large",
        "context window",
    ]);
    match told.status {
        413 => Refusal::TooLong,
        400 | 422 if long => Refusal::TooLong,
        401 => Refusal::Key,
        403 if says(&["model"]) => Refusal::Model,
        403 => Refusal::Key,
        404 => Refusal::Model,
        400 | 422 if says(&["model_not_found", "does not exist", "unknown model"]) => {
            Refusal::Model
        }
        _ => Refusal::Request,
    }
}
