//! A database of either kind.

use autopack_testkit::{Postgres, TestDatabase};
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, Statement};

/// A database that goes with the value.
pub(crate) enum Base {
    Sqlite(tempfile::TempDir),
    Postgres(TestDatabase<'static>),
}

impl Base {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub(crate) fn postgres() -> Self {
        Self::Postgres(Postgres::shared().database())
    }

    pub(crate) async fn connect(&self) -> DatabaseConnection {
        let url = match self {
            Self::Sqlite(folder) => {
                format!("sqlite://{}?mode=rwc", folder.path().join("db").display())
            }
            Self::Postgres(database) => database.url(),
        };
        let mut options = ConnectOptions::new(url);
        options.max_connections(1).sqlx_logging(false);
        sea_orm::Database::connect(options).await.unwrap()
    }
}

/// The first column of a query, as texts.
pub(crate) async fn texts(db: &DatabaseConnection, sql: &str) -> Vec<String> {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let rows = db.query_all_raw(statement).await.unwrap();
    rows.iter()
        .map(|r| r.try_get_by_index(0).unwrap())
        .collect()
}

/// The columns of each table and view, in order, as `name: column, ...`.
pub(crate) async fn columns(db: &DatabaseConnection) -> Vec<String> {
    let sql = match db.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT table_name || ': ' || string_agg(column_name, ', ' ORDER BY ordinal_position) FROM information_schema.columns WHERE table_schema = 'public' GROUP BY table_name ORDER BY table_name COLLATE \"C\""
        }
        _ => {
            "SELECT m.name || ': ' || (SELECT group_concat(name, ', ') FROM (SELECT name FROM pragma_table_info(m.name) ORDER BY cid)) FROM sqlite_master m WHERE m.type IN ('table', 'view') ORDER BY m.name"
        }
    };
    texts(db, sql).await
}

/// Runs each of these tests on both databases.
macro_rules! both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(crate::base::Base::sqlite()).await; })*
        }
        mod postgres {
            $(#[tokio::test] async fn $name() { super::$name(crate::base::Base::postgres()).await; })*
        }
    };
}
pub(crate) use both;
