//! Every transcript gives what stands beside it, however it comes and whatever is done to it.

use autopack_adapters::kit::{compare, transcripts};
use autopack_adapters::{Anomaly, Manifest, Parser, Report};
use autopack_domain::plan::Adapter;
use proptest::prelude::*;

fn read(manifest: &Manifest, bytes: &[u8], piece: usize) -> Report {
    let mut parser = Parser::new(manifest, "do it", "/w");
    for bytes in bytes.chunks(piece.max(1)) {
        parser.push(bytes);
    }
    parser.finish()
}

#[test]
fn each_gives_its_claim_and_its_usage() {
    let mut wrong = Vec::new();
    for manifest in Manifest::all() {
        let all = transcripts(manifest.adapter());
        for name in ["success", "failure", "killed", "several"] {
            assert!(
                all.iter().any(|t| t.name == name),
                "{}: {name}",
                manifest.name
            );
        }
        for transcript in all {
            assert!(
                ["schema", "recorded"].contains(&transcript.origin),
                "{transcript:?}"
            );
            let report = read(manifest, transcript.bytes.as_bytes(), usize::MAX);
            for problem in compare(&transcript, &report) {
                wrong.push(format!("{} {}: {problem}", manifest.name, transcript.name));
            }
            let unknown = &report.unknown;
            assert!(
                unknown.is_empty(),
                "{} {}: {unknown:?}",
                manifest.name,
                transcript.name
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn events_are_normal_ones() {
    let claude = Manifest::of(Adapter::Claude);
    let success = &transcripts(Adapter::Claude)[0];
    let report = read(claude, success.bytes.as_bytes(), 7);
    assert_eq!(report.session, "5f0c1f2e-0000-4000-8000-000000000001");
    assert_eq!(report.model, "claude-sonnet-4-5");
    assert_eq!((report.counts.texts, report.counts.tools), (2, 1));
    assert_eq!(report.last_text, "Done.");
    assert_eq!(report.usage.micros, Some(42_100));
    assert!(report.anomalies.is_empty());
    let refused = transcripts(Adapter::Claude);
    let refused = refused
        .iter()
        .find(|t| t.name == "permission_refused")
        .unwrap();
    let report = read(claude, refused.bytes.as_bytes(), 7);
    assert_eq!((report.counts.denied, report.counts.tools_failed), (1, 1));
}

#[test]
fn what_a_helper_used_counts_and_is_noticed() {
    let all = transcripts(Adapter::Claude);
    let several = all.iter().find(|t| t.name == "several").unwrap();
    let report = read(
        Manifest::of(Adapter::Claude),
        several.bytes.as_bytes(),
        1024,
    );
    assert!(report.has(Anomaly::UsageDoesNotAddUp));
    assert_eq!(report.usage.total, 320);
}

#[test]
fn a_dialogue_is_held() {
    let mut parser = Parser::new(Manifest::of(Adapter::Acp), "Mind the \"quotes\".", "/w");
    let sent = |parser: &mut Parser| String::from_utf8(parser.replies()).unwrap();
    let first = sent(&mut parser);
    assert!(
        first.contains("\"initialize\"") && first.ends_with('\n'),
        "{first}"
    );
    parser.push(b"{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{\"protocolVersion\":1}}\n");
    assert!(sent(&mut parser).contains("\"session/new\",\"params\":{\"cwd\":\"/w\""));
    parser.push(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"sessionId\":\"s9\"}}\n");
    let prompt = sent(&mut parser);
    assert!(
        prompt.contains("\"s9\"") && prompt.contains("Mind the \\\"quotes\\\"."),
        "{prompt}"
    );
    let ask = br#"{"jsonrpc":"2.0","id":"x1","method":"session/request_permission","params":{"options":[{"optionId":"no","kind":"reject_once"},{"optionId":"yes","kind":"allow_once"}]}}"#;
    parser.push(ask);
    parser.push(b"\n");
    let answer = sent(&mut parser);
    assert!(
        answer.contains("\"x1\"") && answer.contains("\"optionId\":\"yes\""),
        "{answer}"
    );
    parser.push(b"{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"fs/read_text_file\",\"params\":{}}\n");
    assert!(sent(&mut parser).contains("-32601"));
    assert!(!parser.has_ended());
    parser.push(b"{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"stopReason\":\"end_turn\"}}\n");
    assert!(parser.has_ended());
    assert_eq!(sent(&mut parser), "");
}

fn adapters() -> impl Strategy<Value = &'static Manifest> {
    (0..Manifest::all().len()).prop_map(|n| &Manifest::all()[n])
}

/// A transcript with a piece of it replaced.
fn damaged() -> impl Strategy<Value = (&'static Manifest, Vec<u8>)> {
    let places = (
        adapters(),
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
    );
    (
        places,
        prop::collection::vec(any::<u8>(), 0..40),
        0..60_usize,
    )
        .prop_map(|((manifest, which, at), put, gone)| {
            let all = transcripts(manifest.adapter());
            let mut bytes = all[which.index(all.len())].bytes.as_bytes().to_vec();
            let at = at.index(bytes.len());
            let end = (at + gone).min(bytes.len());
            bytes.splice(at..end, put);
            (manifest, bytes)
        })
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(manifest in adapters(), bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let report = read(manifest, &bytes, 64);
        prop_assert!(report.claim.is_none());
    }

    #[test]
    fn how_a_stream_is_cut_does_not_matter((manifest, bytes) in damaged(), piece in 1..300_usize) {
        prop_assert_eq!(read(manifest, &bytes, piece), read(manifest, &bytes, usize::MAX));
    }

    #[test]
    fn tokens_are_never_lost_from_the_sum((manifest, bytes) in damaged()) {
        let usage = read(manifest, &bytes, 512).usage;
        // Known counters never exceed a total that is their sum, and what is unknown is not booked.
        prop_assert!(usage.is_known() || usage.total == 0);
    }
}
