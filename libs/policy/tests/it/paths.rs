//! Paths: what is refused, and what only looks dangerous.

use autopack_policy::paths::{PathFault, check, fold, is_dot_git, normalise_entry};

#[test]
fn bad_paths_are_refused_with_their_reason() {
    let long = "a".repeat(256);
    let cases: &[(&[u8], PathFault)] = &[
        (b"", PathFault::Empty),
        (b"a/\xff", PathFault::NotUtf8),
        (b"/etc/passwd", PathFault::Absolute),
        (b"C:\\x", PathFault::Absolute),
        (b"c:/x", PathFault::Absolute),
        (b"\\\\server\\share", PathFault::Absolute),
        (b"a//b", PathFault::EmptyComponent),
        (b"a/", PathFault::EmptyComponent),
        (b"./a", PathFault::Dot),
        (b"a/./b", PathFault::Dot),
        (b"..", PathFault::DotDot),
        (b"a/../b", PathFault::DotDot),
        (b"a\\..\\b", PathFault::DotDot),
        (b"a\nb", PathFault::Control),
        (b"a\0b", PathFault::Control),
        (b"a\x7f", PathFault::Control),
        (long.as_bytes(), PathFault::TooLong),
        (b".git/config", PathFault::DotGit),
        (b"sub/.GIT/hooks/x", PathFault::DotGit),
        (b".git \\x", PathFault::DotGit),
        (b".git ", PathFault::DotGit),
        (b".git...", PathFault::DotGit),
        (b".git . .", PathFault::DotGit),
        (b"GIT~1/config", PathFault::DotGit),
        (b".git::$INDEX_ALLOCATION/x", PathFault::DotGit),
        (b".git:stream", PathFault::DotGit),
        (b"a\\.git\\config", PathFault::DotGit),
        (".g\u{200c}it/config".as_bytes(), PathFault::DotGit),
        ("\u{feff}.Git".as_bytes(), PathFault::DotGit),
        (".gi\u{202e}t ".as_bytes(), PathFault::DotGit),
    ];
    for (raw, fault) in cases {
        assert_eq!(check(raw), Err(*fault), "{}", String::from_utf8_lossy(raw));
        assert!(!fault.to_string().is_empty());
    }
}

#[test]
fn ordinary_paths_are_accepted() {
    for path in [
        "a",
        "src/lib.rs",
        ".gitignore",
        ".gitattributes",
        ".github/x",
        "git~2",
        "gitx",
        ".gitx",
        "...",
        "a b/ç.txt",
        "units/a\\x2db.slice",
        "con",
        "aux.txt",
        "a:b:c",
        "ab:/c",
        "x/.g\u{2028}it",
    ] {
        assert_eq!(check(path.as_bytes()), Ok(path));
        assert!(!path.split('/').any(is_dot_git), "{path}");
    }
}

#[test]
fn entries_of_a_plan_are_brought_to_one_form() {
    for (entry, normal) in [
        ("./src/lib.rs", "src/lib.rs"),
        ("src//lib.rs", "src/lib.rs"),
        ("src/", "src/"),
        ("./src//a/./", "src/a/"),
        ("**", "**"),
    ] {
        assert_eq!(normalise_entry(entry).as_deref(), Ok(normal));
    }
    for (entry, fault) in [
        ("", PathFault::Empty),
        ("./", PathFault::Dot),
        ("/src", PathFault::Absolute),
        ("../x", PathFault::DotDot),
        ("src/../../x", PathFault::DotDot),
        (".git/hooks", PathFault::DotGit),
    ] {
        assert_eq!(normalise_entry(entry), Err(fault), "{entry}");
    }
}

#[test]
fn folding_joins_case_and_unicode_forms() {
    assert_eq!(fold("README.md"), fold("readme.MD"));
    assert_eq!(fold("caf\u{e9}"), fold("CAFE\u{301}"));
    assert_eq!(fold("\u{212a}elvin"), fold("kelvin"));
    assert_ne!(fold("a-b"), fold("a_b"));
}
