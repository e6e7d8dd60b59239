//! `depends_on`: references to ids, the default order, and freedom from cycles.
//!
//! Invariant: after [`resolve`] without a fault every reference is to another phase of the same or an
//! earlier tier, and no phase waits for itself.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    keys::nearest,
    lists::Seen,
    node::{Cx, clip, join},
    tiers::TierDraft,
};
use crate::{fault::Fault, ids::PhaseId};

/// Most phases that a printed cycle names.
const SHOWN: usize = 12;

/// Where a phase is: tier, position.
type Place = (usize, usize);

/// Checks that phase ids are unique, then turns references into ids.
pub(super) fn resolve(cx: &mut Cx, tiers: &mut [TierDraft]) {
    let mut places: BTreeMap<String, (Place, Option<PhaseId>)> = BTreeMap::new();
    let mut seen = Seen::default();
    for (tier, draft) in tiers.iter().enumerate() {
        for (position, phase) in draft.phases.iter().enumerate() {
            let id = phase.spec.as_ref().map(|spec| spec.id.clone());
            if let Some(id) = &id {
                seen.first(cx, id.as_str(), &join(&phase.path, "id"));
                places
                    .entry(id.to_string())
                    .or_insert(((tier, position), Some(id.clone())));
            }
            // A reference to an id that was refused or changed is not a second fault.
            if let Some(written) = &phase.written {
                places
                    .entry(written.clone())
                    .or_insert(((tier, position), id));
            }
        }
    }
    let mut edges: BTreeMap<Place, Vec<Place>> = BTreeMap::new();
    for (tier, draft) in tiers.iter_mut().enumerate() {
        let mut before: Option<(Place, PhaseId)> = None;
        for (position, phase) in draft.phases.iter_mut().enumerate() {
            let here = (tier, position);
            let mut ids = Vec::new();
            match &phase.depends {
                None => ids.extend(before.iter().map(|(place, id)| (*place, id.clone()))),
                Some(written) => {
                    let mut earlier = BTreeSet::new();
                    for (name, path) in written {
                        ids.extend(reference(cx, &places, here, name, path, &mut earlier));
                    }
                }
            }
            edges.insert(here, ids.iter().map(|(place, _)| *place).collect());
            if let Some(spec) = &mut phase.spec {
                spec.depends_on = ids.into_iter().map(|(_, id)| id).collect();
                before = Some((here, spec.id.clone()));
            }
        }
    }
    cycles(cx, tiers, &edges);
}

/// One entry of `depends_on`.
fn reference(
    cx: &mut Cx,
    places: &BTreeMap<String, (Place, Option<PhaseId>)>,
    here: Place,
    name: &str,
    path: &str,
    earlier: &mut BTreeSet<Place>,
) -> Option<(Place, PhaseId)> {
    let shown = clip(name, 80);
    let Some((place, id)) = places.get(name) else {
        let known = places
            .keys()
            .map(String::as_str)
            .filter(|id| id.len() <= 128);
        let known: Vec<&str> = known.take(if cx.may_hint(0) { 1000 } else { 20 }).collect();
        let near = if cx.may_hint(10) {
            nearest(name, &known)
        } else {
            None
        };
        let hint = near.map_or(String::new(), |near| format!(" (did you mean `{near}`?)"));
        let fault = Fault::new(path, format!("names the unknown phase `{shown}`{hint}"));
        let example = near
            .or_else(|| known.first().copied())
            .unwrap_or_default()
            .to_owned();
        cx.faults
            .push(fault.allowed(known.into_iter().take(20)).example(example));
        return None;
    };
    if *place == here {
        cx.fault_like(
            path,
            format!("`{shown}` depends on itself"),
            "the phases that must be complete before it",
        );
        return None;
    }
    if place.0 > here.0 {
        let problem = format!("`{shown}` is in a later tier; tiers run in order");
        cx.fault_like(path, problem, "a phase of the same or an earlier tier");
        return None;
    }
    if !earlier.insert(*place) {
        if !cx.older() {
            cx.fault_like(path, format!("names `{shown}` twice"), "each phase once");
        }
        return None;
    }
    Some((*place, id.clone()?))
}

/// Reports each cycle once, as a chain. No recursion: a chain may be as long as the plan.
fn cycles(cx: &mut Cx, tiers: &[TierDraft], edges: &BTreeMap<Place, Vec<Place>>) {
    let name = |place: &Place| {
        let phase = tiers.get(place.0).and_then(|tier| tier.phases.get(place.1));
        phase
            .and_then(|phase| phase.spec.as_ref())
            .map_or("?", |spec| spec.id.as_str())
    };
    let mut done: BTreeSet<Place> = BTreeSet::new();
    for start in edges.keys() {
        // The way from `start` down, each with the number of its edges already followed.
        let mut way: Vec<(Place, usize)> = vec![(*start, 0)];
        let mut on_way: BTreeSet<Place> = BTreeSet::from([*start]);
        if done.contains(start) {
            continue;
        }
        while let Some((place, followed)) = way.last_mut() {
            let place = *place;
            let Some(next) = edges
                .get(&place)
                .and_then(|next| next.get(*followed))
                .copied()
            else {
                done.insert(place);
                on_way.remove(&place);
                way.pop();
                continue;
            };
            *followed += 1;
            if on_way.contains(&next) {
                let from = way
                    .iter()
                    .position(|(place, _)| *place == next)
                    .unwrap_or_default();
                let chain: Vec<&str> = way[from..].iter().map(|(place, _)| name(place)).collect();
                let mut shown: Vec<&str> = chain.iter().copied().take(SHOWN).collect();
                if chain.len() > SHOWN {
                    shown.push("...");
                }
                shown.push(name(&next));
                let at = tiers.get(next.0).and_then(|tier| tier.phases.get(next.1));
                let path = at
                    .map(|phase| join(&phase.path, "depends_on"))
                    .unwrap_or_default();
                let problem = format!("the phases wait for each other: {}", shown.join(" -> "));
                cx.fault_like(&path, problem, "remove one of these references");
            } else if !done.contains(&next) {
                on_way.insert(next);
                way.push((next, 0));
            }
        }
    }
}
