//! Layers of configuration.

use std::collections::BTreeMap;

use autopack_domain::fault::Fault;
use autopack_runtime::config::{Layers, Loaded, Source};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Bus {
    url: Option<String>,
    password: Option<String>,
    timeout_ms: Option<u32>,
    replicas: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Settings {
    listen: String,
    database_url: String,
    verbose: bool,
    ratio: f64,
    lanes: Vec<String>,
    labels: BTreeMap<String, String>,
    bus: Bus,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0".into(),
            database_url: "sqlite://a.db".into(),
            verbose: false,
            ratio: 0.5,
            lanes: vec!["default".into()],
            labels: BTreeMap::new(),
            bus: Bus {
                url: None,
                password: None,
                timeout_ms: None,
                replicas: 1,
            },
        }
    }
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn load(layers: Layers) -> Result<Loaded<Settings>, Vec<Fault>> {
    layers.load()
}

#[test]
fn nothing_given_gives_the_defaults() {
    let loaded = load(Layers::of::<Settings>()).unwrap();
    assert_eq!(loaded.value, Settings::default());
    assert_eq!(loaded.source("listen"), &Source::Default);
}

#[test]
fn each_later_layer_wins_and_is_named() {
    let file = file(
        "listen = \"a\"\nratio = 0.25\n[bus]\nreplicas = 2\nurl = \"nats://f\"\n[labels]\nteam = \"x\"\n",
    );
    let all = variables(&[
        ("AUTOPACK_LISTEN", "b"),
        ("AUTOPACK_BUS__REPLICAS", "3"),
        ("AUTOPACK_BUS__PASSWORD", "hunter2"),
        ("AUTOPACK_VERBOSE", "yes"),
        ("AUTOPACK_LANES", "[\"gpu\", \"default\"]"),
        ("AUTOPACK_API_KEY", "of somebody else"),
        ("PATH", "/bin"),
    ]);
    let layers = Layers::of::<Settings>()
        .file(file.path())
        .variables("AUTOPACK_", &all)
        .flag("listen", "--listen", "c");
    let loaded = load(layers).unwrap();
    let settings = &loaded.value;
    assert_eq!(settings.listen, "c");
    assert_eq!(settings.bus.replicas, 3);
    assert_eq!(settings.bus.url.as_deref(), Some("nats://f"));
    assert_eq!(settings.lanes, ["gpu", "default"]);
    assert_eq!(settings.labels["team"], "x");
    assert!(settings.verbose);
    assert_eq!(loaded.source("listen"), &Source::Flag("--listen".into()));
    let variable = Source::Environment("AUTOPACK_BUS__REPLICAS".into());
    assert_eq!(loaded.source("bus.replicas"), &variable);
    assert!(matches!(loaded.source("ratio"), Source::File(_)));
    assert_eq!(loaded.source("database_url"), &Source::Default);
}

#[test]
fn an_optional_text_stays_text_even_if_it_reads_as_a_number() {
    let all = variables(&[
        ("AUTOPACK_BUS__PASSWORD", "12345"),
        ("AUTOPACK_BUS__TIMEOUT_MS", "250"),
        ("AUTOPACK_LABELS__TIER", "true"),
    ]);
    let layers = Layers::of::<Settings>().variables("AUTOPACK_", &all).flag(
        "bus.password",
        "--bus-password",
        "true",
    );
    let settings = load(layers).unwrap().value;
    assert_eq!(settings.bus.password.as_deref(), Some("true"));
    assert_eq!(settings.bus.timeout_ms, Some(250));
    assert_eq!(settings.labels["tier"], "true");
}

#[test]
fn every_fault_of_every_layer_is_reported() {
    let file = file("lisen = \"a\"\n[bus]\nulr = \"b\"\n");
    let all = variables(&[
        ("AUTOPACK_BUS__REPLICA", "3"),
        ("AUTOPACK_VERBOSE", "maybe"),
        ("AUTOPACK_BUS__REPLICAS", "many"),
    ]);
    let layers = Layers::of::<Settings>()
        .file(file.path())
        .file(std::path::Path::new("/nonexistent/autopack.toml"))
        .variables("AUTOPACK_", &all);
    let faults = load(layers).unwrap_err();
    let mut paths: Vec<_> = faults.iter().map(|f| f.path.as_str()).collect();
    paths.sort_unstable();
    let expected = [
        "/nonexistent/autopack.toml",
        "AUTOPACK_BUS__REPLICA",
        "AUTOPACK_BUS__REPLICAS",
        "AUTOPACK_VERBOSE",
        "bus.ulr",
        "lisen",
    ];
    assert_eq!(paths, expected);
    let typo = faults.iter().find(|f| f.path == "lisen").unwrap();
    assert!(typo.allowed.contains(&"listen".to_owned()));
}

#[test]
fn a_value_of_the_wrong_type_is_a_fault() {
    let file = file("ratio = \"half\"\n");
    assert!(load(Layers::of::<Settings>().file(file.path())).is_err());
    let missing = std::path::Path::new("/nonexistent/autopack.toml");
    assert!(load(Layers::of::<Settings>().optional_file(missing)).is_ok());
}

#[test]
fn what_is_printed_names_sources_and_hides_secrets() {
    let all = variables(&[
        ("AUTOPACK_BUS__PASSWORD", "hunter2"),
        ("AUTOPACK_DATABASE_URL", "postgres://u:hunter2@h/db"),
    ]);
    let loaded = load(Layers::of::<Settings>().variables("AUTOPACK_", &all)).unwrap();
    let text = loaded.print_config();
    assert!(!text.contains("hunter2"), "{text}");
    for line in [
        "listen = \"127.0.0.1:0\"  # default",
        "database_url = \"postgres://u:***@h/db\"  # environment AUTOPACK_DATABASE_URL",
        "bus.password = \"***\"  # environment AUTOPACK_BUS__PASSWORD",
        "bus.url = unset  # default",
    ] {
        assert!(text.lines().any(|l| l == line), "no `{line}` in\n{text}");
    }
}
