//! `autopack doctor [--verify]`.

use std::fmt::Write as _;

use autopack_wire::{client::Clients, registry::GetInfoRequest};
use serde_json::{Value, json};

use super::{Context, runs};
use crate::{
    cli::{DoctorArgs, RunsArgs},
    doctor::{Difference, Doctor},
    error::{CliError, Exit, Outcome},
    output::{count, table::Table},
    target,
};

/// What was found.
#[derive(Debug)]
struct Diagnosis {
    git: Result<String, String>,
    database: String,
    set_aside: Vec<String>,
    examined: usize,
    differences: Vec<Difference>,
}

pub(super) async fn run(context: &Context, args: DoctorArgs) -> Outcome {
    let git = autopack_git::check_version(&target::git()).await;
    let connection = context.connect().await?;
    let result = look(&connection.clients, &args).await;
    connection.close().await;
    let mut found = result?;
    found.git = git
        .map(|version| version.to_string())
        .map_err(|error| error.to_string());
    context
        .ui
        .data(|| found.json(context, &args), || found.text(context, &args));
    Ok(if found.is_well() {
        Exit::Success
    } else {
        Exit::Error
    })
}

async fn look(clients: &Clients, args: &DoctorArgs) -> Result<Diagnosis, CliError> {
    let info = clients
        .registry
        .clone()
        .get_info(GetInfoRequest {})
        .await?
        .into_inner();
    let mut found = Diagnosis {
        git: Ok(String::new()),
        database: format!("{} ({})", info.database, info.database_identity),
        set_aside: info.set_aside,
        examined: 0,
        differences: Vec::new(),
    };
    if !args.verify {
        return Ok(found);
    }
    let ids: Vec<String> = if let Some(run) = &args.run {
        vec![run.clone()]
    } else {
        let all = RunsArgs {
            state: None,
            project: None,
            limit: 0,
        };
        runs::list(clients, &all)
            .await?
            .into_iter()
            .map(|run| run.uid)
            .collect()
    };
    let mut doctor = Doctor::new(clients.clone());
    for id in ids {
        found.differences.extend(doctor.examine(&id).await?);
        found.examined += 1;
    }
    Ok(found)
}

impl Diagnosis {
    fn is_well(&self) -> bool {
        self.git.is_ok() && self.set_aside.is_empty() && self.differences.is_empty()
    }

    fn json(&self, context: &Context, args: &DoctorArgs) -> Value {
        json!({
            "well": self.is_well(),
            "git": self.git.as_ref().ok(),
            "git_error": self.git.as_ref().err(),
            "database": self.database,
            "data_dir": context.settings.data_dir.display().to_string(),
            "set_aside": self.set_aside,
            "verified": args.verify,
            "runs": self.examined,
            "differences": self.differences.iter().map(Difference::json).collect::<Vec<_>>(),
        })
    }

    fn text(&self, context: &Context, args: &DoctorArgs) -> String {
        let git = self.git.as_ref().map_or_else(
            |error| format!("not usable: {error}"),
            |version| format!("{version} ok"),
        );
        let mut text = format!(
            "git        {git}\ndatabase   {} ok\ndata dir   {}\n",
            self.database,
            context.settings.data_dir.display()
        );
        for row in &self.set_aside {
            let _ = writeln!(text, "set aside  {row}");
        }
        if !args.verify {
            text.push_str("runs       not compared; `autopack doctor --verify` compares them with their branches\n");
            return text;
        }
        let _ = writeln!(
            text,
            "runs       {} compared, {}",
            self.examined,
            count(self.differences.len(), "difference")
        );
        let mut table = Table::new(&["RUN", "CHECK", "EXPECTED", "FOUND"]);
        for d in &self.differences {
            table.row([
                d.run.clone(),
                d.check.to_owned(),
                d.expected.clone(),
                d.found.clone(),
            ]);
        }
        if !table.is_empty() {
            let _ = write!(text, "\n{}", table.render());
        }
        text
    }
}
