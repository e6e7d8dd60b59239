//! Ended at each named place of registry and worker.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use crate::moments::{Moments, each, seed};
use crate::scene::Scene;
use crate::trial::{Keep, reference};

const ABORTED: i32 = 6;

/// The names that the sources list.
fn names() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let word = regex::Regex::new(r#""((?:registry|worker)\.[a-z_]+)""#).unwrap();
    let mut names = BTreeSet::new();
    for service in ["run-registry", "builder-worker"] {
        let file = root
            .join("services")
            .join(service)
            .join("src/failpoints.rs");
        let text = std::fs::read_to_string(&file).unwrap();
        names.extend(word.captures_iter(&text).map(|found| found[1].to_owned()));
    }
    // No run promotes itself: `e2e/cli/promote.rs` ends promotions there.
    names.retain(|name| !name.starts_with("worker.promote_"));
    assert!(names.len() >= 14, "{names:?}");
    names.into_iter().collect()
}

#[test]
fn a_run_that_ends_at_a_failpoint_is_continued() {
    let (seed, reference) = (seed(), reference());
    eprintln!("crash: failpoints, AUTOPACK_CRASH_SEED={seed}");
    let mut trials = Vec::new();
    for (n, name) in names().into_iter().enumerate() {
        // The first time, and once in the middle: every phase passes most of them, ten phases all; there are five
        // migrations.
        let most = if name == "registry.in_migration" {
            3
        } else {
            7
        };
        let later = 2 + Moments::of(seed, 2000 + n).below(most);
        trials.extend([(name.clone(), 1), (name, later)]);
    }
    each(
        &trials,
        |_, (name, hit)| format!("AUTOPACK_FAILPOINT={name}={hit}"),
        |_, (name, hit)| {
            let kept = Keep::new(Scene::new());
            let status = kept.scene().crash_at(name, *hit);
            assert_eq!(
                status.signal(),
                Some(ABORTED),
                "{name} was not hit {hit} times: {status} (is the binary built with `--features autopack/failpoints`?)"
            );
            kept.scene().must_end_well(reference);
        },
    );
}

#[test]
fn a_crash_at_every_failpoint_in_turn_does_not_stop_a_run() {
    let reference = reference();
    // One run that dies at each worker failpoint of its second landing, one after the other: no phase may be
    // quarantined for it, because each crash hits another phase or hands over what was not begun.
    let kept = Keep::new(Scene::new());
    for name in [
        "registry.after_commit",
        "worker.before_prepare",
        "worker.after_prepare",
        "worker.after_push",
    ] {
        let status = kept.scene().crash_at(name, 2);
        assert_eq!(status.signal(), Some(ABORTED), "{name}: {status}");
    }
    kept.scene().must_end_well(reference);
}
