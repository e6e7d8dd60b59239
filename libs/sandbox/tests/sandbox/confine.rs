//! What a confined command can't do.

use std::fs;
use std::path::{Path, PathBuf};

use autopack_sandbox::{End, Files, Spec, layer};

use crate::{run, shell};

struct Ground {
    _temp: tempfile::TempDir,
    /// The command's own folder, below the hidden one.
    own: PathBuf,
    /// A folder of somebody else, below the hidden one.
    hidden: PathBuf,
    /// A folder that is neither.
    outside: PathBuf,
}

fn ground() -> Ground {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().canonicalize().unwrap();
    let (own, hidden, outside) = (
        root.join("data/own"),
        root.join("data/other"),
        root.join("out"),
    );
    for folder in [&own, &hidden, &outside] {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("there"), "secret\n").unwrap();
    }
    Ground {
        _temp: temp,
        own,
        hidden,
        outside,
    }
}

impl Ground {
    fn shell(&self, line: &str) -> Spec {
        let mut spec = shell(line, &self.own);
        let told = [("OUT", &self.outside), ("HIDDEN", &self.hidden)];
        let told = told.map(|(name, path)| (name.to_owned(), path.display().to_string()));
        spec.env.extend(told);
        spec.env
            .insert("WORKER".into(), std::process::id().to_string());
        spec.confine.files = Some(Files {
            write: vec![self.own.clone()],
            hide: vec![self.own.parent().unwrap().into()],
            ..Files::default()
        });
        spec.confine.require = [layer::MOUNTS, layer::LANDLOCK, layer::NO_SIGNALS]
            .map(Into::into)
            .into();
        spec
    }

    /// The line must end with an error, and print nothing of what it was after.
    async fn refused(&self, line: &str) {
        let outcome = run(self.shell(line)).await;
        assert!(
            matches!(outcome.end, End::Exited(code) if code != 0),
            "{line}: {outcome:?}"
        );
        assert!(
            !outcome.output.text().contains("secret"),
            "{line}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn its_own_folders_are_all_that_it_can_write() {
    let ground = ground();
    let line = "echo x > new && cat there && echo y > \"$OUT/new\"";
    let outcome = run(ground.shell(line)).await;
    assert!(
        matches!(outcome.end, End::Exited(code) if code != 0),
        "{outcome:?}"
    );
    assert!(ground.own.join("new").exists() && outcome.output.text().contains("secret"));
    assert!(!ground.outside.join("new").exists());
    for line in [
        "rm \"$OUT/there\"",
        "mv \"$OUT/there\" .",
        ": > \"$OUT/there\"",
        "mkdir \"$OUT/folder\"",
        "ln -s /etc \"$OUT/link\"",
        "ln \"$OUT/there\" hard",
        "mknod null c 1 3",
        "echo x > /tmp/autopack-should-not-be-here",
    ] {
        let outcome = run(ground.shell(line)).await;
        assert!(
            matches!(outcome.end, End::Exited(code) if code != 0),
            "{line}: {outcome:?}"
        );
    }
    assert_eq!(
        fs::read_to_string(ground.outside.join("there")).unwrap(),
        "secret\n"
    );
    assert_eq!(fs::read_dir(&ground.outside).unwrap().count(), 1);
    assert!(!Path::new("/tmp/autopack-should-not-be-here").exists());
}

#[tokio::test]
async fn what_is_hidden_is_neither_read_nor_found() {
    let ground = ground();
    ground.refused("cat \"$HIDDEN/there\"").await;
    ground.refused("test -e \"$HIDDEN\"").await;
    ground
        .refused("umount -l \"$(dirname \"$HIDDEN\")\" && cat \"$HIDDEN/there\"")
        .await;
    ground
        .refused("unshare -m umount -l \"$(dirname \"$HIDDEN\")\"")
        .await;
    let mut spec = ground.shell("cat \"$HIDDEN/there\"");
    spec.confine
        .files
        .as_mut()
        .unwrap()
        .read
        .push(ground.hidden.clone());
    let outcome = run(spec).await;
    assert!(
        outcome.end.success() && outcome.output.text() == "secret\n",
        "{outcome:?}"
    );
    assert!(
        ground.hidden.join("there").exists(),
        "nothing of it reaches the host"
    );
}

#[tokio::test]
async fn a_hidden_file_is_empty() {
    let ground = ground();
    let mut spec = ground.shell("cat \"$OUT/there\"");
    spec.confine
        .files
        .as_mut()
        .unwrap()
        .hide
        .push(ground.outside.join("there"));
    assert_eq!(run(spec).await.output.text(), "");
}

#[tokio::test]
async fn processes_outside_are_out_of_reach() {
    let ground = ground();
    for line in [
        "cat /proc/$PPID/environ",
        "cat /proc/$WORKER/environ",
        "cat /proc/$WORKER/maps",
        "readlink /proc/$WORKER/fd/0",
        "kill -9 $PPID",
        "kill -STOP $PPID",
        "kill -0 $WORKER",
    ] {
        ground.refused(line).await;
    }
    let line = "sleep 100 & kill -9 $!; wait $!; test $? = 137";
    assert!(
        run(ground.shell(line)).await.end.success(),
        "its own it may signal"
    );
}

#[tokio::test]
async fn temporary_files_and_shared_memory_are_private() {
    let ground = ground();
    let mark = format!("autopack-private-{}", std::process::id());
    let line = format!("echo x > /tmp/{mark} && echo x > /dev/shm/{mark} && cat /tmp/{mark}");
    let mut spec = ground.shell(&line);
    let tmp = ground.own.join("tmp");
    fs::create_dir(&tmp).unwrap();
    spec.confine.files.as_mut().unwrap().tmp = Some(tmp.clone());
    let outcome = run(spec).await;
    assert_eq!(outcome.end, End::Exited(0), "{outcome:?}");
    assert!(tmp.join(&mark).exists());
    assert!(!Path::new("/tmp").join(&mark).exists() && !Path::new("/dev/shm").join(&mark).exists());
}

#[tokio::test]
async fn a_required_layer_that_is_not_on_keeps_the_command_from_starting() {
    let ground = ground();
    let mut spec = ground.shell("echo x > new");
    spec.confine.require = vec![layer::NO_NETWORK.into()];
    let outcome = run(spec).await;
    assert_eq!(outcome.end, End::Unconfined("no-network".into()));
    assert!(!ground.own.join("new").exists());
    let mut spec = ground.shell("echo x > new");
    spec.confine.network = false;
    spec.confine.require = vec![layer::NO_NETWORK.into()];
    assert!(run(spec).await.layers.contains(&layer::NO_NETWORK));
}

#[tokio::test]
async fn without_files_the_command_may_what_the_user_may() {
    let ground = ground();
    let mut spec = ground.shell("cat \"$HIDDEN/there\" && echo x > \"$OUT/new\"");
    spec.confine.files = None;
    spec.confine.require = Vec::new();
    let outcome = run(spec).await;
    assert!(
        outcome.end.success() && !outcome.layers.contains(&layer::LANDLOCK),
        "{outcome:?}"
    );
}
