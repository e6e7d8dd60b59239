//! The body of the fuzz target `request`, briefly and always the same: messages made up field by field, cut, and changed
//! byte by byte.

#[path = "../../../../fuzz/bodies/request.rs"]
mod body;

use body::{Answer, READERS};

/// Messages of each kind.
const ROUNDS: usize = 400;

/// Numbers that follow from a seed (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Texts that readers look for, and texts that they do not.
const TEXTS: [&str; 14] = [
    "",
    "0197a4c2-0000-7000-8000-000000000001",
    "P1.1",
    "a..b",
    "minor",
    "reported",
    "bootstrap",
    "OFFERED",
    "GATE_FAILED",
    "normal",
    "src/**",
    "../../etc/passwd",
    "{\"a\":[1,2]}",
    "\u{0}\u{fffd}é",
];

/// A message with fields of any kind; about as deep as messages go.
fn message(numbers: &mut Numbers, depth: u32, out: &mut Vec<u8>) {
    for _ in 0..numbers.below(9) {
        let field = 1 + numbers.below(34);
        match numbers.below(if depth == 0 { 4 } else { 7 }) {
            0 | 1 => {
                varint(field << 3, out);
                let huge = [u64::MAX, i64::MAX as u64, 1 << 32];
                let n = match numbers.below(6) {
                    0 => huge[numbers.below(3) as usize],
                    _ => numbers.below(12),
                };
                varint(n, out);
            }
            2 | 3 => {
                let text = TEXTS[numbers.below(TEXTS.len() as u64) as usize];
                bytes(field, text.as_bytes(), out);
            }
            _ => {
                let mut inner = Vec::new();
                message(numbers, depth - 1, &mut inner);
                bytes(field, &inner, out);
            }
        }
    }
}

fn varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn bytes(field: u64, body: &[u8], out: &mut Vec<u8>) {
    varint(field << 3 | 2, out);
    varint(body.len() as u64, out);
    out.extend_from_slice(body);
}

#[test]
fn no_bytes_make_a_reader_panic() {
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let (mut refused, mut read) = (0, 0);
    for kind in 0..READERS.len() {
        let mut note = |data: &[u8]| match body::request(data) {
            Answer::NoMessage => {}
            Answer::Refused => refused += 1,
            Answer::Read => read += 1,
        };
        note(&[kind as u8]);
        for _ in 0..ROUNDS {
            let mut data = vec![kind as u8];
            message(&mut numbers, 4, &mut data);
            note(&data);
            let cut = numbers.below(data.len() as u64) as usize;
            note(&data[..=cut]);
            let at = numbers.below(data.len() as u64) as usize;
            if at > 0 {
                data[at] ^= 1 << numbers.below(8);
            }
            note(&data);
        }
    }
    assert!(
        refused > 1000 && read > 20,
        "{refused} refused, {read} read"
    );
    // A message of one repeated field is as large as a request may be, and costs no more than its length.
    let mut data = vec![12];
    while data.len() < 1 << 20 {
        bytes(3, &[], &mut data);
    }
    let began = std::time::Instant::now();
    body::request(&data);
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
}
