//! The contract as a whole: its version, its digest, the features that no list of methods tells.
//!
//! Invariant: the digest changes when and only when the contract does; a feature's name never changes its meaning.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use crate::descriptor::normal_form;

/// The major version: the `v1` of the packages.
pub const VERSION: &str = "v1";

/// `CreateRun` understands `validate_only`: an older registry would ignore the field and store the run.
pub const VALIDATE_ONLY: &str = "create_run.validate_only";
/// Every answer names the database, and a caller of another one is refused.
pub const DATABASE_HANDSHAKE: &str = "database_handshake";

/// What this version of the program offers, in order.
pub const FEATURES: &[&str] = &[VALIDATE_ONLY, DATABASE_HANDSHAKE];

static DIGEST: LazyLock<String> = LazyLock::new(|| {
    // The descriptor was written by this crate's own build.
    let lines = normal_form(crate::DESCRIPTOR).unwrap_or_default();
    let mut hash = Sha256::new();
    for line in lines {
        hash.update(line);
        hash.update("\n");
    }
    let bytes = hash.finalize();
    bytes.iter().take(6).fold(String::new(), |mut text, byte| {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
        text
    })
});

/// First 12 hex of the SHA-256 of the contract's normal form.
pub fn digest() -> &'static str {
    &DIGEST
}
