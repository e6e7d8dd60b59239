//! Patches and change sets that may not land.

use autopack_testkit::series::{adding, linking};
use autopack_testkit::{Phase, Plan, TempRepo};
use serde_json::json;

use crate::rig::{ENVIRONMENT, HUMAN, POLICY, play};

#[test]
fn a_patch_that_does_not_apply_fails_at_its_turn() {
    let patch =
        "--- a/README.md\n+++ b/README.md\n@@ -1,3 +1,3 @@\n # App\n \n-Nothing like this\n+Four\n";
    let plan = Plan::new("demo")
        .phase(Phase::patch("P1", adding("a.txt", "a\n")))
        .phase(Phase::patch("P2", patch));
    let played = play("demo", TempRepo::small(), &plan);
    played
        .fails(HUMAN, "PATCH_DOES_NOT_APPLY", "P2")
        .says("P2", &["README.md"]);
    assert_eq!(played.landed().len(), 1);
}

#[test]
fn a_file_that_is_no_patch_is_found_before_the_first_lease() {
    let plan = Plan::new("demo").phase(Phase::patch("P1", "this is\nno patch at all\n"));
    let played = play("demo", TempRepo::small(), &plan);
    played
        .fails(ENVIRONMENT, "PREFLIGHT_FAILED", "")
        .says("", &["tiers[0].phases[0].builder.patch"])
        .has_no_branch();
}

#[test]
fn a_patch_out_of_scope_lists_every_path() {
    let patch = [
        adding("src/in.txt", "x\n"),
        adding("out/a.txt", "x\n"),
        adding("out/b.txt", "x\n"),
    ]
    .concat();
    let plan = Plan::new("demo").phase(Phase::patch("P1", patch).scope(&["src/**"]));
    let played = play("demo", TempRepo::small(), &plan);
    played
        .fails(POLICY, "OUT_OF_SCOPE", "P1")
        .says("P1", &["out/a.txt", "out/b.txt"])
        .has_no_branch();
}

#[test]
fn an_empty_scope_allows_nothing() {
    let plan = Plan::new("demo").phase(Phase::patch("P1", adding("a.txt", "x\n")).scope(&[]));
    play("demo", TempRepo::small(), &plan)
        .fails(POLICY, "OUT_OF_SCOPE", "P1")
        .has_no_branch();
}

#[test]
fn a_protected_path_is_denied_even_where_scope_allows_it() {
    let scope = json!({ "paths": ["**"], "protected_paths": ["secrets/"] });
    let plan = Plan::new("demo")
        .phase(Phase::patch("P1", adding("secrets/key.txt", "x\n")).set("scope", scope));
    play("demo", TempRepo::small(), &plan)
        .fails(POLICY, "PROTECTED_PATH", "P1")
        .says("P1", &["secrets/key.txt"])
        .has_no_branch();
}

#[test]
fn links_that_leave_the_repository_are_refused() {
    for target in ["/", "/etc/passwd", "../..", "app/../../x", ".git/config"] {
        let plan = Plan::new("demo")
            .phase(Phase::patch("P1", linking("link", target)))
            .phase(Phase::patch("P2", adding("link/x.txt", "x\n")));
        let played = play("demo", TempRepo::small(), &plan);
        played
            .fails(POLICY, "PATH_ESCAPE", "P1")
            .says("P1", &["link"])
            .has_no_branch();
        assert_eq!(played.phase("P2")["state"], "SKIPPED");
    }
}

#[test]
fn nothing_is_written_through_a_link_that_is_in_the_tree() {
    let repo = TempRepo::small();
    let outside = repo.outside().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, repo.path().join("link")).unwrap();
    repo.commit("A link that leaves the repository");
    let plan = Plan::new("demo").phase(Phase::patch("P1", adding("link/written.txt", "x\n")));
    let played = play("demo", repo, &plan);
    played
        .fails(POLICY, "PATH_ESCAPE", "P1")
        .says("P1", &["link/written.txt"])
        .has_no_branch();
    assert!(!outside.join("written.txt").exists());
}

#[test]
fn nor_through_a_link_that_an_earlier_phase_has_landed() {
    let plan = Plan::new("demo")
        .phase(Phase::patch("P1", linking("link", "app")))
        .phase(Phase::patch("P2", adding("link/x.txt", "x\n")));
    let played = play("demo", TempRepo::small(), &plan);
    played
        .fails(POLICY, "PATH_ESCAPE", "P2")
        .says("P2", &["link/x.txt"]);
    assert_eq!(played.landed().len(), 1);
}

#[test]
fn a_builder_that_makes_a_link_and_writes_through_it_is_refused() {
    let plan = Plan::new("demo").phase(
        Phase::command("P1", "ln -s ../../.. up && echo x > inside.txt").set("max_attempts", 1),
    );
    play("demo", TempRepo::small(), &plan)
        .fails(POLICY, "PATH_ESCAPE", "P1")
        .says("P1", &["up"])
        .has_no_branch();
}

#[test]
fn absolute_and_climbing_patches_are_found_before_the_first_lease() {
    let names = [
        "../outside.txt",
        ".git/hooks/pre-commit",
        ".GIT/config",
        "a/../../b",
        "/absolute",
        "a/.git/x",
    ];
    let mut plan = Plan::new("demo");
    for (n, name) in names.iter().enumerate() {
        plan = plan.phase(Phase::patch(&format!("P{n}"), adding(name, "x\n")));
    }
    let played = play("demo", TempRepo::small(), &plan);
    played
        .fails(ENVIRONMENT, "PREFLIGHT_FAILED", "")
        .says("", &names)
        .says("", &["would leave the repository"])
        .has_no_branch();
    assert!(!played.repo.outside().join("outside.txt").exists());
    assert!(played.autopack.attempts("demo").is_empty());
}

#[test]
fn paths_that_differ_only_in_case_collide() {
    let plan = Plan::new("demo").phase(Phase::patch("P1", adding("readme.MD", "x\n")));
    play("demo", TempRepo::small(), &plan)
        .fails(POLICY, "PATH_COLLISION", "P1")
        .has_no_branch();
}

#[test]
fn too_many_files_and_too_large_files_are_refused() {
    let many = Phase::command("P1", "for n in 1 2 3 4 5; do echo x > f$n; done")
        .set("limits", json!({ "files": 3 }));
    let large = Phase::command("P1", "head -c 300000 /dev/zero | tr '\\0' x > f")
        .set("limits", json!({ "file_kb": 100 }));
    for phase in [many, large] {
        let plan = Plan::new("demo").phase(phase.set("max_attempts", 1));
        play("demo", TempRepo::small(), &plan)
            .fails(POLICY, "CHANGE_TOO_LARGE", "P1")
            .has_no_branch();
    }
}

#[test]
fn a_binary_of_a_builder_must_be_named() {
    let line = "printf 'a\\000b' > blob.bin";
    let plan = Plan::new("demo").phase(Phase::command("P1", line).set("max_attempts", 1));
    play("demo", TempRepo::small(), &plan)
        .fails(POLICY, "BINARY_REFUSED", "P1")
        .says("P1", &["blob.bin"]);
    let plan = Plan::new("demo").phase(Phase::command("P1", line).scope(&["blob.bin"]));
    play("demo", TempRepo::small(), &plan).succeeds();
}

#[test]
fn deliverables_must_exist_and_must_not_be_ignored() {
    let missing = json!({ "deliverables": ["docs/guide.md"] });
    let plan = Plan::new("demo").phase(
        Phase::command("P1", "echo x > a.txt")
            .set("scope", missing)
            .set("max_attempts", 1),
    );
    play("demo", TempRepo::small(), &plan)
        .fails(HUMAN, "DELIVERABLE_MISSING", "P1")
        .says("P1", &["docs/guide.md"]);
    let ignored = json!({ "deliverables": ["result.log"] });
    let plan = Plan::new("demo").phase(
        Phase::command("P1", "echo x > a.txt; echo x > result.log")
            .set("scope", ignored)
            .set("max_attempts", 1),
    );
    play("demo", TempRepo::small(), &plan)
        .fails(HUMAN, "DELIVERABLE_IGNORED", "P1")
        .says("P1", &["result.log"])
        .has_no_branch();
}
