//! The overhead of a patch phase over plain `git apply && git commit`, gate excluded, push included.
//!
//! Invariant: plain git is measured before and after, so that a machine that changes its pace in between does not
//! decide the ratio.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use autopack_sandbox::trusted;
use autopack_wire::registry as pb;
use sha2::{Digest as _, Sha256};

use super::{
    numbers::{Line, percentile},
    stack::Stack,
};

/// Runs git as a user would, on a repository that this benchmark made.
async fn git(folder: &Path, args: &[&str]) -> Result<(), String> {
    let mut command = trusted::Command::new("git", folder.to_owned());
    command.args = args.iter().map(Into::into).collect();
    command.timeout = Duration::from_mins(2);
    for (key, value) in [
        ("PATH", std::env::var("PATH").unwrap_or_default()),
        ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
        ("GIT_CONFIG_GLOBAL", "/dev/null".to_owned()),
        ("GIT_AUTHOR_NAME", "bench".to_owned()),
        ("GIT_AUTHOR_EMAIL", "bench@localhost".to_owned()),
        ("GIT_COMMITTER_NAME", "bench".to_owned()),
        ("GIT_COMMITTER_EMAIL", "bench@localhost".to_owned()),
    ] {
        command.env.insert(key.into(), value.into());
    }
    let output = trusted::run(command).await.map_err(|e| e.to_string())?;
    if output.status == 0 {
        Ok(())
    } else {
        Err(format!("git {args:?}: {}", output.stderr))
    }
}

/// A repository with this many small files and one commit.
pub(crate) async fn make_repository(folder: &Path, files: usize) -> Result<(), String> {
    for n in 0..files {
        let file = folder
            .join(format!("d{}", n % 50))
            .join(format!("f{n}.txt"));
        std::fs::create_dir_all(file.parent().unwrap_or(folder)).map_err(|e| e.to_string())?;
        std::fs::write(&file, format!("file {n}\n").repeat(20)).map_err(|e| e.to_string())?;
    }
    git(folder, &["init", "-q", "-b", "main"]).await?;
    git(folder, &["add", "-A"]).await?;
    git(folder, &["commit", "-q", "-m", "base"]).await
}

fn patch(n: usize) -> String {
    let lines: Vec<String> = (0..10).map(|l| format!("+line {l} of {n}\n")).collect();
    let lines = lines.concat();
    format!(
        "diff --git a/new/p{n}.txt b/new/p{n}.txt\nnew file mode 100644\n--- /dev/null\n+++ b/new/p{n}.txt\n@@ -0,0 +1,10 @@\n{lines}"
    )
}

/// Both ways, on copies of the same repository.
pub(crate) async fn overhead(
    folder: &Path,
    files: usize,
    phases: usize,
) -> Result<Vec<Line>, String> {
    let plain_repository = folder.join("plain");
    make_repository(&plain_repository, files).await?;
    let stack = Stack::start(&folder.join("patch"), 1).await?;
    let target = folder.join("target");
    make_repository(&target, files).await?;
    let digests = put(&stack, (0..phases).map(patch)).await?;
    let list: Vec<String> = (0..phases)
        .map(|n| format!(r#"{{"id": "P{n}", "name": "p{n}", "goal": "g", "builder": {{"kind": "patch", "patch": "{n}.patch"}}, "gate": {{"steps": []}}}}"#))
        .collect();
    let request = pb::CreateRunRequest {
        document: format!(
            r#"{{"schema": "autopack/plan/v1", "run": {{"id": "patches", "goal": "bench", "project": "bench"}}, "tiers": [{{"id": "T1", "name": "t", "phases": [{}]}}]}}"#,
            list.join(",")
        ),
        files: digests,
        repository: target.display().to_string(),
        hold: true,
        ..pb::CreateRunRequest::default()
    };
    stack
        .clients
        .registry
        .clone()
        .create_run(request)
        .await
        .map_err(|e| e.to_string())?;
    stack.wait("patches", |run| run.frozen).await?;
    let half = phases.div_ceil(2);
    let mut plain = plain(&plain_repository, 0..half).await?;
    let ours = Instant::now();
    stack.begin("patches").await?;
    stack.finish("patches").await?;
    let ours = ours.elapsed() / u32::try_from(phases).unwrap_or(1);
    stack.stop().await;
    plain.extend(self::plain(&plain_repository, half..phases).await?);
    let plain_p50 = percentile(&plain, 0.5);
    let ours = ours.as_secs_f64() * 1e3;
    Ok(vec![
        Line::plain(
            "P",
            format!("plain git apply + commit, {files} files, p50"),
            plain_p50,
            "ms",
        ),
        Line::plain(
            "P",
            format!("patch phase, push included ({phases})"),
            ours,
            "ms",
        ),
        Line::plain("P", "ratio", ours / plain_p50, "x").at_most(2.0, "first aim"),
    ])
}

async fn plain(repository: &Path, rounds: Range<usize>) -> Result<Vec<Duration>, String> {
    let mut spans = Vec::with_capacity(rounds.len());
    for n in rounds {
        let file: PathBuf = repository.join("..").join(format!("plain-{n}.patch"));
        std::fs::write(&file, patch(n)).map_err(|e| e.to_string())?;
        let name = file.display().to_string();
        let start = Instant::now();
        git(repository, &["apply", "--index", &name]).await?;
        git(repository, &["commit", "-q", "-m", "phase"]).await?;
        spans.push(start.elapsed());
    }
    Ok(spans)
}

/// Stores patches as `0.patch`, `1.patch`, ...; their digests by name.
pub(super) async fn put(
    stack: &Stack,
    patches: impl Iterator<Item = String>,
) -> Result<std::collections::HashMap<String, String>, String> {
    let mut digests = std::collections::HashMap::new();
    for (n, text) in patches.enumerate() {
        let digest: Vec<String> = Sha256::digest(text.as_bytes())
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let digest = digest.concat();
        let pieces = futures::stream::iter([pb::PutArtifactRequest {
            data: text.into_bytes().into(),
        }]);
        let stored = stack
            .clients
            .artifacts
            .clone()
            .put_artifact(pieces)
            .await
            .map_err(|e| e.to_string())?
            .into_inner();
        if stored.digest != digest {
            return Err("the artifact store computed another digest".to_owned());
        }
        digests.insert(format!("{n}.patch"), digest);
    }
    Ok(digests)
}
