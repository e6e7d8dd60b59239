//! Tests that a run has seen to be flaky, kept among the run's facts.
//!
//! Invariant: an entry is made only of what an attempt reports to have seen, has an end, and their number is bounded.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::time::Timestamp;

/// The fact of a run that holds its quarantine.
pub const RUN_FACT: &str = "flaky_tests";
/// The fact of an attempt that names what it has seen to be flaky: a list of ids.
pub const ATTEMPT_FACT: &str = "flaky";
/// How long a test that was seen to be flaky stays in quarantine.
pub const QUARANTINE: Duration = Duration::from_hours(7 * 24);
/// Most tests in a run's quarantine; of more, the last to end are not kept.
pub const MAX_QUARANTINED: usize = 100;
/// Longest id that is kept, in characters.
const MAX_ID: usize = 300;

/// What a run knows to be flaky: when the quarantine ends, in microseconds since 1970, by id.
pub type Quarantine = BTreeMap<String, Timestamp>;

/// The quarantine of a run's facts; what does not parse is none.
pub fn of_facts(facts: &BTreeMap<String, String>) -> Quarantine {
    let text = facts.get(RUN_FACT).map_or("{}", String::as_str);
    serde_json::from_str(text).unwrap_or_default()
}

/// The run's fact after an attempt ended with these facts; `None`: it stays as it is.
pub fn noted(
    run: &BTreeMap<String, String>,
    attempt: &serde_json::Map<String, serde_json::Value>,
    now: Timestamp,
) -> Option<String> {
    let seen = attempt.get(ATTEMPT_FACT)?.as_array()?;
    let mut quarantine = of_facts(run);
    quarantine.retain(|_, ends| *ends > now);
    for id in seen.iter().filter_map(serde_json::Value::as_str) {
        if id.is_empty() || id.chars().count() > MAX_ID {
            continue;
        }
        let known = quarantine.len() < MAX_QUARANTINED || quarantine.contains_key(id);
        if known {
            quarantine.insert(id.to_owned(), now.plus(QUARANTINE));
        }
    }
    serde_json::to_string(&quarantine).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn attempt(ids: &serde_json::Value) -> serde_json::Map<String, serde_json::Value> {
        serde_json::Map::from_iter([(ATTEMPT_FACT.to_owned(), ids.clone())])
    }

    #[test]
    fn what_was_seen_is_kept_until_its_end_and_within_bounds() {
        let mut run = BTreeMap::new();
        let now = Timestamp(1_000);
        assert_eq!(noted(&run, &serde_json::Map::new(), now), None);
        let text = noted(&run, &attempt(&json!(["a", "", 7])), now).unwrap();
        run.insert(RUN_FACT.to_owned(), text);
        assert_eq!(
            of_facts(&run),
            Quarantine::from([("a".to_owned(), now.plus(QUARANTINE))])
        );
        let later = now.plus(QUARANTINE);
        let many: Vec<String> = (0..2 * MAX_QUARANTINED).map(|n| n.to_string()).collect();
        run.insert(
            RUN_FACT.to_owned(),
            noted(&run, &attempt(&json!(many)), later).unwrap(),
        );
        let kept = of_facts(&run);
        assert!(!kept.contains_key("a"), "it has ended");
        assert_eq!(kept.len(), MAX_QUARANTINED);
        run.insert(RUN_FACT.to_owned(), "nonsense".to_owned());
        assert!(of_facts(&run).is_empty());
    }
}
