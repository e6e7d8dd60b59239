//! The statements of one batch, collected and sent together.
//!
//! Invariant: statements reach the database in the order in which they were added, in one call: on SQLite a
//! call is two thread switches, which cost more than the rows; on PostgreSQL it is a round trip.

use autopack_domain::{RunUid, Timestamp};
use autopack_store::entity::{lane, project, relay_cursor, trace_cursor};
use sea_orm::{
    ActiveModelTrait, DbBackend, DbErr, EntityTrait, Iterable, PrimaryKeyToColumn, Set, Statement,
    Value,
};
use uuid::Uuid;

use crate::{
    handle::{Cursor, Setting},
    line::Line,
    literal, parameters,
};

/// What becomes of a row whose key is taken.
pub(crate) enum Conflict<C> {
    /// The batch fails.
    Fail,
    /// The stored row stays; the key.
    Keep(Vec<C>),
    /// The new row replaces it; the key, and the other columns.
    Replace(Vec<C>, Vec<C>),
}

/// Statements to be sent.
#[derive(Debug)]
pub(crate) struct Batch {
    form: Form,
    count: u64,
    /// A value that no column holds; the batch is not sent.
    fault: Option<DbErr>,
}

#[derive(Debug)]
enum Form {
    /// With values apart: placeholders are `?`, each takes the next value.
    Sqlite(String, Vec<Value>),
    /// With values as literals.
    Postgres(String),
}

impl Batch {
    /// Begins the transaction, and fails it unless `epoch` is in force. It writes the row of the epoch, so a
    /// registry that takes over waits for this commit, or this transaction for it. `id` is how a commit is
    /// recognised whose answer was lost.
    pub(crate) fn begin(backend: DbBackend, epoch: u64, id: Uuid) -> Self {
        let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
        let form = if backend == DbBackend::Sqlite {
            let guard = "BEGIN IMMEDIATE;UPDATE registry_epoch SET epoch = CASE WHEN epoch = ? THEN epoch END, last_batch = ? WHERE id = 1;";
            Form::Sqlite(guard.to_owned(), vec![epoch.into(), id.to_string().into()])
        } else {
            Form::Postgres(format!(
                "BEGIN;UPDATE registry_epoch SET epoch = CASE WHEN epoch = {epoch} THEN epoch END, last_batch = '{id}' WHERE id = 1;"
            ))
        };
        Self {
            form,
            count: 2,
            fault: None,
        }
    }

    /// Rows that are new.
    pub(crate) fn insert<E, A>(&mut self, rows: Vec<A>)
    where
        E: EntityTrait,
        A: ActiveModelTrait<Entity = E> + Send,
    {
        self.rows::<E, A>(rows, &Conflict::Fail);
    }

    /// Rows that replace those with the same key.
    pub(crate) fn upsert<E, A>(&mut self, rows: Vec<A>)
    where
        E: EntityTrait,
        A: ActiveModelTrait<Entity = E> + Send,
    {
        if rows.is_empty() {
            return;
        }
        let keys: Vec<E::Column> = E::PrimaryKey::iter()
            .map(PrimaryKeyToColumn::into_column)
            .collect();
        let names: Vec<String> = keys.iter().map(|k| format!("{k:?}")).collect();
        let others = E::Column::iter()
            .filter(|c| !names.contains(&format!("{c:?}")))
            .collect();
        self.rows::<E, A>(rows, &Conflict::Replace(keys, others));
    }

    /// Projects that are new, and settings that replace what was.
    pub(crate) fn projects(&mut self, names: Vec<String>, settings: &[Setting], now: Timestamp) {
        let row = |name: String| project::ActiveModel {
            name: Set(name),
            created_at: Set(now.0),
            ..Default::default()
        };
        for name in names {
            let known = Conflict::Keep(vec![project::Column::Name]);
            self.rows::<project::Entity, _>(vec![row(name)], &known);
        }
        let newer = |columns| Conflict::Replace(vec![project::Column::Name], columns);
        for setting in settings {
            match setting.clone() {
                Setting::Ruleset(name, ruleset) => {
                    let row = project::ActiveModel {
                        ruleset: Set(ruleset),
                        ..row(name)
                    };
                    let newer = newer(vec![project::Column::Ruleset]);
                    self.rows::<project::Entity, _>(vec![row], &newer);
                }
                Setting::Limits {
                    project,
                    share,
                    limits,
                } => {
                    let row = project::ActiveModel {
                        share: Set(share.into()),
                        limits: Set(limits),
                        ..row(project)
                    };
                    let newer = newer(vec![project::Column::Share, project::Column::Limits]);
                    self.rows::<project::Entity, _>(vec![row], &newer);
                }
                Setting::Lane(name, paused) => {
                    self.upsert::<lane::Entity, _>(vec![lane::ActiveModel {
                        name: Set(name),
                        paused: Set(paused),
                        changed_at: Set(now.0),
                    }]);
                }
                Setting::Mend(mend) => self.raw(mend.statements(self.backend(), now)),
                // Kept as the issue that it is.
                Setting::Unreadable(_) => {}
            }
        }
    }

    /// Where a reader of the event log stands.
    pub(crate) fn cursor(&mut self, cursor: Cursor, sequence: u64) {
        let sequence = Set(i64::try_from(sequence).unwrap_or(i64::MAX));
        let id = Set(1);
        match cursor {
            Cursor::Relay => {
                let row = relay_cursor::ActiveModel { id, sequence };
                self.upsert::<relay_cursor::Entity, _>(vec![row]);
            }
            Cursor::Traces => {
                let row = trace_cursor::ActiveModel { id, sequence };
                self.upsert::<trace_cursor::Entity, _>(vec![row]);
            }
        }
    }

    /// A run that cannot be read has one open major issue more; `again`: one that was resolved. Without the count, whoever
    /// reads the run later would not look for the issue.
    pub(crate) fn count_unreadable(&mut self, run: RunUid, again: bool) {
        let resolved = if again {
            ", resolved_issues = resolved_issues - 1"
        } else {
            ""
        };
        let sql =
            format!("UPDATE run SET major_issues = major_issues + 1{resolved} WHERE uid = '{run}'");
        self.raw(vec![Statement::from_string(self.backend(), sql)]);
    }

    fn backend(&self) -> DbBackend {
        match self.form {
            Form::Sqlite(..) => DbBackend::Sqlite,
            Form::Postgres(_) => DbBackend::Postgres,
        }
    }

    /// Statements without values.
    fn raw(&mut self, statements: Vec<Statement>) {
        self.count += statements.len() as u64;
        let (Form::Sqlite(text, _) | Form::Postgres(text)) = &mut self.form;
        for statement in statements {
            text.push_str(&statement.sql);
            text.push(';');
        }
    }

    fn rows<E, A>(&mut self, rows: Vec<A>, conflict: &Conflict<E::Column>)
    where
        E: EntityTrait,
        A: ActiveModelTrait<Entity = E> + Send,
    {
        match &mut self.form {
            Form::Sqlite(text, values) => {
                self.count += parameters::insert::<E, A>(text, values, rows, conflict);
            }
            Form::Postgres(text) => {
                if let Err(error) = literal::insert::<E, A>(text, &rows, conflict) {
                    self.fault = Some(error);
                }
                self.count += u64::from(!rows.is_empty());
            }
        }
    }

    /// Sends them; tells how many there were. The transaction is open then.
    pub(crate) async fn send(self, line: &mut Line) -> Result<u64, DbErr> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        match self.form {
            Form::Sqlite(text, values) => {
                let statement = Statement::from_sql_and_values(DbBackend::Sqlite, text, values);
                line.execute_raw(statement).await?;
            }
            Form::Postgres(text) => line.execute(&text).await?,
        }
        Ok(self.count)
    }
}
