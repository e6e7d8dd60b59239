//! From `main` to the exit code.
//!
//! Invariant: 0 after a signal that ended everything in time, 1 if a part failed or did not end, 2 for a configuration
//! that cannot be used, 130 for a second signal. Sockets are bound before the service starts, and ready after.

use std::{
    future::Future, io::Write as _, net::SocketAddr, path::Path, process::ExitCode, sync::Arc,
    time::Duration,
};

use autopack_domain::fault::Fault;
use autopack_wire::{client::ClientTls, serve::Late, server::TokenTable};
use clap::{CommandFactory as _, FromArgMatches as _};
use tonic::transport::ServerTlsConfig;

use super::{
    args::{HealthcheckArgs, Plain, PlainCommand, ServiceArgs},
    front::{layer, listen, write_addresses},
    http::Pages,
    keys::Keys,
    load::{Told, load, load_unchecked, secret},
    process::{Process, Service, StartError},
    ready::Readiness,
    settings::{Common, Settings},
    tls,
};
use crate::{
    clock::SystemClock,
    config::{environment, environment_all},
    ids::{IdSource as _, V7Ids},
    metrics,
    signals::EndSignals,
    supervise::Supervisor,
    telemetry::{self, Meters, TelemetryConfig},
};

/// How long open connections may take to end, and what ends after the tasks.
pub(super) const GRACE: Duration = Duration::from_secs(2);
/// How long the last spans and metrics may take.
const FLUSH: Duration = Duration::from_secs(1);

/// A service's program.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// The gRPC services that it has, by full name.
    pub services: &'static [&'static str],
}

/// What is known after the configuration was read.
struct Plan<S> {
    settings: S,
    told: Told<S>,
    taken: TokenTable,
    key: Option<String>,
    server_tls: Option<ServerTlsConfig>,
    client_tls: ClientTls,
}

/// Runs the program of a service that has no commands of its own; `about` says what it does, for `--help`.
pub fn plain<S, M, F>(program: Program, about: &'static str, start: M) -> ExitCode
where
    S: Settings + Clone,
    M: FnOnce(S, Process) -> F,
    F: Future<Output = Result<Service, StartError>>,
{
    let command = Plain::command().name(program.name).about(about);
    let read = Plain::from_arg_matches(&command.get_matches());
    let cli = read.unwrap_or_else(|error| error.exit());
    match &cli.command {
        Some(PlainCommand::Healthcheck(check)) => healthcheck::<S>(program, &cli.service, check),
        None => main(program, &cli.service, start),
    }
}

/// Runs a service from its arguments to its exit code. `start` is called within the runtime, with the sockets bound.
pub fn main<S, M, F>(program: Program, args: &ServiceArgs, start: M) -> ExitCode
where
    S: Settings + Clone,
    M: FnOnce(S, Process) -> F,
    F: Future<Output = Result<Service, StartError>>,
{
    let told = match load::<S>(args, &environment_all()) {
        Ok(told) => told,
        Err(faults) => return refuse(program, &faults),
    };
    if args.print_config {
        let text = told.print_config();
        return match std::io::stdout().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let plan = match plan(told) {
        Ok(plan) => plan,
        Err(faults) => return refuse(program, &faults),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(program, &error),
    };
    let code = runtime.block_on(serve(program, args.address_file.as_deref(), plan, start));
    runtime.shutdown_background();
    code
}

/// Runs something that ends by itself with the service's configuration; exit code 0 if it says `true`.
pub fn once<S, M, F>(program: Program, args: &ServiceArgs, work: M) -> ExitCode
where
    S: Settings + Clone,
    M: FnOnce(S) -> F,
    F: Future<Output = Result<bool, StartError>>,
{
    let told = match load_unchecked::<S>(args, &environment_all()) {
        Ok(told) => told,
        Err(faults) => return refuse(program, &faults),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(program, &error),
    };
    match runtime.block_on(work(told.loaded.value.clone())) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => fail(program, &error),
    }
}

/// Runs `healthcheck`.
pub fn healthcheck<S: Settings + Clone>(
    program: Program,
    args: &ServiceArgs,
    check: &HealthcheckArgs,
) -> ExitCode {
    let told = match load_unchecked::<S>(args, &environment_all()) {
        Ok(told) => told,
        Err(faults) => return refuse(program, &faults),
    };
    let common = told.loaded.value.common();
    let files = &common.tls;
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let tls = ClientTls {
        ca: read(&files.ca_file),
        identity: read(&files.certificate_file).zip(read(&files.key_file)),
        domain: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(program, &error),
    };
    match runtime.block_on(super::healthcheck::check(check, common, &tls)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fail(program, &why),
    }
}

/// Reads what the configuration names: keys, certificates.
fn plan<S: Settings + Clone>(told: Told<S>) -> Result<Plan<S>, Vec<Fault>> {
    let settings = told.loaded.value.clone();
    let common = settings.common();
    let role = S::role();
    let mut faults = Vec::new();
    let keys = |name: &str, value: &str, file: &str| -> Result<Keys, Vec<Fault>> {
        let text = secret(name, value, file).map_err(|fault| vec![fault])?;
        Keys::read(text.as_deref().unwrap_or_default(), role)
    };
    let own = keys("api_key", &common.api_key, &common.api_key_file).unwrap_or_else(|found| {
        faults.extend(found);
        Keys::default()
    });
    let server_tls = tls::server(&common.tls).unwrap_or_else(|fault| {
        faults.push(fault);
        None
    });
    let mut key = own.sent().map(ToOwned::to_owned);
    let mut client_tls = ClientTls::default();
    if let Some(registry) = settings.registry() {
        match keys(
            "registry.api_key",
            &registry.api_key,
            &registry.api_key_file,
        ) {
            Ok(other) => key = other.sent().map(ToOwned::to_owned).or(key),
            Err(found) => faults.extend(found),
        }
        match tls::client(registry) {
            Ok(found) => client_tls = found,
            Err(fault) => faults.push(fault),
        }
    }
    faults.extend(exposed(common, &own.taken));
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Plan {
        settings,
        told,
        taken: own.taken,
        key,
        server_tls,
        client_tls,
    })
}

/// Without keys only the loopback interface is served, unless the configuration says that this is meant.
fn exposed(common: &Common, taken: &TokenTable) -> Option<Fault> {
    let listen: SocketAddr = common.listen.parse().ok()?;
    if common.without_auth() || !taken.is_empty() || listen.ip().is_loopback() {
        return None;
    }
    let problem = format!(
        "{listen} is not a loopback address, and callers have no key: set AUTOPACK_API_KEY or \
         AUTOPACK_API_KEY_FILE, or write auth = \"none\" to serve whoever reaches it"
    );
    Some(Fault::new("listen", problem))
}

async fn serve<S, M, F>(
    program: Program,
    address_file: Option<&Path>,
    plan: Plan<S>,
    start: M,
) -> ExitCode
where
    S: Settings + Clone,
    M: FnOnce(S, Process) -> F,
    F: Future<Output = Result<Service, StartError>>,
{
    let common = plan.settings.common().clone();
    let ids = Arc::new(V7Ids);
    let instance = ids.uuid().to_string();
    let config = telemetry_config(program, &common, &instance);
    let (guard, meters) = match telemetry::init(&config)
        .and_then(|guard| Meters::init(&config).map(|meters| (guard, meters)))
    {
        Ok(set_up) => set_up,
        Err(error) => return fail(program, &error),
    };
    let ready = Readiness::default();
    ready.wait_for("started");
    observe(&guard, &meters, &ready);
    tracing::info!(
        program = program.name,
        version = config.service_version,
        instance,
        "starting"
    );
    let process = Process {
        name: program.name,
        instance,
        tasks: Supervisor::new(),
        clock: Arc::new(SystemClock::new()),
        ids,
        ready: ready.clone(),
        switches: plan.told.switches,
        key: plan.key,
        tls: plan.client_tls,
    };
    let front = Supervisor::new();
    let pages = Pages {
        meters: meters.clone(),
        ready: ready.clone(),
        switches: plan.told.switches,
    };
    let open = common.without_auth() || plan.taken.is_empty();
    if common.without_auth() {
        tracing::warn!(
            listen = common.listen,
            "auth = \"none\": whoever reaches this address may do anything"
        );
    }
    let layer = layer(plan.taken, open);
    let bound = listen(
        program,
        &common,
        layer,
        plan.server_tls,
        pages,
        &process,
        &front,
    )
    .await;
    let outcome = match bound {
        Ok((late, addresses)) => match write_addresses(address_file, &addresses) {
            Ok(()) => live(program, plan.settings, &process, &front, late, start).await,
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    let code = match outcome {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(%error, "the service cannot go on");
            front.cancel();
            fail(program, &error)
        }
    };
    tokio::join!(guard.shutdown(FLUSH), meters.shutdown(FLUSH));
    code
}

/// From the start of the service to the end of its tasks.
async fn live<S, M, F>(
    program: Program,
    settings: S,
    process: &Process,
    front: &Supervisor,
    late: Late,
    start: M,
) -> Result<ExitCode, StartError>
where
    S: Settings,
    M: FnOnce(S, Process) -> F,
    F: Future<Output = Result<Service, StartError>>,
{
    let mut signals = EndSignals::new().map_err(StartError::from)?;
    let deadline = Duration::from_secs(settings.common().shutdown_seconds);
    let service = tokio::select! {
        started = start(settings, process.clone()) => Some(started?),
        signal = signals.next() => {
            tracing::info!(signal, "asked to end while starting");
            None
        }
    };
    let mut end: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> =
        Box::pin(std::future::ready(()));
    if let Some(service) = service {
        late.set(service.routes);
        end = service.end;
        process.ready.set("started", true);
        tracing::info!(program = program.name, "started");
        tokio::select! {
            signal = signals.next() => tracing::info!(signal, "asked to end"),
            () = process.tasks.cancelled() => {}
            () = front.cancelled() => {}
        }
    }
    process.ready.set("started", false);
    drop(late);
    let ending = async {
        let tasks = process.tasks.shutdown(deadline.saturating_sub(GRACE)).await;
        let front = front.shutdown(GRACE + GRACE / 2).await;
        if tokio::time::timeout(GRACE * 2, end).await.is_err() {
            tracing::warn!("the last tasks did not end in time");
        }
        [tasks, front]
    };
    let reports = tokio::select! {
        reports = ending => reports,
        signal = signals.next() => {
            tracing::warn!(signal, "asked again: ending at once");
            return Ok(ExitCode::from(130));
        }
    };
    let mut code = ExitCode::SUCCESS;
    for report in reports {
        if let Some(failure) = &report.failure {
            tracing::error!(failure, "a part failed");
            complain(program, failure);
        }
        if !report.is_clean() {
            code = ExitCode::FAILURE;
        }
    }
    tracing::info!(program = program.name, "ended");
    Ok(code)
}

fn telemetry_config(program: Program, common: &Common, instance: &str) -> TelemetryConfig {
    TelemetryConfig {
        json_logs: common.log.format == "json",
        log_filter: common.log.level.clone(),
        instance_id: Some(instance.to_owned()),
        ..TelemetryConfig::from_environment(program.name, &environment)
    }
}

/// The metrics that every service has.
fn observe(guard: &telemetry::Guard, meters: &Meters, ready: &Readiness) {
    let ready = ready.clone();
    metrics::observe(metrics::SERVICE_READY, move || u64::from(ready.is_ready()));
    let counts = guard.counts();
    metrics::observe(metrics::SERVICE_SPANS_SENT, move || counts.sent());
    let counts = guard.counts();
    metrics::observe(metrics::SERVICE_SPANS_FAILED, move || counts.failed());
    let counts = guard.counts();
    metrics::observe(metrics::SERVICE_SPANS_DROPPED, move || counts.dropped());
    let failures = meters.failures_reader();
    metrics::observe(metrics::SERVICE_METRIC_EXPORTS_FAILED, failures);
}

fn refuse(program: Program, faults: &[Fault]) -> ExitCode {
    for fault in faults {
        complain(program, fault);
    }
    ExitCode::from(2)
}

fn fail(program: Program, error: &dyn std::fmt::Display) -> ExitCode {
    complain(program, error);
    ExitCode::FAILURE
}

fn complain(program: Program, what: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{}: {what}", program.name);
}
