//! Scope: the three forms of entries, deny wins, clashes.

use autopack_policy::scope::{CompiledScope, scope_clashes};

use crate::scope;

fn compiled(paths: Option<&[&str]>, protected: &[&str]) -> CompiledScope {
    CompiledScope::compile(&scope(paths, protected)).unwrap()
}

#[test]
fn entries_allow_what_their_form_says() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        (
            "src/lib.rs",
            &["src/lib.rs"],
            &["src/lib.rs.bak", "src/lib", "src/lib.rs/x", "SRC/lib.rs"],
        ),
        ("src/", &["src/a", "src/a/b"], &["src", "srcs/a", "a/src/b"]),
        ("src", &["src"], &["src/a"]),
        (
            "src/*.rs",
            &["src/a.rs"],
            &["src/a/b.rs", "a.rs", "src/a.py"],
        ),
        ("src/**", &["src/a", "src/a/b.rs"], &["src", "lib/src/a"]),
        ("**/*.md", &["a.md", "docs/x/a.md"], &["a.mdx"]),
        ("src/**/t.rs", &["src/t.rs", "src/a/b/t.rs"], &["t.rs"]),
        ("a?.txt", &["ab.txt"], &["a/.txt", "a.txt", "abc.txt"]),
        ("[ab].txt", &["a.txt"], &["c.txt"]),
        ("{src,lib}/*", &["src/a", "lib/a"], &["src/a/b", "bin/a"]),
        ("pkg*/", &["pkg1/a", "pkg2/a/b"], &["pkg1", "x/pkg1/a"]),
        ("**", &["a", "a/b"], &[]),
        ("./src//a", &["src/a"], &["a"]),
    ];
    for (entry, yes, no) in cases {
        let scope = compiled(Some(&[entry]), &[]);
        for path in *yes {
            assert!(scope.allows(path), "{entry} allows {path}");
        }
        for path in *no {
            assert!(!scope.allows(path), "{entry} does not allow {path}");
        }
    }
}

#[test]
fn left_out_means_everything_and_empty_means_nothing() {
    let open = compiled(None, &[]);
    assert!(open.is_open() && open.allows("anything/at/all"));
    assert!(!open.names_literally("anything/at/all"));
    let nothing = compiled(Some(&[]), &[]);
    assert!(!nothing.is_open() && !nothing.allows("a"));
}

#[test]
fn deny_wins_over_every_form_of_allow() {
    for allowed in [
        None,
        Some(["**"].as_slice()),
        Some(&["config/models.yaml"]),
        Some(&["config/"]),
    ] {
        for denied in [
            "config/",
            "config/models.yaml",
            "config/*",
            "**/models.yaml",
            "./config//",
            "CONFIG/",
            "config",
        ] {
            let scope = compiled(allowed, &[denied]);
            assert!(!scope.allows("config/models.yaml"), "{allowed:?} {denied}");
            assert!(scope.protects("config/models.yaml"));
        }
    }
}

#[test]
fn some_paths_are_always_protected() {
    let scope = compiled(None, &[]);
    for path in [
        ".autopack/x",
        ".autopack",
        ".Autopack/state",
        ".autonomous_runs/a/b",
        ".AUTONOMOUS_RUNS/a",
        ".git/config",
    ] {
        assert!(!scope.allows(path), "{path}");
    }
    assert!(scope.allows(".autopackrc") && scope.allows("a/.autopack/x"));
}

#[test]
fn a_protected_folder_cannot_be_replaced_by_a_file_or_a_link() {
    let scope = compiled(None, &["secrets/", "keys/**", "caf\u{e9}/"]);
    assert!(!scope.allows("secrets"));
    assert!(!scope.allows("Secrets/a"));
    assert!(!scope.allows("keys/a/b"));
    assert!(!scope.allows("cafe\u{301}/x"));
    assert!(scope.allows("secrets.md"));
}

#[test]
fn only_an_exact_entry_names_literally() {
    let scope = compiled(Some(&["Cargo.toml", "a/", "b/*", "{c,d}.txt"]), &[]);
    assert!(scope.names_literally("Cargo.toml"));
    for path in ["a/x", "b/x", "c.txt", "cargo.toml"] {
        assert!(!scope.names_literally(path), "{path}");
    }
}

#[test]
fn every_unreadable_entry_is_listed() {
    let spec = scope(
        Some(&["ok", "/abs", "../up", "a[", ".git/hooks"]),
        &["", ".git/", "x/../y"],
    );
    let faults = CompiledScope::compile(&spec).unwrap_err();
    let paths: Vec<&str> = faults.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "scope.paths[1]",
            "scope.paths[2]",
            "scope.paths[3]",
            "scope.paths[4]",
            "scope.protected_paths[0]",
            "scope.protected_paths[2]",
        ]
    );
}

#[test]
fn clashes_are_entries_that_can_never_be_written() {
    let spec = scope(
        Some(&[
            "config/a.yaml",
            "config/",
            "config/**",
            "Config/*.yaml",
            "src/**",
            "**",
            "conf*",
            ".autopack/x",
            "docs/*.md",
            "src/gen/x.rs",
        ]),
        &["config/", "docs/*.md", "src/gen"],
    );
    let faults: Vec<String> = scope_clashes(&spec)
        .into_iter()
        .map(|fault| fault.path)
        .collect();
    let expected: Vec<String> = [0, 1, 2, 3, 7, 8, 9]
        .iter()
        .map(|i| format!("scope.paths[{i}]"))
        .collect();
    assert_eq!(faults, expected);
    assert!(scope_clashes(&scope(None, &["src/"])).is_empty());
}
