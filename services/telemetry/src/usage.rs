//! Tokens, from the facts that the registry keeps of each run.
//!
//! Invariant: a run is asked for when an event says that something was added; a failure leaves it to be asked again.

use std::collections::BTreeMap;

use autopack_wire::{
    registry::{ListFactsRequest, UsageEvent},
    telemetry::UsageSum,
};
use tonic::Code;

use crate::Shared;

/// Runs of one pass, so that one that is slow does not hold up the rest for long.
const PASS: usize = 50;

/// Reads the usage of runs that may have changed.
pub(crate) async fn read_stale(shared: &Shared) {
    let mut stale = shared.ledger().take_stale();
    let later = stale.split_off(stale.len().min(PASS));
    for uid in later {
        shared.ledger().mark_stale(uid);
    }
    for uid in stale {
        let mut registry = shared.ports.clients.registry.clone();
        let request = ListFactsRequest {
            run_id: uid.clone(),
        };
        match registry.list_facts(request).await {
            Ok(facts) => shared.ledger().take_usage(&uid, &facts.into_inner().usage),
            Err(status) if status.code() == Code::Unavailable => shared.ledger().mark_stale(uid),
            Err(status) => {
                tracing::warn!(
                    run = uid,
                    error = status.message(),
                    "the usage of a run cannot be read"
                );
            }
        }
    }
}

/// Usage by provider, model and provenance.
pub fn sums(list: &[UsageEvent]) -> Vec<UsageSum> {
    let mut sums: BTreeMap<(&str, &str, &str), UsageSum> = BTreeMap::new();
    for usage in list.iter().filter_map(|event| event.usage.as_ref()) {
        let key = (
            usage.provider.as_str(),
            usage.model.as_str(),
            usage.provenance.as_str(),
        );
        let sum = sums.entry(key).or_insert_with(|| UsageSum {
            provider: usage.provider.clone(),
            model: usage.model.clone(),
            provenance: usage.provenance.clone(),
            ..UsageSum::default()
        });
        sum.total += usage.total;
        sum.prompt += usage.prompt.unwrap_or_default();
        sum.completion += usage.completion.unwrap_or_default();
        sum.reports += 1;
    }
    sums.into_values().collect()
}
