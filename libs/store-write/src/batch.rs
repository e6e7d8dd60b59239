//! The statements of one batch, collected and sent together.
//!
//! Invariant: statements reach the database in the order in which they were added. SQLite takes all of them in
//! one call: each call is two thread switches, which cost more than the rows.

use autopack_domain::Timestamp;
use autopack_store::entity::{lane, project, relay_cursor};
use sea_orm::{
    ActiveModelTrait, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait, Iterable,
    PrimaryKeyToColumn, QueryTrait, Set, Statement, sea_query::OnConflict,
};

use crate::handle::Setting;

/// SQLite takes at most 32,766 values a statement; this is well below for the widest table.
const ROWS: usize = 400;

/// Statements to be sent.
#[derive(Debug)]
pub(crate) struct Batch {
    backend: DbBackend,
    statements: Vec<Statement>,
}

impl Batch {
    /// Begins the transaction, and fails it unless `epoch` is in force. It writes the row of the epoch, so a
    /// registry that takes over waits for this commit, or this transaction for it.
    pub(crate) fn begin(backend: DbBackend, epoch: u64) -> Self {
        let (begin, guard) = match backend {
            DbBackend::Sqlite => ("BEGIN IMMEDIATE", "?"),
            _ => ("BEGIN", "$1"),
        };
        let guard = format!(
            "UPDATE registry_epoch SET epoch = CASE WHEN epoch = {guard} THEN epoch END WHERE id = 1"
        );
        let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
        Self {
            backend,
            statements: vec![
                Statement::from_string(backend, begin),
                Statement::from_sql_and_values(backend, guard, [epoch.into()]),
            ],
        }
    }

    /// Rows that are new.
    pub(crate) fn insert<E, A>(&mut self, rows: Vec<A>)
    where
        E: EntityTrait,
        A: ActiveModelTrait<Entity = E> + Send,
    {
        self.rows::<E, A>(rows, None);
    }

    /// Rows that replace those with the same key.
    pub(crate) fn upsert<E, A>(&mut self, rows: Vec<A>)
    where
        E: EntityTrait,
        A: ActiveModelTrait<Entity = E> + Send,
    {
        let keys: Vec<E::Column> = E::PrimaryKey::iter()
            .map(PrimaryKeyToColumn::into_column)
            .collect();
        let names: Vec<String> = keys.iter().map(|k| format!("{k:?}")).collect();
        let others = E::Column::iter().filter(|c| !names.contains(&format!("{c:?}")));
        let conflict = OnConflict::columns(keys).update_columns(others).to_owned();
        self.rows::<E, A>(rows, Some(&conflict));
    }

    /// Projects that are new, and settings that replace what was.
    pub(crate) fn projects(&mut self, names: Vec<String>, settings: &[Setting], now: Timestamp) {
        let row = |name: String| project::ActiveModel {
            name: Set(name),
            created_at: Set(now.0),
            ..Default::default()
        };
        for name in names {
            let known = OnConflict::column(project::Column::Name)
                .do_nothing()
                .to_owned();
            self.rows::<project::Entity, _>(vec![row(name)], Some(&known));
        }
        for setting in settings {
            let mut newer = OnConflict::column(project::Column::Name);
            match setting.clone() {
                Setting::Ruleset(name, ruleset) => {
                    let row = project::ActiveModel {
                        ruleset: Set(ruleset),
                        ..row(name)
                    };
                    newer.update_column(project::Column::Ruleset);
                    self.rows::<project::Entity, _>(vec![row], Some(&newer));
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
                    newer.update_columns([project::Column::Share, project::Column::Limits]);
                    self.rows::<project::Entity, _>(vec![row], Some(&newer));
                }
                Setting::Lane(name, paused) => {
                    self.upsert::<lane::Entity, _>(vec![lane::ActiveModel {
                        name: Set(name),
                        paused: Set(paused),
                        changed_at: Set(now.0),
                    }]);
                }
            }
        }
    }

    /// Where the relay stands.
    pub(crate) fn cursor(&mut self, sequence: u64) {
        self.upsert::<relay_cursor::Entity, _>(vec![relay_cursor::ActiveModel {
            id: Set(1),
            sequence: Set(i64::try_from(sequence).unwrap_or(i64::MAX)),
        }]);
    }

    fn rows<E, A>(&mut self, rows: Vec<A>, conflict: Option<&OnConflict>)
    where
        E: EntityTrait,
        A: ActiveModelTrait<Entity = E> + Send,
    {
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let mut insert = E::insert_many(rows.by_ref().take(ROWS));
            if let Some(conflict) = conflict {
                insert = insert.on_conflict(conflict.clone());
            }
            self.statements.push(insert.build(self.backend));
        }
    }

    /// Sends them; tells how many there were.
    pub(crate) async fn send(self, db: &DatabaseConnection) -> Result<u64, DbErr> {
        let count = self.statements.len() as u64;
        if self.backend == DbBackend::Sqlite {
            if let Some(joined) = join(self.backend, self.statements) {
                db.execute_raw(joined).await?;
            }
        } else {
            for statement in self.statements {
                db.execute_raw(statement).await?;
            }
        }
        Ok(count)
    }
}

/// One text with the values of all, in order: placeholders are `?`, each takes the next value.
fn join(backend: DbBackend, statements: Vec<Statement>) -> Option<Statement> {
    let mut text = String::new();
    let mut values = Vec::new();
    for statement in statements {
        if !text.is_empty() {
            text.push_str("; ");
        }
        text.push_str(&statement.sql);
        values.extend(statement.values.into_iter().flat_map(|v| v.0));
    }
    (!text.is_empty()).then(|| Statement::from_sql_and_values(backend, text, values))
}
