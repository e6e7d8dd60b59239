//! Governance of the tree as a whole: submodules, nested repositories, collisions, sizes.

use std::collections::BTreeSet;

use autopack_domain::Cause;
use autopack_policy::govern::{Change, ChangeKind, TOTAL_BYTES, TreeFacts, primary_cause};

use crate::govern::{added, author, builder, causes, deleted, judged, modified};
use crate::{scope, strings};

#[test]
fn submodules_and_nested_repositories_are_refused() {
    let was = Change {
        old_mode: 0o160_000,
        ..deleted("lib")
    };
    let turned = Change {
        kind: ChangeKind::TypeChanged,
        old_mode: 0o160_000,
        ..added("lib")
    };
    for change in [
        was,
        turned,
        Change {
            new_mode: 0o160_000,
            ..added("lib")
        },
        modified(".gitmodules"),
    ] {
        let found = judged(
            vec![change],
            &scope(None, &[]),
            &TreeFacts::default(),
            &author(),
        );
        assert_eq!(primary_cause(&found), Some(Cause::SubmoduleChanged));
    }
    let nested = BTreeSet::from(["vendor/x".to_owned()]);
    let facts = TreeFacts {
        nested_repositories: nested,
        ..TreeFacts::default()
    };
    let found = judged(
        vec![added("vendor/x/a")],
        &scope(None, &[]),
        &facts,
        &author(),
    );
    assert_eq!(
        causes(&found),
        [
            (Cause::SubmoduleChanged, "vendor/x"),
            (Cause::SubmoduleChanged, "vendor/x/a")
        ]
    );
}

#[test]
fn a_bare_repository_in_the_tree_is_refused_once_the_change_makes_one() {
    let paths = strings(&[
        "r/HEAD",
        "r/config",
        "r/objects/pack/x",
        "r/refs/heads/main",
    ]);
    let facts = TreeFacts {
        paths,
        ..TreeFacts::default()
    };
    for path in [
        "r/HEAD",
        "r/config",
        "r/objects/pack/x",
        "r/refs/heads/main",
    ] {
        let found = judged(vec![added(path)], &scope(None, &[]), &facts, &builder());
        assert_eq!(causes(&found), [(Cause::SubmoduleChanged, "r")], "{path}");
    }
    assert!(
        judged(
            vec![added("other/HEAD")],
            &scope(None, &[]),
            &facts,
            &builder()
        )
        .is_empty()
    );
    let plain = TreeFacts {
        paths: strings(&["src/objects/a.rs", "src/refs/b.rs"]),
        ..TreeFacts::default()
    };
    assert!(
        judged(
            vec![added("src/objects/a.rs")],
            &scope(None, &[]),
            &plain,
            &builder()
        )
        .is_empty()
    );
}

#[test]
fn collisions_count_only_when_the_change_makes_them() {
    let check = |tree: &[&str], changes: Vec<Change>| {
        let facts = TreeFacts {
            paths: strings(tree),
            ..TreeFacts::default()
        };
        let found = judged(changes, &scope(None, &[]), &facts, &builder());
        found
            .into_iter()
            .map(|one| (one.cause, one.path))
            .collect::<Vec<_>>()
    };
    let hit = |path: &str| vec![(Cause::PathCollision, path.to_owned())];
    assert_eq!(check(&["a/X", "a/x"], vec![added("a/X")]), hit("a/X"));
    assert_eq!(
        check(&["Src/a", "src/b"], vec![added("Src/a")]),
        hit("Src/a")
    );
    assert_eq!(
        check(&["caf\u{e9}", "cafe\u{301}"], vec![added("cafe\u{301}")]),
        hit("cafe\u{301}")
    );
    assert_eq!(check(&["doc", "Doc/a"], vec![added("Doc/a")]), hit("Doc/a"));
    // A sign of three bytes that folds to one letter, and a folder that only a later file of it tells apart.
    assert_eq!(check(&["\u{212a}", "k"], vec![added("k")]), hit("k"));
    let later = check(&["Lib/a/x", "Lib/b/y", "lib/b/z"], vec![added("lib/b/z")]);
    assert_eq!(later, [hit("lib/b/z"), hit("lib/b/z")].concat());
    assert_eq!(check(&["A", "a"], vec![added("A"), added("a")]).len(), 2);
    // The base has it already, or the other name is gone.
    assert!(check(&["x/A", "x/a"], vec![modified("x/a")]).is_empty());
    assert!(check(&["X/a", "x/b", "x/c"], vec![added("x/c")]).is_empty());
    assert!(check(&["b/X"], vec![added("b/X"), deleted("b/x")]).is_empty());
}

#[test]
fn sizes_are_limited_one_by_one_and_together() {
    let spec = scope(None, &[]);
    let sized = |path: &str, size| Change {
        size,
        ..added(path)
    };
    let facts = TreeFacts::default();
    let just = vec![sized("a", 10_240 * 1024)];
    assert!(judged(just, &spec, &facts, &builder()).is_empty());
    let one = judged(
        vec![sized("a", 10_240 * 1024 + 1)],
        &spec,
        &facts,
        &builder(),
    );
    assert_eq!(causes(&one), [(Cause::ChangeTooLarge, "a")]);
    let many: Vec<Change> = (0..101).map(|i| deleted(&format!("f{i}"))).collect();
    assert_eq!(
        causes(&judged(many[..100].to_vec(), &spec, &facts, &builder())),
        []
    );
    assert_eq!(
        causes(&judged(many, &spec, &facts, &builder())),
        [(Cause::ChangeTooLarge, "")]
    );
    let parts: Vec<Change> = (0..6)
        .map(|i| sized(&format!("f{i}"), TOTAL_BYTES / 6 + 1))
        .collect();
    assert_eq!(
        causes(&judged(parts, &spec, &facts, &builder())),
        [(Cause::ChangeTooLarge, "")]
    );
    let huge = vec![sized("a", u64::MAX), sized("b", u64::MAX)];
    assert_eq!(judged(huge, &spec, &facts, &builder()).len(), 3);
}
