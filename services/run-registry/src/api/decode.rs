//! Fields of requests as domain values.

use autopack_domain::{Fault, Reason, Refusal};
use autopack_wire::status::to_status;
use tonic::Status;

/// A refusal as a status.
pub(super) fn refuse(refusal: Refusal) -> Status {
    to_status(&refusal)
}

/// Faults of a request as a status.
pub(super) fn faults(faults: Vec<Fault>) -> Status {
    to_status(&Refusal::invalid(Reason::ArgumentInvalid, faults))
}

/// A uid.
pub(super) fn uid<T: std::str::FromStr>(field: &str, text: &str) -> Result<T, Status> {
    text.parse().map_err(|_| {
        faults(vec![
            Fault::new(field, "is not a uid").example("0197a4c2-0000-7000-8000-000000000000"),
        ])
    })
}

/// Parses a word of a closed list.
pub(super) fn word<T>(
    field: &str,
    text: &str,
    parsed: Option<T>,
    allowed: Vec<&'static str>,
) -> Result<T, Status> {
    parsed.ok_or_else(|| {
        faults(vec![
            Fault::new(field, format!("`{text}` is not one of the list")).allowed(allowed),
        ])
    })
}

/// A message that must be there.
pub(super) fn present<T>(field: &str, message: Option<T>) -> Result<T, Status> {
    message.ok_or_else(|| faults(vec![Fault::new(field, "is missing")]))
}
