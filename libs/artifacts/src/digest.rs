//! The name of a blob: SHA-256 in lower-case hex, 64 digits.
//!
//! Invariant: a [`Digest`] is well-formed, so it may stand in a path.

use std::fmt::{self, Write as _};

use object_store::path::Path;

use crate::error::ArtifactError;

/// Digest and size of a stored blob.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Digest {
    /// SHA-256, 64 lower-case hex digits.
    pub hex: String,
    /// Bytes.
    pub size: u64,
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex)
    }
}

/// Whether a text is a digest.
pub fn is_digest(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Where the blob of this digest is stored.
pub(crate) fn location(hex: &str) -> Result<Path, ArtifactError> {
    if !is_digest(hex) {
        return Err(ArtifactError::InvalidDigest(hex.chars().take(80).collect()));
    }
    Ok(Path::from(format!("sha256/{}/{}", &hex[..2], &hex[2..])))
}

/// The text of a hash.
pub(crate) fn hex(hash: &[u8]) -> String {
    let mut text = String::with_capacity(hash.len() * 2);
    for byte in hash {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_64_lower_case_hex_digits_are_a_digest() {
        let good = "a".repeat(64);
        assert!(location(&good).is_ok());
        for bad in [
            "",
            "a",
            &"A".repeat(64),
            &"g".repeat(64),
            &"a".repeat(65),
            "../../etc/passwd",
        ] {
            assert_eq!(
                location(bad),
                Err(ArtifactError::InvalidDigest(bad.to_owned()))
            );
        }
    }
}
