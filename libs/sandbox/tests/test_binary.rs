//! With the feature `test-supervisor` a test binary needs no other program to run commands.

use autopack_sandbox::{CancellationToken, End, Sandbox, SandboxConfig, Spec};

#[tokio::test]
async fn a_test_binary_supervises_itself() {
    let mut spec = Spec::shell("cat; echo done", "/".into());
    spec.env.insert("PATH".into(), "/usr/bin:/bin".into());
    spec.stdin = Some(b"input ".to_vec());
    let outcome = Sandbox::new(SandboxConfig::default())
        .run(spec, CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(outcome.end, End::Exited(0));
    assert_eq!(outcome.output.text(), "input done\n");
}
