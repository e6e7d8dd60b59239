//! `autopack up`.

use autopack_domain::Reason;
use autopack_runtime::{DataDir, Opened, signals::EndSignals};
use serde_json::json;

use super::Context;
use crate::{
    cli::UpArgs,
    engine::{Engine, Scope, default_slots},
    error::{CliError, Exit, Outcome},
};

/// Serves until SIGTERM or SIGINT; a second one ends at once.
pub(super) async fn run(context: &Context, args: UpArgs) -> Outcome {
    if !args.listen.ip().is_loopback() {
        return Err(CliError::usage(format!(
            "--listen {}: only the loopback interface is served",
            args.listen
        ))
        .hint("put a proxy with TLS in front of 127.0.0.1, or run the distributed form"));
    }
    if context.registry.is_some() {
        return Err(CliError::usage(
            "`up` is a registry and takes no --registry",
        ));
    }
    let mut signals = EndSignals::new()
        .map_err(|error| CliError::new(format!("signals cannot be caught: {error}")))?;
    let data = match DataDir::open(&context.settings.data_dir, None)? {
        Opened::Locked(data) => data,
        Opened::Busy { registry } => {
            let who = registry.map_or_else(String::new, |file| format!(" (process {})", file.pid));
            let message = format!(
                "another process{who} serves {} already",
                context.settings.data_dir.display()
            );
            return Err(CliError::reason(Reason::DataDirBusy, message)
                .hint("use it: the other commands find it by themselves"));
        }
    };
    let slots = args.workers.map_or_else(default_slots, usize::from);
    let scope = Scope::All {
        slots,
        bus: args.bus,
        listen: Some(args.listen),
    };
    let engine = Box::pin(Engine::start(&context.settings, data, scope)).await?;
    let addresses = engine.addresses();
    let socket = addresses
        .socket
        .as_ref()
        .map(|path| format!("unix:{}", path.display()))
        .unwrap_or_default();
    let tcp = addresses
        .tcp
        .as_ref()
        .map(|tcp| format!("http://{tcp}"))
        .unwrap_or_default();
    let data_dir = context.settings.data_dir.display().to_string();
    context.ui.data(
        || json!({ "pid": addresses.pid, "socket": socket, "tcp": tcp, "data_dir": data_dir, "workers": slots }),
        || format!("{socket}\n{tcp}\n"),
    );
    context.ui.say(&format!("serving {data_dir} with {slots} workers; token for TCP in {data_dir}/token; SIGTERM or Ctrl-C ends"));
    tokio::select! {
        signal = signals.next() => context.ui.say(&format!("{signal}: handing running phases back; again to end at once")),
        () = engine.broken() => {}
    }
    tokio::select! {
        failure = engine.stop() => match failure {
            None => Ok(Exit::Success),
            Some(failure) => Err(CliError::reason(Reason::InternalFault, format!("a service failed: {failure}"))),
        },
        _ = signals.next() => Ok(Exit::Interrupted),
    }
}
