//! `autopack doctor [--verify] [--fix] [--plan]` and `autopack doctor ids`; probes are [`probe`].
//!
//! Invariant: nothing is changed without `--fix`; whatever keeps the check from looking is itself a finding.

use std::{fmt::Write as _, path::PathBuf};

use autopack_domain::{Finding, FindingCode, Timestamp, finding::Place};
use autopack_wire::{
    client::{Clients, Offer},
    registry::{
        DiagnoseResponse, GetInfoRequest, InferIdsRequest, ListRepairsRequest, RepairRecord,
    },
};
use serde_json::{Value, json};

use super::{Context, probe, runs};
use crate::{
    cli::{DoctorArgs, DoctorCommand, RunsArgs},
    connect::Connection,
    doctor::{Difference, Doctor, files, findings, host, journal, pages},
    error::{CliError, Exit, Outcome},
    output::{Ui, count, table::Table},
    target,
};

/// What was found.
#[derive(Debug, Default)]
struct Diagnosis {
    git: String,
    database: String,
    data_dir: Option<PathBuf>,
    set_aside: Vec<String>,
    self_repair: String,
    rows: u64,
    more: bool,
    findings: Vec<Finding>,
    repairs: Vec<RepairRecord>,
    examined: usize,
    differences: Vec<Difference>,
    files: Option<(PathBuf, files::Files)>,
}

pub(super) async fn run(context: &Context, args: DoctorArgs) -> Outcome {
    if let Some(DoctorCommand::Ids { project }) = &args.command {
        return ids(context, project.clone().unwrap_or_default()).await;
    }
    if let Some(kind) = args.probe {
        return probe::run(context, &args, kind).await;
    }
    let mut found = Diagnosis::default();
    match autopack_git::check_version(&target::git()).await {
        Ok(version) => found.git = version.to_string(),
        Err(error) => found.findings.push(host::git(&error.to_string())),
    }
    match context.connect().await {
        Ok(connection) => {
            if connection.local {
                found.data_dir = Some(context.settings.data_dir.clone());
            }
            let ask = ask_files(context, &connection, &args);
            let result = look(&connection.clients, (&args, context.ui), ask, &mut found).await;
            connection.close().await;
            result?;
        }
        // An address that does not answer is the caller's to mend; our own database is ours.
        Err(error) if context.registry.is_some() => return Err(error),
        Err(error) => found.findings.push(unusable(&error)),
    }
    if let Some(path) = &found.data_dir {
        found.findings.extend(host::data_dir(path));
    }
    if args.plan {
        let plan = findings::as_plan(&found.findings);
        let shown = serde_json::to_string_pretty(&plan).unwrap_or_default();
        context.ui.data(|| plan.clone(), || format!("{shown}\n"));
        if found.findings.is_empty() {
            context.ui.say("nothing was found: the plan has no phase");
        }
    } else {
        context.ui.data(|| found.json(&args), || found.text(&args));
    }
    Ok(if found.is_well() {
        Exit::Success
    } else {
        Exit::Error
    })
}

/// The environment is not accepted, so nothing else was looked at.
pub(super) fn configuration(ui: Ui, error: &CliError) -> Exit {
    let place = |name: &str| Place::new("configuration", "", name);
    let code = FindingCode::ConfigurationInvalid;
    let found = Diagnosis {
        findings: match error.faults.as_slice() {
            [] => vec![Finding::new(code, place(""), &error.message)],
            faults => faults
                .iter()
                .map(|f| Finding::new(code, place(&f.path), &f.problem).valid(f.allowed.clone()))
                .collect(),
        },
        ..Diagnosis::default()
    };
    let args = DoctorArgs::default();
    ui.data(|| found.json(&args), || found.text(&args));
    Exit::Error
}

fn unusable(error: &CliError) -> Finding {
    let code = match error.code.as_str() {
        "DATA_DIR_BUSY" | "DATA_DIR_INVALID" | "DATA_DIR_INSIDE_REPOSITORY" => {
            FindingCode::DataDirUnusable
        }
        _ => FindingCode::DatabaseUnusable,
    };
    let problem = format!("{} {}", error.code, error.message);
    Finding::new(code, Place::new("database", "", ""), problem.trim()).fix(error.hints.join(" "))
}

/// Files of runs are this machine's: those of another one's registry only if the environment names the folder.
fn ask_files(context: &Context, connection: &Connection, args: &DoctorArgs) -> Option<files::Ask> {
    let settings = &context.settings;
    (connection.local || settings.runs_dir_named).then(|| files::Ask {
        base: settings.runs_dir.clone(),
        bounds: settings.run_files,
        run: args.run.clone(),
        all: args.verify,
        fix: args.fix,
        served: connection.engine.is_none(),
    })
}

async fn look(
    clients: &Clients,
    (args, ui): (&DoctorArgs, Ui),
    ask: Option<files::Ask>,
    found: &mut Diagnosis,
) -> Result<(), CliError> {
    let mut registry = clients.registry.clone();
    if args.fix {
        found.repairs = pages::repair(clients, ui).await?;
        if let Some(data) = &found.data_dir {
            let all = ListRepairsRequest { limit: 1000 };
            let all = clients.doctor().list_repairs(all).await?;
            let all = all.into_inner().repairs;
            journal::write(data, &all)?;
        }
    }
    let run = args.run.as_deref().unwrap_or_default();
    found.take(pages::diagnose(clients, run, ui).await?);
    let info = registry.get_info(GetInfoRequest {}).await?.into_inner();
    found.database = format!("{} ({})", info.database, info.database_identity);
    found.set_aside = info.set_aside;
    if let Some(ask) = ask {
        let mut files = files::examine(clients, &ask).await?;
        found.findings.append(&mut files.findings);
        found.files = Some((ask.base, files));
    }
    // What it learns of is remembered with what earlier calls met.
    Offer::learn(clients).await?;
    found.findings.extend(host::missing(&clients.gaps().list()));
    if args.verify {
        verify(clients, args, found).await?;
    }
    Ok(())
}

async fn verify(
    clients: &Clients,
    args: &DoctorArgs,
    found: &mut Diagnosis,
) -> Result<(), CliError> {
    let ids: Vec<String> = if let Some(run) = &args.run {
        vec![run.clone()]
    } else {
        let all = RunsArgs {
            state: None,
            project: None,
            limit: 0,
        };
        let runs = runs::list(clients, &all).await?;
        // What cannot be read is a finding already.
        let aside = |id: &str| {
            found
                .findings
                .iter()
                .any(|f| f.code.is_error() && f.run == id)
        };
        let sound = runs.into_iter().filter(|run| !aside(&run.id));
        sound.map(|run| run.uid).collect()
    };
    let mut doctor = Doctor::new(clients.clone());
    for id in ids {
        found.differences.extend(doctor.examine(&id).await?);
        found.examined += 1;
    }
    Ok(())
}

async fn ids(context: &Context, project: String) -> Outcome {
    let connection = context.connect().await?;
    let request = InferIdsRequest { project };
    let answer = connection.clients.doctor().infer_ids(request).await;
    connection.close().await;
    let found = answer?.into_inner();
    let offenders: Vec<Value> = found
        .offenders
        .iter()
        .map(|o| json!({ "run": o.run_id, "phase": o.phase_id }))
        .collect();
    context.ui.data(
        || {
            json!({
                "patterns": {
                    "single_phase_same_id": found.single_phase_same_id,
                    "single_phase_parent_child": found.single_phase_parent_child,
                    "multi_phase_parent_child": found.multi_phase_parent_child,
                },
                "convention": found.convention,
                "rule": found.rule,
                "assumed": found.assumed,
                "offenders": offenders,
            })
        },
        || {
            let mut table = Table::new(&["PATTERN", "RUNS"]);
            for (name, runs) in [
                ("single_phase_same_id", found.single_phase_same_id),
                ("single_phase_parent_child", found.single_phase_parent_child),
                ("multi_phase_parent_child", found.multi_phase_parent_child),
            ] {
                table.row([name.to_owned(), runs.to_string()]);
            }
            let how = if found.assumed { "assumed" } else { "inferred" };
            let mut text = table.render();
            let _ = writeln!(text, "\n{} ({how}): {}", found.convention, found.rule);
            for o in &found.offenders {
                let _ = writeln!(
                    text,
                    "warning: run {} has the phase {}",
                    o.run_id, o.phase_id
                );
            }
            text
        },
    );
    Ok(Exit::Success)
}

impl Diagnosis {
    fn take(&mut self, answer: DiagnoseResponse) {
        self.rows = answer.rows;
        self.more = answer.more;
        self.self_repair = answer.self_repair;
        for finding in answer.findings {
            let (code, problem) = (finding.code.clone(), finding.problem.clone());
            self.findings
                .push(Finding::try_from(finding).unwrap_or_else(|_| {
                    // A newer registry's: what it says is kept.
                    let place = Place::new("registry", "", "");
                    let text = format!("{code}: {problem}");
                    Finding::new(FindingCode::RecordDiffers, place, text)
                }));
        }
        if !answer.bus_connected {
            let place = Place::new("bus", "", "");
            let text = "the registry is not connected to its bus";
            let finding = Finding::new(FindingCode::BusUnusable, place, text);
            self.findings.push(finding);
        }
        let time = answer
            .time
            .map(|t| Timestamp(t.seconds * 1_000_000 + i64::from(t.nanos) / 1000));
        self.findings.extend(time.and_then(host::clock));
    }

    fn is_well(&self) -> bool {
        let errors = self.findings.iter().any(|f| f.code.is_error());
        !errors && self.set_aside.is_empty() && self.differences.is_empty()
    }

    fn git_error(&self) -> Option<&str> {
        let mut found = self.findings.iter();
        found
            .find(|f| f.code == FindingCode::GitUnusable)
            .map(|f| f.problem.as_str())
    }

    fn json(&self, args: &DoctorArgs) -> Value {
        json!({
            "well": self.is_well(),
            "git": (!self.git.is_empty()).then_some(&self.git),
            "git_error": self.git_error(),
            "database": self.database,
            "data_dir": self.data_dir.as_ref().map(|path| path.display().to_string()),
            "set_aside": self.set_aside,
            "self_repair": self.self_repair,
            "rows": self.rows,
            "more": self.more,
            "findings": self.findings.iter().map(findings::as_json).collect::<Vec<_>>(),
            "repairs": self.repairs.iter().map(repair).collect::<Vec<_>>(),
            "files": self.files.as_ref().map(|(base, files)| json!({
                "folder": base.display().to_string(),
                "compared": files.compared,
                "folders": files.folders,
                "late": files.late,
                "mended": files.mended,
            })),
            "verified": args.verify,
            "runs": self.examined,
            "differences": self.differences.iter().map(Difference::json).collect::<Vec<_>>(),
        })
    }

    fn text(&self, args: &DoctorArgs) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(text, "{name:<10} {value}");
        };
        match self.git_error() {
            Some(error) => line("git", &format!("not usable: {error}")),
            None if self.git.is_empty() => {}
            None => line("git", &format!("{} ok", self.git)),
        }
        if !self.database.is_empty() {
            line(
                "database",
                &format!("{}, {}", self.database, count(self.rows as usize, "row")),
            );
        }
        if let Some(path) = &self.data_dir {
            line("data dir", &path.display().to_string());
        }
        for row in &self.set_aside {
            line("set aside", row);
        }
        for r in &self.repairs {
            let change = format!(
                "{} {} ({}): {} -> {}",
                r.table, r.row, r.column, r.before, r.after
            );
            line("mended", &change);
        }
        if let Some((base, files)) = &self.files {
            let compared = count(files.compared, "run");
            line(
                "files",
                &format!("{compared} compared with {}", base.display()),
            );
            if files.late > 0 {
                let late = count(files.late, "run");
                let text = format!("{late} to be written when a process serves next, or by --fix");
                line("late", &text);
            }
            for mended in &files.mended {
                line("mended", mended);
            }
        }
        if args.verify {
            let differences = count(self.differences.len(), "difference");
            line(
                "runs",
                &format!("{} compared, {differences}", self.examined),
            );
        } else if !self.database.is_empty() {
            line(
                "runs",
                "not compared; `autopack doctor --verify` compares them with their branches",
            );
        }
        let more = if self.more { ", and more" } else { "" };
        line("findings", &format!("{}{more}", self.findings.len()));
        for finding in &self.findings {
            let _ = write!(text, "\n{}", findings::as_text(finding));
        }
        let mut table = Table::new(&["RUN", "CHECK", "EXPECTED", "FOUND"]);
        for d in &self.differences {
            let check = d.check.to_owned();
            table.row([d.run.clone(), check, d.expected.clone(), d.found.clone()]);
        }
        if !table.is_empty() {
            let _ = write!(text, "\n{}", table.render());
        }
        text
    }
}

fn repair(r: &RepairRecord) -> Value {
    json!({
        "table": r.table,
        "row": r.row,
        "column": r.column,
        "run_uid": r.run_uid,
        "before": r.before,
        "after": r.after,
        "rule": r.rule,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_without_its_bus_is_an_error() {
        for (connected, errors) in [(true, 0), (false, 1)] {
            let mut found = Diagnosis::default();
            found.take(DiagnoseResponse {
                bus_connected: connected,
                ..DiagnoseResponse::default()
            });
            let bus = found
                .findings
                .iter()
                .filter(|f| f.code == FindingCode::BusUnusable);
            assert_eq!((bus.count(), found.is_well()), (errors, connected));
        }
    }
}
