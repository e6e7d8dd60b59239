//! Any bytes given to the readers of messages: a value or faults. `libs/wire/tests/it/readers.rs` runs the same body.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../bodies/request.rs"]
mod body;

fuzz_target!(|data: &[u8]| {
    body::request(data);
});
