//! The conformance kit: transcripts with what they must give, and faults that every adapter must survive.
//!
//! Invariant: what a fault must give is computed from the manifest and the transcripts, so a new adapter is held to
//! the same rules without a word of its own.

mod fault;
mod script;
mod transcripts;

pub use fault::{Fault, Seen, judge};
pub use script::{EVENTS, PROGRAM, PROMPT_FILE, Scene, scene};
pub use transcripts::{Transcript, compare, transcript, transcripts};
