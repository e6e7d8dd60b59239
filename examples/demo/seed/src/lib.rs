//! Durations as people write them: `1h 30m`.

pub mod format;
pub mod parse;
pub mod round;
pub mod sum;

/// Seconds of a unit.
pub fn unit(name: char) -> Option<u64> {
    match name {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3_600),
        'd' => Some(86_400),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn units_are_known() {
        assert_eq!(super::unit('h'), Some(3_600));
        assert_eq!(super::unit('x'), None);
    }
}
