//! A fault as the description of a `BadRequest` field violation, and back.
//!
//! Invariant: [`parse`] is the inverse of [`write`] for ordinary texts; for the others [`is_faithful`] says no,
//! and the fault travels a second time as a `types.v1.Fault` detail.

use autopack_domain::Fault;

const ALLOWED: &str = "; allowed: ";
const EXAMPLE: &str = "; example: ";

/// The description for people: problem, what is allowed, an example.
pub(super) fn write(fault: &Fault) -> String {
    let mut text = fault.problem.clone();
    if !fault.allowed.is_empty() {
        text.push_str(ALLOWED);
        text.push_str(&fault.allowed.join(", "));
    }
    if !fault.example.is_empty() {
        text.push_str(EXAMPLE);
        text.push_str(&fault.example);
    }
    text
}

/// The fault of a description.
pub(super) fn parse(path: String, description: &str) -> Fault {
    let (rest, example) = description.split_once(EXAMPLE).unwrap_or((description, ""));
    let (problem, allowed) = rest.split_once(ALLOWED).unwrap_or((rest, ""));
    let mut fault = Fault::new(path, problem).example(example);
    if !allowed.is_empty() {
        fault = fault.allowed(allowed.split(", "));
    }
    fault
}

/// Whether the description alone brings the fault back.
pub(super) fn is_faithful(fault: &Fault) -> bool {
    parse(fault.path.clone(), &write(fault)) == *fault
}
