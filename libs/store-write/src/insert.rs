//! The text of an `INSERT` around its rows: the same for both databases.
//!
//! Invariant: names come from the entities only, and are quoted.

use std::fmt::Write as _;

use sea_orm::{ActiveModelTrait, ActiveValue, EntityTrait, IdenStatic, Iterable};

use crate::batch::Conflict;

/// Appends `INSERT INTO table (columns)`; the columns are those that this row sets.
pub(crate) fn into<E, A>(text: &mut String, row: &A) -> Vec<E::Column>
where
    E: EntityTrait,
    A: ActiveModelTrait<Entity = E>,
{
    let columns: Vec<E::Column> = E::Column::iter()
        .filter(|&c| !matches!(row.get(c), ActiveValue::NotSet))
        .collect();
    let _ = write!(text, "INSERT INTO {} (", E::default().table_name());
    names(text, &columns);
    text.push(')');
    columns
}

/// Appends what becomes of a row whose key is taken.
pub(crate) fn upsert<C: IdenStatic>(text: &mut String, conflict: &Conflict<C>) {
    match conflict {
        Conflict::Fail => {}
        Conflict::Keep(keys) => {
            text.push_str(" ON CONFLICT (");
            names(text, keys);
            text.push_str(") DO NOTHING");
        }
        Conflict::Replace(keys, others) => {
            text.push_str(" ON CONFLICT (");
            names(text, keys);
            text.push_str(") DO UPDATE SET ");
            for (n, column) in others.iter().enumerate() {
                let name = column.as_str();
                let comma = if n == 0 { "" } else { "," };
                let _ = write!(text, "{comma}\"{name}\"=EXCLUDED.\"{name}\"");
            }
        }
    }
}

fn names<C: IdenStatic>(text: &mut String, columns: &[C]) {
    for (n, column) in columns.iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(text, "{comma}\"{}\"", column.as_str());
    }
}
