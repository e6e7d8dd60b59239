//! What governance of a large patch costs: the stage of an attempt from the change set to the judgement, its report to the
//! registry included.
//!
//! Invariant: the figure is the product's own, as it stands in the record of each attempt.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use autopack_wire::registry as pb;

use super::{
    numbers::{Line, percentile},
    patch::{make_repository, put},
    stack::Stack,
};

/// Files of a patch, and lines of each: 10,000 lines together.
const SHAPE: (usize, usize) = (100, 100);

/// A patch that adds files of source code.
fn large(n: usize) -> String {
    let (files, lines) = SHAPE;
    let mut text = String::new();
    for file in 0..files {
        let _ = write!(
            text,
            "diff --git a/src/p{n}/f{file}.py b/src/p{n}/f{file}.py\nnew file mode 100644\n--- /dev/null\n+++ b/src/p{n}/f{file}.py\n@@ -0,0 +1,{lines} @@\n"
        );
        for line in 0..lines / 2 {
            let _ = write!(
                text,
                "+def part_{n}_{file}_{line}(token=None):\n+    return \"value {line} of {file}\"\n"
            );
        }
    }
    text
}

/// The stage `govern` of this many attempts, on a repository with this many files.
pub(crate) async fn large_patch(
    folder: &Path,
    files: usize,
    phases: usize,
) -> Result<Vec<Line>, String> {
    let stack = Stack::start(&folder.join("govern"), 1).await?;
    let target = folder.join("govern-target");
    make_repository(&target, files).await?;
    let digests = put(&stack, (0..phases).map(large)).await?;
    let list: Vec<String> = (0..phases)
        .map(|n| format!(r#"{{"id": "P{n}", "name": "p{n}", "goal": "g", "builder": {{"kind": "patch", "patch": "{n}.patch"}}, "gate": {{"steps": []}}}}"#))
        .collect();
    let request = pb::CreateRunRequest {
        document: format!(
            r#"{{"schema": "autopack/plan/v1", "run": {{"id": "large", "goal": "bench", "project": "bench"}}, "tiers": [{{"id": "T1", "name": "t", "phases": [{}]}}]}}"#,
            list.join(",")
        ),
        files: digests,
        repository: target.display().to_string(),
        hold: true,
        ..pb::CreateRunRequest::default()
    };
    let failed = |error: tonic::Status| error.to_string();
    let mut registry = stack.clients.registry.clone();
    registry.create_run(request).await.map_err(failed)?;
    stack.wait("large", |run| run.frozen).await?;
    stack.begin("large").await?;
    stack.finish("large").await?;
    let request = pb::ListAttemptsRequest {
        run_id: "large".to_owned(),
        ..pb::ListAttemptsRequest::default()
    };
    let found = registry
        .list_attempts(request)
        .await
        .map_err(failed)?
        .into_inner();
    let spans: Vec<Duration> = found
        .attempts
        .iter()
        .filter_map(|attempt| serde_json::from_str::<serde_json::Value>(&attempt.facts_json).ok())
        .filter_map(|facts| facts["stage_ms"]["govern"].as_u64())
        .map(Duration::from_millis)
        .collect();
    stack.stop().await;
    if spans.len() < phases {
        return Err(format!(
            "{} of {phases} attempts tell how long governance took",
            spans.len()
        ));
    }
    let what = format!("governance of a 10,000-line patch, {files} files, p50");
    Ok(vec![
        Line::plain("G", what, percentile(&spans, 0.5), "ms").at_most(100.0, "aim"),
    ])
}
