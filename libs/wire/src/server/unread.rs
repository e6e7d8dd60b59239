//! A request that the transport could not read: refused by the transport without a reason, given one here.
//!
//! Invariant: only a bare status is replaced, in the words of the transport for a request that is no message, is cut, or
//! is too large; what a handler said stays as it is.

use autopack_domain::{Fault, Reason, Refusal};
use http::Response;
use tonic::{Code, Status, body::Body};

use crate::status::{to_status, to_status_with_code};

/// How the transport begins what it says of a body that is no message of the request's type.
const MALFORMED: [&str; 5] = [
    "failed to decode Protobuf message",
    "Missing request message",
    "Unexpected EOF decoding stream",
    "protocol error: received message with ",
    "Error decompressing",
];

/// The same for a message above the bound.
const TOO_LARGE: &str = "Error, decoded message length too large";

/// The response, or what stands for it if the request could not be read.
pub(super) fn explained(path: &str, response: Response<Body>) -> Response<Body> {
    let bare = Status::from_header_map(response.headers())
        .filter(|status| status.code() != Code::Ok && status.details().is_empty());
    match bare.and_then(|status| of(path, &status)) {
        Some(status) => status.into_http(),
        None => response,
    }
}

fn of(path: &str, bare: &Status) -> Option<Status> {
    let said = bare.message();
    if bare.code() == Code::OutOfRange && said.starts_with(TOO_LARGE) {
        let text = format!("{path}: the request is too large ({said}); send less at once");
        let refusal = Refusal::new(Reason::LimitExceeded, text).with("method", path);
        // The same request is too large in a second, too.
        return Some(to_status_with_code(&refusal, Code::ResourceExhausted));
    }
    if bare.code() != Code::Internal || !MALFORMED.iter().any(|begin| said.starts_with(begin)) {
        return None;
    }
    let request = request_of(path);
    let problem = format!(
        "is no message of the type {request} ({said}); send one, as reflection or the contract of the server's version \
         describes it: `autopack info` names that version"
    );
    let fault = Fault::new("request", problem).example(request);
    let refusal = Refusal::invalid(Reason::ArgumentInvalid, vec![fault]).with("method", path);
    Some(to_status(&refusal))
}

/// The type of a method's request: the contract names it after the method.
fn request_of(path: &str) -> String {
    let mut parts = path.trim_start_matches('/').splitn(2, '/');
    let (service, method) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let package = service.rsplit_once('.').map_or("", |(package, _)| package);
    format!("{package}.{method}Request")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::from_status;

    const PATH: &str = "/autopack.registry.v1.RegistryService/GetRun";

    fn answer(status: Status) -> Status {
        let answer = explained(PATH, status.into_http());
        Status::from_header_map(answer.headers()).unwrap()
    }

    #[test]
    fn what_the_transport_could_not_read_says_which_message_is_wanted() {
        for said in MALFORMED {
            let error = from_status(&answer(Status::internal(format!("{said}: more"))));
            assert_eq!(error.code, Code::InvalidArgument, "{error:?}");
            assert!(error.is(Reason::ArgumentInvalid), "{error:?}");
            assert_eq!(error.faults[0].path, "request");
            let text = &error.faults[0].problem;
            assert!(
                text.contains("autopack.registry.v1.GetRunRequest"),
                "{text}"
            );
        }
        let large = Status::out_of_range(format!("{TOO_LARGE}: found 9 bytes, the limit is: 8"));
        let error = from_status(&answer(large));
        assert_eq!(
            (error.code, error.retry_after),
            (Code::ResourceExhausted, None)
        );
        assert!(error.is(Reason::LimitExceeded), "{error:?}");
    }

    #[test]
    fn what_a_handler_said_stays() {
        let refusal = Refusal::new(Reason::InternalFault, MALFORMED[0]);
        let error = from_status(&answer(to_status(&refusal)));
        assert!(error.is(Reason::InternalFault), "{error:?}");
        for other in [Status::internal("else"), Status::out_of_range("else")] {
            assert_eq!(answer(other.clone()).code(), other.code());
        }
    }
}
