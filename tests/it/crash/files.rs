//! Ended between a commit and the files about it.

use std::time::Duration;

use autopack_testkit::program::{self, within};
use autopack_testkit::{Autopack, Phase, Plan, TempRepo};

const BOUND: Duration = Duration::from_mins(1);

#[test]
fn what_was_committed_and_not_written_is_written_after_the_crash() {
    let (autopack, repo) = (Autopack::new(), TempRepo::small());
    let plan = Plan::new("demo")
        .phase(Phase::noop("P1"))
        .phase(Phase::noop("P2"))
        .write(&autopack.folder("plan"));
    let (plan, repo) = (plan.to_str().unwrap(), repo.path().to_str().unwrap());
    let mut command = autopack.command(&["run", plan, "--repo", repo]);
    command.env("AUTOPACK_FAILPOINT", "files.before_write=1");
    let ended = program::run(&mut command, BOUND);
    assert_eq!(
        ended.code, None,
        "{ended:?} (is the binary built with `--features autopack/failpoints`?)"
    );
    let folder = autopack.data().join("runs/demo");
    assert!(!folder.exists(), "nothing is there in part");
    let up = autopack.up(&[]);
    within(BOUND, "the summary of the ended run", || {
        let text = std::fs::read_to_string(folder.join("run_summary.md")).unwrap_or_default();
        text.contains("- **State:** DONE_SUCCESS\n").then_some(())
    });
    up.stop().expect_code(0);
    let doctor = autopack.ask(&["doctor", "--verify"]);
    doctor.done.expect_code(0);
    assert_eq!(doctor.json["findings"], serde_json::json!([]));
}
