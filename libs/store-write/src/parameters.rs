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

#[cfg(test)]
mod tests {
    use autopack_store::entity::relay_cursor::{ActiveModel, Column, Entity};
    use sea_orm::{
        ConnectOptions, ConnectionTrait as _, Database, DbBackend, EntityTrait as _, Set,
        Statement, Value,
    };

    use super::{ROWS, insert};
    use crate::batch::Conflict;

    fn of(rows: std::ops::Range<i64>) -> (String, Vec<Value>, u64) {
        let (mut text, mut values) = (String::new(), Vec::new());
        let rows = rows.map(|id| ActiveModel {
            id: Set(id),
            sequence: Set(id * 10),
        });
        let conflict = Conflict::Replace(vec![Column::Id], vec![Column::Sequence]);
        let count = insert::<Entity, _>(&mut text, &mut values, rows.collect(), &conflict);
        (text, values, count)
    }

    #[test]
    fn few_texts_serve_all_numbers_of_rows() {
        let texts: std::collections::HashSet<String> = (1..=64).map(|n| of(0..n).0).collect();
        assert_eq!(texts.len(), 7, "1, 2, 4, ... 64");
        let (text, values, count) = of(0..3);
        assert_eq!(count, 1);
        assert_eq!(text.matches('?').count(), values.len());
        assert_eq!(values[6..], [Value::Int(None), Value::Int(None)]);
        assert_eq!(of(0..0), (String::new(), Vec::new(), 0));
    }

    #[tokio::test]
    async fn every_row_is_stored_once_and_a_known_one_replaced() {
        let mut options = ConnectOptions::new("sqlite::memory:");
        options.max_connections(1);
        let db = Database::connect(options).await.unwrap();
        db.execute_unprepared(
            "CREATE TABLE relay_cursor (id INTEGER NOT NULL PRIMARY KEY, sequence BIGINT NOT NULL)",
        )
        .await
        .unwrap();
        let most = i64::try_from(ROWS).unwrap();
        let mut stored = 0;
        for rows in [0..1, 0..3, 2..9, 5..5 + most + 2, 0..20] {
            stored = stored.max(rows.end);
            let (text, values, _) = of(rows);
            db.execute_raw(Statement::from_sql_and_values(
                DbBackend::Sqlite,
                text,
                values,
            ))
            .await
            .unwrap();
            let mut found = Entity::find().all(&db).await.unwrap();
            found.sort_by_key(|row| row.id);
            let wanted: Vec<_> = (0..stored).map(|id| (id, id * 10)).collect();
            assert_eq!(
                found.iter().map(|r| (r.id, r.sequence)).collect::<Vec<_>>(),
                wanted
            );
        }
    }
}
