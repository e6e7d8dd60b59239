//! `autopack bench`.

use autopack_runtime::{IdSource as _, V7Ids};
use serde_json::json;

use crate::{
    bench::{self, Sizes},
    cli::BenchArgs,
    error::{CliError, Exit, Outcome},
    output::{Ui, stderr, stdout},
};

/// Measures, and prints figures as they come; with `--json` all of them at the end.
pub(super) async fn run(ui: Ui, args: &BenchArgs) -> Outcome {
    let parent = args.dir.clone().unwrap_or_else(std::env::temp_dir);
    let folder = parent.join(format!("autopack-bench-{}", V7Ids.uuid()));
    std::fs::create_dir_all(&folder)
        .map_err(|error| CliError::io("cannot make", &folder, &error))?;
    let sizes = if args.quick {
        Sizes::QUICK
    } else {
        Sizes::FULL
    };
    let print = |line: &str| {
        if ui.json {
            stderr(line);
        } else {
            stdout(&format!("{line}\n"));
        }
    };
    let measured = bench::run(&folder, sizes, &args.only, print).await;
    let _ = std::fs::remove_dir_all(&folder);
    let report = measured.map_err(|error| CliError::new(format!("a scenario failed: {error}")))?;
    if ui.json {
        stdout(&format!("{:#}\n", json!(report)));
    }
    Ok(Exit::Success)
}
