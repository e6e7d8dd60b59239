//! One database of a test, and SQL beneath the product's code.
//!
//! Invariant: a database carries a mark from its creation; nothing here works on a database without it.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::postgres::{PASSWORD, Postgres, USER};

/// The comment on a database that the testkit made.
const MARK: &str = "autopack testkit";

/// A database; dropped, it is dropped on the server as well.
#[derive(Debug)]
pub struct TestDatabase<'a> {
    server: &'a Postgres,
    name: String,
    /// Dropped with the value.
    ours: bool,
}

impl<'a> TestDatabase<'a> {
    #[track_caller]
    pub(crate) fn create(server: &'a Postgres, template: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("t{}_{number}", std::process::id());
        for sql in [
            format!("CREATE DATABASE {name} TEMPLATE {template}"),
            format!("COMMENT ON DATABASE {name} IS '{MARK}'"),
        ] {
            if let Err(error) = server.psql_at("postgres", &sql) {
                panic!("{sql}: {error}");
            }
        }
        let ours = true;
        Self { server, name, ours }
    }

    pub(crate) fn existing(server: &'a Postgres, name: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(plain) {
            return Err(format!("`{name}` is not a name of a test database"));
        }
        let sql = format!(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '{name}'"
        );
        let found = server.psql_at("postgres", &sql)?;
        if found != MARK {
            return Err(format!(
                "the testkit did not create the database `{name}`, so it does not touch it"
            ));
        }
        Ok(Self {
            server,
            name: name.to_owned(),
            ours: false,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its server.
    pub fn server(&self) -> &'a Postgres {
        self.server
    }

    /// Its address for the superuser, over TCP on loopback.
    pub fn url(&self) -> String {
        self.url_as(USER, PASSWORD)
    }

    /// Its address for another role.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        self.url_through(user, password, self.server.port())
    }

    /// Its address through a proxy on another port.
    pub fn url_at(&self, port: u16) -> String {
        self.url_through(USER, PASSWORD, port)
    }

    fn url_through(&self, user: &str, password: &str, port: u16) -> String {
        format!(
            "postgres://{user}:{password}@127.0.0.1:{port}/{}",
            self.name
        )
    }

    /// Runs SQL as the superuser and returns what psql prints: rows by line, columns by `|`.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        match self.try_sql(sql) {
            Ok(text) => text,
            Err(error) => panic!("{sql}: {error}"),
        }
    }

    /// The same; a complaint is an answer.
    pub fn try_sql(&self, sql: &str) -> Result<String, String> {
        self.server.psql_at(&self.name, sql)
    }

    /// Ends sessions on this database whose `application_name` begins with these words; tells how many.
    #[track_caller]
    pub fn cut_sessions(&self, application: &str) -> usize {
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = '{}' AND application_name LIKE '{application}%'",
            self.name
        );
        let answer = self.server.psql_at("postgres", &sql);
        answer.unwrap_or_else(|e| panic!("{e}")).lines().count()
    }
}

impl Drop for TestDatabase<'_> {
    fn drop(&mut self) {
        if self.ours {
            let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
            // The server may have been killed on purpose; its folder goes with it.
            let _ = self.server.psql_at("postgres", &sql);
        }
    }
}
