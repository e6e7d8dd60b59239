//! How a command ends, and what it finds when it starts.

use std::os::unix::fs::PermissionsExt;

use autopack_sandbox::{CancellationToken, End, Sandbox, SandboxConfig, SandboxError, Spec};

use crate::{alive, pid_in, run, sandbox, shell, until};

#[tokio::test]
async fn codes_and_signals_are_told() {
    let folder = tempfile::tempdir().unwrap();
    for (line, end) in [
        ("true", End::Exited(0)),
        ("exit 3", End::Exited(3)),
        ("no-such-program-anywhere", End::Exited(127)),
        ("kill -TERM $$", End::Signalled(15)),
        ("kill -KILL $$", End::Signalled(9)),
    ] {
        let outcome = run(shell(line, folder.path())).await;
        assert_eq!(outcome.end, end, "{line}");
        assert_eq!((outcome.left_behind, outcome.survivors), (0, 0), "{line}");
    }
    let outcome = run(shell("echo hi; echo err >&2", folder.path())).await;
    assert_eq!(outcome.output.text(), "hi\nerr\n");
    assert_eq!(
        outcome.layers,
        [
            "supervisor",
            "subreaper",
            "rlimits",
            "scrubbed-env",
            "no-new-privs"
        ]
    );
    assert!(outcome.peak_memory_bytes > 0);
}

#[tokio::test]
async fn what_cannot_start_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "not a program").unwrap();
    let script = folder.path().join("script");
    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let ends = |program: String| {
        let mut spec = shell("", folder.path());
        spec.argv = vec![program];
        run(spec)
    };
    assert_eq!(ends("/no/such/program".into()).await.end, End::NotFound);
    assert_eq!(ends("no-such-program".into()).await.end, End::NotFound);
    assert_eq!(ends(script.display().to_string()).await.end, End::NotFound);
    assert_eq!(
        ends(plain.display().to_string()).await.end,
        End::NotExecutable
    );
    assert_eq!(
        ends(folder.path().display().to_string()).await.end,
        End::NotExecutable
    );

    let outcome = run(shell("true", &folder.path().join("missing"))).await;
    assert!(
        matches!(&outcome.end, End::SpawnFailed(why) if why.contains("missing")),
        "{:?}",
        outcome.end
    );
}

#[tokio::test]
async fn a_bad_specification_is_refused() {
    let mut endless = Spec::shell("true", "/".into());
    endless.limits.wall = std::time::Duration::MAX;
    let mut boundless = Spec::shell("true", "/".into());
    boundless.limits.output_keep_tail = usize::MAX;
    let empty = Spec::new(vec![], "/".into());
    let relative = Spec::shell("true", "relative".into());
    let nul = Spec::shell("a\0b", "/".into());
    for spec in [empty, relative, nul, endless, boundless] {
        let result = sandbox().run(spec, CancellationToken::new()).await;
        assert!(
            matches!(result, Err(SandboxError::InvalidSpec(_))),
            "{result:?}"
        );
    }
}

#[tokio::test]
async fn a_supervisor_that_is_missing_or_none_is_told() {
    let run = async |supervisor: &str| {
        let sandbox = Sandbox::new(SandboxConfig {
            supervisor: supervisor.into(),
        });
        sandbox
            .run(Spec::shell("true", "/".into()), CancellationToken::new())
            .await
    };
    assert!(matches!(
        run("/no/such/supervisor").await,
        Err(SandboxError::Supervisor { .. })
    ));
    assert_eq!(run("/bin/true").await.unwrap().end, End::SupervisorLost);
}

#[tokio::test]
async fn the_environment_is_what_was_given() {
    let folder = tempfile::tempdir().unwrap();
    // Cargo sets this in the environment of every test.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    let mut spec = shell("", folder.path());
    spec.argv = vec!["env".into()];
    spec.env.insert("GIVEN".into(), "1".into());
    let expected: Vec<String> = spec
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let outcome = run(spec).await;
    let mut lines: Vec<&str> = outcome.output.head.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, expected);

    // The supervisor's own environment is empty too, if it can be read at all.
    let outcome = run(shell("tr '\\0' '\\n' < /proc/$PPID/environ", folder.path())).await;
    assert!(
        !outcome.output.text().contains('='),
        "{}",
        outcome.output.text()
    );
}

#[tokio::test]
async fn it_starts_with_clean_descriptors_signals_and_mask() {
    let folder = tempfile::tempdir().unwrap();
    // Shells clear their mask themselves, so the command is not one.
    let mut spec = shell("", folder.path());
    spec.argv = [
        "grep",
        "-E",
        "SigBlk|SigIgn|NoNewPrivs",
        "/proc/self/status",
    ]
    .map(str::to_owned)
    .into();
    let status = run(spec).await.output.text();
    let value = |name: &str| {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    // Signals 32 and 33 belong to the C library.
    let ours = !(0b11 << 31);
    assert_eq!(
        (
            value("SigBlk:") & ours,
            value("SigIgn:") & ours,
            value("NoNewPrivs:")
        ),
        (0, 0, 1)
    );

    // Three descriptors, and the one by which ls reads the folder.
    let line = "ls /proc/self/fd | wc -l; umask; pwd; \
                test \"$(cut -d' ' -f6 /proc/$$/stat)\" = $$ && echo leads its session";
    let outcome = run(shell(line, folder.path())).await;
    let expected = format!("4\n0022\n{}\nleads its session\n", folder.path().display());
    assert_eq!(outcome.output.text(), expected);
}

#[tokio::test]
async fn input_reaches_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|number| number as u8).collect();
    let mut spec = shell(
        "cksum; wc -c < /proc/self/fd/0 >/dev/null; cat | wc -c",
        folder.path(),
    );
    spec.stdin = Some(bytes.clone());
    let fed = run(spec).await.output.text();
    std::fs::write(folder.path().join("same"), bytes).unwrap();
    assert_eq!(
        fed,
        run(shell("cksum < same; echo 0", folder.path()))
            .await
            .output
            .text()
    );

    let mut spec = shell("wc -c", folder.path());
    spec.stdin = Some(Vec::new());
    assert_eq!(run(spec).await.output.text(), "0\n");
    assert_eq!(
        run(shell("readlink /proc/self/fd/0", folder.path()))
            .await
            .output
            .text(),
        "/dev/null\n"
    );
}

#[tokio::test]
async fn cancelling_ends_the_tree() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let cancel = CancellationToken::new();
    let spec = shell(
        "setsid sh -c 'echo $$ > pid; exec sleep 1000' & sleep 1000",
        folder.path(),
    );
    let sandbox = sandbox();
    let running = sandbox.run(spec, cancel.clone());
    let cancelling = async {
        until("the command started", || pid_in(&file).is_some()).await;
        cancel.cancel();
    };
    let (outcome, ()) = tokio::join!(running, cancelling);
    assert_eq!(outcome.unwrap().end, End::Cancelled);
    assert!(!alive(pid_in(&file).unwrap()));
}

#[tokio::test]
async fn the_network_can_be_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut spec = shell("cat /proc/net/dev", folder.path());
    spec.confine.network = false;
    let outcome = run(spec).await;
    assert_eq!(outcome.end, End::Exited(0));
    let text = outcome.output.text();
    let interfaces: Vec<&str> = text
        .lines()
        .filter_map(|line| Some(line.split_once(':')?.0.trim()))
        .collect();
    // A host that forbids it says so by the missing layer.
    assert_eq!(
        outcome.layers.contains(&"no-network"),
        interfaces == ["lo"],
        "{interfaces:?}"
    );
}

#[tokio::test]
async fn one_that_is_asked_to_end_may_do_so_and_else_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    for (line, end) in [
        (
            "trap 'echo bye; exit 7' TERM; touch up; while :; do sleep 0.02; done",
            End::Exited(7),
        ),
        ("touch up; exec sleep 1000", End::Signalled(15)),
        (
            "trap '' TERM; touch up; while :; do sleep 0.02; done",
            End::Cancelled,
        ),
    ] {
        let up = folder.path().join("up");
        let mut spec = shell(line, folder.path());
        spec.limits.stop_grace = std::time::Duration::from_millis(400);
        let (cancel, stop) = (CancellationToken::new(), CancellationToken::new());
        let asking = async {
            until("it is up", || up.exists()).await;
            stop.cancel();
        };
        let sandbox = sandbox();
        let (outcome, ()) = tokio::join!(sandbox.run_until(spec, cancel, stop.clone()), asking);
        let outcome = outcome.unwrap();
        assert_eq!(outcome.end, end, "{line}");
        assert_eq!(outcome.survivors, 0);
        std::fs::remove_file(&up).unwrap();
    }
}
