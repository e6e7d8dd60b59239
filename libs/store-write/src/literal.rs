//! Values as literals of PostgreSQL: a batch travels as one text, so that it costs one round trip.
//!
//! Invariant: whatever a value holds, it stays one literal. The session runs with `standard_conforming_strings`,
//! where a quote is the only character that means anything within quotes; NUL, which PostgreSQL cannot store,
//! becomes U+FFFD.

use std::fmt::Write as _;

use sea_orm::{ActiveModelTrait, ActiveValue, DbErr, EntityTrait, Value};

use crate::{
    batch::Conflict,
    insert::{into, upsert},
};

/// Appends an `INSERT` of these rows; nothing for no rows. Columns are those that the first row sets.
pub(crate) fn insert<E, A>(
    text: &mut String,
    rows: &[A],
    conflict: &Conflict<E::Column>,
) -> Result<(), DbErr>
where
    E: EntityTrait,
    A: ActiveModelTrait<Entity = E>,
{
    let Some(first) = rows.first() else {
        return Ok(());
    };
    let columns = into::<E, A>(text, first);
    text.push_str(" VALUES ");
    for (n, row) in rows.iter().enumerate() {
        text.push_str(if n == 0 { "(" } else { ",(" });
        for (m, &column) in columns.iter().enumerate() {
            if m > 0 {
                text.push(',');
            }
            match row.get(column) {
                ActiveValue::Set(value) | ActiveValue::Unchanged(value) => literal(text, &value)?,
                ActiveValue::NotSet => text.push_str("DEFAULT"),
            }
        }
        text.push(')');
    }
    upsert(text, conflict);
    text.push(';');
    Ok(())
}

fn literal(text: &mut String, value: &Value) -> Result<(), DbErr> {
    match value {
        Value::Bool(Some(true)) => text.push_str("true"),
        Value::Bool(Some(false)) => text.push_str("false"),
        Value::Int(Some(n)) => {
            let _ = write!(text, "{n}");
        }
        // In quotes, so that the smallest number is not read as the negation of one that does not fit.
        Value::BigInt(Some(n)) => {
            let _ = write!(text, "'{n}'");
        }
        Value::String(Some(string)) => quoted(text, string),
        Value::Bytes(Some(bytes)) => hex(text, bytes),
        Value::Bool(None)
        | Value::Int(None)
        | Value::BigInt(None)
        | Value::String(None)
        | Value::Bytes(None) => text.push_str("NULL"),
        other => {
            return Err(DbErr::Custom(format!(
                "no column holds a value like {other:?}"
            )));
        }
    }
    Ok(())
}

/// A string in quotes.
pub(crate) fn quoted(text: &mut String, string: &str) {
    text.push('\'');
    for c in string.chars() {
        match c {
            '\'' => text.push_str("''"),
            '\0' => text.push('\u{fffd}'),
            c => text.push(c),
        }
    }
    text.push('\'');
}

fn hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    text.reserve(bytes.len() * 2 + 4);
    text.push_str("'\\x");
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text.push('\'');
}

#[cfg(test)]
mod tests {
    use super::{hex, literal, quoted};
    use sea_orm::Value;

    #[test]
    fn a_value_cannot_leave_its_literal() {
        let mut text = String::new();
        quoted(&mut text, "a'; DROP TABLE run; --\\' \0 \u{1f600}");
        assert_eq!(text, "'a''; DROP TABLE run; --\\'' \u{fffd} \u{1f600}'");
        let mut text = String::new();
        hex(&mut text, &[0, 0x27, 0xff]);
        assert_eq!(text, "'\\x0027ff'");
    }

    #[test]
    fn every_kind_of_column_has_a_literal_and_others_are_refused() {
        let of = |value: Value| {
            let mut text = String::new();
            literal(&mut text, &value).map(|()| text)
        };
        assert_eq!(
            of(i64::MIN.into()).ok().as_deref(),
            Some("'-9223372036854775808'")
        );
        assert_eq!(of(true.into()).ok().as_deref(), Some("true"));
        assert_eq!(of(None::<String>.into()).ok().as_deref(), Some("NULL"));
        assert!(of(1.5f64.into()).is_err());
    }
}
