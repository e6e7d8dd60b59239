//! Which calls may be sent again, and their bytes.
//!
//! Invariant: a call is repeated only if it changes nothing (see [`crate::methods::READS`]) or carries a
//! non-empty `request_id`; what cannot be judged is not repeated.

use http_body_util::BodyExt as _;
use prost::bytes::{Buf as _, Bytes};
use tonic::{Status, body::Body};

use crate::methods::Method;

/// A larger request is sent once and not kept.
pub(super) const MAX_KEPT: usize = 4 * 1024 * 1024;

/// Bytes before the message in a gRPC frame: compression flag and length.
const FRAME: usize = 5;

/// A request body that can be sent more than once, or once.
pub(super) enum Payload {
    /// All bytes of a call that may be repeated.
    Kept(Bytes),
    /// All bytes of a call that is sent once.
    Single(Bytes),
    /// A stream.
    Once(Body),
}

/// Reads the body of a call with one message; leaves every other one alone.
pub(super) async fn payload(method: Option<Method>, body: Body) -> Result<Payload, Status> {
    let Some(method) = method.filter(|m| !m.client_streaming) else {
        return Ok(Payload::Once(body));
    };
    let bytes = body.collect().await?.to_bytes();
    let repeatable = method.read
        || method
            .request_id
            .is_some_and(|number| has_text(&bytes, number));
    if repeatable && bytes.len() <= MAX_KEPT {
        Ok(Payload::Kept(bytes))
    } else {
        Ok(Payload::Single(bytes))
    }
}

/// Whether the framed message has a non-empty length-delimited field of this number.
fn has_text(frame: &[u8], number: u32) -> bool {
    use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
    // Compressed frames cannot be looked into; this client sends none.
    if frame.first() != Some(&0) || frame.len() < FRAME {
        return false;
    }
    let mut message = &frame[FRAME..];
    while message.has_remaining() {
        let Ok((tag, wire_type)) = decode_key(&mut message) else {
            return false;
        };
        if tag == number && wire_type == WireType::LengthDelimited {
            return decode_varint(&mut message).is_ok_and(|length| length > 0);
        }
        if skip_field(wire_type, tag, &mut message, DecodeContext::default()).is_err() {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::registry::{CancelRunRequest, CreateRunRequest};

    fn frame(message: &impl prost::Message) -> Vec<u8> {
        let body = message.encode_to_vec();
        let mut frame = vec![0];
        frame.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        frame.extend(body);
        frame
    }

    #[test]
    fn a_request_id_is_found_wherever_it_stands() {
        let with = CreateRunRequest {
            request_id: "r1".into(),
            document: "x".into(),
            ..Default::default()
        };
        let without = CreateRunRequest {
            document: "x".into(),
            hold: true,
            ..Default::default()
        };
        assert!(has_text(&frame(&with), 1));
        assert!(!has_text(&frame(&without), 1));
        let cancel = CancelRunRequest {
            run_id: "a".into(),
            request_id: "r".into(),
            why: "w".into(),
        };
        assert!(has_text(&frame(&cancel), 2));
        assert!(!has_text(
            &frame(&CancelRunRequest {
                run_id: "a".into(),
                ..Default::default()
            }),
            2
        ));
    }

    #[test]
    fn garbage_is_not_repeated() {
        assert!(!has_text(&[], 1));
        assert!(!has_text(&[0, 0, 0, 0, 9, 0xff, 0xff], 1));
        assert!(!has_text(&[1, 0, 0, 0, 2, 0x0a, 0x01], 1));
        let _ = CreateRunRequest::default().encode_to_vec();
    }
}
