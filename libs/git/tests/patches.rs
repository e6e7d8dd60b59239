//! Patch forms: what applies, what does not, and what each answer says.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use autopack_git::{ApplyError, ChangeKind, GitError, Mode, Oid, PooledIndex, check_version};
use common::{World, executable, git, new_file_patch, repository, write};

struct Bench {
    world: World,
    base: Oid,
    index: PooledIndex,
    dir: std::path::PathBuf,
}

impl Bench {
    async fn new() -> Self {
        let world = World::new().await;
        let dir = world.path("user");
        repository(&dir);
        let (_, base) = world.fetched(&dir).await;
        let index = world.index("patches");
        Self {
            world,
            base,
            index,
            dir,
        }
    }

    async fn apply(&mut self, patches: &[Vec<u8>]) -> Result<Oid, ApplyError> {
        self.world
            .own
            .apply_patch(&self.base, patches, &mut self.index)
            .await
    }

    /// Makes a change in the user's checkout, takes it as a patch by `args`, and applies it to the base.
    async fn round_trip(
        &mut self,
        change: impl FnOnce(&std::path::Path),
        args: &[&str],
    ) -> (Oid, Vec<u8>) {
        change(&self.dir);
        git(&self.dir, &["add", "-A"]);
        git(&self.dir, &["commit", "-q", "-m", "Change"]);
        let patch = common::try_git(&self.dir, args).stdout;
        let expected = git(&self.dir, &["rev-parse", "HEAD^{tree}"]);
        git(&self.dir, &["reset", "-q", "--hard", "HEAD~1"]);
        let tree = self.apply(std::slice::from_ref(&patch)).await.unwrap();
        assert_eq!(tree.as_str(), expected);
        (tree, patch)
    }
}

const UNIFIED: &str =
    "--- a/README.md\n+++ b/README.md\n@@ -1,5 +1,5 @@\n # Demo\n \n One\n-Two\n+Zwei\n Three\n";

#[tokio::test]
async fn unified_patches_apply_with_any_text_before() {
    let mut bench = Bench::new().await;
    let tree = bench.apply(&[UNIFIED.into()]).await.unwrap();
    let commentary = format!("Here is the patch you asked for:\n\n{UNIFIED}");
    assert_eq!(bench.apply(&[commentary.into()]).await.unwrap(), tree);
    assert_eq!(
        bench.apply(&[UNIFIED.trim_end().into()]).await.unwrap(),
        tree
    );
    let own = &bench.world.own;
    let file = own
        .read_file(&tree, b"README.md", 1_000)
        .await
        .unwrap()
        .unwrap();
    assert!(String::from_utf8(file.bytes).unwrap().contains("Zwei"));
    let changes = own.list_changes(&bench.base, &tree).await.unwrap();
    assert_eq!(
        (changes[0].kind, changes[0].path.as_slice()),
        (ChangeKind::Modified, b"README.md".as_slice())
    );
}

#[tokio::test]
async fn binary_rename_mode_link_and_deletion_round_trip() {
    let mut bench = Bench::new().await;
    let (tree, _) = bench
        .round_trip(
            |dir| {
                write(dir, "logo.bin", [0, 1, 2, 255, 0, 10, 13]);
                git(dir, &["mv", "src/lib.rs", "src/main.rs"]);
                executable(&dir.join("README.md"));
                std::fs::remove_file(dir.join("run.sh")).unwrap();
                std::os::unix::fs::symlink("README.md", dir.join("link")).unwrap();
            },
            &["diff", "--binary", "-M", "HEAD~1", "HEAD"],
        )
        .await;
    let own = &bench.world.own;
    let changes = own.list_changes(&bench.base, &tree).await.unwrap();
    let find = |path: &str| {
        changes
            .iter()
            .find(|change| change.path == path.as_bytes())
            .unwrap()
    };
    assert_eq!(changes.len(), 6, "a rename counts as two: {changes:?}");
    assert_eq!(find("README.md").new_mode, Mode::EXECUTABLE);
    assert_eq!(find("run.sh").kind, ChangeKind::Deleted);
    assert!(find("link").new_mode.is_symlink());
    let logo = find("logo.bin").new_oid.clone().unwrap();
    assert!(own.blob_is_binary(&logo).await.unwrap());
    assert_eq!(
        own.blob_sizes(&[logo, bench.base.clone()]).await.unwrap()[0].size,
        Some(7)
    );
    let again = own.diff_patch(&bench.base, &tree, 100_000).await.unwrap();
    assert_eq!(bench.apply(&[again]).await.unwrap(), tree);
}

#[tokio::test]
async fn mail_form_and_crlf_content_apply() {
    let mut bench = Bench::new().await;
    let args = ["format-patch", "--stdout", "-1"];
    let (_, patch) = bench
        .round_trip(|dir| write(dir, "dos.txt", "a\r\nb\r\n"), &args)
        .await;
    assert!(patch.starts_with(b"From "));
    let edit = |dir: &std::path::Path| write(dir, "README.md", "# Demo\r\n\r\nOne\r\n");
    bench.round_trip(edit, &["diff", "HEAD~1", "HEAD"]).await;
}

#[tokio::test]
async fn a_series_applies_in_order_or_not_at_all() {
    let mut bench = Bench::new().await;
    let second = "--- a/new.txt\n+++ b/new.txt\n@@ -1 +1 @@\n-one\n+two\n";
    let series = [new_file_patch("new.txt", "one"), second.into()];
    let tree = bench.apply(&series).await.unwrap();
    let file = bench
        .world
        .own
        .read_file(&tree, b"new.txt", 100)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(file.bytes, b"two\n");
    let broken = [new_file_patch("other.txt", "one"), second.into()];
    let error = bench.apply(&broken).await.unwrap_err();
    assert!(error.to_string().contains("patch 2 of 2"), "{error}");
    // Nothing of the failed series stays in the pooled index.
    assert_eq!(bench.apply(&series).await.unwrap(), tree);
    bench.base = tree;
    let present = bench.apply(&series).await.unwrap_err();
    assert!(
        matches!(
            present,
            ApplyError::DoesNotApply {
                reverse_applies: true,
                ..
            }
        ),
        "{present}"
    );
}

#[tokio::test]
async fn a_change_that_is_there_already_is_recognised() {
    let mut bench = Bench::new().await;
    bench.base = bench.apply(&[UNIFIED.into()]).await.unwrap();
    let present = bench.apply(&[UNIFIED.into()]).await.unwrap_err();
    assert!(
        matches!(
            present,
            ApplyError::DoesNotApply {
                reverse_applies: true,
                ..
            }
        ),
        "{present}"
    );
    let other = UNIFIED.replace("-Two\n+Zwei", "-Deux\n+Zwei");
    let absent = bench
        .apply(&[other.replace("One", "Eins").into()])
        .await
        .unwrap_err();
    assert!(
        matches!(
            absent,
            ApplyError::DoesNotApply {
                reverse_applies: false,
                ..
            }
        ),
        "{absent}"
    );
}

#[tokio::test]
async fn a_new_file_over_an_existing_one_is_refused() {
    let mut bench = Bench::new().await;
    let error = bench
        .apply(&[new_file_patch("README.md", "mine")])
        .await
        .unwrap_err();
    let ApplyError::DoesNotApply {
        detail,
        reverse_applies: false,
    } = error
    else {
        panic!("{error}")
    };
    assert!(
        detail.contains("README.md") && detail.contains("already exists"),
        "{detail}"
    );
}

#[tokio::test]
async fn patches_that_leave_the_repository_are_told_apart() {
    let mut bench = Bench::new().await;
    for name in ["../../x", ".git/hooks/pre-commit", "a/../../b", "/x"] {
        let error = bench.apply(&[new_file_patch(name, "y")]).await.unwrap_err();
        assert!(
            matches!(error, ApplyError::Escapes { always: true, .. }),
            "{name}: {error:?}"
        );
    }
    let link = b"diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+src\n\\ No newline at end of file\n";
    let through = new_file_patch("l/x", "y");
    let error = bench.apply(&[link.to_vec(), through]).await.unwrap_err();
    assert!(
        matches!(error, ApplyError::Escapes { always: false, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn unreadable_and_empty_patches_are_told_apart() {
    let mut bench = Bench::new().await;
    let truncated = UNIFIED.replace(" Three\n", "");
    for bad in ["just words\n", &truncated, "diff --git a/x b/x\n"] {
        let error = bench.apply(&[bad.into()]).await.unwrap_err();
        assert!(
            matches!(error, ApplyError::Unreadable { .. }),
            "{bad}: {error:?}"
        );
    }
    assert!(matches!(bench.apply(&[]).await, Err(ApplyError::Empty)));
    assert!(matches!(
        bench.apply(&[b" \n\t\n".to_vec()]).await,
        Err(ApplyError::Empty)
    ));
}

#[tokio::test]
async fn reading_is_bounded_and_exact() {
    let mut bench = Bench::new().await;
    let odd = "dir/a\tb \"q\" ü.txt";
    write(&bench.dir, odd, "0123456789");
    git(&bench.dir, &["add", "-A"]);
    git(&bench.dir, &["commit", "-q", "-m", "Odd"]);
    let (_, base) = bench.world.fetched(&bench.dir).await;
    bench.base = base;
    let (own, base) = (&bench.world.own, &bench.base);
    let listed = own.list_tree(base, Some(&[b"dir"])).await.unwrap();
    assert_eq!(listed[0].path, odd.as_bytes());
    let part = own.read_blob(&listed[0].oid, 4).await.unwrap();
    assert_eq!(
        (part.bytes.as_slice(), part.truncated),
        (b"0123".as_slice(), true)
    );
    let whole = own
        .read_file(base, odd.as_bytes(), 10)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((whole.bytes.len(), whole.truncated), (10, false));
    assert_eq!(own.read_file(base, b"none", 10).await.unwrap(), None);
    assert_eq!(own.read_file(base, b"dir", 10).await.unwrap(), None);
    assert!(matches!(
        own.read_file(base, b"../x", 10).await,
        Err(GitError::BadPath { .. })
    ));
    assert!(
        own.diff_text(base, &own.empty_tree().unwrap(), 50)
            .await
            .unwrap()
            .truncated
    );
    assert!(matches!(
        own.diff_patch(base, &own.empty_tree().unwrap(), 50).await,
        Err(GitError::OutputTooLarge { .. })
    ));
    assert_eq!(own.list_paths(base).await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_private_index_goes_without_its_checksum() {
    let mut bench = Bench::new().await;
    bench.apply(&[new_file_patch("x", "y")]).await.unwrap();
    let index = std::fs::read(bench.index.path()).unwrap();
    let sum = &index[index.len() - 20..];
    // Older versions do not know the setting, and write a sum that nobody reads.
    let version = check_version(&bench.world.git).await.unwrap();
    if (version.major, version.minor) >= (2, 40) {
        assert_eq!(sum, [0; 20]);
    }
}
