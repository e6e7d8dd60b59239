//! A migrated database of either kind.

use autopack_store::schema::{document, tables};
use autopack_testkit::{Postgres, TestDatabase};
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, Statement};

/// A database that goes with the value.
pub(crate) struct Base {
    pub(crate) db: DatabaseConnection,
    _folder: tempfile::TempDir,
    _server: Option<TestDatabase<'static>>,
}

impl Base {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("db").display());
        Self::open(url, folder, None).await
    }

    pub(crate) async fn postgres() -> Self {
        let server = Postgres::shared().database();
        let url = server.url();
        Self::open(url, tempfile::tempdir().unwrap(), Some(server)).await
    }

    async fn open(
        url: String,
        folder: tempfile::TempDir,
        server: Option<TestDatabase<'static>>,
    ) -> Self {
        let mut options = ConnectOptions::new(url);
        options.max_connections(1).sqlx_logging(false);
        let db = sea_orm::Database::connect(options).await.unwrap();
        autopack_migrations::migrate(&db).await.unwrap();
        let base = Self {
            db,
            _folder: folder,
            _server: server,
        };
        if !base.is_postgres() {
            base.run("PRAGMA foreign_keys = ON").await;
        }
        base
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.db.get_database_backend() == DbBackend::Postgres
    }

    pub(crate) async fn run(&self, sql: &str) {
        let done = self.db.execute_unprepared(sql).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The first column of a query, as texts.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        let statement = Statement::from_string(self.db.get_database_backend(), sql);
        let rows = self.db.query_all_raw(statement).await.unwrap();
        rows.iter()
            .map(|r| r.try_get_by_index(0).unwrap())
            .collect()
    }

    /// The example of every table, all columns.
    pub(crate) async fn fill(&self) {
        for table in tables() {
            let single = [
                "database_identity",
                "relay_cursor",
                "registry_epoch",
                "schema_compat",
            ];
            if single.contains(&table.name) {
                continue;
            }
            let columns: Vec<_> = table.columns.iter().collect();
            self.run(&document::insert(&table, &columns)).await;
        }
        self.run("UPDATE trace_cursor SET sequence = 1").await;
    }

    /// Nothing is enforced any more.
    pub(crate) async fn unchecked(&self) {
        if !self.is_postgres() {
            self.run("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF")
                .await;
            return;
        }
        let drop = "SELECT 'ALTER TABLE ' || conrelid::regclass || ' DROP CONSTRAINT ' || quote_ident(conname) FROM pg_constraint WHERE contype IN ('c', 'f') AND connamespace = 'public'::regnamespace";
        for sql in self.texts(drop).await {
            self.run(&sql).await;
        }
    }
}

/// Runs each of these tests on both databases.
macro_rules! both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(crate::base::Base::sqlite().await).await; })*
        }
        mod postgres {
            $(#[tokio::test] async fn $name() { super::$name(crate::base::Base::postgres().await).await; })*
        }
    };
}
pub(crate) use both;
