//! Trusted helpers.

use std::time::{Duration, Instant};

use autopack_sandbox::SandboxError;
use autopack_sandbox::trusted::{Command, run, run_all};

use crate::{alive, pid_in, until};

fn sh(line: &str, folder: &std::path::Path) -> Command {
    Command::new("sh", folder)
        .args(["-c", line])
        .env("PATH", "/usr/bin:/bin")
}

#[tokio::test]
async fn output_and_code_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(sh("cat; pwd; echo oops >&2; exit 3", folder.path()).stdin("in\n"))
        .await
        .unwrap();
    assert_eq!(
        output.stdout,
        format!("in\n{}\n", folder.path().display()).into_bytes()
    );
    assert_eq!((output.stderr.as_str(), output.status), ("oops\n", 3));
    assert_eq!(
        run(sh("kill -9 $$", folder.path())).await.unwrap().status,
        137
    );
    let output = run(Command::new("/usr/bin/env", "/").env("A", "b"))
        .await
        .unwrap();
    assert_eq!(output.stdout, b"A=b\n");
}

#[tokio::test]
async fn large_input_and_output_do_not_block_each_other() {
    let bytes = vec![b'x'; 5_000_000];
    let output = run(Command::new("/bin/cat", "/").stdin(bytes.clone()))
        .await
        .unwrap();
    assert!(output.stdout == bytes);
    // Input that is not read is no error.
    assert!(
        run(Command::new("/bin/true", "/").stdin(bytes))
            .await
            .unwrap()
            .success()
    );
}

#[tokio::test]
async fn a_missing_program_is_an_error() {
    let result = run(Command::new("/no/such/program", "/")).await;
    assert!(
        matches!(&result, Err(SandboxError::Spawn { program, .. }) if program == "/no/such/program")
    );
}

#[tokio::test]
async fn a_time_out_kills_the_group() {
    let folder = tempfile::tempdir().unwrap();
    let line = "sh -c 'echo $$ > pid; exec sleep 1000' & echo $$ > first; wait";
    let began = Instant::now();
    let result = run(sh(line, folder.path()).timeout(Duration::from_millis(300))).await;
    assert!(
        matches!(result, Err(SandboxError::TimedOut { .. })),
        "{result:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(5));
    let pids = ["pid", "first"].map(|name| pid_in(&folder.path().join(name)).unwrap());
    until("the group is gone", || !pids.iter().any(|pid| alive(*pid))).await;
}

#[tokio::test]
async fn dropping_the_future_kills_the_group() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    tokio::select! {
        result = run(sh("sh -c 'echo $$ > pid; exec sleep 1000' & wait", folder.path())) => panic!("{result:?}"),
        () = until("it runs", || pid_in(&file).is_some()) => {}
    }
    let pid = pid_in(&file).unwrap();
    until("the group is gone", || !alive(pid)).await;
}

#[tokio::test]
async fn output_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = sh("yes", folder.path());
    command.stdout_limit = 100_000;
    let result = run(command).await;
    assert!(
        matches!(
            result,
            Err(SandboxError::OutputTooLarge { limit: 100_000, .. })
        ),
        "{result:?}"
    );
    // Exactly the limit is no error, and too much error text is only cut.
    let mut command = sh("printf abcd; yes | head -c 1000000 >&2", folder.path());
    command.stdout_limit = 4;
    command.stderr_limit = 10;
    let output = run(command).await.unwrap();
    assert_eq!(
        (output.stdout.as_slice(), output.stderr.len()),
        (&b"abcd"[..], 10)
    );
}

#[tokio::test]
async fn a_sequence_ends_at_the_first_failure() {
    let folder = tempfile::tempdir().unwrap();
    let outputs = run_all(["exit 0", "exit 2", "touch never"].map(|line| sh(line, folder.path())))
        .await
        .unwrap();
    assert_eq!(
        outputs
            .iter()
            .map(|output| output.status)
            .collect::<Vec<_>>(),
        [0, 2]
    );
    assert!(!folder.path().join("never").exists());
}

#[test]
fn a_child_survives_the_thread_that_asked_for_it() {
    // A runtime of its own, whose threads end while the next one works.
    let statuses: Vec<i32> = (0..2)
        .map(|_| {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async { run(Command::new("/bin/true", "/")).await.unwrap().status })
        })
        .collect();
    assert_eq!(statuses, [0, 0]);
}

#[tokio::test]
async fn zz_speed() {
    let t=Instant::now();
    for _ in 0..500 { run(Command::new("/bin/true","/")).await.unwrap(); }
    eprintln!("trusted {:?}", t.elapsed()/500);
    let t=Instant::now();
    #[allow(clippy::disallowed_methods)]
    for _ in 0..500 { std::process::Command::new("/bin/true").output().unwrap(); }
    eprintln!("std {:?}", t.elapsed()/500);
    let ballast = vec![1u8; 200_000_000];
    let t=Instant::now();
    for _ in 0..500 { run(Command::new("/bin/true","/")).await.unwrap(); }
    eprintln!("trusted, 200 MB process {:?}", t.elapsed()/500);
    let t=Instant::now();
    let f = tempfile::tempdir().unwrap();
    for _ in 0..200 { let mut s=crate::shell("", f.path()); s.argv=vec!["/bin/true".into()]; crate::run(s).await; }
    eprintln!("sandbox {:?} {}", t.elapsed()/200, ballast[7]);
}
