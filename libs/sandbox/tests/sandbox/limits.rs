//! Each limit ends the command and says so.

use std::time::Duration;

use autopack_sandbox::End;

use crate::{run, shell};

const MIB: u64 = 1024 * 1024;

#[tokio::test]
async fn memory_of_the_tree_is_limited() {
    let folder = tempfile::tempdir().unwrap();
    // Two processes that are below the limit each: tail keeps a line of any length.
    let line = "(head -c 60000000 /dev/zero; sleep 1000) | tail & (head -c 60000000 /dev/zero; sleep 1000) | tail";
    let mut spec = shell(line, folder.path());
    spec.limits.memory_bytes = Some(90 * MIB);
    let outcome = run(spec).await;
    assert_eq!(outcome.end, End::MemoryLimit);
    assert!(outcome.peak_memory_bytes > 90 * MIB && outcome.peak_memory_bytes < 200 * MIB);
}

#[tokio::test]
async fn watched_folders_are_limited() {
    let folder = tempfile::tempdir().unwrap();
    // Many small files: no single one is over the limit.
    let line = "i=0; while :; do i=$((i+1)); head -c 1000000 /dev/zero > f$i; done";
    let mut spec = shell(line, folder.path());
    spec.limits.disk_bytes = Some(20 * MIB);
    spec.watch_dirs = vec![folder.path().to_path_buf()];
    assert_eq!(run(spec).await.end, End::DiskLimit);
}

#[tokio::test]
async fn one_large_file_is_limited_without_a_watched_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = shell("exec head -c 30000000 /dev/zero > big", folder.path());
    spec.limits.disk_bytes = Some(10 * MIB);
    assert_eq!(run(spec).await.end, End::DiskLimit);
    assert_eq!(
        std::fs::metadata(folder.path().join("big")).unwrap().len(),
        10 * MIB
    );
}

#[tokio::test]
async fn a_command_that_is_quick_to_fill_the_disk_is_found_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = shell(
        "for i in 1 2 3; do head -c 5000000 /dev/zero > f$i; done",
        folder.path(),
    );
    spec.limits.disk_bytes = Some(10 * MIB);
    spec.watch_dirs = vec![folder.path().to_path_buf()];
    assert_eq!(run(spec).await.end, End::DiskLimit);
}

#[tokio::test]
async fn processor_time_is_limited() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = shell("while :; do :; done & while :; do :; done", folder.path());
    spec.limits.cpu = Some(Duration::from_millis(600));
    let outcome = run(spec).await;
    assert_eq!(outcome.end, End::CpuLimit);
    assert!(
        outcome.cpu >= Duration::from_millis(600) && outcome.cpu < Duration::from_secs(4),
        "{:?}",
        outcome.cpu
    );
}

#[tokio::test]
async fn processor_time_of_children_that_have_ended_counts() {
    let folder = tempfile::tempdir().unwrap();
    // Each child is short, and no sample may ever see it.
    let mut spec = shell(
        "while :; do sh -c 'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done'; done",
        folder.path(),
    );
    spec.limits.cpu = Some(Duration::from_millis(400));
    assert_eq!(run(spec).await.end, End::CpuLimit);
}

#[tokio::test]
async fn open_files_are_limited() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = shell("ulimit -n; ulimit -c", folder.path());
    spec.limits.open_files = Some(37);
    assert_eq!(run(spec).await.output.text(), "37\n0\n");
}

#[tokio::test]
async fn within_all_limits_nothing_happens() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = shell(
        "head -c 1000000 /dev/zero > f; sleep 0.3; echo fine",
        folder.path(),
    );
    spec.limits.cpu = Some(Duration::from_secs(10));
    spec.limits.memory_bytes = Some(500 * MIB);
    spec.limits.disk_bytes = Some(100 * MIB);
    spec.limits.output_bytes = Some(100);
    spec.limits.processes = Some(10);
    spec.watch_dirs = vec![folder.path().to_path_buf()];
    let outcome = run(spec).await;
    assert_eq!(
        (outcome.end, outcome.output.text().as_str()),
        (End::Exited(0), "fine\n")
    );
}
