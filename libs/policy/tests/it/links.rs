//! Symbolic links: targets, and writing through one.

use std::collections::BTreeSet;

use autopack_domain::Cause;
use autopack_policy::govern::{Change, TreeFacts, primary_cause};

use crate::govern::{added, builder, causes, judged};
use crate::scope;

fn link(path: &str, target: &str) -> Change {
    Change {
        new_mode: 0o120_000,
        link_target: Some(target.as_bytes().to_vec()),
        ..added(path)
    }
}

fn escapes(entries: Vec<Change>, links: &[&str]) -> bool {
    let links: BTreeSet<String> = links.iter().map(|link| (*link).to_owned()).collect();
    let facts = TreeFacts {
        links,
        ..TreeFacts::default()
    };
    let found = judged(entries, &scope(None, &[]), &facts, &builder());
    assert!(found.is_empty() || primary_cause(&found) == Some(Cause::PathEscape));
    !found.is_empty()
}

#[test]
fn targets_must_stay_inside() {
    for (path, target) in [
        ("l", "a"),
        ("d/l", "../a"),
        ("d/e/l", "../../a/b"),
        ("d/l", "./x"),
        ("l", "a/./b"),
        ("d/l", ".."),
        ("l", "a/../b"),
        ("l", ".github"),
        ("l", "a//b"),
    ] {
        assert!(
            !escapes(vec![link(path, target)], &[]),
            "{path} -> {target}"
        );
    }
    for (path, target) in [
        ("l", "/etc/passwd"),
        ("l", ".."),
        ("l", "../x"),
        ("d/l", "../../x"),
        ("d/l", "a/../../../x"),
        ("l", ".git"),
        ("d/l", "../.git/config"),
        ("l", ".GIT/hooks"),
        ("l", "git~1"),
        ("l", "C:\\x"),
        ("l", "\\x"),
        ("l", "..\\x"),
        ("l", ""),
        ("l", "a\0b"),
        ("l", "a\nb"),
        ("l", "~/x"),
    ] {
        assert!(
            escapes(vec![link(path, target)], &[]),
            "{path} -> {target:?}"
        );
    }
    let unknown = Change {
        link_target: None,
        ..link("l", "")
    };
    assert!(escapes(vec![unknown], &[]));
    let bytes = Change {
        link_target: Some(b"\xff".to_vec()),
        ..link("l", "")
    };
    assert!(escapes(vec![bytes], &[]));
}

#[test]
fn a_link_cannot_go_up_from_another_link() {
    // `d/up` is the root itself, so `d/up/..` is outside although it reads like `d`.
    assert!(escapes(vec![link("x", "d/up/..")], &["d/up"]));
    assert!(escapes(
        vec![link("d/up", ".."), link("x", "d/up/../y")],
        &[]
    ));
    assert!(!escapes(vec![link("x", "d/up/y")], &["d/up"]));
}

#[test]
fn nothing_is_written_through_a_link() {
    assert!(escapes(vec![added("out/file")], &["out"]));
    assert!(escapes(vec![added("a/out/b/file")], &["a/out"]));
    assert!(escapes(vec![link("out", "a"), added("out/file")], &[]));
    assert!(!escapes(vec![added("outer/file"), added("out")], &["out"]));
    let facts = TreeFacts {
        links: BTreeSet::from(["out".to_owned()]),
        ..TreeFacts::default()
    };
    let found = judged(
        vec![added("out/file")],
        &scope(None, &[]),
        &facts,
        &builder(),
    );
    assert_eq!(causes(&found), [(Cause::PathEscape, "out/file")]);
    assert!(found[0].detail.contains("`out`"));
}
