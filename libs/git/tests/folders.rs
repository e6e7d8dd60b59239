//! Work folders and snapshots: exact contents in, exact changes out.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use autopack_git::{
    ChangeKind, Mode, Oid, Snapshot, SnapshotError, Throwaway, ThrowawayObjects, WorkFolder,
};
use common::{World, executable, git, repository, write};

async fn start() -> (World, Oid, WorkFolder) {
    let world = World::new().await;
    let dir = world.path("user");
    repository(&dir);
    let (_, base) = world.fetched(&dir).await;
    let mut work = world.work("w");
    world.own.checkout(&base, &mut work, &[]).await.unwrap();
    (world, base, work)
}

fn summary(snapshot: &Snapshot) -> Vec<String> {
    let line = |c: &autopack_git::Change| {
        format!(
            "{:?} {} {}",
            c.kind,
            c.new_mode,
            String::from_utf8_lossy(&c.path)
        )
    };
    snapshot.changes.iter().map(line).collect()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_snapshot_sees_all_kinds_of_change() {
    let (world, base, mut work) = start().await;
    let clean = world.own.take_snapshot(&mut work, &base).await.unwrap();
    assert_eq!(clean.changes, []);
    let dir = work.path().to_owned();
    write(&dir, "README.md", "# Demo\n\nOne\nTwo\nTHREE\n");
    fs::remove_file(dir.join("run.sh")).unwrap();
    executable(&dir.join("src/lib.rs"));
    symlink("../../etc/passwd", dir.join("link")).unwrap();
    write(&dir, "new/deep/file.txt", "x");
    write(&dir, "target/out.o", "ignored");
    write(&dir, "trace.log", "ignored");
    let snapshot = world.own.take_snapshot(&mut work, &base).await.unwrap();
    assert_eq!(
        summary(&snapshot),
        [
            "Modified 100644 README.md",
            "Added 120000 link",
            "Added 100644 new/deep/file.txt",
            "Deleted 000000 run.sh",
            "Modified 100755 src/lib.rs",
        ]
    );
    let asked = [
        "trace.log",
        "target/out.o",
        "README.md",
        "absent.log",
        "link/x.log",
    ]
    .map(Into::into);
    let ignored = world.own.ignored_present(&work, &asked).await.unwrap();
    assert_eq!(ignored, [Path::new("trace.log"), Path::new("target/out.o")]);
    // The same folder against the same base gives the same answer.
    assert_eq!(
        world.own.take_snapshot(&mut work, &base).await.unwrap(),
        snapshot
    );
}

#[tokio::test]
async fn a_file_may_become_a_folder_and_the_reverse() {
    let (world, base, mut work) = start().await;
    let dir = work.path().to_owned();
    fs::remove_file(dir.join("run.sh")).unwrap();
    write(&dir, "run.sh/inner", "x");
    fs::remove_dir_all(dir.join("src")).unwrap();
    symlink("README.md", dir.join("src")).unwrap();
    let snapshot = world.own.take_snapshot(&mut work, &base).await.unwrap();
    let expected = [
        "Deleted 000000 run.sh",
        "Added 100644 run.sh/inner",
        "Added 120000 src",
        "Deleted 000000 src/lib.rs",
    ];
    assert_eq!(summary(&snapshot), expected);
    fs::remove_file(dir.join("README.md")).unwrap();
    symlink("run.sh", dir.join("README.md")).unwrap();
    let snapshot = world.own.take_snapshot(&mut work, &base).await.unwrap();
    assert_eq!(snapshot.changes[0].kind, ChangeKind::TypeChanged);
    world.own.checkout(&base, &mut work, &[]).await.unwrap();
    assert_eq!(
        world
            .own
            .take_snapshot(&mut work, &base)
            .await
            .unwrap()
            .changes,
        []
    );
}

#[tokio::test]
async fn nested_repositories_are_reported_unless_ignored() {
    let (world, base, mut work) = start().await;
    for (name, commit) in [
        ("vendor/lib", true),
        ("fresh", false),
        ("target/cached", true),
    ] {
        let nested = work.path().join(name);
        fs::create_dir_all(&nested).unwrap();
        git(&nested, &["init", "-q"]);
        write(&nested, "file", "x");
        if commit {
            git(&nested, &["add", "-A"]);
            git(&nested, &["commit", "-q", "-m", "x"]);
        }
    }
    let error = world.own.take_snapshot(&mut work, &base).await.unwrap_err();
    let SnapshotError::NestedRepository { mut paths } = error else {
        panic!("{error}")
    };
    paths.sort();
    assert_eq!(paths, [b"fresh".to_vec(), b"vendor/lib".to_vec()]);
    world.own.checkout(&base, &mut work, &[]).await.unwrap();
    assert_eq!(
        names(work.path()),
        [".gitignore", "README.md", "run.sh", "src"]
    );
}

#[tokio::test]
async fn checkout_removes_restores_and_keeps() {
    let (world, base, mut work) = start().await;
    let (dir, outside) = (work.path().to_owned(), world.path("outside"));
    write(&outside, "precious", "x");
    write(&dir, "README.md", "changed");
    fs::remove_file(dir.join("run.sh")).unwrap();
    write(
        &dir,
        "src/.git/config",
        "[core]\n\tfsmonitor = touch /tmp/never\n",
    );
    write(&dir, "junk/.git/HEAD", "ref: refs/heads/x\n");
    write(&dir, "target/debug/cache", "kept");
    write(&dir, "deep/cache/kept", "kept");
    write(&dir, "deep/other", "gone");
    symlink(&outside, dir.join("escape")).unwrap();
    symlink(&outside, dir.join("badcache")).unwrap();
    fs::remove_dir_all(dir.join("src")).unwrap();
    symlink(&outside, dir.join("src")).unwrap();
    fs::set_permissions(dir.join("deep"), fs::Permissions::from_mode(0o500)).unwrap();
    let keep = ["target", "deep/cache", "badcache", "absent"].map(Into::into);
    world.own.checkout(&base, &mut work, &keep).await.unwrap();
    assert_eq!(
        names(&dir),
        [".gitignore", "README.md", "deep", "run.sh", "src", "target"]
    );
    assert_eq!(names(&dir.join("deep")), ["cache"]);
    assert_eq!(names(&dir.join("src")), ["lib.rs"]);
    assert_eq!(
        fs::read_to_string(dir.join("target/debug/cache")).unwrap(),
        "kept"
    );
    assert!(
        fs::metadata(dir.join("run.sh"))
            .unwrap()
            .permissions()
            .mode()
            & 0o100
            != 0
    );
    assert_eq!(names(&outside), ["precious"]);
    assert!(
        world
            .own
            .checkout(&base, &mut work, &["../outside".into()])
            .await
            .is_err()
    );
}

#[tokio::test]
async fn checkout_moves_between_trees_and_survives_a_lost_index() {
    let (world, base, mut work) = start().await;
    let next = world.commit_adding(&base, "extra/file.txt", "x").await;
    world.own.checkout(&next, &mut work, &[]).await.unwrap();
    assert!(work.path().join("extra/file.txt").exists());
    fs::write(world.path("data/w.work-index"), "garbage").unwrap();
    fs::write(world.path("data/w.work-index.lock"), "").unwrap();
    write(work.path(), "README.md", "changed while nobody looked");
    world.own.checkout(&base, &mut work, &[]).await.unwrap();
    assert!(!work.path().join("extra").exists());
    assert!(
        fs::read_to_string(work.path().join("README.md"))
            .unwrap()
            .starts_with("# Demo")
    );
    // Another process on the same folder starts without memory.
    let mut again = world.work("w");
    world.own.checkout(&next, &mut again, &[]).await.unwrap();
    assert_eq!(
        world
            .own
            .take_snapshot(&mut again, &next)
            .await
            .unwrap()
            .changes,
        []
    );
}

#[tokio::test]
async fn line_end_rules_make_no_changes_of_their_own() {
    let world = World::new().await;
    let dir = world.path("user");
    repository(&dir);
    write(&dir, "dos.txt", "a\r\nb\r\n");
    git(&dir, &["add", "-A"]);
    git(&dir, &["commit", "-q", "-m", "CRLF in the repository"]);
    // Declared text only afterwards: git itself shows the file as modified from now on.
    write(&dir, ".gitattributes", "*.txt text\n*.bat text eol=crlf\n");
    write(&dir, "win.bat", "echo\n");
    git(&dir, &["add", ".gitattributes", "win.bat"]);
    git(&dir, &["commit", "-q", "-m", "Attributes"]);
    let (_, base) = world.fetched(&dir).await;
    let mut work = world.work("w");
    world.own.checkout(&base, &mut work, &[]).await.unwrap();
    assert_eq!(fs::read(work.path().join("win.bat")).unwrap(), b"echo\r\n");
    // Touched, so that git looks at the content again.
    write(work.path(), "dos.txt", "a\r\nb\r\n");
    write(work.path(), "win.bat", "echo\r\n");
    assert_eq!(
        world
            .own
            .take_snapshot(&mut work, &base)
            .await
            .unwrap()
            .changes,
        []
    );
    write(work.path(), "win.bat", "echo more\r\n");
    let snapshot = world.own.take_snapshot(&mut work, &base).await.unwrap();
    assert_eq!(summary(&snapshot), ["Modified 100644 win.bat"]);
}

#[tokio::test]
async fn the_throwaway_repository_looks_ordinary() {
    for objects in [ThrowawayObjects::Shared, ThrowawayObjects::Copied] {
        let (world, base, mut work) = start().await;
        let how = Throwaway {
            message: "Base of P1.1\n",
            time: 1_700_000_000,
            objects,
        };
        let commit = world.own.init_throwaway(&work, how).await.unwrap();
        let dir = work.path().to_owned();
        assert_eq!(git(&dir, &["status", "--porcelain"]), "");
        assert_eq!(
            git(&dir, &["log", "--format=%H %s"]),
            format!("{commit} Base of P1.1")
        );
        assert_eq!(git(&dir, &["fsck", "--no-dangling"]), "");
        write(&dir, "README.md", "changed\n");
        git(&dir, &["commit", "-q", "-a", "-m", "The agent commits"]);
        let snapshot = world.own.take_snapshot(&mut work, &base).await.unwrap();
        assert_eq!(summary(&snapshot), ["Modified 100644 README.md"]);
        assert_eq!(snapshot.changes[0].old_mode, Mode::REGULAR);
        // Made anew, it forgets the agent's commit.
        world.own.checkout(&base, &mut work, &[]).await.unwrap();
        world.own.init_throwaway(&work, how).await.unwrap();
        assert_eq!(git(&dir, &["rev-list", "--count", "HEAD"]), "1");
    }
}

#[tokio::test]
async fn what_is_no_file_is_no_part_of_a_snapshot() {
    let (world, base, mut work) = start().await;
    common::named_pipe(&work.path().join("pipe"));
    assert_eq!(
        world
            .own
            .take_snapshot(&mut work, &base)
            .await
            .unwrap()
            .changes,
        []
    );
    fs::remove_file(work.path().join("run.sh")).unwrap();
    common::named_pipe(&work.path().join("run.sh"));
    let outcome = world.own.take_snapshot(&mut work, &base).await;
    assert!(
        matches!(outcome, Err(SnapshotError::Unreadable { .. })),
        "{outcome:?}"
    );
    world.own.checkout(&base, &mut work, &[]).await.unwrap();
    assert_eq!(
        world
            .own
            .take_snapshot(&mut work, &base)
            .await
            .unwrap()
            .changes,
        []
    );
}
