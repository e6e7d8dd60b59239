//! S2: the registry as a process of its own over PostgreSQL.

use std::time::Instant;

use autopack_testkit::{Cluster, Dialect, Many, Postgres, TempRepo, cluster::key_of};
use autopack_wire::client::Clients;

use crate::{ask, numbers::Line, template};

/// Nobody schedules and nobody works: the registry is alone with its database.
pub(crate) async fn measure(many: Many) -> Vec<Line> {
    // Left to end with this process: its keeper sees that.
    let server: &'static Postgres = Box::leak(Box::new(Postgres::start_durable()));
    let mut cluster = Cluster::on(server);
    let repo = TempRepo::small();
    cluster.registry.start();
    cluster.registry.ready();
    let key = key_of("operator");
    let clients = Clients::connect_http(&cluster.registry.address(), Some(&key)).unwrap();
    template::store(&clients, &repo).await;
    cluster.registry.stop();
    let filled = Instant::now();
    let columns = |table: &str| {
        let sql = format!(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = '{table}' ORDER BY ordinal_position"
        );
        cluster
            .database
            .sql(&sql)
            .lines()
            .map(str::to_owned)
            .collect()
    };
    for sql in many.statements(Dialect::Postgres, template::ID, &columns) {
        cluster
            .database
            .sql(&format!("SET synchronous_commit = off; {sql}"));
    }
    // As the server's own upkeep leaves it.
    cluster.database.sql("VACUUM ANALYZE");
    let size = cluster
        .database
        .sql("SELECT pg_database_size(current_database()) / 1048576");
    let filled = filled.elapsed().as_secs_f64();
    let began = Instant::now();
    cluster.registry.start();
    cluster.registry.ready();
    let serving = began.elapsed().as_secs_f64();
    let clients = Clients::connect_http(&cluster.registry.address(), Some(&key)).unwrap();
    let mut lines = vec![
        Line::plain("S2", "PostgreSQL: rows stored in", filled, "s"),
        Line::plain(
            "S2",
            "size of the database",
            size.parse().unwrap_or(0.0),
            "MiB",
        ),
        Line::plain(
            "S2",
            "from the start of the process until it serves",
            serving,
            "s",
        )
        .at_most(10.0, "first aim"),
    ];
    lines.extend(ask::every_question("S2", &clients, many).await);
    lines.extend(ask::self_check("S2", &clients, cluster.registry.id()).await);
    lines
}
