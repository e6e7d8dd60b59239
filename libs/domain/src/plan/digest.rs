//! Canonical JSON of a plan, its digest, the id convention for runs, and access to patch files.
//!
//! Invariant: equal plans have equal canonical JSON (keys sorted, no white space), hence equal digests.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::model::{BuilderSpec, PatchSpec, PhaseSpec, Plan};
use crate::ids::{PhaseId, RunId, is_user_id};

/// Longest slug of a derived run id.
const SLUG: usize = 40;

/// The plan as canonical JSON: one line, keys sorted. Stored with the run; read back with serde.
pub fn canonical_json(plan: &Plan) -> String {
    // A plan holds only strings, integers, lists and maps with string keys: serialising cannot fail.
    serde_json::to_value(plan)
        .map(|value| sorted(&value))
        .unwrap_or_default()
}

fn sorted(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<&String, &Value> = map.iter().collect();
            let items: Vec<String> = ordered
                .iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), sorted(value)))
                .collect();
            format!("{{{}}}", items.join(","))
        }
        Value::Array(items) => {
            format!(
                "[{}]",
                items.iter().map(sorted).collect::<Vec<_>>().join(",")
            )
        }
        scalar => scalar.to_string(),
    }
}

/// SHA-256 of [`canonical_json`] in hex.
pub fn plan_digest(plan: &Plan) -> String {
    Sha256::digest(canonical_json(plan))
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// The id of a run whose plan names none: `<slug of the goal>-<8 hex of the digest>`.
pub fn derive_run_id(goal: &str, digest_hex: &str) -> RunId {
    let mut tail: String = digest_hex
        .chars()
        .filter(char::is_ascii_hexdigit)
        .take(8)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    while tail.len() < 8 {
        tail.push('0');
    }
    let slug = slug(goal, SLUG);
    let stem = if slug.is_empty() { "run" } else { &slug };
    id_of(&format!("{stem}-{tail}"))
}

/// Lower-case ASCII letters and digits of a text, joined by single dashes, cut at a word if possible.
pub fn slug(text: &str, max: usize) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() > max {
            slug.truncate(max);
            if let Some(at) = slug.rfind('-').filter(|at| *at >= max / 2) {
                slug.truncate(at);
            }
            break;
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// An id from a text that was built to satisfy the rule.
fn id_of(text: &str) -> RunId {
    let text = if is_user_id(text) {
        text
    } else {
        "run-00000000"
    };
    #[expect(
        clippy::expect_used,
        reason = "both texts satisfy the rule; a property test says so"
    )]
    text.parse().expect("a slug and hex digits are an id")
}

/// Every patch file of the plan, in order: the phase, the position in its series, the patch.
pub fn patch_paths(plan: &Plan) -> impl Iterator<Item = (&PhaseSpec, usize, &PatchSpec)> {
    plan.tiers
        .iter()
        .flat_map(|tier| &tier.phases)
        .flat_map(|phase| {
            let patches = match &phase.builder {
                Some(BuilderSpec::Patch { patches }) => patches.as_slice(),
                _ => &[],
            };
            patches
                .iter()
                .enumerate()
                .map(move |(index, patch)| (phase, index, patch))
        })
}

/// Records the digest of a patch file that was read; `false` if there is no such patch.
pub fn set_patch_digest(plan: &mut Plan, phase: &PhaseId, index: usize, digest: &str) -> bool {
    let mut phases = plan.tiers.iter_mut().flat_map(|tier| &mut tier.phases);
    let Some(phase) = phases.find(|candidate| candidate.id == *phase) else {
        return false;
    };
    let Some(BuilderSpec::Patch { patches }) = &mut phase.builder else {
        return false;
    };
    let Some(patch) = patches.get_mut(index) else {
        return false;
    };
    digest.clone_into(&mut patch.digest);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_ids_follow_the_convention() {
        let digest = "ABCDEF0123456789";
        assert_eq!(
            derive_run_id("Add JWT-based login!", digest).as_str(),
            "add-jwt-based-login-abcdef01"
        );
        assert_eq!(derive_run_id("", digest).as_str(), "run-abcdef01");
        assert_eq!(derive_run_id("ÄÖÜ", "").as_str(), "run-00000000");
        let long = derive_run_id(&"word ".repeat(40), digest);
        assert!(long.as_str().len() <= SLUG + 9, "{long}");
    }

    proptest::proptest! {
        #[test]
        fn every_goal_gives_an_id(goal in "\\PC{0,200}", digest in "[0-9a-zA-Z]{0,70}") {
            let id = derive_run_id(&goal, &digest);
            proptest::prop_assert!(id.as_str().len() <= SLUG + 9);
            proptest::prop_assert!(id.as_str().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        }
    }
}
