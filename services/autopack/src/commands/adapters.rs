//! `autopack adapters` and `autopack adapter test`.
//!
//! Invariant: neither needs a registry or a data directory; what they start runs in the sandbox and in a folder that
//! goes with them.

use std::path::{Path, PathBuf};

use autopack_adapters::kit::{self, Fault};
use autopack_adapters::manifest::{Manifest, Prompt};
use autopack_adapters::probe::Verdict;
use autopack_adapters::{Parser, Report};
use autopack_domain::plan::Adapter;
use autopack_sandbox::{Sandbox, SandboxConfig};
use builder_worker::agents::{Found, conform, find};
use serde_json::{Value, json};

use crate::{
    cli::AdapterTestArgs,
    error::{CliError, Exit, Outcome},
    output::{Ui, count, table::Table},
};

/// A folder that goes with the value.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, CliError> {
        let name = format!("autopack-adapters-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).map_err(|e| CliError::io("cannot make", &folder, &e))?;
        Ok(Self(folder))
    }

    fn below(&self, name: &str) -> Result<PathBuf, CliError> {
        let folder = self.0.join(name);
        std::fs::create_dir_all(&folder).map_err(|e| CliError::io("cannot make", &folder, &e))?;
        Ok(folder)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Every adapter with what this machine has of it.
pub(super) async fn list(ui: Ui) -> Outcome {
    let scratch = Scratch::new()?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sandbox = Sandbox::new(SandboxConfig::default());
    let mut found = Vec::new();
    for manifest in Manifest::all() {
        let home = scratch.below(&manifest.name)?;
        found.push(find(&sandbox, manifest, &path, &home).await);
    }
    let rows = || found.iter().map(row).collect::<Vec<Value>>();
    ui.data(|| json!({ "adapters": rows() }), || shown(&found));
    Ok(Exit::Success)
}

/// What is said of a program: a word, and the details.
fn state(found: &Found) -> (&'static str, String) {
    match &found.verdict {
        _ if found.manifest.program.is_empty() => ("named by the plan", String::new()),
        None => ("not found", String::new()),
        Some(Verdict::Refused(why)) => ("refused", why.clone()),
        Some(Verdict::Usable { degraded, newer }) => {
            let mut notes = degraded.clone();
            if *newer {
                notes.push("newer than the known versions".to_owned());
            }
            ("usable", notes.join(", "))
        }
    }
}

fn version(found: &Found) -> String {
    let version = found.probe.version.as_ref();
    version.map_or_else(String::new, ToString::to_string)
}

fn row(found: &Found) -> Value {
    let manifest = found.manifest;
    let (state, notes) = state(found);
    json!({
        "name": manifest.name,
        "title": manifest.title,
        "program": manifest.program,
        "path": found.path,
        "version": version(found),
        "state": state,
        "notes": notes,
        "prompt": match manifest.prompt {
            Prompt::Stdin => "stdin",
            Prompt::File => "file",
            Prompt::Dialogue => "dialogue",
        },
        "usage": manifest.usage.kind.as_str(),
        "environment": manifest.env.allow,
    })
}

fn shown(found: &[Found]) -> String {
    let mut table = Table::new(&["ADAPTER", "PROGRAM", "STATE", "VERSION", "USAGE", "NOTES"]);
    for found in found {
        let (state, notes) = state(found);
        let manifest = found.manifest;
        table.row([
            manifest.name.clone(),
            manifest.program.clone(),
            state.to_owned(),
            version(found),
            manifest.usage.kind.as_str().to_owned(),
            notes,
        ]);
    }
    table.render()
}

/// One line of the test's table.
struct Line {
    adapter: &'static str,
    test: String,
    wrong: Vec<String>,
}

/// Plays transcripts and faults.
pub(super) async fn test(ui: Ui, args: &AdapterTestArgs) -> Outcome {
    let chosen = args.name.as_deref().and_then(Adapter::parse);
    let scratch = Scratch::new()?;
    let sandbox = Sandbox::new(SandboxConfig::default());
    let mut lines = Vec::new();
    for manifest in Manifest::all() {
        if chosen.is_some_and(|chosen| chosen != manifest.adapter()) {
            continue;
        }
        lines.extend(transcripts(manifest));
        for fault in Fault::ALL {
            ui.say(&format!("{}: {}", manifest.name, fault.as_str()));
            let folder = scratch.below(&format!("{}-{fault:?}", manifest.name))?;
            let wrong = conform(&sandbox, manifest, fault, &folder).await;
            clear(&folder)?;
            lines.push(Line {
                adapter: &manifest.name,
                test: fault.as_str().to_owned(),
                wrong,
            });
        }
    }
    let failed = lines.iter().filter(|line| !line.wrong.is_empty()).count();
    ui.data(|| told(&lines, failed), || printed(&lines, failed));
    Ok(if failed == 0 {
        Exit::Success
    } else {
        Exit::Error
    })
}

fn clear(folder: &Path) -> Result<(), CliError> {
    std::fs::remove_dir_all(folder).map_err(|e| CliError::io("cannot remove", folder, &e))
}

fn transcripts(manifest: &'static Manifest) -> impl Iterator<Item = Line> {
    let all = kit::transcripts(manifest.adapter()).into_iter();
    all.map(move |transcript| {
        let mut parser = Parser::new(manifest, "", "");
        parser.push(transcript.bytes.as_bytes());
        let report: Report = parser.finish();
        Line {
            adapter: &manifest.name,
            test: format!("transcript {} ({})", transcript.name, transcript.origin),
            wrong: kit::compare(&transcript, &report),
        }
    })
}

fn told(lines: &[Line], failed: usize) -> Value {
    let rows = lines.iter().map(|line| {
        json!({ "adapter": line.adapter, "test": line.test, "passed": line.wrong.is_empty(), "wrong": line.wrong })
    });
    json!({ "passed": failed == 0, "failed": failed, "tests": rows.collect::<Vec<_>>() })
}

fn printed(lines: &[Line], failed: usize) -> String {
    let mut table = Table::new(&["ADAPTER", "TEST", "RESULT"]);
    for line in lines {
        let result = if line.wrong.is_empty() {
            "ok".to_owned()
        } else {
            format!("FAILED: {}", line.wrong.join("; "))
        };
        table.row([line.adapter.to_owned(), line.test.clone(), result]);
    }
    let tests = count(lines.len(), "test");
    format!("{}\n{tests}, {failed} failed\n", table.render())
}
