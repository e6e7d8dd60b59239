//! Runs whose files cannot be written: kept, named, and written once what stood in the way is gone.

use std::fs;
use std::path::Path;
use std::time::Duration;

use autopack_testkit::program::within;
use autopack_testkit::{Autopack, Phase, Plan, TempRepo};
use serde_json::Value;

/// How long a folder may take to follow.
const BOUND: Duration = Duration::from_mins(1);

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn codes(answer: &Value) -> Vec<&str> {
    let list = answer["findings"].as_array().unwrap().iter();
    list.map(|f| f["code"].as_str().unwrap()).collect()
}

/// What health checks say of the files of runs.
fn files_are_well(autopack: &Autopack) -> Option<bool> {
    let file = fs::read_to_string(autopack.data().join("registry.json")).ok()?;
    let socket = serde_json::from_str::<Value>(&file).ok()?["socket"]
        .as_str()?
        .to_owned();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let tls = autopack_wire::client::ClientTls::default();
        let channel = autopack_wire::client::channel(&format!("unix:{socket}"), &tls).ok()?;
        let asked =
            autopack_wire::client::check_health(channel, "run_files", Duration::from_secs(5));
        asked.await.ok()
    })
}

#[test]
fn a_run_whose_files_cannot_be_written_is_parked_and_named_and_the_others_go_on() {
    let (autopack, repo) = (Autopack::new(), TempRepo::small());
    // Makes the data directory.
    autopack.read(&["runs"]);
    let runs = autopack.data().join("runs");
    fs::create_dir_all(&runs).unwrap();
    let submit = |id: &str| {
        let plan = Plan::new(id).phase(Phase::noop("P1"));
        let plan = plan.write(&autopack.folder(&format!("plan-{id}")));
        autopack.read(&["submit", text(&plan), "--repo", text(repo.path())]);
        autopack.ask(&["watch", id]).done.expect_code(0);
    };
    let written = |id: &str| {
        within(BOUND, &format!("the files of {id}"), || {
            let text = fs::read_to_string(runs.join(id).join("run_summary.json")).ok()?;
            text.contains("DONE_SUCCESS").then_some(())
        });
    };
    let parked = || -> Vec<Value> {
        let cursor = fs::read_to_string(runs.join(".projection.json")).unwrap_or_default();
        let cursor: Value = serde_json::from_str(&cursor).unwrap_or_default();
        cursor["parked"].as_array().cloned().unwrap_or_default()
    };
    // A file stands where the folders belong.
    for id in ["live", "later"] {
        fs::write(runs.join(id), "in the way").unwrap();
    }
    let up = autopack.up(&[]);
    submit("live");
    submit("later");
    submit("fine");
    written("fine");
    within(BOUND, "both runs to be parked", || {
        let all = parked();
        (all.len() == 2 && all.iter().all(|one| one["failures"].as_u64() >= Some(2))).then_some(())
    });
    let well = |wanted| {
        within(BOUND, "the health of the files", || {
            (files_are_well(&autopack) == Some(wanted)).then_some(())
        });
    };
    well(false);
    let found = autopack.ask(&["doctor"]);
    found.done.expect_code(0);
    assert_eq!(
        codes(&found.json),
        ["RUN_FILES_PARKED"; 2],
        "{:#}",
        found.json
    );
    let finding = found.json["findings"].as_array().unwrap();
    let finding = finding.iter().find(|f| f["run"] == "live").unwrap();
    assert!(
        finding["what"].as_str().unwrap().contains("is no folder"),
        "{finding}"
    );
    // Without an event and without a start.
    fs::remove_file(runs.join("live")).unwrap();
    written("live");
    up.stop().expect_code(0);
    fs::remove_file(runs.join("later")).unwrap();
    let up = autopack.up(&[]);
    written("later");
    within(BOUND, "nothing to be parked", || {
        parked().is_empty().then_some(())
    });
    well(true);
    assert_eq!(codes(&autopack.ask(&["doctor"]).json), [""; 0]);
    up.stop().expect_code(0);
}
