//! Calls, and what has been seen of each RPC.
//!
//! Invariant: a call that went otherwise than was said is noted and the rest goes on, so that one run names every fault;
//! [`Book::close`] fails unless every RPC answered and refused with exactly its documented errors.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use autopack_domain::{ErrorKind, Reason};
use autopack_testkit::cluster::key_of;
use autopack_wire::client::{ClientTls, channel};
use autopack_wire::server::{ALLOWED, Principal};
use autopack_wire::status::{code_of, from_status};
use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

use crate::{documented, raw::Raw, scene::Nodes};

/// How long a call may take.
const BOUND: Duration = Duration::from_secs(30);

/// Who says that they call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Caller {
    /// Whoever the table names first.
    Allowed,
    /// The holder of a role's key.
    Role(Principal),
    /// Somebody without a key.
    Nobody,
    /// Somebody with a key that no service knows.
    Stranger,
}

/// What was seen of an RPC.
#[derive(Debug, Default)]
struct Seen {
    answered: bool,
    refused: BTreeSet<String>,
}

/// The calls so far.
pub(crate) struct Book {
    channels: BTreeMap<&'static str, Channel>,
    seen: BTreeMap<&'static str, Seen>,
    faults: Vec<String>,
}

impl Book {
    pub(crate) fn new(nodes: Nodes) -> Self {
        let seen = ALLOWED.iter().map(|(path, _)| (*path, Seen::default()));
        let mut book = Self {
            channels: BTreeMap::new(),
            seen: seen.collect(),
            faults: Vec::new(),
        };
        book.reach(nodes);
        book
    }

    /// Services, by their package.
    pub(crate) fn reach(&mut self, nodes: Nodes) {
        for (package, address) in nodes {
            let channel = channel(&address, &ClientTls::default()).unwrap();
            self.channels.insert(package, channel);
        }
    }

    /// The path of `Service/Method`, and who may call it.
    #[track_caller]
    pub(crate) fn find(method: &str) -> (&'static str, &'static [Principal]) {
        let ends = |path: &str| path.ends_with(&format!(".{method}"));
        let found = ALLOWED.iter().find(|(path, _)| ends(path));
        let (path, allowed) = found.unwrap_or_else(|| panic!("there is no {method}"));
        (path, allowed)
    }

    /// The first message of the answer to a stream of messages; every kind of RPC is called like this.
    pub(crate) async fn send(
        &self,
        path: &'static str,
        caller: Caller,
        bodies: Vec<Vec<u8>>,
    ) -> Result<Vec<u8>, Status> {
        self.send_all(path, caller, bodies.into_iter()).await
    }

    /// The same for messages that are made while they are sent.
    pub(crate) async fn send_all(
        &self,
        path: &'static str,
        caller: Caller,
        bodies: impl Iterator<Item = Vec<u8>> + Send + 'static,
    ) -> Result<Vec<u8>, Status> {
        let package = path[1..].rsplit_once('.').unwrap().0;
        let mut grpc = Grpc::new(self.channels[package].clone());
        let allowed = ALLOWED.iter().find(|(known, _)| *known == path).unwrap().1;
        let mut request = Request::new(tokio_stream::iter(bodies));
        let key = match caller {
            Caller::Allowed => Some(key_of(allowed[0].as_str())),
            Caller::Role(role) => Some(key_of(role.as_str())),
            Caller::Nobody => None,
            Caller::Stranger => Some("a-key-that-nobody-has".to_owned()),
        };
        if let Some(key) = key {
            let value = format!("Bearer {key}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        let asked = async {
            let ready = grpc.ready().await;
            ready.map_err(|e| Status::unavailable(e.to_string()))?;
            let answer = grpc.streaming(request, PathAndQuery::from_static(path), Raw);
            let mut answers = answer.await?.into_inner();
            let first = answers.message().await?;
            Ok(first.unwrap_or_default())
        };
        let answer = tokio::time::timeout(BOUND, asked).await;
        answer.unwrap_or_else(|_| panic!("{path}: no answer within {BOUND:?}"))
    }

    /// A call without a note.
    pub(crate) async fn try_call<A: Message + Default>(
        &self,
        method: &str,
        caller: Caller,
        request: &impl Message,
    ) -> Result<A, Status> {
        let (path, _) = Self::find(method);
        let bytes = self
            .send(path, caller, vec![request.encode_to_vec()])
            .await?;
        Ok(A::decode(bytes.as_slice()).unwrap())
    }

    /// A call that is answered.
    pub(crate) async fn ok<A: Message + Default>(
        &mut self,
        method: &str,
        request: impl Message,
    ) -> A {
        self.ok_as(Caller::Allowed, method, request).await
    }

    /// The same by somebody in particular.
    pub(crate) async fn ok_as<A: Message + Default>(
        &mut self,
        caller: Caller,
        method: &str,
        request: impl Message,
    ) -> A {
        let answer = self.try_call(method, caller, &request).await;
        self.note_answer(method, answer).unwrap_or_default()
    }

    /// What a call came to that was to be answered.
    pub(crate) fn note_answer<A>(&mut self, method: &str, answer: Result<A, Status>) -> Option<A> {
        let (path, _) = Self::find(method);
        match answer {
            Ok(answer) => {
                self.seen.entry(path).or_default().answered = true;
                Some(answer)
            }
            Err(status) => {
                let error = from_status(&status);
                self.fault(format!("{path} was not answered: {error}"));
                None
            }
        }
    }

    /// A call that is refused.
    pub(crate) async fn refused(&mut self, method: &str, reason: Reason, request: impl Message) {
        self.refused_as(Caller::Allowed, method, reason, request)
            .await;
    }

    /// The same by somebody in particular.
    pub(crate) async fn refused_as(
        &mut self,
        caller: Caller,
        method: &str,
        reason: Reason,
        request: impl Message,
    ) {
        let (path, _) = Self::find(method);
        let body = vec![request.encode_to_vec()];
        let answer = self.send(path, caller, body).await;
        self.note_refusal(path, reason, answer);
    }

    /// What a call came to that was to be refused.
    pub(crate) fn note_refusal(
        &mut self,
        path: &'static str,
        reason: Reason,
        answer: Result<Vec<u8>, Status>,
    ) {
        let Err(status) = answer else {
            return self.fault(format!(
                "{path} was answered, and not refused with {reason}"
            ));
        };
        if let Err(problem) = check(&status, reason) {
            self.fault(format!("{path}, {reason}: {problem}: {status:?}"));
        }
        let seen = self.seen.entry(path).or_default();
        seen.refused.insert(reason.code().to_owned());
    }

    /// Each of these reasons, each by a request of its own.
    pub(crate) async fn each<R: Message>(&mut self, method: &str, cases: Vec<(Reason, R)>) {
        for (reason, request) in cases {
            self.refused(method, reason, request).await;
        }
    }

    pub(crate) fn fault(&mut self, text: String) {
        self.faults.push(text);
    }

    /// Compares what was seen with what is documented.
    #[track_caller]
    pub(crate) fn close(mut self) {
        let documented = documented::errors();
        let rpcs: BTreeSet<&str> = documented.keys().map(String::as_str).collect();
        let seen: BTreeSet<&str> = self.seen.keys().copied().collect();
        assert_eq!(rpcs, seen, "the table of principals has every RPC");
        for (path, seen) in std::mem::take(&mut self.seen) {
            if !seen.answered {
                self.fault(format!("{path}: no call of it was answered"));
            }
            for reason in documented[path].difference(&seen.refused) {
                self.fault(format!(
                    "{path} documents {reason}, and no call was refused with it"
                ));
            }
            for reason in seen.refused.difference(&documented[path]) {
                self.fault(format!(
                    "{path} refuses with {reason}, and its comment in proto/ does not say so"
                ));
            }
        }
        let mut text = String::new();
        let faults = std::mem::take(&mut self.faults);
        for fault in &faults {
            let _ = writeln!(text, "- {fault}");
        }
        assert!(faults.is_empty(), "{} faults:\n{text}", faults.len());
    }
}

impl Drop for Book {
    /// What went wrong before an assertion failed is most often why.
    fn drop(&mut self) {
        if std::thread::panicking() {
            for fault in &self.faults {
                eprintln!("- {fault}");
            }
        }
    }
}

/// Whether the status says all that the contract promises of a reason.
pub(crate) fn check(status: &Status, reason: Reason) -> Result<(), String> {
    let error = from_status(status);
    if !error.is(reason) {
        return Err(format!("the reason is {:?}", error.reason_code));
    }
    let kind = reason.kind();
    if status.code() != code_of(kind) {
        return Err(format!("the code is {:?}", status.code()));
    }
    let details = status.get_error_details();
    let help = details
        .help()
        .map(|help| help.links.clone())
        .unwrap_or_default();
    let page = format!("autopack explain {reason}");
    if !help.iter().any(|link| link.description == page) {
        return Err("no link to the page of the reason".to_owned());
    }
    let complete = match kind {
        ErrorKind::Invalid => {
            let named =
                |v: &tonic_types::FieldViolation| !v.field.is_empty() && !v.description.is_empty();
            details.bad_request().is_some_and(|bad| {
                !bad.field_violations.is_empty() && bad.field_violations.iter().all(named)
            })
        }
        ErrorKind::NotFound | ErrorKind::Exists => details
            .resource_info()
            .is_some_and(|r| !r.resource_type.is_empty() && !r.resource_name.is_empty()),
        ErrorKind::Precondition => details.precondition_failure().is_some_and(|p| {
            p.violations
                .iter()
                .any(|v| v.r#type == reason.code() && !v.subject.is_empty())
        }),
        ErrorKind::Exhausted => details
            .quota_failure()
            .is_some_and(|q| !q.violations.is_empty()),
        ErrorKind::Unavailable => details.retry_info().is_some(),
        ErrorKind::Conflict | ErrorKind::OutOfRange => !error.metadata.is_empty(),
        _ => !status.message().is_empty(),
    };
    if complete {
        Ok(())
    } else {
        Err("details are missing".to_owned())
    }
}
