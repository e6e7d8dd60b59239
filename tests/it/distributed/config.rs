//! Configuration as an operator sees it.

use autopack_testkit::Cluster;
use autopack_testkit::program;

use crate::rig::BOUND;

#[test]
fn print_config_shows_sources_and_hides_secrets() {
    let mut cluster = Cluster::new();
    let file = cluster.path().join("registry.toml");
    std::fs::write(
        &file,
        "heartbeat_ms = 200\n[bus]\npassword = \"hunter2-in-file\"\n",
    )
    .unwrap();
    cluster.registry.set("AUTOPACK_API_KEY_FILE", "");
    cluster
        .registry
        .set("AUTOPACK_API_KEY", "a-secret-of-the-operator");
    cluster.registry.set("AUTOPACK_HEARTBEAT_MS", "250");
    cluster.registry.set("TELEMETRY_DB_ENABLED", "yes");
    cluster
        .registry
        .set("DATABASE_URL", "postgres://autopack:hunter2@127.0.0.1/none");
    let mut command = cluster.registry.command();
    command.arg("--config").arg(&file).arg("--print-config");
    let done = program::run(&mut command, BOUND);
    done.expect_code(0);
    let has = |line: &str| assert!(done.stdout.contains(line), "{line}\n{}", done.stdout);
    has("heartbeat_ms = 250  # environment AUTOPACK_HEARTBEAT_MS");
    has("listen = \"127.0.0.1:0\"  # flag --listen");
    has("shutdown_seconds = 25  # default");
    has("api_key = \"***\"  # environment AUTOPACK_API_KEY");
    has(&format!(
        "bus.password = \"***\"  # file {}",
        file.display()
    ));
    has("switch TELEMETRY_DB_ENABLED = true");
    assert!(!done.stdout.contains("a-secret-of") && !done.stdout.contains("hunter2"));
}

/// Whoever asks a service how it is sees which switches it was started with.
#[test]
fn switches_show_in_health() {
    let mut cluster = Cluster::new();
    cluster.registry.set("TELEMETRY_DB_ENABLED", "On");
    cluster.registry.set("AUTOPACK_ROLLBACK_ENABLED", "no");
    cluster.registry.start();
    cluster.registry.ready();
    let (code, body) = cluster.registry.page("/readyz").unwrap();
    let health: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(code, 200, "{body}");
    assert_eq!(
        health["switches"],
        serde_json::json!(["TELEMETRY_DB_ENABLED"])
    );
}

#[test]
fn every_fault_is_told_at_once() {
    let mut cluster = Cluster::new();
    for (name, value) in [
        ("DATABASE_URL", ""),
        ("AUTOPACK_BUS", ""),
        ("AUTOPACK_LEASE_MS", "600"),
        ("AUTOPACK_AUTH", "maybe"),
        ("AUTOPACK_ROLLBACK_ENABLED", "perhaps"),
    ] {
        cluster.registry.set(name, value);
    }
    let done = program::run(&mut cluster.registry.command(), BOUND);
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(
        done.stderr.contains("AUTOPACK_ROLLBACK_ENABLED"),
        "{done:?}"
    );
    cluster.registry.set("AUTOPACK_ROLLBACK_ENABLED", "");
    let done = program::run(&mut cluster.registry.command(), BOUND);
    assert_eq!(done.code, Some(2), "{done:?}");
    for word in [
        "DATABASE_URL",
        "bus.url",
        "heartbeat_ms",
        "`maybe` is not known",
    ] {
        assert!(done.stderr.contains(word), "{word}: {}", done.stderr);
    }
}

#[test]
fn a_secret_may_stand_in_a_file() {
    let mut cluster = Cluster::new();
    let file = cluster.path().join("database.url");
    std::fs::write(&file, cluster.database.url() + "\n").unwrap();
    cluster.registry.set("DATABASE_URL", "");
    cluster
        .registry
        .set("DATABASE_URL_FILE", file.to_str().unwrap());
    cluster.registry.start();
    cluster.registry.ready();
    assert_eq!(cluster.database.sql("SELECT count(*) FROM run"), "0");
}
