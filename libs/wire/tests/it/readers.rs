//! The body of the fuzz target `request`, briefly and always the same: messages made up field by field, cut, and changed
//! byte by byte.

#[path = "../../../../fuzz/bodies/request.rs"]
mod body;

#[path = "../../../../fuzz/bodies/made.rs"]
mod made;

use body::{Answer, READERS};
use made::{Numbers, TEXTS, bytes, message};

/// Messages of each kind.
const ROUNDS: usize = 400;

/// The first number of the messages.
const SEED: u64 = 0x2545_f491_4f6c_dd1d;

#[test]
fn no_bytes_make_a_reader_panic() {
    let mut numbers = Numbers(SEED);
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
            message(&mut numbers, 4, &TEXTS, &mut data);
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
