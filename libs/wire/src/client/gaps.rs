//! Methods that a server turned out to lack.
//!
//! Invariant: each is warned of once and remembered; the caller gets UNIMPLEMENTED with the method's name and
//! `METHOD_MISSING`, whatever the server said.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use autopack_domain::{Reason, Refusal};
use http::Response;
use tonic::{Code, Status, body::Body};

use crate::{methods, status::to_status_with_code};

/// What is missing; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Gaps(Arc<Mutex<BTreeSet<String>>>);

impl Gaps {
    /// The methods, as `/package.Service/Method`, in order.
    pub fn list(&self) -> Vec<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().cloned().collect()
    }

    /// Remembers a method of the contract that a server lacks.
    pub(super) fn note(&self, path: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.insert(path.to_owned()) {
            tracing::warn!(
                method = path,
                "the server does not offer this method; what needs it is left out"
            );
        }
    }

    /// Forgets it: the server has it by now.
    fn mended(&self, path: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(path);
    }

    /// Takes in an answer.
    pub(super) fn check(
        &self,
        path: &str,
        answer: Result<Response<Body>, Status>,
    ) -> Result<Response<Body>, Status> {
        let code = match &answer {
            Ok(response) => Status::from_header_map(response.headers()).map(|s| s.code()),
            Err(status) => Some(status.code()),
        };
        if methods::method(path).is_none() {
            return answer;
        }
        if code == Some(Code::Unimplemented) {
            self.note(path);
            return Err(missing(path));
        }
        if answer.is_ok() {
            self.mended(path);
        }
        answer
    }
}

/// The status for a method that the server lacks.
fn missing(path: &str) -> Status {
    let name = path.trim_start_matches('/');
    let text = format!("the server does not offer {name}: it is older than this program");
    let refusal = Refusal::new(Reason::MethodMissing, text).with("method", name);
    to_status_with_code(&refusal, Code::Unimplemented)
}
