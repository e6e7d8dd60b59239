//! Deadlines as `grpc-timeout` header values.
//!
//! Invariant: a value is at most eight digits and a unit, as the protocol asks; reading is the inverse of
//! writing up to the unit's resolution, rounded up.

use std::time::Duration;

/// Name of the header.
pub(crate) const GRPC_TIMEOUT: &str = "grpc-timeout";

const MAX_DIGITS: u128 = 99_999_999;

/// The finest unit in which the span has at most eight digits.
pub(crate) fn write(span: Duration) -> String {
    for (unit, nanos) in [
        ("n", 1),
        ("u", 1_000),
        ("m", 1_000_000),
        ("S", 1_000_000_000),
        ("M", 60_000_000_000),
    ] {
        let value = span.as_nanos().div_ceil(nanos);
        if value <= MAX_DIGITS {
            return format!("{value}{unit}");
        }
    }
    format!("{}H", span.as_secs().div_ceil(3600).min(99_999_999))
}

/// The span of a header; `None` if it is absent or malformed.
pub(crate) fn read(headers: &http::HeaderMap) -> Option<Duration> {
    let text = headers.get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    Some(match unit {
        "n" => Duration::from_nanos(value),
        "u" => Duration::from_micros(value),
        "m" => Duration::from_millis(value),
        "S" => Duration::from_secs(value),
        "M" => Duration::from_mins(value),
        "H" => Duration::from_hours(value),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_come_back() {
        for span in [
            Duration::ZERO,
            Duration::from_nanos(1),
            Duration::from_millis(1500),
            Duration::from_secs(30),
            Duration::from_hours(8760),
        ] {
            let mut headers = http::HeaderMap::new();
            headers.insert(GRPC_TIMEOUT, write(span).parse().unwrap());
            assert_eq!(read(&headers), Some(span), "{span:?} as {}", write(span));
        }
    }

    #[test]
    fn malformed_values_are_none() {
        for bad in ["", "S", "1", "x1S", "123456789S", "1s", "-1S", "1é"] {
            let mut headers = http::HeaderMap::new();
            headers.insert(
                GRPC_TIMEOUT,
                http::HeaderValue::from_bytes(bad.as_bytes()).unwrap(),
            );
            assert_eq!(read(&headers), None, "{bad}");
        }
    }
}
