//! Times as older databases write them: `2025-11-30T19:52:51.574482`, `2025-12-23 15:33:55`, with or without a zone.
//!
//! Invariant: a time without a zone is UTC, as its writer meant it; what is no time gives `None`, never a panic.

use crate::time::Timestamp;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// A time; `None` if it is none between the years 1970 and 9999.
pub fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let (date, rest) = (bytes.get(..10)?, bytes.get(10..)?);
    if date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    let year = number(&date[..4])?;
    let month = number(&date[5..7])?;
    let day = number(&date[8..])?;
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    if !(1..=month_days(year, month)).contains(&day) {
        return None;
    }
    let mut at = days(year, month, day) * DAY;
    if !rest.is_empty() {
        at += clock(rest)?;
    }
    (at >= 0).then_some(Timestamp(at))
}

/// `T19:52:51.574482+00:00`, the fraction and the zone left out at will.
fn clock(rest: &[u8]) -> Option<i64> {
    let (separator, rest) = rest.split_first()?;
    if !matches!(separator, b'T' | b' ') {
        return None;
    }
    let (time, rest) = (rest.get(..8)?, rest.get(8..)?);
    if time[2] != b':' || time[5] != b':' {
        return None;
    }
    let (hour, minute, second) = (
        number(&time[..2])?,
        number(&time[3..5])?,
        number(&time[6..])?,
    );
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut at = ((hour * 60 + minute) * 60 + second) * 1_000_000;
    let mut rest = rest;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 || digits > 9 {
            return None;
        }
        let mut micros = 0;
        for place in 0..6 {
            let digit = fraction[..digits].get(place).copied().unwrap_or(b'0');
            micros = micros * 10 + i64::from(digit - b'0');
        }
        at += micros;
        rest = &fraction[digits..];
    }
    Some(at - zone(rest)?)
}

/// Microseconds east of UTC.
fn zone(text: &[u8]) -> Option<i64> {
    let (sign, rest) = match text.split_first() {
        None => return Some(0),
        Some((b'Z', [])) => return Some(0),
        Some((b'+', rest)) => (1, rest),
        Some((b'-', rest)) => (-1, rest),
        Some(_) => return None,
    };
    let (hours, minutes) = match rest {
        [a, b, b':', c, d] | [a, b, c, d] => (number(&[*a, *b])?, number(&[*c, *d])?),
        _ => return None,
    };
    (hours <= 14 && minutes <= 59).then_some(sign * (hours * 60 + minutes) * 60_000_000)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |n, b| {
        b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0'))
    })
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since the first of January 1970.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let before = year - 1;
    let leaps = |y: i64| y / 4 - y / 100 + y / 400;
    let years = (year - 1970) * 365 + leaps(before) - leaps(1969);
    let months: i64 = (1..month).map(|m| month_days(year, m)).sum();
    years + months + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_older_databases_are_read_and_garbage_is_not() {
        for (text, micros) in [
            ("1970-01-01", 0),
            ("1970-01-01T00:00:00.000001", 1),
            ("2000-02-29 00:00:00", 951_782_400_000_000),
            ("2025-12-23 15:33:55", 1_766_504_035_000_000),
            ("2025-11-30T19:52:51.574482", 1_764_532_371_574_482),
            ("2025-11-30T19:52:51.5744829Z", 1_764_532_371_574_482),
            ("2025-11-30T21:52:51.574482+02:00", 1_764_532_371_574_482),
            ("2025-11-30T14:52:51.574482-0500", 1_764_532_371_574_482),
        ] {
            assert_eq!(parse(text), Some(Timestamp(micros)), "{text}");
        }
        for bad in [
            "",
            "2025",
            "2025-13-01",
            "2025-02-29",
            "2025-02-00",
            "2025-1-1T00:00:00",
            "1969-12-31",
            "2025-11-30T",
            "2025-11-30T24:00:00",
            "2025-11-30T19:52",
            "2025-11-30T19:52:51.",
            "2025-11-30T19:52:51.5X",
            "2025-11-30T19:52:51+",
            "2025-11-30T19:52:51+15:00",
            "2025-11-30X19:52:51",
            "é025-11-30",
            "1970-01-01T00:00:00+01:00",
            "now",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
