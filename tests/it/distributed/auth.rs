//! Keys: who is let in, and what is said to who is not.

use autopack_testkit::program;
use autopack_testkit::{Autopack, Cluster};

use crate::rig::BOUND;

#[test]
fn each_role_does_what_the_table_says_and_a_refusal_says_why() {
    let mut cluster = Cluster::new();
    cluster.registry.start();
    cluster.registry.ready();
    cluster.cli("operator").call(&["runs"]).expect_code(0);
    cluster.cli("reader").call(&["runs"]).expect_code(0);
    let denied = cluster.cli("reader").call(&["cancel", "demo"]);
    denied.expect_code(1);
    assert!(denied.stderr.contains("PERMISSION_DENIED"), "{denied:?}");

    let none = cluster.cli("operator").with("AUTOPACK_API_KEY", "");
    let none = none.call(&["runs"]);
    assert!(none.stderr.contains("UNAUTHENTICATED"), "{none:?}");
    let wrong = cluster
        .cli("operator")
        .with("AUTOPACK_API_KEY", "a-key-that-nobody-has");
    let wrong = wrong.call(&["runs"]);
    assert!(wrong.stderr.contains("KEY_UNKNOWN"), "{wrong:?}");
    assert!(!wrong.stderr.contains("a-key-that"), "{wrong:?}");

    let file = cluster.path().join("one.key");
    std::fs::write(&file, autopack_testkit::cluster::key_of("operator") + "\n").unwrap();
    let by_flag = cluster.cli("operator").with("AUTOPACK_API_KEY", "");
    by_flag
        .call(&["runs", "--api-key-file", file.to_str().unwrap()])
        .expect_code(0);
    let log = cluster.registry.log_text();
    assert!(!log.contains("key-of-the-"), "no key in the log");
}

#[test]
fn a_key_that_has_expired_is_told_apart() {
    let mut cluster = Cluster::new();
    let keys = cluster.path().join("expiring.toml");
    std::fs::write(
        &keys,
        "[[key]]\nname = \"old\"\nrole = \"operator\"\nkey = \"key-of-the-operator-0123456789\"\n\
         expires = \"2020-01-01T00:00:00Z\"\n",
    )
    .unwrap();
    let path = keys.to_str().unwrap().to_owned();
    cluster.registry.set("AUTOPACK_API_KEY_FILE", &path);
    cluster.registry.start();
    cluster.registry.ready();
    let done = cluster.cli("operator").call(&["runs"]);
    done.expect_code(1);
    assert!(done.stderr.contains("KEY_EXPIRED"), "{done:?}");
}

#[test]
fn without_keys_only_the_loopback_interface_is_served() {
    let mut cluster = Cluster::new();
    cluster.registry.set("AUTOPACK_API_KEY_FILE", "");
    cluster.registry.listen_at("0.0.0.0:0");
    let refused = program::run(&mut cluster.registry.command(), BOUND);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.stderr.contains("not a loopback address"),
        "{refused:?}"
    );
    cluster.registry.listen_at("127.0.0.1:0");
    cluster.registry.start();
    cluster.registry.ready();
    let nobody = cluster.cli("operator").with("AUTOPACK_API_KEY", "");
    nobody.call(&["runs"]).expect_code(0);
    assert_eq!(cluster.registry.stop(), Some(0));

    cluster.registry.set("AUTOPACK_AUTH", "none");
    cluster.registry.listen_at("0.0.0.0:0");
    cluster.registry.start();
    cluster.registry.ready();
    let log = cluster.registry.log_text();
    assert!(log.contains("whoever reaches this address"), "{log}");
}

/// A variable that is set to nothing is a variable that is not set: at the server and at the client.
#[test]
fn scenario_empty_api_key_against_unset() {
    let mut cluster = Cluster::new();
    let empty = cluster.cli("operator").with("AUTOPACK_API_KEY", "");
    let address = cluster_address(&mut cluster, &[]);
    let unset = || Autopack::new().with("AUTOPACK_REGISTRY", &address);
    // The server has keys: neither client is let in, and both are told the same.
    let empty = empty.with("AUTOPACK_REGISTRY", &address);
    let (one, two) = (empty.call(&["runs"]), unset().call(&["runs"]));
    for done in [&one, &two] {
        done.expect_code(1);
        assert!(done.stderr.contains("UNAUTHENTICATED"), "{done:?}");
    }
    assert_eq!(one.stderr, two.stderr);
    assert_eq!(cluster.registry.stop(), Some(0));
    // The server has an empty key: on the loopback interface nobody is asked for one, whatever the client has.
    let address = cluster_address(
        &mut cluster,
        &[("AUTOPACK_API_KEY_FILE", ""), ("AUTOPACK_API_KEY", "")],
    );
    for client in [
        Autopack::new(),
        Autopack::new().with("AUTOPACK_API_KEY", ""),
        Autopack::new().with("AUTOPACK_API_KEY", "a-key-that-nobody-has"),
    ] {
        let client = client.with("AUTOPACK_REGISTRY", &address);
        client.call(&["runs"]).expect_code(0);
    }
}

/// Starts the registry with these variables; its address.
fn cluster_address(cluster: &mut Cluster, env: &[(&str, &str)]) -> String {
    for (name, value) in env {
        cluster.registry.set(name, value);
    }
    cluster.registry.start();
    cluster.registry.ready();
    cluster.registry.address()
}

#[test]
fn one_key_alone_serves_every_role() {
    let mut cluster = Cluster::new();
    let key = "one-key-for-everything";
    cluster.registry.set("AUTOPACK_API_KEY_FILE", "");
    cluster.registry.set("AUTOPACK_API_KEY", key);
    cluster.set_all("AUTOPACK_API_KEY_FILE", "");
    cluster.set_all("AUTOPACK_API_KEY", key);
    cluster.registry.start();
    cluster.add_scheduler().ready();
    cluster.add_worker().ready();
    let cli = cluster.cli("operator").with("AUTOPACK_API_KEY", key);
    cli.call(&["runs"]).expect_code(0);
}
