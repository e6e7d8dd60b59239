//! `autopack run PLAN...`: from plans to ended runs, in one process.
//!
//! Invariant: the same command again continues the same runs; a run that fails stops no other; results come in the
//! order of the plans. If another process serves the data directory and goes away, this one takes its place.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use autopack_domain::Reason;
use autopack_git::Target;
use autopack_runtime::{Clock as _, SystemClock, signals::EndSignals};
use autopack_wire::{client::Clients, registry::StartRunRequest};
use futures::StreamExt as _;
use serde_json::json;

use super::Context;
use crate::{
    cli::RunArgs,
    connect::{self, Connection},
    engine::{Scope, default_slots},
    error::{CliError, Exit, Outcome},
    follow::{self, follow},
    output::{
        json,
        live::{Live, Track},
        one_line, text,
    },
    plan_files::Document,
    report::{Report, RunResult},
    runfiles::Layout,
    submit::{Prepared, prepare},
    target,
    view::{View, exit_of, has_ended, run_state},
};

/// How long a registry that was named may be away. One in this process is not away, and one of another process is
/// replaced.
const REMOTE_PATIENCE: Duration = Duration::from_mins(5);

/// One plan on its way.
struct Item {
    plan: String,
    /// Ready, or what was wrong with it.
    prepared: Result<Prepared, CliError>,
    /// Id of the run once it is stored, and whether it was there before.
    stored: Mutex<Option<(String, bool)>>,
    /// An earlier plan made the same run, which is followed there.
    duplicate: AtomicBool,
    /// How it ended.
    ended: Mutex<Option<Result<View, CliError>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) async fn run(context: &Context, args: RunArgs) -> Outcome {
    if args.plans.len() > 1 && args.new.run_id.is_some() {
        return Err(CliError::usage(
            "--run-id names one run, and several plans are given",
        ));
    }
    let mut signals = EndSignals::new()
        .map_err(|error| CliError::new(format!("signals cannot be caught: {error}")))?;
    let target = target::discover(&args.new.repo).await?;
    let mut items = Vec::new();
    for plan in &args.plans {
        let prepared = match Document::read(plan) {
            Ok(document) => prepare(&context.settings, &document, &args.new, &target).await,
            Err(error) => Err(error),
        };
        if let Ok(prepared) = &prepared {
            for warning in &prepared.warnings {
                context
                    .ui
                    .say(&format!("warning: {}: {warning}", plan.display()));
            }
        }
        items.push(Item {
            plan: plan.display().to_string(),
            prepared,
            stored: Mutex::default(),
            duplicate: AtomicBool::new(false),
            ended: Mutex::default(),
        });
    }
    if let [
        Item {
            prepared: Err(error),
            ..
        },
    ] = items.as_slice()
    {
        return Err(error.clone());
    }
    let session = Session {
        context,
        args: &args,
        target: &target,
        items: &items,
        live: Live::new(context.ui),
    };
    match session.until_all_ended(&mut signals).await? {
        Some(exit) => Ok(exit),
        None => Ok(conclude(context, items)),
    }
}

struct Session<'a> {
    context: &'a Context,
    args: &'a RunArgs,
    target: &'a Target,
    items: &'a [Item],
    live: Live,
}

impl Session<'_> {
    /// Runs everything to its end; `Some` if a signal ended it before.
    async fn until_all_ended(&self, signals: &mut EndSignals) -> Result<Option<Exit>, CliError> {
        loop {
            let connection = tokio::select! {
                connection = self.connect() => connection?,
                _ = signals.next() => return Ok(Some(Exit::Interrupted)),
            };
            let interrupted = tokio::select! {
                () = self.all(&connection) => None,
                () = broken(&connection) => None,
                signal = signals.next() => Some(signal),
            };
            if let Some(signal) = interrupted {
                self.say_how_to_go_on(signal, &connection);
            }
            // A second signal does not wait for anything.
            let failure = tokio::select! {
                failure = close(connection) => failure,
                _ = signals.next() => return Ok(Some(Exit::Interrupted)),
            };
            if interrupted.is_some() {
                return Ok(Some(Exit::Interrupted));
            }
            if let Some(failure) = failure {
                let message = format!("a service failed: {failure}");
                return Err(CliError::reason(Reason::InternalFault, message)
                    .hint("the same command continues the run"));
            }
            if self.items.iter().all(|item| lock(&item.ended).is_some()) {
                return Ok(None);
            }
            self.live
                .say("the process that served the data directory has ended; going on in its place");
        }
    }

    async fn connect(&self) -> Result<Connection, CliError> {
        let settings = &self.context.settings;
        if let Some(address) = &self.context.registry {
            return connect::remote(settings, address);
        }
        let scope = Scope::All {
            slots: self.args.workers.map_or_else(default_slots, usize::from),
            bus: "in-process".to_owned(),
            listen: None,
        };
        connect::local(settings, target::checkout(self.target), scope).await
    }

    /// Every run that has not ended, a bounded number at a time.
    async fn all(&self, connection: &Connection) {
        let seen = Mutex::new(BTreeSet::new());
        let several = self.items.len() > 1;
        futures::stream::iter(self.items)
            .for_each_concurrent(usize::from(self.args.max_concurrent), |item| {
                let seen = &seen;
                async move {
                    if lock(&item.ended).is_some() {
                        return;
                    }
                    let prefix = if several {
                        format!("{}: ", item.plan)
                    } else {
                        String::new()
                    };
                    let track = self.live.track(&prefix);
                    let result = self.one(connection, item, &track, seen).await;
                    track.end();
                    let lost = result.as_ref().is_err_and(|error| error.unreachable);
                    let replaceable =
                        connection.engine.is_none() && self.context.registry.is_none();
                    if !(lost && replaceable) {
                        *lock(&item.ended) = Some(result);
                    }
                }
            })
            .await;
    }

    /// One run, from its creation or wherever it stands to its end.
    async fn one(
        &self,
        connection: &Connection,
        item: &Item,
        track: &Track,
        seen: &Mutex<BTreeSet<String>>,
    ) -> Result<View, CliError> {
        let clients = &connection.clients;
        let stored = lock(&item.stored).clone();
        let id = match stored {
            Some((id, _)) => id,
            None => store(clients, item, track).await?,
        };
        if !lock(seen).insert(id.clone()) {
            item.duplicate.store(true, Ordering::Relaxed);
            track.note(&format!("run {id}: the same as of an earlier plan"));
            return follow::get(clients, &id, true).await;
        }
        let patience = if self.context.registry.is_some() {
            REMOTE_PATIENCE
        } else {
            Duration::ZERO
        };
        let mut view = follow(clients, &id, track, patience).await?;
        if view.plan.is_none() {
            view = follow::get(clients, &id, false).await?;
        }
        if let Some(engine) = &connection.engine
            && let Err(error) = engine.files().write(&id).await
        {
            track.note(&format!(
                "warning: the summary was not written: {}",
                error.message
            ));
        }
        Ok(view)
    }

    fn say_how_to_go_on(&self, signal: &str, connection: &Connection) {
        let what = if connection.engine.is_some() {
            "handing running phases back; again to end at once. The run stays as it is: the same command continues it"
        } else {
            "stopped following; the run goes on in the process that serves it"
        };
        self.live.say(&format!("{signal}: {what}"));
    }
}

/// Creates the run, or finds the one that the same plan made before, and returns its id.
async fn store(clients: &Clients, item: &Item, track: &Track) -> Result<String, CliError> {
    let prepared = item.prepared.as_ref().map_err(Clone::clone)?;
    let answer = prepared.create(clients).await?;
    let missing = || CliError::reason(Reason::InternalFault, "the registry sent no run");
    let run = answer.run.ok_or_else(missing)?;
    track.note(&match (answer.existing, has_ended(&run)) {
        (false, _) => format!("run {}: {}", run.id, one_line(&run.goal, 100)),
        (true, false) => format!("run {}: continues; it is {}", run.id, run_state(&run)),
        (true, true) => format!("run {}: has ended before", run.id),
    });
    *lock(&item.stored) = Some((run.id.clone(), answer.existing));
    if run.held && !run.started {
        let request = StartRunRequest {
            run_id: run.id.clone(),
            request_id: String::new(),
        };
        clients.registry.clone().start_run(request).await?;
    }
    if run.paused {
        track.note(&format!(
            "it is paused; `autopack resume {}` ends the pause",
            run.id
        ));
    }
    Ok(run.id)
}

/// Waits until our own services fail; for ever if they are another process's.
async fn broken(connection: &Connection) {
    match &connection.engine {
        Some(engine) => engine.broken().await,
        None => std::future::pending().await,
    }
}

async fn close(connection: Connection) -> Option<String> {
    let Connection {
        clients, engine, ..
    } = connection;
    drop(clients);
    engine?.stop().await
}

/// Shows how everything ended.
fn conclude(context: &Context, items: Vec<Item>) -> Exit {
    let several = items.len() > 1;
    let mut results = Vec::new();
    for item in items {
        if item.duplicate.load(Ordering::Relaxed) {
            continue;
        }
        let stored = item
            .stored
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let ended = item
            .ended
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let (id, existing) = stored.unwrap_or_default();
        let result = ended.unwrap_or_else(|| Err(CliError::new("it did not end")));
        if several {
            results.push(RunResult::new(item.plan, id, result));
            continue;
        }
        return match result {
            Ok(view) => one_result(context, &view, existing),
            Err(error) => {
                context.ui.error(&error);
                error.exit
            }
        };
    }
    let report = Report::new(results);
    context.ui.data(|| report.json(), || report.markdown());
    report.exit()
}

fn one_result(context: &Context, view: &View, existing: bool) -> Exit {
    let now = SystemClock::new().now().0;
    let local = context.registry.is_none();
    let folder = Layout::Guide.run(&view.run.id);
    let folder = context.settings.runs_dir.join(folder);
    let summary = local.then(|| folder.join("run_summary.md").display().to_string());
    context.ui.data(
        || {
            let mut value = json::view(view, now);
            value["existing"] = json!(existing);
            value["data_dir"] =
                json!(local.then(|| context.settings.data_dir.display().to_string()));
            value["summary"] = json!(summary);
            value
        },
        || text::status(context.ui, view, now),
    );
    let exit = exit_of(&view.run);
    if let Some(summary) = &summary {
        context.ui.say(&format!("summary: {summary}"));
    }
    if exit == Exit::RunFailed {
        if local {
            context.ui.say(&format!(
                "incident pack: {}",
                folder.join("incident").display()
            ));
        }
        let id = &view.run.id;
        context.ui.say(&format!("hint: `autopack retry {id}` runs the failed phases again, then the same command follows them; `--new` starts over"));
    }
    exit
}
