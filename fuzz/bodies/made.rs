//! Messages made up field by field, from a seed: bytes that are protobuf more often than not.

/// Numbers that follow from a seed (xorshift).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    /// A number below a bound.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Texts that readers look for, and texts that they do not.
pub(crate) const TEXTS: [&str; 14] = [
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
pub(crate) fn message(numbers: &mut Numbers, depth: u32, texts: &[&str], out: &mut Vec<u8>) {
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
                let text = texts[numbers.below(texts.len() as u64) as usize];
                bytes(field, text.as_bytes(), out);
            }
            _ => {
                let mut inner = Vec::new();
                message(numbers, depth - 1, texts, &mut inner);
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

/// A field of bytes, with its number.
pub(crate) fn bytes(field: u64, body: &[u8], out: &mut Vec<u8>) {
    varint(field << 3 | 2, out);
    varint(body.len() as u64, out);
    out.extend_from_slice(body);
}
