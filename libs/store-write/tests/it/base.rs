//! A writer on a database of its own.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use autopack_domain::{
    RunUid, Timestamp,
    plan::{ReadOptions, read_plan},
    run::{Changes, Run, RunAggregate, create::NewRun},
};
use autopack_policy::strategy::{Backlog, Overrides, Ruleset, compile};
use autopack_store_write::{Database, OpenOptions, Watch, WriteError, Writer, WriterHandle};
use autopack_testkit::{Postgres, TestDatabase};

/// Where the truth is kept.
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

    pub(crate) async fn open(&self) -> Database {
        match self {
            Self::Sqlite(folder) => Database::open_sqlite(&folder.path().join("db"))
                .await
                .unwrap(),
            Self::Postgres(base) => open(&base.url(), Duration::from_secs(15)).await,
        }
    }
}

pub(crate) async fn open(url: &str, silence: Duration) -> Database {
    let instance = uuid::Uuid::now_v7().to_string();
    let options = OpenOptions { instance, silence };
    Database::open_postgres(url, &options).await.unwrap()
}

/// A running writer; it ends with its last handle.
pub(crate) struct Running {
    pub(crate) handle: WriterHandle,
    pub(crate) database: Database,
    pub(crate) task: tokio::task::JoinHandle<Result<(), WriteError>>,
    /// What the writer told about its batches.
    pub(crate) told: Arc<Told>,
}

/// Notes the ends of batches, in order.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<Vec<&'static str>>);

impl Told {
    /// What was noted since the last call.
    pub(crate) fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    fn note(&self, end: &'static str) {
        self.0.lock().unwrap().push(end);
    }
}

impl Watch for Told {
    fn changed(&self, _: &RunAggregate) {
        self.note("changed");
    }

    fn committed(&self) {
        self.note("committed");
    }

    fn undone(&self) {
        self.note("undone");
    }
}

/// Migrates the database, raises the epoch and starts the writer.
pub(crate) async fn start(database: Database) -> Running {
    let mut line = database.line();
    assert!(line.try_claim().await.unwrap(), "the lock is free");
    let admin = database.admin().await.unwrap();
    autopack_migrations::migrate(&admin).await.unwrap();
    let epoch = line.next_epoch("here").await.unwrap();
    let clock = Arc::new(|| Timestamp(1_700_000_000_000_000));
    let (writer, handle) = Writer::new(
        &database,
        line,
        epoch,
        Arc::new(|_, event| format!("{:?}", event.kind).into_bytes()),
        clock,
        Arc::new(uuid::Uuid::now_v7),
        |_| {},
    )
    .await
    .unwrap();
    let told = Arc::new(Told::default());
    let writer = writer.watched(Arc::clone(&told) as _);
    let task = tokio::spawn(writer.run(std::future::pending()));
    Running {
        handle,
        database,
        task,
        told,
    }
}

impl Running {
    /// Stores a run with this id and goal.
    pub(crate) async fn create(&self, id: &str, goal: &str) -> Result<Run, WriteError> {
        let made = new_run(id, goal);
        self.handle.create(None, move || made.clone()).await
    }
}

/// A run of two phases.
fn new_run(id: &str, goal: &str) -> (RunAggregate, Changes) {
    let document = "schema: autopack/plan/v1\nrun: { id: demo, goal: g, project: demo }\ntiers:\n  - { id: T1, name: One, phases: [{ id: A, name: a, goal: a, builder: { kind: noop }, gate: { steps: [] } }, { id: B, name: b, goal: b, builder: { kind: noop }, gate: { steps: [] } }] }";
    let mut plan = read_plan(document, &ReadOptions::default()).unwrap().plan;
    goal.clone_into(&mut plan.run.goal);
    let new = NewRun {
        uid: RunUid(uuid::Uuid::now_v7()),
        id: id.parse().unwrap(),
        project: "demo".to_owned(),
        repository: "/r".to_owned(),
        digest: "d".to_owned(),
        hold: false,
        facts: std::collections::BTreeMap::new(),
    };
    let overrides = Overrides {
        backoff_seconds: None,
    };
    let strategy = compile(&Ruleset::default(), &Backlog::default(), &plan, overrides);
    RunAggregate::create(
        new,
        Arc::new(plan),
        Arc::new(strategy),
        Timestamp(1_700_000_000_000_000),
    )
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
