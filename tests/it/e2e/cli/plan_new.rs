//! `autopack plan new`: from notes to a plan that is sound, and what is refused before anything is written.

use autopack_testkit::repo::write;
use autopack_testkit::{Autopack, TempRepo};
use serde_json::Value;

const NOTES: &str = "# Durations are parsed

## Parsing
- Parse 1h30m
- Refuse what is no duration

## Documentation
- Write docs/time.md
- [x] Choose a name
";

fn text(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn notes_become_a_plan_that_is_sound_in_its_repository() {
    let (autopack, repo) = (Autopack::new(), TempRepo::small());
    let folder = autopack.folder("new");
    write(&folder, "notes.md", NOTES);
    let (notes, plan) = (folder.join("notes.md"), folder.join("plan.yaml"));
    let args = [
        "plan",
        "new",
        "--from",
        text(&notes),
        "--repo",
        text(repo.path()),
        "--builder",
        "noop",
        "--output",
        text(&plan),
    ];
    let made = autopack.ask(&args);
    made.done.expect_code(0);
    assert_eq!(made.json["phases"], 2);
    assert!(made.done.stderr.contains("1 ticked off"), "{made:?}");
    let explained = autopack.read(&["plan", "explain", text(&plan)]);
    assert_eq!(explained["form"], "plan_v1");
    assert_eq!(explained["warnings"].as_array().map(Vec::len), Some(0));
    let tiers = explained["plan"]["tiers"].as_array().unwrap();
    let phases: Vec<&Value> = tiers
        .iter()
        .flat_map(|t| t["phases"].as_array().unwrap())
        .collect();
    let ids: Vec<&str> = phases.iter().map(|p| p["id"].as_str().unwrap()).collect();
    assert_eq!(
        ids,
        ["durations-are-parsed-phase1", "durations-are-parsed-phase2"]
    );
    assert_eq!(explained["plan"]["run"]["id"], "durations-are-parsed");
    autopack
        .call(&["plan", "validate", text(&plan), "--repo", text(repo.path())])
        .expect_code(0);

    // What is there stays, unless it is to be replaced.
    let before = std::fs::read(&plan).unwrap();
    let again = autopack.call(&args);
    again.expect_code(1);
    assert!(again.stderr.contains("--force"), "{again:?}");
    assert_eq!(std::fs::read(&plan).unwrap(), before);
    let mut forced = args.to_vec();
    forced.extend(["--force", "--id", "other"]);
    autopack.call(&forced).expect_code(0);
    assert!(
        std::fs::read_to_string(&plan)
            .unwrap()
            .contains("other-phase1")
    );
    let left: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "no scratch file is left: {left:?}");
}

#[test]
fn nothing_is_written_of_a_plan_that_is_not_sound() {
    let autopack = Autopack::new();
    let plan = autopack.folder("new").join("plan.yaml");
    let out = ["--output", text(&plan)];
    for (args, said) in [
        (vec!["--goal", "G"], "deliverables"),
        (vec!["--item", "Something"], "goal"),
        (
            vec!["--goal", "G", "--item", "I", "--id", "no id!"],
            "run.id",
        ),
        (
            vec!["--goal", "G", "--item", "I", "--builder", "robot"],
            "--builder",
        ),
        (
            vec!["--goal", "G", "--item", "I", "--repo", "/nowhere"],
            "/nowhere",
        ),
        (vec![], "--from FILE"),
    ] {
        let all: Vec<&str> = ["plan", "new"].into_iter().chain(args).chain(out).collect();
        let done = autopack.call(&all);
        assert!(matches!(done.code, Some(1 | 2)), "{done:?}");
        assert!(done.stderr.contains(said), "{said}: {done:?}");
        assert!(!plan.exists(), "{all:?}");
    }
}

#[test]
fn a_goal_and_a_list_go_to_standard_output() {
    let autopack = Autopack::new();
    let done = autopack.call(&[
        "plan", "new", "--goal", "Do it", "--item", "One", "--item", "Two",
    ]);
    done.expect_code(0);
    assert!(done.stdout.contains("do-it-phase2"), "{done:?}");
}

/// The table of phases had no column for a goal: it belonged into `scope`, and nothing said so.
#[test]
fn scenario_goal_outside_scope() {
    let autopack = Autopack::new();
    let folder = autopack.folder("goal");
    let goal = |name: &str, phase: &str| {
        let document =
            format!("{{\"run_id\": \"r\", \"phases\": [{{\"phase_id\": \"p\", {phase}}}]}}");
        write(&folder, name, &document);
        let explained = autopack.read(&["plan", "explain", text(&folder.join(name))]);
        explained["plan"]["tiers"][0]["phases"][0]["goal"].clone()
    };
    // Either place is read, and comes out as the same phase.
    assert_eq!(
        goal("outside.json", r#""goal": "g", "scope": {"paths": ["a"]}"#),
        "g"
    );
    assert_eq!(
        goal("inside.json", r#""scope": {"goal": "g", "paths": ["a"]}"#),
        "g"
    );
    // The strict form has one place for it, and a fault says which.
    let strict = "schema: autopack/plan/v1\nrun: { goal: r }\ntiers: [{ id: T1, phases: [{ id: p, scope: { goal: g }, builder: { kind: noop } }] }]\n";
    write(&folder, "strict.yaml", strict);
    let answer = autopack.ask(&["plan", "validate", text(&folder.join("strict.yaml"))]);
    answer.done.expect_code(1);
    let faults = answer.json["faults"].as_array().unwrap();
    let mut paths: Vec<&str> = faults.iter().filter_map(|f| f["path"].as_str()).collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        ["tiers[0].phases[0].goal", "tiers[0].phases[0].scope.goal"],
        "{faults:?}"
    );
}

/// `plan new` names phases as the runs that are there do; too few of them prove nothing.
#[test]
fn phases_are_named_by_the_convention_of_the_runs_that_are_there() {
    let (autopack, repo) = (Autopack::new(), TempRepo::small());
    let folder = autopack.folder("new");
    let made = |name: &str, items: &[&str]| -> Vec<String> {
        let plan = folder.join(name);
        let mut args = vec![
            "plan",
            "new",
            "--id",
            "x",
            "--goal",
            "G",
            "--builder",
            "noop",
            "--output",
            text(&plan),
        ];
        for item in items {
            args.extend(["--item", item]);
        }
        autopack.call(&args).expect_code(0);
        let explained = autopack.read(&["plan", "explain", text(&plan)]);
        let phases = explained["plan"]["tiers"][0]["phases"].as_array().unwrap();
        phases
            .iter()
            .map(|p| p["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(made("none.yaml", &["I"]), ["x-phase1"]);
    assert!(
        !autopack.data().join("db").exists(),
        "nothing is made only to be asked"
    );
    let submit = |id: &str| {
        let plan = format!(
            "schema: autopack/plan/v1\nrun: {{ id: {id}, goal: g }}\ntiers: [{{ id: T1, phases: [{{ id: {id}, goal: g, builder: {{ kind: noop }} }}] }}]\n"
        );
        let file = folder.join(format!("{id}.in.yaml"));
        std::fs::write(&file, plan).unwrap();
        autopack.read(&["submit", text(&file), "--repo", text(repo.path()), "--hold"]);
    };
    for n in 0..4 {
        submit(&format!("r{n}"));
    }
    assert_eq!(
        made("few.yaml", &["I"]),
        ["x-phase1"],
        "four runs prove nothing"
    );
    submit("r4");
    assert_eq!(made("one.yaml", &["I"]), ["x"]);
    assert_eq!(made("two.yaml", &["I", "J"]), ["x-phase1", "x-phase2"]);
    let up = autopack.up(&[]);
    assert_eq!(made("served.yaml", &["I"]), ["x"]);
    up.stop().expect_code(0);
}
