//! Output of any size and kind.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use autopack_sandbox::End;

use crate::{run, shell};

/// The largest memory that any child of this process, thus any supervisor, has used, in kB.
fn largest_child() -> u64 {
    let me = std::process::id().to_string();
    let field = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next().map(str::to_owned)
    };
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.ok()?.path().join("status")).ok())
        .filter(|status| field(status, "PPid:").as_ref() == Some(&me))
        .filter_map(|status| field(&status, "VmHWM:")?.parse().ok())
        .max()
        .unwrap_or(0)
}

#[tokio::test]
async fn two_hundred_megabytes_are_drained_and_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = shell(
        "echo first; head -c 200000000 /dev/zero | tr '\\0' x; echo; echo last",
        folder.path(),
    );
    spec.limits.output_keep_head = 1000;
    spec.limits.output_keep_tail = 2000;
    spec.limits.log_bytes = 5000;
    spec.log_file = Some(folder.path().join("log"));
    let done = AtomicBool::new(false);
    let running = async {
        let outcome = run(spec).await;
        done.store(true, Ordering::Relaxed);
        outcome
    };
    let watching = async {
        let mut largest = 0;
        while !done.load(Ordering::Relaxed) {
            largest = largest.max(largest_child());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        largest
    };
    let (outcome, largest) = tokio::join!(running, watching);
    assert_eq!(outcome.end, End::Exited(0));
    let total = 6 + 200_000_000 + 1 + 5;
    assert_eq!(
        (outcome.output.total, outcome.output.dropped),
        (total, total - 3000)
    );
    assert!(outcome.output.head.starts_with("first\nxxx") && outcome.output.head.len() == 1000);
    assert!(outcome.output.tail.ends_with("xxx\nlast\n") && outcome.output.tail.len() == 2000);
    assert!(
        outcome
            .output
            .text()
            .contains(&format!("[... {} bytes dropped ...]", total - 3000))
    );
    assert!(largest > 0 && largest < 64 * 1024, "{largest} kB");
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(log.starts_with("first\nxxx") && log.len() == 5000 && outcome.log_truncated);
}

#[tokio::test]
async fn a_hard_limit_on_output_kills() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = shell("yes", folder.path());
    spec.limits.output_bytes = Some(1_000_000);
    let outcome = run(spec).await;
    assert_eq!(outcome.end, End::OutputLimit);
    assert!(outcome.output.total > 1_000_000);
    assert!(outcome.output.head.starts_with("y\ny\n"));
}

#[tokio::test]
async fn bytes_that_are_no_text_become_marks() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = run(shell("printf 'a\\377\\000b\\n'", folder.path())).await;
    assert_eq!(outcome.output.text(), "a\u{fffd}\0b\n");
    assert_eq!(outcome.output.total, 5);
}

#[tokio::test]
async fn the_worst_output_for_the_report_comes_through() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = shell(
        "head -c 3000000 /dev/zero | tr '\\0' '\\001'",
        folder.path(),
    );
    spec.limits.output_keep_head = 500_000;
    spec.limits.output_keep_tail = 500_000;
    let outcome = run(spec).await;
    assert_eq!(
        (outcome.output.head.len(), outcome.output.tail.len()),
        (500_000, 500_000)
    );
}

#[tokio::test]
async fn standard_output_alone_goes_to_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = shell("echo out; echo err >&2; echo more", folder.path());
    spec.stdout_file = Some(folder.path().join("stdout"));
    spec.log_file = Some(folder.path().join("log"));
    let outcome = run(spec).await;
    assert_eq!(
        fs::read_to_string(folder.path().join("stdout")).unwrap(),
        "out\nmore\n"
    );
    let log = fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(log.contains("err\n") && log.len() == 13 && !outcome.log_truncated);
    assert_eq!(outcome.output.total, 13);
}

#[tokio::test]
async fn a_log_that_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/null", folder.path().join("link")).unwrap();
    for name in ["missing/log", "link"] {
        let mut spec = shell("true", folder.path());
        spec.log_file = Some(folder.path().join(name));
        let outcome = run(spec).await;
        assert!(
            matches!(&outcome.end, End::SpawnFailed(why) if why.contains(name)),
            "{:?}",
            outcome.end
        );
    }
}

#[tokio::test]
async fn a_command_that_closes_its_output_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = run(shell(
        "echo a; exec >&- 2>&-; sleep 0.2; exit 5",
        folder.path(),
    ))
    .await;
    assert_eq!(
        (outcome.end, outcome.output.text().as_str()),
        (End::Exited(5), "a\n")
    );
    assert!(
        outcome.cpu < Duration::from_millis(150),
        "{:?}",
        outcome.cpu
    );
}
