//! `autopack export RUN [--layout guide|legacy] [--to DIR]` and `autopack export --follow`.

use std::path::Path;

use autopack_runtime::signals::EndSignals;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Context;
use crate::{
    aliases::absolute_path,
    cli::ExportArgs,
    connect::Connection,
    error::{CliError, Exit, Outcome},
    runfiles::{Layout, RunFiles, render_run, write_run},
};

pub(super) async fn run(context: &Context, args: ExportArgs) -> Outcome {
    let base = match &args.to {
        Some(named) => absolute_path(named)?,
        None => context.settings.runs_dir.clone(),
    };
    let connection = context.connect().await?;
    let result = match &args.run {
        Some(run) => once(context, &connection, run, args.layout, &base).await,
        None => follow(context, &connection, &base).await,
    };
    connection.close().await;
    result
}

async fn once(
    context: &Context,
    connection: &Connection,
    run: &str,
    layout: Layout,
    base: &Path,
) -> Outcome {
    let files = render_run(&connection.clients, run, layout).await?;
    let folder = base.join(&files.folder);
    let list = |pack: &crate::runfiles::Pack| -> Vec<String> {
        let paths = pack.keys().map(|path| path.display().to_string());
        paths.collect()
    };
    let (of_run, of_project) = (list(&files.run), list(&files.project));
    write_run(base, files).await?;
    context.ui.data(
        || {
            json!({
                "run": run,
                "base": base.display().to_string(),
                "folder": folder.display().to_string(),
                "files": of_run,
                "project_files": of_project,
            })
        },
        || format!("{}\n", folder.display()),
    );
    Ok(Exit::Success)
}

async fn follow(context: &Context, connection: &Connection, base: &Path) -> Outcome {
    let mut signals = EndSignals::new()
        .map_err(|error| CliError::new(format!("signals cannot be caught: {error}")))?;
    let (clients, bounds) = (connection.clients.clone(), context.settings.run_files);
    let files = RunFiles::new(base.to_owned(), clients, bounds);
    let shutdown = CancellationToken::new();
    let following = files.keep_asking(&shutdown);
    tokio::pin!(following);
    let shown = base.display();
    context.ui.say(&format!(
        "writing runs that change to {shown}; SIGTERM or Ctrl-C ends"
    ));
    tokio::select! {
        () = &mut following => return Ok(Exit::Success),
        signal = signals.next() => {
            context.ui.say(&format!("{signal}: ending"));
            shutdown.cancel();
        }
    }
    tokio::select! {
        () = &mut following => {}
        _ = signals.next() => return Ok(Exit::Interrupted),
    }
    Ok(Exit::Success)
}
