//! Governance: each rule by itself, every violation at once, and the fixed order.

use autopack_domain::Cause;
use autopack_domain::plan::{BuilderSpec, LimitSpec, ModelSpec, ScopeSpec};
use autopack_policy::govern::{
    BinaryPolicy, Change, ChangeKind, ChangeSet, GateFiles, Rules, TreeFacts, Trust, Violation,
    judge, missing_deliverables, primary_cause,
};
use autopack_policy::scope::CompiledScope;

use crate::{scope, strings};

pub(crate) fn added(path: &str) -> Change {
    Change {
        path: path.as_bytes().to_vec(),
        kind: ChangeKind::Added,
        old_mode: 0,
        new_mode: 0o100_644,
        size: 10,
        is_binary: false,
        link_target: None,
    }
}

pub(crate) fn modified(path: &str) -> Change {
    Change {
        kind: ChangeKind::Modified,
        old_mode: 0o100_644,
        ..added(path)
    }
}

pub(crate) fn deleted(path: &str) -> Change {
    Change {
        kind: ChangeKind::Deleted,
        old_mode: 0o100_644,
        new_mode: 0,
        size: 0,
        ..added(path)
    }
}

fn binary(path: &str) -> Change {
    Change {
        is_binary: true,
        ..added(path)
    }
}

pub(crate) fn builder() -> Rules {
    Rules::for_builder(&BuilderSpec::external(), GateFiles::default())
}

pub(crate) fn author() -> Rules {
    let patch = BuilderSpec::Patch {
        patches: Vec::new(),
    };
    Rules::for_builder(&patch, GateFiles::default())
}

pub(crate) fn judged(
    entries: Vec<Change>,
    spec: &ScopeSpec,
    facts: &TreeFacts,
    rules: &Rules,
) -> Vec<Violation> {
    let scope = CompiledScope::compile(spec).unwrap();
    judge(
        &ChangeSet { entries },
        &scope,
        &LimitSpec::default(),
        facts,
        rules,
    )
}

pub(crate) fn causes(found: &[Violation]) -> Vec<(Cause, &str)> {
    found
        .iter()
        .map(|one| (one.cause, one.path.as_str()))
        .collect()
}

#[test]
fn a_change_in_scope_has_no_violation() {
    let spec = scope(Some(&["src/"]), &[]);
    let entries = vec![added("src/a.rs"), modified("src/b.rs"), deleted("src/c.rs")];
    assert!(judged(entries, &spec, &TreeFacts::default(), &builder()).is_empty());
    assert_eq!(primary_cause(&[]), None);
}

#[test]
fn every_violation_is_listed_in_a_fixed_order() {
    let spec = scope(Some(&["src/"]), &["src/core/"]);
    let entries = vec![
        binary("src/logo.png"),
        deleted("other.rs"),
        modified("src/package.json"),
        modified("src/core/a.rs"),
        added("../escape"),
        Change {
            size: 20_000_000,
            ..added("src/big.txt")
        },
        Change {
            new_mode: 0o160_000,
            ..added("src/sub")
        },
        added("src/README"),
    ];
    let facts = TreeFacts {
        paths: strings(&["src/readme", "src/README"]),
        ..TreeFacts::default()
    };
    let expected = [
        (Cause::PathEscape, "../escape"),
        (Cause::SubmoduleChanged, "src/sub"),
        (Cause::ProtectedPath, "src/core/a.rs"),
        (Cause::OutOfScope, "other.rs"),
        (Cause::GateFilesChanged, "src/package.json"),
        (Cause::PathCollision, "src/README"),
        (Cause::ChangeTooLarge, "src/big.txt"),
        (Cause::BinaryRefused, "src/logo.png"),
    ];
    let found = judged(entries.clone(), &spec, &facts, &builder());
    assert_eq!(causes(&found), expected);
    assert_eq!(primary_cause(&found), Some(Cause::PathEscape));
    let reversed = entries.into_iter().rev().collect();
    assert_eq!(judged(reversed, &spec, &facts, &builder()), found);
}

#[test]
fn one_path_may_break_several_rules() {
    let spec = scope(Some(&["src/"]), &["ci/"]);
    let found = judged(
        vec![binary("ci/conftest.py")],
        &spec,
        &TreeFacts::default(),
        &builder(),
    );
    let expected = [
        Cause::ProtectedPath,
        Cause::OutOfScope,
        Cause::GateFilesChanged,
        Cause::BinaryRefused,
    ];
    assert_eq!(
        found.iter().map(|one| one.cause).collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn paths_that_are_no_paths_are_escapes() {
    for raw in [
        "/etc/x",
        "a/../b",
        ".git/hooks/pre-commit",
        "x/.GIT /config",
        "a//b",
        "a\tb",
    ] {
        for change in [added(raw), deleted(raw)] {
            let found = judged(
                vec![change],
                &scope(None, &[]),
                &TreeFacts::default(),
                &author(),
            );
            assert_eq!(primary_cause(&found), Some(Cause::PathEscape), "{raw}");
        }
    }
    let change = Change {
        path: b"a/\xff\xfe".to_vec(),
        ..added("")
    };
    let found = judged(
        vec![change],
        &scope(None, &[]),
        &TreeFacts::default(),
        &author(),
    );
    assert_eq!(causes(&found), [(Cause::PathEscape, "a/\u{fffd}\u{fffd}")]);
    let change = Change {
        new_mode: 0o040_000,
        ..added("dir")
    };
    let found = judged(
        vec![change],
        &scope(None, &[]),
        &TreeFacts::default(),
        &author(),
    );
    assert_eq!(causes(&found), [(Cause::PathEscape, "dir")]);
}

#[test]
fn binaries_must_be_named_unless_the_patch_is_explicit() {
    let facts = TreeFacts::default();
    let cases: &[(Option<&[&str]>, Rules, bool)] = &[
        (None, author(), true),
        (None, builder(), false),
        (Some(&["a/"]), author(), false),
        (Some(&["a/logo.png"]), author(), true),
        (Some(&["a/logo.png"]), builder(), true),
        (Some(&["a/*.png"]), builder(), false),
    ];
    for (paths, rules, fine) in cases {
        let found = judged(
            vec![binary("a/logo.png")],
            &scope(*paths, &[]),
            &facts,
            rules,
        );
        assert_eq!(found.is_empty(), *fine, "{paths:?} {rules:?}");
    }
    let gone = Change {
        is_binary: true,
        ..deleted("a/logo.png")
    };
    assert!(judged(vec![gone], &scope(None, &[]), &facts, &builder()).is_empty());
}

#[test]
fn only_patches_are_the_authors_own() {
    let kinds = [
        BuilderSpec::external(),
        BuilderSpec::Noop,
        BuilderSpec::Model(ModelSpec::new("m")),
    ];
    for kind in kinds {
        let rules = Rules::for_builder(&kind, GateFiles::default());
        assert_eq!(
            (rules.trust, rules.binary),
            (Trust::Builder, BinaryPolicy::Named)
        );
    }
    assert_eq!(
        (author().trust, author().binary),
        (Trust::Author, BinaryPolicy::Explicit)
    );
}

#[test]
fn files_that_decide_the_gate_need_a_literal_name() {
    let facts = TreeFacts::default();
    let cases: &[(Option<&[&str]>, Rules, bool)] = &[
        (None, author(), true),
        (None, builder(), false),
        (Some(&["**"]), author(), false),
        (Some(&["**"]), builder(), false),
        (Some(&["tests/"]), builder(), false),
        (Some(&["tests/conftest.py"]), builder(), true),
        (Some(&["tests/conftest.py"]), author(), true),
    ];
    for (paths, rules, fine) in cases {
        for change in [
            added("tests/conftest.py"),
            modified("tests/conftest.py"),
            deleted("tests/conftest.py"),
        ] {
            let found = judged(vec![change], &scope(*paths, &[]), &facts, rules);
            assert_eq!(found.is_empty(), *fine, "{paths:?} {rules:?}");
            assert!(found.iter().all(|one| one.cause == Cause::GateFilesChanged));
        }
    }
}

#[test]
fn deliverables_are_files_folders_or_globs() {
    let tree = strings(&["docs/a.md", "src/lib.rs", "empty"]);
    let declared = strings(&[
        "docs/",
        "./src//lib.rs",
        "docs/*.md",
        "docs",
        "empty/",
        "src/*.py",
        "../x",
        "missing",
    ]);
    let missing = missing_deliverables(&declared, &tree);
    assert_eq!(missing, ["docs", "empty/", "src/*.py", "../x", "missing"]);
}
