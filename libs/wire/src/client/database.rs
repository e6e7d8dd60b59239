//! Which database the clients of a process work on.
//!
//! Invariant: the first answer decides, or whoever made the clients; from then on every call names that database, and an
//! answer from another one is an error, whatever it says. What names no database (another service, an older registry)
//! decides nothing.

use std::sync::{Arc, OnceLock};

use autopack_domain::{Reason, Refusal};
use http::{HeaderMap, HeaderValue, Response};
use tonic::{Status, body::Body};

use crate::status::to_status;

/// Header of calls and answers: the identity of the database.
pub const DATABASE_HEADER: &str = "x-autopack-database";

/// The database that was decided on; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Database(Arc<OnceLock<String>>);

impl Database {
    /// Decided from the start.
    pub fn expected(identity: impl Into<String>) -> Self {
        Self(Arc::new(OnceLock::from(identity.into())))
    }

    /// The identity, once it is known: 32 hex.
    pub fn identity(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }

    /// Names the database in a call.
    pub(super) fn name(&self, headers: &mut HeaderMap) {
        if let Some(value) = self
            .identity()
            .and_then(|id| HeaderValue::from_str(id).ok())
        {
            headers.insert(DATABASE_HEADER, value);
        }
    }

    /// Takes in an answer; refuses one from another database.
    pub(super) fn check(
        &self,
        answer: Result<Response<Body>, Status>,
    ) -> Result<Response<Body>, Status> {
        let response = answer?;
        let Some(theirs) = response
            .headers()
            .get(DATABASE_HEADER)
            .and_then(|value| value.to_str().ok())
        else {
            return Ok(response);
        };
        let ours = self.0.get_or_init(|| theirs.to_owned());
        if ours == theirs {
            return Ok(response);
        }
        let text = format!(
            "the answer comes from the database {theirs}, and this process works on {ours}"
        );
        let refusal = Refusal::new(Reason::DatabaseMismatch, text);
        Err(to_status(
            &refusal.with("registry", theirs).with("caller", ours),
        ))
    }
}
