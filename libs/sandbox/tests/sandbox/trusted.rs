//! Trusted helpers.

use std::time::Duration;

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
    let result = run(sh(line, folder.path()).timeout(Duration::from_secs(3))).await;
    assert!(
        matches!(result, Err(SandboxError::TimedOut { .. })),
        "{result:?}"
    );
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
async fn what_finishes_is_ended_by_its_time_alone() {
    let folder = tempfile::tempdir().unwrap();
    let [begun, done] = ["begun", "done"].map(|name| folder.path().join(name));
    let line = "echo $$ > begun; while [ ! -e go ]; do sleep 0.01; done; echo $$ > done";
    let mut command = sh(line, folder.path());
    command.finishes = true;
    tokio::select! {
        result = run(command.clone()) => panic!("{result:?}"),
        () = until("it runs", || pid_in(&begun).is_some()) => {}
    }
    std::fs::write(folder.path().join("go"), "").unwrap();
    until("it went on to its end", || pid_in(&done).is_some()).await;
    let mut endless = sh("echo $$ > endless; exec sleep 1000", folder.path());
    endless.finishes = true;
    let result = run(endless.timeout(Duration::from_secs(3))).await;
    assert!(matches!(result, Err(SandboxError::TimedOut { .. })));
    let pid = pid_in(&folder.path().join("endless")).unwrap();
    until("it is gone", || !alive(pid)).await;
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
async fn it_starts_with_clean_descriptors_and_signals_and_in_its_own_group() {
    let folder = tempfile::tempdir().unwrap();
    // The runtime listens to a signal, and Rust ignores another: neither reaches the program.
    let _listening =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::user_defined1()).unwrap();
    let status = run(Command::new("/bin/cat", "/").arg("/proc/self/status"))
        .await
        .unwrap()
        .stdout;
    let status = String::from_utf8(status).unwrap();
    for name in ["SigBlk:", "SigIgn:", "SigCgt:"] {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        let set = u64::from_str_radix(line.trim(), 16).unwrap();
        assert_eq!(set & 1 << (13 - 1), 0, "{name}");
        assert!(name == "SigIgn:" || set == 0, "{name} {line}");
    }
    let line = "ls /proc/self/fd | wc -l; test \"$(cut -d' ' -f5 /proc/$$/stat)\" = $$ && echo leads its group";
    let output = run(sh(line, folder.path())).await.unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "4\nleads its group\n"
    );
}

#[tokio::test]
async fn what_was_killed_is_collected() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let command =
        sh("echo $$ > pid; exec sleep 1000", folder.path()).timeout(Duration::from_millis(200));
    assert!(run(command).await.is_err());
    let pid = pid_in(&file).unwrap();
    until("the next start collects it", || {
        !std::path::Path::new(&format!("/proc/{pid}")).exists() || !alive(pid)
    })
    .await;
    run(Command::new("/bin/true", "/")).await.unwrap();
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}
