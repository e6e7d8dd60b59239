//! The statements of one batch, collected, sent and committed together.
//!
//! Invariant: on SQLite a batch is one call, which is two thread switches and they cost more than the rows. On
//! PostgreSQL it is one prepared statement, which is one round trip with its commit; only a batch that writes a table
//! twice, or more than rows, is a transaction of several, in the order in which they were added.

use std::fmt::Write as _;

use autopack_domain::{RunUid, Timestamp};
use autopack_store::entity::{lane, project, relay_cursor, trace_cursor};
use sea_orm::{
    ActiveModelTrait, DbBackend, DbErr, EntityTrait, Iterable, PrimaryKeyToColumn, Set, Statement,
    Value,
    sqlx::{Arguments as _, postgres::PgArguments},
};
use uuid::Uuid;

use crate::{
    arrays::Rows,
    handle::{Cursor, Setting},
    line::Line,
    loss::exec_error,
    parameters,
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
    Postgres(Guard, Vec<Step>),
}

/// What a transaction begins with: it fails unless the epoch is in force.
#[derive(Clone, Debug)]
struct Guard {
    epoch: i64,
    id: String,
}

/// One statement for PostgreSQL.
#[derive(Debug)]
enum Step {
    Rows(Rows),
    Text(String),
}

impl Batch {
    /// Begins the transaction, and fails it unless `epoch` is in force. It writes the row of the epoch, so a
    /// registry that takes over waits for this commit, or this transaction for it. `id` is how a commit is
    /// recognised whose answer was lost.
    pub(crate) fn begin(backend: DbBackend, epoch: u64, id: Uuid) -> Self {
        let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
        let id = id.to_string();
        let form = if backend == DbBackend::Sqlite {
            let text = format!("BEGIN IMMEDIATE;{};", guard("?", "?"));
            Form::Sqlite(text, vec![epoch.into(), id.into()])
        } else {
            Form::Postgres(Guard { epoch, id }, Vec::new())
        };
        Self {
            form,
            count: 1,
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
        let known = Conflict::Keep(vec![project::Column::Name]);
        let rows = names.into_iter().map(row).collect();
        self.rows::<project::Entity, _>(rows, &known);
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
            Form::Postgres(..) => DbBackend::Postgres,
        }
    }

    /// Statements without values.
    fn raw(&mut self, statements: Vec<Statement>) {
        self.count += statements.len() as u64;
        for statement in statements {
            match &mut self.form {
                Form::Sqlite(text, _) => {
                    text.push_str(&statement.sql);
                    text.push(';');
                }
                Form::Postgres(_, steps) => steps.push(Step::Text(statement.sql)),
            }
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
            Form::Postgres(_, steps) => match Rows::of::<E, A>(rows, conflict) {
                Ok(rows) => {
                    self.count += u64::from(rows.is_some());
                    steps.extend(rows.map(Step::Rows));
                }
                Err(error) => self.fault = Some(error),
            },
        }
    }

    /// Sends and commits them; tells how many statements there were, beginning and commit left out. A transaction that
    /// failed may be open then.
    pub(crate) async fn commit(self, line: &mut Line) -> Result<u64, DbErr> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        match self.form {
            Form::Sqlite(mut text, values) => {
                text.push_str("COMMIT;");
                let statement = Statement::from_sql_and_values(DbBackend::Sqlite, text, values);
                line.execute_raw(statement).await?;
            }
            Form::Postgres(guard, steps) => match joined(guard, steps)? {
                Ok((text, values)) => line.execute_prepared(&text, values).await?,
                Err((guard, steps)) => one_by_one(line, guard, steps).await?,
            },
        }
        Ok(self.count)
    }
}

/// The statement that fails unless the epoch is in force: no row of the table may be without one.
fn guard(epoch: &str, id: &str) -> String {
    format!(
        "UPDATE registry_epoch SET epoch = CASE WHEN epoch = {epoch} THEN epoch END, last_batch = {id} WHERE id = 1"
    )
}

impl Guard {
    fn bound(self) -> Result<(String, PgArguments), DbErr> {
        let mut values = PgArguments::default();
        bind(&mut values, self.epoch)?;
        bind(&mut values, self.id)?;
        Ok((guard("$1::bigint", "$2::text"), values))
    }
}

fn bind<'q, T>(values: &mut PgArguments, value: T) -> Result<(), DbErr>
where
    T: sea_orm::sqlx::Encode<'q, sea_orm::sqlx::Postgres>
        + sea_orm::sqlx::Type<sea_orm::sqlx::Postgres>
        + 'q,
{
    let added = values.add(value);
    added.map_err(|e| exec_error(sea_orm::sqlx::Error::Encode(e)))
}

/// All of them as one statement, which is a transaction of its own; or what was given, if that cannot be: the parts of
/// one statement do not see what the others wrote, so each table may be written by one of them only.
#[expect(clippy::type_complexity)]
fn joined(
    guard: Guard,
    steps: Vec<Step>,
) -> Result<Result<(String, PgArguments), (Guard, Vec<Step>)>, DbErr> {
    let mut tables = std::collections::HashSet::new();
    let plain = |step: &Step| matches!(step, Step::Rows(rows) if tables.insert(rows.table.clone()));
    if !steps.iter().all(plain) {
        return Ok(Err((guard, steps)));
    }
    let (first, mut values) = guard.bound()?;
    let mut text = format!("WITH s AS ({first}");
    for (n, step) in steps.into_iter().enumerate() {
        let Step::Rows(rows) = step else { continue };
        let _ = write!(text, "), s{n} AS (");
        rows.write(&mut text, &mut values)?;
    }
    text.push_str(") SELECT 1");
    Ok(Ok((text, values)))
}

async fn one_by_one(line: &mut Line, guard: Guard, steps: Vec<Step>) -> Result<(), DbErr> {
    line.execute("BEGIN").await?;
    let (text, values) = guard.bound()?;
    line.execute_prepared(&text, values).await?;
    for step in steps {
        match step {
            Step::Rows(rows) => {
                let (mut text, mut values) = (String::new(), PgArguments::default());
                rows.write(&mut text, &mut values)?;
                line.execute_prepared(&text, values).await?;
            }
            Step::Text(text) => line.execute(&text).await?,
        }
    }
    line.execute("COMMIT").await
}
