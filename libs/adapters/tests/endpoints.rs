//! The two protocols: bodies, streams in any pieces, figures with their provenance, and refusals told apart.

#![allow(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use std::time::Duration;

use autopack_adapters::endpoint::{
    Protocol, Reader, Refusal, Reply, Request, Stop, Told, Who, refusal,
};
use autopack_domain::usage::Provenance;
use proptest::prelude::*;

const ANTHROPIC: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"m-1\",\"usage\":{\"input_tokens\":11,\"cache_creation_input_tokens\":7,\"cache_read_input_tokens\":100,\"output_tokens\":1}}}\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hel\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"lo \u{e4}\"}}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":23}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
const OPENAI: &str = "data: {\"model\":\"g-1\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"Hel\"}}]}\r\n\r\n: a comment\r\n\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"lo \u{e4}\"},\"finish_reason\":\"stop\"}]}\r\n\r\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":118,\"completion_tokens\":23,\"total_tokens\":141,\"prompt_tokens_details\":{\"cached_tokens\":100}}}\r\n\r\ndata: [DONE]\r\n\r\n";

fn read(protocol: Protocol, pieces: &[&[u8]]) -> Reply {
    let mut reader = Reader::new(protocol);
    for piece in pieces {
        reader.feed(piece);
    }
    reader.finish()
}

#[test]
fn both_protocols_give_text_end_and_the_same_figures() {
    for (protocol, stream) in [(Protocol::Anthropic, ANTHROPIC), (Protocol::Openai, OPENAI)] {
        let reply = read(protocol, &[stream.as_bytes()]);
        assert_eq!(
            (reply.text.as_str(), &reply.stop),
            ("Hello \u{e4}", &Some(Stop::End))
        );
        assert!(reply.complete && reply.counted);
        let (metered, odd) = reply.metered(0);
        assert_eq!(
            (metered.total, metered.provenance, odd),
            (141, Provenance::Reported, false)
        );
        assert_eq!(metered.usage("p", "m").prompt, Some(118));
        assert_eq!(metered.tokens.cache_read, Some(100));
    }
}

#[test]
fn a_stream_that_breaks_off_is_derived_or_estimated_and_never_whole() {
    let at = ANTHROPIC.find("event: message_delta").unwrap();
    let reply = read(Protocol::Anthropic, &[&ANTHROPIC.as_bytes()[..at]]);
    let (metered, _) = reply.metered(9999);
    assert!(!reply.complete && metered.partial);
    assert_eq!(
        (metered.provenance, metered.total),
        (Provenance::Derived, 118 + 2)
    );
    let at = OPENAI.find(": a comment").unwrap();
    let reply = read(Protocol::Openai, &[&OPENAI.as_bytes()[..at]]);
    let (metered, _) = reply.metered(400);
    assert_eq!(
        (metered.provenance, metered.total),
        (Provenance::Estimated, 101)
    );
}

#[test]
fn figures_that_do_not_add_up_are_not_called_the_providers_own() {
    let wrong = OPENAI.replace("\"total_tokens\":141", "\"total_tokens\":999");
    let (metered, odd) = read(Protocol::Openai, &[wrong.as_bytes()]).metered(0);
    assert_eq!(
        (metered.total, metered.provenance, odd),
        (999, Provenance::Derived, true)
    );
}

#[test]
fn ends_and_errors_in_the_middle_are_told() {
    let cut = ANTHROPIC.replace("end_turn", "max_tokens");
    assert_eq!(
        read(Protocol::Anthropic, &[cut.as_bytes()]).stop,
        Some(Stop::Length)
    );
    let filtered = OPENAI.replace("\"stop\"", "\"content_filter\"");
    assert_eq!(
        read(Protocol::Openai, &[filtered.as_bytes()]).stop,
        Some(Stop::Declined)
    );
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    let reply = read(Protocol::Anthropic, &[error.as_bytes()]);
    assert_eq!(
        reply.error,
        Some(("overloaded_error".into(), "Overloaded".into()))
    );
    let mut huge = Reader::new(Protocol::Openai);
    huge.feed(b"data: ");
    huge.feed(&vec![b'x'; 5 << 20]);
    assert!(huge.is_broken() && huge.is_done());
}

#[test]
fn a_body_has_the_question_and_no_key() {
    let turns = [
        (Who::User, "Do it.".to_owned()),
        (Who::Model, "{".to_owned()),
        (Who::User, "Go on.".to_owned()),
    ];
    let request = Request {
        model: "m",
        system: "Rules.",
        turns: &turns,
        max_output: 9000,
        output_key: "max_completion_tokens",
    };
    let body = request.body(Protocol::Anthropic);
    assert_eq!(
        (&body["max_tokens"], &body["messages"][1]["role"]),
        (&9000.into(), &"assistant".into())
    );
    assert_eq!(body["system"][0]["text"], "Rules.");
    let body = request.body(Protocol::Openai);
    assert_eq!(
        (&body["max_completion_tokens"], &body["messages"][0]["role"]),
        (&9000.into(), &"system".into())
    );
    assert_eq!(body["stream_options"]["include_usage"], true);
    let headers = |protocol: Protocol, key: &str| format!("{:?}", protocol.headers(key));
    assert!(headers(Protocol::Anthropic, "k1").contains("(\"x-api-key\", \"k1\")"));
    assert!(headers(Protocol::Openai, "k1").contains("Bearer k1"));
    assert!(!headers(Protocol::Openai, "").contains("authorization"));
}

#[test]
fn refusals_are_told_apart() {
    let of = |status: u16, retry: &str, kind: &str, words: &str| {
        refusal(&Told {
            status,
            retry_after: retry.into(),
            kind: kind.into(),
            words: words.into(),
            ..Told::default()
        })
    };
    let seconds = |n| Some(Duration::from_secs(n));
    assert_eq!(
        of(429, "7", "rate_limit_error", ""),
        Refusal::Paused(seconds(7))
    );
    assert_eq!(
        of(429, "", "rate_limit_exceeded", ""),
        Refusal::Paused(None)
    );
    assert_eq!(
        of(
            429,
            "30",
            "insufficient_quota",
            "You exceeded your current quota"
        ),
        Refusal::Exhausted(seconds(30))
    );
    assert_eq!(
        of(
            400,
            "",
            "invalid_request_error",
            "Your credit balance is too low"
        ),
        Refusal::Exhausted(None)
    );
    assert_eq!(of(402, "", "", ""), Refusal::Exhausted(None));
    assert_eq!(of(529, "", "overloaded_error", ""), Refusal::Failed);
    assert_eq!(of(503, "3", "", ""), Refusal::Paused(seconds(3)));
    assert_eq!(of(500, "", "", ""), Refusal::Failed);
    assert_eq!(of(401, "", "authentication_error", ""), Refusal::Key);
    assert_eq!(of(403, "", "permission_error", "no access"), Refusal::Key);
    assert_eq!(of(404, "", "not_found_error", "model: x"), Refusal::Model);
    assert_eq!(
        of(
            400,
            "",
            "invalid_request_error",
            "prompt is too long: 9 tokens"
        ),
        Refusal::TooLong
    );
    assert_eq!(of(400, "", "context_length_exceeded", ""), Refusal::TooLong);
    assert_eq!(
        of(400, "", "invalid_request_error", "temperature"),
        Refusal::Request
    );
    assert_eq!(of(0, "", "overloaded_error", "Overloaded"), Refusal::Failed);
    let told = Told {
        status: 429,
        retry_after_ms: "1500".into(),
        ..Told::default()
    };
    assert_eq!(
        refusal(&told),
        Refusal::Paused(Some(Duration::from_millis(1500)))
    );
}

#[test]
fn bodies_of_refusals_are_read_as_far_as_they_go() {
    let told = Told::of(
        429,
        br#"{"error": {"type": "tokens", "code": "insufficient_quota", "message": "no"}}"#,
    );
    assert_eq!(
        (told.kind.as_str(), told.words.as_str()),
        ("insufficient_quota", "no")
    );
    let told = Told::of(
        400,
        br#"{"type": "error", "error": {"type": "invalid_request_error", "message": "bad"}}"#,
    );
    assert_eq!(told.kind, "invalid_request_error");
    assert_eq!(
        Told::of(502, b"<html>Bad gateway").words,
        "<html>Bad gateway"
    );
}

proptest! {
    #[test]
    fn pieces_do_not_matter(cuts in proptest::collection::vec(0usize..600, 0..12)) {
        for (protocol, stream) in [(Protocol::Anthropic, ANTHROPIC), (Protocol::Openai, OPENAI)] {
            let bytes = stream.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % bytes.len()).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts {
                pieces.push(&bytes[from..cut]);
                from = cut;
            }
            pieces.push(&bytes[from..]);
            prop_assert_eq!(read(protocol, &pieces), read(protocol, &[bytes]));
        }
    }

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        read(Protocol::Anthropic, &[&bytes]);
        read(Protocol::Openai, &[&bytes]);
        refusal(&Told::of(429, &bytes));
    }
}
