//! What a model's calls used, booked with the attempt, and told beside what was predicted.
//!
//! Invariant: each call is booked once; a figure that is not the provider's own is called derived or estimated, and
//! one that nobody told is charged as the plan says, never taken for nothing.

use autopack_adapters::endpoint::Reply;
use autopack_adapters::usage::Metered;
use autopack_domain::Cause;
use autopack_domain::plan::UnknownUsage;
use autopack_domain::usage::{Provenance, Usage};
use autopack_policy::output::smape;
use serde_json::{Value, json};

use super::super::Job;
use super::Asking;
use crate::error::Stop;

/// Sums of one attempt.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    total: u64,
    output: u64,
    uncached: u64,
    cache_read: u64,
    cache_write: u64,
    partial: bool,
    provenance: Option<Provenance>,
    /// Budget of the last call.
    budget: u64,
    stop: String,
    cut: bool,
    /// Estimates of calls whose tokens nobody told; booked only beside others, for alone they are charged in full.
    untold: Vec<Usage>,
}

impl Sums {
    /// What the last answer said about its end.
    pub(super) fn ended(&mut self, reply: &Reply, budget: u64, cut: bool) {
        self.budget = budget;
        self.cut |= cut;
        self.stop = reply
            .stop
            .as_ref()
            .map_or_else(String::new, |stop| stop.as_str().to_owned());
    }
}

/// Books one call; the failure, if the plan refuses usage that nobody told.
pub(super) fn book(
    job: &mut Job<'_>,
    asking: &mut Asking<'_>,
    reply: &Reply,
    bytes: u64,
) -> Result<(), Stop> {
    let (metered, odd) = reply.metered(bytes);
    if odd {
        job.warn("the provider's figures do not add up to its own total");
    }
    add(&mut asking.sums, &metered);
    job.cx
        .host
        .models
        .spend(&asking.target.provider, metered.total);
    if metered.provenance != Provenance::Estimated
        || asking.spec.unknown_usage == UnknownUsage::Estimate
    {
        let (provider, model) = (&asking.target.provider, &asking.target.model);
        job.evidence.usage.push(metered.usage(provider, model));
        return Ok(());
    }
    job.evidence.usage_unknown = true;
    let usage = metered.usage(&asking.target.provider, &asking.target.model);
    asking.sums.untold.push(usage);
    if asking.spec.unknown_usage == UnknownUsage::Refuse {
        let text = "the provider told no tokens, and `builder.unknown_usage` is `refuse`";
        return Err(Stop::failed(Cause::BuilderFailed, text));
    }
    Ok(())
}

fn add(sums: &mut Sums, metered: &Metered) {
    let tokens = metered.tokens;
    sums.total += metered.total;
    sums.output += tokens.output.unwrap_or(0);
    sums.uncached += tokens.uncached.unwrap_or(0);
    sums.cache_read += tokens.cache_read.unwrap_or(0);
    sums.cache_write += tokens.cache_write.unwrap_or(0);
    sums.partial |= metered.partial;
    // The least certain of all calls.
    let rank = |provenance: Provenance| match provenance {
        Provenance::Reported => 0,
        Provenance::Derived => 1,
        Provenance::Estimated => 2,
        Provenance::Unknown => 3,
    };
    let worst = sums.provenance.unwrap_or(metered.provenance);
    sums.provenance = Some(if rank(metered.provenance) > rank(worst) {
        metered.provenance
    } else {
        worst
    });
}

/// Leaves the sums with the attempt's facts.
pub(super) fn tell(job: &mut Job<'_>, asking: &mut Asking<'_>) {
    if !job.evidence.usage.is_empty() && !asking.sums.untold.is_empty() {
        job.evidence.usage.append(&mut asking.sums.untold);
        job.evidence.usage_unknown = false;
    }
    let sums = &asking.sums;
    let provenance = sums.provenance.map_or("none", Provenance::as_str);
    job.fact(
        "model_usage",
        json!({
            "calls": asking.calls,
            "uncached": sums.uncached,
            "cache_read": sums.cache_read,
            "cache_write": sums.cache_write,
            "output": sums.output,
            "total": sums.total,
            "provenance": provenance,
            "partial": sums.partial,
        }),
    );
    let shown = job.cx.host.models.shown(&asking.target.provider);
    job.fact("provider", shown);
    if asking.calls == 0 || sums.provenance.is_none() {
        return;
    }
    let Some(Value::Object(estimation)) = job.facts.get_mut("estimation") else {
        return;
    };
    let predicted = estimation
        .get("predicted_output_tokens")
        .and_then(Value::as_u64)
        .unwrap_or(0);
    for (name, value) in [
        ("actual_output_tokens", json!(sums.output)),
        ("actual_max_tokens", json!(sums.budget)),
        ("stop_reason", json!(sums.stop)),
        ("truncated", json!(sums.cut)),
        ("underestimated", json!(sums.output > predicted)),
        ("smape_percent", json!(smape(predicted, sums.output))),
    ] {
        estimation.insert(name.to_owned(), value);
    }
}
