//! Tests of redaction. Tokens are put together at run time, so that no scanner takes this file for a leak.

use super::*;

fn plain() -> Redactor {
    Redactor::new::<&str>([]).unwrap()
}

#[test]
fn common_tokens_go_and_their_surroundings_stay() {
    let filler = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8";
    let cases = [
        (format!("x gh{}_{filler} y", "p"), "x [redacted] y"),
        (format!("github_{}_{filler}", "pat"), "[redacted]"),
        (
            format!("key=s{}-ant-api03-{filler}.", "k"),
            "key=[redacted].",
        ),
        (format!("id AK{}IOSFODNN7EXAMPLE", "IA"), "id [redacted]"),
        (
            format!("Authorization: Bearer {filler}"),
            "Authorization: Bearer [redacted]",
        ),
        (
            format!("-H 'authorization: basic {filler}' -v"),
            "-H 'authorization: basic [redacted]' -v",
        ),
        (
            "git clone https://bob:hunter2@host/x".into(),
            "git clone https://bob:[redacted]@host/x",
        ),
        (
            format!("ey{0}abcdefgh.ey{0}abcdefgh.sig-1", "J"),
            "[redacted]",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(plain().redact(&text), expected);
    }
}

#[test]
fn ordinary_text_stays() {
    for text in [
        "task-management-of-long-names-and-things is fine",
        "see https://host:8080/path?x=a@b and http://127.0.0.1:1/",
        "commit 0123456789abcdef0123456789abcdef01234567\n\n",
        "Authorization header missing",
        "ünïcödé ✓\r\n",
    ] {
        assert_eq!(plain().redact(text), text);
    }
}

#[test]
fn private_keys_go_as_a_whole() {
    let key = format!(
        "a -----BEGIN RSA {0}-----\nMIIE\nabc=\n-----END RSA {0}----- b\nc",
        "PRIVATE KEY"
    );
    assert_eq!(plain().redact(&key), "a [redacted] b\nc");
    let escaped = key.replace('\n', "\\n");
    assert_eq!(plain().redact(&escaped), "a [redacted] b\\nc");
}

#[test]
fn a_key_without_end_does_not_swallow_everything() {
    let text = format!(
        "-----BEGIN {}-----\n{}last\n",
        "PRIVATE KEY",
        "line\n".repeat(50_000)
    );
    let redacted = plain().redact(&text);
    assert!(redacted.ends_with("last\n"));
    assert!(redacted.len() < text.len() - LONGEST_KEY / 2);
}

#[test]
fn named_secrets_go_whatever_the_pieces() {
    let redactor = Redactor::new(["p.a+s(s word", "first line\nsecond line", "abc"]).unwrap();
    let text = "1 p.a+s(s word 2\nfirst line\nsecond line abc\n";
    let expected = "1 [redacted] 2\n[redacted]\n[redacted] abc\n";
    for size in 1..text.len() {
        let mut stream = redactor.stream();
        let mut out: Vec<u8> = text
            .as_bytes()
            .chunks(size)
            .flat_map(|piece| stream.push(piece))
            .collect();
        out.extend(stream.finish());
        assert_eq!(
            String::from_utf8(out).unwrap(),
            expected,
            "pieces of {size}"
        );
    }
}

#[test]
fn a_line_of_any_length_takes_bounded_memory_and_hides_secrets_at_every_cut() {
    let secret = "s3cret with spaces";
    let redactor = Redactor::new([secret]).unwrap();
    for filler in ["x", "xyz "] {
        let mut stream = redactor.stream();
        let mut out = Vec::new();
        let block = format!("{}{secret}", filler.repeat(997));
        let mut length = 0;
        while length < 2_000_000 {
            out.extend(stream.push(block.as_bytes()));
            length += block.len();
            assert!(stream.pending.len() <= 2 * LONGEST_LINE);
        }
        out.extend(stream.finish());
        let out = String::from_utf8(out).unwrap();
        assert!(!out.contains("s3cret") && !out.contains("with spaces"));
        assert_eq!(out.matches(MARK).count(), length / block.len());
    }
}

#[test]
fn words_at_a_cut_go() {
    let redactor = Redactor::new(["topsecretvalue"]).unwrap();
    let output = CapturedOutput {
        head: "a topsec".into(),
        tail: "value b".into(),
        dropped: 3,
        total: 18,
    };
    let redacted = redactor.redact_output(&output);
    assert_eq!(
        (
            redacted.head.as_str(),
            redacted.tail.as_str(),
            redacted.dropped
        ),
        ("a ", " b", 14)
    );
}
