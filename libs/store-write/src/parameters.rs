//! Rows of SQLite as statements of few sizes, so that the next batch finds them compiled.
//!
//! Invariant: a statement's text tells its table and its size only. A size is a power of two; rows that it has too many
//! are NULL, and left out because the first column, a part of the key, never is.

use sea_orm::{ActiveModelTrait, ActiveValue, EntityTrait, Value};

use crate::{
    batch::Conflict,
    insert::{into, upsert},
};

/// Rows of a statement at most: SQLite takes 32,766 values, the widest table has less than a hundred columns.
const ROWS: usize = 256;

/// Appends `INSERT`s of these rows and their values; tells how many. Columns are those that the first row sets.
pub(crate) fn insert<E, A>(
    text: &mut String,
    values: &mut Vec<Value>,
    mut rows: Vec<A>,
    conflict: &Conflict<E::Column>,
) -> u64
where
    E: EntityTrait,
    A: ActiveModelTrait<Entity = E>,
{
    let mut count = 0;
    for part in rows.chunks_mut(ROWS) {
        let columns = into::<E, A>(text, &part[0]);
        let size = part.len().next_power_of_two();
        places(text, columns.len(), size);
        upsert(text, conflict);
        text.push(';');
        values.reserve(columns.len() * size);
        for row in &mut *part {
            values.extend(columns.iter().map(|&column| match row.take(column) {
                ActiveValue::Set(value) | ActiveValue::Unchanged(value) => value,
                ActiveValue::NotSet => Value::Int(None),
            }));
        }
        let missing = (size - part.len()) * columns.len();
        values.extend(std::iter::repeat_n(Value::Int(None), missing));
        count += 1;
    }
    count
}

/// Appends room for the values of `size` rows.
fn places(text: &mut String, columns: usize, size: usize) {
    let row = |text: &mut String| {
        text.push('(');
        for n in 0..columns {
            text.push_str(if n == 0 { "?" } else { ",?" });
        }
        text.push(')');
    };
    if size == 1 {
        text.push_str(" VALUES ");
        return row(text);
    }
    text.push_str(" SELECT * FROM (VALUES ");
    for n in 0..size {
        if n > 0 {
            text.push(',');
        }
        row(text);
    }
    text.push_str(") WHERE column1 IS NOT NULL");
}
