//! Closed lists that stand in several places must be the same list.

use std::collections::{BTreeMap, BTreeSet};

use autopack_domain::{
    Cause, EventKind, FindingCode, Reason,
    promotion::PromotionState,
    run::bootstrap::JobState,
    states::{AttemptState, PhaseState, RunState, TierState},
};
use regex::Regex;

use crate::repo::{self, Source};

/// Table and its states. A test of `migrations` compares them in every place that spells them.
pub(crate) fn state_sets() -> [(&'static str, Vec<&'static str>); 6] {
    [
        ("run", RunState::spellings()),
        ("tier", TierState::spellings()),
        ("phase", PhaseState::spellings()),
        ("attempt", AttemptState::spellings()),
        ("job", JobState::spellings()),
        ("promotion", PromotionState::spellings()),
    ]
}

/// A rule on a metric that no service exports would never fire.
#[test]
fn alert_rules_name_metrics_that_services_export() {
    let entry =
        Regex::new(r#"(?m)^    (\w+) (?:Counter|Gauge|Histogram) "(\w+)""#).expect("pattern");
    let source = repo::read("libs/runtime/src/metrics.rs");
    let known: BTreeMap<&str, &str> = entry
        .captures_iter(&source)
        .map(|hit| hit.extract::<2>().1)
        .map(|[constant, name]| (name, constant))
        .collect();
    let services = repo::files(&["services"], &[".rs"]);
    let named = Regex::new(r"autopack_[a-z]\w*").expect("pattern");
    let rules = repo::read("docker/alerts.yaml");
    let names: BTreeSet<&str> = named.find_iter(&rules).map(|hit| hit.as_str()).collect();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        let constant = known
            .get(name)
            .unwrap_or_else(|| panic!("{name} is no metric"));
        let usage = format!("metrics::{constant}");
        let used = |source: &Source| source.is_product() && source.text.contains(&usage);
        // What every service has stands in the runtime.
        let shared = name.starts_with("autopack_bus_") || name.starts_with("autopack_service_");
        assert!(
            shared || services.iter().any(used),
            "no service exports {name}"
        );
    }
    let tests = repo::read("docker/alerts_test.yaml");
    for rule in rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
    {
        let proved = format!("alertname: {rule}\n        exp_alerts:");
        assert!(tests.contains(&proved), "no test in which {rule} fires");
    }
}

fn yaml(path: &str) -> serde_json::Value {
    serde_saphyr::from_str(&repo::read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The Prometheus of the compose file fetches from each service that serves metrics, at the port where it does.
#[test]
fn compose_is_scraped_at_the_ports_where_it_serves_metrics() {
    let (compose, prometheus) = (yaml("docker/compose.yaml"), yaml("docker/prometheus.yaml"));
    let services = compose["services"].as_object().expect("services");
    let served: BTreeMap<String, u64> = services
        .iter()
        .filter_map(|(name, service)| {
            let words = service["command"].as_array()?;
            let flag = words.iter().position(|word| word == "--metrics-listen")?;
            let (_, port) = words.get(flag + 1)?.as_str()?.rsplit_once(':')?;
            Some((name.clone(), port.parse().ok()?))
        })
        .collect();
    assert_eq!(served.len(), 4, "{served:?}");
    let jobs = prometheus["scrape_configs"].as_array().expect("jobs");
    let scraped: BTreeMap<String, u64> = jobs
        .iter()
        .map(|job| {
            let found = &job["dns_sd_configs"][0];
            let name = found["names"][0].as_str().expect("a name");
            assert_eq!(job["job_name"], name);
            (name.to_owned(), found["port"].as_u64().expect("a port"))
        })
        .collect();
    assert_eq!(scraped, served);
    // What it is started with is there, and so are its rules.
    let mounts = services["prometheus"]["volumes"].as_array();
    let mounts: Vec<&str> = mounts
        .iter()
        .flat_map(|m| m.iter())
        .filter_map(|m| m.as_str())
        .collect();
    let rules = prometheus["rule_files"].as_array().expect("rules");
    let rules = rules.iter().map(|rule| rule.as_str().expect("a file"));
    for file in rules.chain(["prometheus.yaml"]) {
        repo::read(&format!("docker/{file}"));
        let mount = format!("./{file}:/etc/prometheus/{file}:ro");
        assert!(
            mounts.contains(&mount.as_str()),
            "{mount} is not in {mounts:?}"
        );
    }
}

#[test]
fn every_cause_and_reason_explains_itself() {
    let causes = Cause::ALL.iter().map(|c| (c.code(), c.text(), c.remedy()));
    let reasons = Reason::ALL.iter().map(|r| (r.code(), r.text(), r.remedy()));
    for (code, text, remedy) in causes.chain(reasons) {
        for (what, value) in [("text", text), ("remedy", remedy)] {
            assert!(value.trim().len() > 10, "{code} has no {what}");
            assert!(value.ends_with('.'), "{code}: {what} is not a sentence");
        }
        let stable = code
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        assert!(stable, "{code} is not UPPER_SNAKE_CASE");
    }
    assert!(EventKind::ALL.iter().all(|kind| !kind.text().is_empty()));
}

/// A code that no source can produce explains nothing.
#[test]
fn every_cause_reason_and_event_is_produced_somewhere() {
    let mut sources = repo::rust();
    sources.retain(Source::is_product);
    let text: String = sources.iter().map(|s| s.text.as_str()).collect();
    let camel = |code: &str| -> String {
        let words = code.split('_').map(|word| {
            let (first, rest) = word.split_at(1);
            first.to_ascii_uppercase() + &rest.to_ascii_lowercase()
        });
        words.collect()
    };
    let causes = Cause::ALL.iter().map(|c| ("Cause", c.code()));
    let reasons = Reason::ALL.iter().map(|r| ("Reason", r.code()));
    let events = EventKind::ALL.iter().map(|e| ("EventKind", e.code()));
    let findings = FindingCode::ALL.iter().map(|f| ("FindingCode", f.code()));
    let unused: Vec<String> = causes
        .chain(reasons)
        .chain(events)
        .chain(findings)
        .map(|(name, code)| format!("{name}::{}", camel(code)))
        .filter(|path| {
            let whole = Regex::new(&format!(r"\b{path}\b")).expect("pattern");
            !whole.is_match(&text)
        })
        .collect();
    assert!(
        unused.is_empty(),
        "in the catalogue, but never produced: {unused:#?}"
    );
}

/// Each failpoint stands in one list, and each of the list is hit by product code outside that list.
#[test]
fn failpoints_of_the_lists_are_the_failpoints_of_the_code() {
    let literal = Regex::new(r#""((?:registry|worker)\.[a-z_]+)""#).expect("pattern");
    let constant = Regex::new(r#"pub const (\w+): &str = "([^"]+)""#).expect("pattern");
    let call = Regex::new(r#"failpoint\)?\(\s*"([^"]+)"\s*\)"#).expect("pattern");
    let (lists, code): (Vec<_>, Vec<_>) = repo::rust()
        .into_iter()
        .filter(Source::is_product)
        .partition(|source| source.path.ends_with("/failpoints.rs"));
    let mut listed: BTreeMap<String, Option<String>> = BTreeMap::new();
    for list in &lists {
        for name in literal.captures_iter(&list.text) {
            listed.entry(name[1].to_owned()).or_default();
        }
        for name in constant.captures_iter(&list.text) {
            listed.insert(name[2].to_owned(), Some(name[1].to_owned()));
        }
    }
    assert!(listed.len() >= 10, "{listed:?}");
    for (name, constant) in &listed {
        let quoted = format!("\"{name}\"");
        let hit = code.iter().any(|source| {
            let by_constant = constant.as_ref().is_some_and(|constant| {
                let used = Regex::new(&format!(r"\b{constant}\b")).expect("pattern");
                source.text.contains("failpoint") && used.is_match(&source.text)
            });
            source.text.contains(&quoted) || by_constant
        });
        assert!(hit, "the failpoint {name} is listed, but no code hits it");
    }
    for source in &code {
        for name in call.captures_iter(&source.text) {
            assert!(
                listed.contains_key(&name[1]),
                "{} hits the failpoint {}, which no list has",
                source.path,
                &name[1]
            );
        }
    }
}
