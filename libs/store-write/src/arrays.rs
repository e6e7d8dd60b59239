//! Rows of PostgreSQL as arrays, one for each column: a statement's text does not tell how many rows it takes.
//!
//! Invariant: a value is never a part of a statement's text. NUL, which PostgreSQL cannot store in a text, becomes
//! U+FFFD.

use std::fmt::Write as _;

use sea_orm::{
    ActiveModelTrait, ActiveValue, DbErr, EntityTrait, Value,
    sqlx::{Arguments as _, postgres::PgArguments},
};

use crate::{
    batch::Conflict,
    insert::{into, upsert},
    loss::exec_error,
};

/// An `INSERT` of any number of rows into one table.
#[derive(Debug)]
pub(crate) struct Rows {
    /// The table.
    pub(crate) table: String,
    head: String,
    columns: Vec<Column>,
    tail: String,
}

#[derive(Debug)]
enum Column {
    Bool(Vec<Option<bool>>),
    Int(Vec<Option<i32>>),
    BigInt(Vec<Option<i64>>),
    Text(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

impl Rows {
    /// These rows; `None` for no rows. Columns are those that the first row sets; a later row that leaves one of them
    /// out stores NULL there.
    pub(crate) fn of<E, A>(
        mut rows: Vec<A>,
        conflict: &Conflict<E::Column>,
    ) -> Result<Option<Self>, DbErr>
    where
        E: EntityTrait,
        A: ActiveModelTrait<Entity = E>,
    {
        let Some(first) = rows.first() else {
            return Ok(None);
        };
        let mut head = String::new();
        let names = into::<E, A>(&mut head, first);
        let room = rows.len();
        let mut columns = Vec::with_capacity(names.len());
        for (n, row) in rows.iter_mut().enumerate() {
            for (m, &name) in names.iter().enumerate() {
                match row.take(name) {
                    ActiveValue::Set(value) | ActiveValue::Unchanged(value) => {
                        if n == 0 {
                            columns.push(Column::for_value(&value, room)?);
                        }
                        columns[m].push(value)?;
                    }
                    ActiveValue::NotSet => columns[m].skip(),
                }
            }
        }
        let mut tail = String::new();
        upsert(&mut tail, conflict);
        Ok(Some(Self {
            table: E::default().table_name().to_owned(),
            head,
            columns,
            tail,
        }))
    }

    /// Appends the statement; its places are numbered on from the values that `values` holds already.
    pub(crate) fn write(self, text: &mut String, values: &mut PgArguments) -> Result<(), DbErr> {
        text.push_str(&self.head);
        text.push_str(" SELECT * FROM unnest(");
        for (n, column) in self.columns.into_iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            let kind = column.kind();
            column.bind(values)?;
            let _ = write!(text, "{comma}${}::{kind}[]", values.len());
        }
        text.push(')');
        text.push_str(&self.tail);
        Ok(())
    }
}

impl Column {
    fn for_value(value: &Value, room: usize) -> Result<Self, DbErr> {
        Ok(match value {
            Value::Bool(_) => Self::Bool(Vec::with_capacity(room)),
            Value::Int(_) => Self::Int(Vec::with_capacity(room)),
            Value::BigInt(_) => Self::BigInt(Vec::with_capacity(room)),
            Value::String(_) => Self::Text(Vec::with_capacity(room)),
            Value::Bytes(_) => Self::Bytes(Vec::with_capacity(room)),
            other => return Err(unknown(other)),
        })
    }

    fn push(&mut self, value: Value) -> Result<(), DbErr> {
        match (self, value) {
            (Self::Bool(found), Value::Bool(value)) => found.push(value),
            (Self::Int(found), Value::Int(value)) => found.push(value),
            (Self::BigInt(found), Value::BigInt(value)) => found.push(value),
            (Self::Text(found), Value::String(value)) => found.push(value.map(storable)),
            (Self::Bytes(found), Value::Bytes(value)) => found.push(value),
            (_, other) => return Err(unknown(&other)),
        }
        Ok(())
    }

    fn skip(&mut self) {
        match self {
            Self::Bool(found) => found.push(None),
            Self::Int(found) => found.push(None),
            Self::BigInt(found) => found.push(None),
            Self::Text(found) => found.push(None),
            Self::Bytes(found) => found.push(None),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "boolean",
            Self::Int(_) => "integer",
            Self::BigInt(_) => "bigint",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytea",
        }
    }

    fn bind(self, values: &mut PgArguments) -> Result<(), DbErr> {
        match self {
            Self::Bool(found) => values.add(found),
            Self::Int(found) => values.add(found),
            Self::BigInt(found) => values.add(found),
            Self::Text(found) => values.add(found),
            Self::Bytes(found) => values.add(found),
        }
        .map_err(|e| exec_error(sea_orm::sqlx::Error::Encode(e)))
    }
}

fn storable(text: String) -> String {
    if text.contains('\0') {
        return text.replace('\0', "\u{fffd}");
    }
    text
}

fn unknown(value: &Value) -> DbErr {
    DbErr::Custom(format!("the column does not hold a value like {value:?}"))
}

#[cfg(test)]
mod tests {
    use autopack_store::entity::project::{ActiveModel, Column as Name, Entity};
    use sea_orm::{Set, Value, sqlx::Arguments as _, sqlx::postgres::PgArguments};

    use super::{Column, Rows};
    use crate::batch::Conflict;

    fn text(names: &[&str]) -> (String, usize) {
        let rows = names.iter().map(|&name| ActiveModel {
            name: Set(name.to_owned()),
            created_at: Set(5),
            ..Default::default()
        });
        let conflict = Conflict::Keep(vec![Name::Name]);
        let rows = Rows::of::<Entity, _>(rows.collect(), &conflict).unwrap();
        let (mut text, mut values) = (String::new(), PgArguments::default());
        values.add(1_i64).unwrap();
        rows.unwrap().write(&mut text, &mut values).unwrap();
        (text, values.len())
    }

    #[test]
    fn one_text_serves_all_rows_and_holds_no_value() {
        let wanted = "INSERT INTO project (\"name\",\"created_at\") SELECT * FROM unnest($2::text[],$3::bigint[]) \
                      ON CONFLICT (\"name\") DO NOTHING";
        assert_eq!(text(&["a"]), (wanted.to_owned(), 3));
        assert_eq!(text(&["b", "'; DROP TABLE run; --", "\0"]), text(&["a"]));
        let none = Rows::of::<Entity, ActiveModel>(Vec::new(), &Conflict::Fail);
        assert!(none.unwrap().is_none());
    }

    #[test]
    fn a_column_has_one_kind() {
        assert!(Column::for_value(&Value::from(1.5_f64), 1).is_err());
        let mut column = Column::for_value(&Value::from(1_i64), 2).unwrap();
        assert!(column.push(Value::from("1")).is_err());
        assert!(column.push(Value::BigInt(None)).is_ok());
    }
}
