//! `autopack plan new`: from what a person wrote down, or says when asked, to a plan file.
//!
//! Invariant: the text is read back as a plan, checked against the repository and by the registry where they are named,
//! and only then written, whole or not at all; a file that is there stays unless it is to be replaced.

use std::{
    fs,
    io::{BufRead as _, IsTerminal as _, Write as _},
    path::Path,
    time::Duration,
};

use autopack_domain::Reason;
use autopack_policy::{
    draft::{Brief, Choices, Group, anchor, render},
    id_convention::Convention,
};
use autopack_runtime::{IdSource as _, V7Ids};
use autopack_wire::{contract, registry::InferIdsRequest};
use serde_json::json;

use super::{Context, plan::check_text};
use crate::{
    cli::{NewRun, PlanNewArgs},
    connect,
    error::{CliError, Exit, Outcome},
    features,
    output::{count, stderr, stdout},
    plan_files::Document,
    submit::{builder, builder_json, prepare},
    target,
};

/// How long a registry is asked for its convention.
const ASKING: Duration = Duration::from_secs(5);

pub(super) async fn run(context: &Context, args: PlanNewArgs) -> Outcome {
    let to_stdout = args.output == Path::new("-");
    if !to_stdout && args.output.exists() && !args.force {
        let text = format!("{} is there already", args.output.display());
        return Err(CliError::new(text).hint("--force replaces it, --output names another file"));
    }
    let brief = brief(context, &args)?;
    let faults = brief.faults();
    if !faults.is_empty() {
        let text = format!(
            "no plan can be made of it: {}",
            count(faults.len(), "fault")
        );
        return Err(CliError::faults(Reason::PlanInvalid, text, faults));
    }
    // Refused here with the words of the flag, not with those of a plan.
    builder(args.builder.as_deref())?;
    let convention = Box::pin(convention(context)).await;
    let text = render(&brief, &choices(&args, convention.unwrap_or_default()));
    let document = Document::made(text, &args.output)?;
    let checked = check_text(context, &document, args.repo.as_deref()).await?;
    if checked.faults.is_empty()
        && let (Some(repo), Some(address)) = (&args.repo, &context.registry)
    {
        ask_registry(context, &document, repo, address).await?;
    }
    let phases = brief.groups.iter().filter(|group| !group.items.is_empty());
    let phases = phases.count();
    if !checked.faults.is_empty() {
        let text = format!(
            "the plan is not sound: {}",
            count(checked.faults.len(), "fault")
        );
        return Err(CliError::faults(Reason::PlanInvalid, text, checked.faults));
    }
    for note in brief.notes.iter().chain(&checked.warnings) {
        context.ui.say(&format!("note: {note}"));
    }
    if let Some(convention) = convention {
        let rule = convention.rule();
        context.ui.say(&format!(
            "note: ids are those of the runs that are there: {rule}"
        ));
    }
    if to_stdout {
        stdout(&document.text);
    } else {
        write(&args.output, &document.text, args.force)?;
        let path = args.output.display().to_string();
        context.ui.data(
            || json!({ "plan": path, "phases": phases, "notes": brief.notes, "warnings": checked.warnings }),
            String::new,
        );
        context
            .ui
            .say(&format!("{path}: {}", count(phases, "phase")));
        context
            .ui
            .say(&format!("next: autopack run {path} --repo DIR"));
    }
    Ok(Exit::Success)
}

/// How phases are named in the runs that a registry knows; `None`: none answers, or too few runs say it. Nothing is made
/// only to be asked.
async fn convention(context: &Context) -> Option<Convention> {
    if context.registry.is_none() && !context.settings.database_file().exists() {
        return None;
    }
    let asking = async {
        let connection = context.connect().await.ok()?;
        let request = InferIdsRequest {
            project: String::new(),
        };
        let answer = connection.clients.doctor().infer_ids(request).await;
        connection.close().await;
        let found = answer.ok()?.into_inner();
        let found = (!found.assumed).then_some(found.convention)?;
        Convention::parse(&found)
    };
    tokio::time::timeout(ASKING, asking).await.ok().flatten()
}

fn choices(args: &PlanNewArgs, convention: Convention) -> Choices {
    let builder = args.builder.as_deref().map(builder_json);
    Choices {
        id: args.id.clone().unwrap_or_default(),
        base: args.base.clone().unwrap_or_default(),
        safety_profile: args.safety_profile.clone(),
        builder: builder.and_then(|json| serde_json::from_str(&json).ok()),
        from: args.from.as_ref().map_or_else(
            || "a goal and a list".to_owned(),
            |path| path.display().to_string(),
        ),
        convention,
    }
}

/// What is to be built: from the file, the flags, or the terminal.
fn brief(context: &Context, args: &PlanNewArgs) -> Result<Brief, CliError> {
    let mut brief = match &args.from {
        Some(path) => Brief::read(&Document::read(path)?.text),
        None if args.item.is_empty() && args.goal.is_none() => {
            if !std::io::stdin().is_terminal() {
                return Err(CliError::usage("nothing says what to build")
                    .hint("--from FILE, or --goal TEXT with --item TEXT; on a terminal it asks"));
            }
            return ask(context);
        }
        None => Brief::of_list("", &args.item),
    };
    if let Some(goal) = &args.goal {
        brief.goal = anchor(goal);
    }
    Ok(brief)
}

/// Asks on the terminal: the goal, then phases with their deliverables.
fn ask(context: &Context) -> Result<Brief, CliError> {
    let mut brief = Brief {
        goal: anchor(&question("What should be true at the end of the run?")?),
        ..Brief::default()
    };
    loop {
        let number = brief.groups.len() + 1;
        let name = question(&format!("Phase {number}, in a few words (empty: no more)"))?;
        if name.is_empty() {
            return Ok(brief);
        }
        let mut items = Vec::new();
        loop {
            let item = question("  Something it delivers (empty: no more)")?;
            if item.is_empty() {
                break;
            }
            items.push(item);
        }
        if items.is_empty() {
            items.push(name.clone());
            context
                .ui
                .say("  nothing named; the phase delivers what its name says");
        }
        brief.groups.push(Group {
            name,
            items,
            ..Group::default()
        });
    }
}

/// One line from the terminal; empty at its end.
fn question(text: &str) -> Result<String, CliError> {
    let failed =
        |error: std::io::Error| CliError::io("cannot ask on", Path::new("the terminal"), &error);
    let mut out = std::io::stderr().lock();
    write!(out, "{text}: ")
        .and_then(|()| out.flush())
        .map_err(failed)?;
    let mut line = String::new();
    let read = std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(failed)?;
    if read == 0 {
        stderr("");
    }
    Ok(line.trim().to_owned())
}

/// Lets the registry check it as a run, and store nothing.
async fn ask_registry(
    context: &Context,
    document: &Document,
    repo: &str,
    address: &str,
) -> Result<(), CliError> {
    let connection = connect::remote(&context.settings, address)?;
    let asked = async {
        features::require(&connection.clients, contract::VALIDATE_ONLY).await?;
        let target = target::discover(repo).await?;
        let new = NewRun {
            repo: repo.to_owned(),
            // A plan without a builder is sound; who runs it names one.
            builder: Some("external".to_owned()),
            run_id: None,
            project: None,
            new: true,
            switch: Vec::new(),
        };
        let prepared = prepare(&context.settings, document, &new, &target).await?;
        prepared
            .validate_only(true)
            .create(&connection.clients)
            .await
    };
    let answer = asked.await;
    connection.close().await;
    answer.map(drop)
}

/// Writes the file whole, or leaves what is there. A link, unlike a move, never replaces a file that came meanwhile.
fn write(path: &Path, text: &str, force: bool) -> Result<(), CliError> {
    let failed = |error: std::io::Error| CliError::io("cannot write", path, &error);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}", V7Ids.uuid()));
    let written = fs::File::create_new(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        if force {
            fs::rename(&beside, path)
        } else {
            fs::hard_link(&beside, path)
        }
    });
    // Moved away if it was to replace; else the second name of the file.
    let _ = fs::remove_file(&beside);
    written.map_err(failed)
}
