//! The main job: sixty phases over three tiers on a repository of more than fifty files.
//!
//! Invariant: the expected tree comes from plain `git apply` in a clone of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use autopack_testkit::repo::write;
use autopack_testkit::{Autopack, Phase, Plan, Series, TempRepo, git};

use crate::rig::play_with;

const GATE: &str = "./check.sh";

/// A plan under construction, beside what plain git makes of it.
struct Work {
    plan: Plan,
    edits: Series,
    reference: Series,
    /// Phases that change something, with their gate and builder as in the trailers.
    changing: BTreeMap<String, (&'static str, &'static str)>,
    total: usize,
}

impl Work {
    fn new(repo: &TempRepo) -> Self {
        Self {
            plan: Plan::new("demo"),
            edits: Series::at(repo, "HEAD", "edits"),
            reference: Series::at(repo, "HEAD", "reference"),
            changing: BTreeMap::new(),
            total: 0,
        }
    }

    fn tier(&mut self, id: &str) {
        self.plan = self.plan.clone().tier(id);
    }

    fn phase(&mut self, phase: Phase) {
        self.total += 1;
        self.plan = self.plan.clone().phase(phase);
    }

    /// A phase with the patch of these edits; the patch.
    fn edit(
        &mut self,
        id: &str,
        dress: impl FnOnce(Phase) -> Phase,
        edits: impl FnOnce(&Path),
    ) -> String {
        let patch = self.edits.edit(edits);
        self.reference.apply(&patch);
        let gated = dress(Phase::patch(id, patch.clone()));
        self.phase(gated);
        self.changing
            .insert(id.to_owned(), ("patch", "not_required"));
        patch
    }
}

/// The n-th kind of edit.
fn edit(dir: &Path, n: usize) {
    let module = format!("src/part{}/module_{n:03}.py", n % 7);
    match n % 6 {
        0 => write(
            dir,
            &format!("docs/page_{n}.md"),
            format!("# Page {n}\n\nText\n"),
        ),
        1 => {
            let text = fs::read_to_string(dir.join(&module)).unwrap();
            fs::write(
                dir.join(&module),
                text.replace(" = 7\n", " = 7  # seven\n") + "last = True\n",
            )
            .unwrap();
        }
        2 => fs::remove_file(dir.join(&module)).unwrap(),
        3 => {
            write(dir, "moved/keep", "");
            fs::rename(
                dir.join(&module),
                dir.join(format!("moved/module_{n:03}.py")),
            )
            .unwrap();
        }
        4 => write(
            dir,
            &format!("assets/{n}.bin"),
            [0, 159, 146, 150, u8::try_from(n).unwrap()].repeat(30),
        ),
        _ => {
            write(dir, &format!("bin/tool_{n}"), "#!/bin/sh\n");
            autopack_testkit::repo::executable(&dir.join(format!("bin/tool_{n}")));
            write(dir, &format!("no newline {n}.txt"), "no newline at the end");
        }
    }
}

/// Sixty phases: a chain with a gate, three chains side by side, and a last tier.
fn sixty(repo: &TempRepo) -> Work {
    let mut work = Work::new(repo);
    work.tier("T1");
    let mut patches = Vec::new();
    for n in 0..24 {
        let id = format!("chain-{n:02}");
        patches.push(work.edit(&id, |phase| phase.check(GATE), |dir| edit(dir, n)));
        work.changing.insert(id, ("patch", "passed; ./check.sh"));
    }
    for n in [0, 9, 23] {
        work.phase(Phase::patch(&format!("again-{n:02}"), patches[n].clone()).check(GATE));
    }
    for n in 0..2 {
        work.phase(Phase::command(&format!("nothing-{n}"), "true").set("allow_noop", true));
    }
    work.phase(Phase::noop("noop"));
    work.tier("T2");
    for place in 0..8 {
        for side in ["left", "middle", "right"] {
            let before = (place > 0).then(|| format!("{side}-{}", place - 1));
            let after: Vec<&str> = before.as_deref().into_iter().collect();
            let file = format!("{side}/log.txt");
            work.edit(
                &format!("{side}-{place}"),
                |phase| phase.after(&after),
                |dir| {
                    let text = fs::read_to_string(dir.join(&file)).unwrap_or_default();
                    write(dir, &file, format!("{text}{side} {place}\n"));
                },
            );
        }
    }
    work.tier("T3");
    for n in 24..28 {
        work.edit(&format!("last-{n}"), |phase| phase, |dir| edit(dir, n));
    }
    let two: Vec<String> = (28..30)
        .map(|n| work.edits.edit(|dir| edit(dir, n)))
        .collect();
    for patch in &two {
        work.reference.apply(patch);
    }
    work.phase(Phase::patches("series", two));
    work.changing
        .insert("series".to_owned(), ("patch", "not_required"));
    work.phase(Phase::patch("series-again", patches[0].clone()));
    work
}

#[test]
fn sixty_patches_become_a_branch_of_one_commit_each() {
    let repo = TempRepo::with_files(50);
    let files = repo.git(&["ls-files"]).lines().count();
    assert!(files > 50, "{files}");
    let work = sixty(&repo);
    assert_eq!(work.total, 60);
    let repo = repo.dirty();

    let played = play_with(Autopack::new(), "demo", repo, &work.plan);
    played.succeeds();

    let branch = "refs/heads/autonomous/demo";
    assert_eq!(
        git::tree_of(played.repo.path(), branch),
        work.reference.tree(),
        "the exact tree"
    );
    let landed = played.landed();
    assert_eq!(landed.len(), work.changing.len());
    let mut fences = Vec::new();
    for commit in &landed {
        let phase = commit.trailer("Autopack-Phase");
        let (builder, gate) = work
            .changing
            .get(phase)
            .unwrap_or_else(|| panic!("{phase} changes nothing: {commit:?}"));
        assert_eq!(commit.subject, format!("{phase}: Do {phase}"));
        assert_eq!(commit.trailer("Autopack-Run"), "demo");
        assert_eq!(
            commit.trailer("Autopack-Run-Uid"),
            played.status["uid"].as_str().unwrap()
        );
        assert_eq!(commit.trailer("Autopack-Attempt"), "1");
        assert_eq!(commit.trailer("Autopack-Builder"), *builder);
        assert_eq!(commit.trailer("Autopack-Gate"), *gate, "{phase}");
        assert_eq!(commit.oid, played.phase(phase)["commit"].as_str().unwrap());
        fences.push(commit.trailer("Autopack-Fence").parse::<u64>().unwrap());
    }
    let distinct: std::collections::BTreeSet<&u64> = fences.iter().collect();
    assert!(
        distinct.len() == fences.len() && !fences.contains(&0),
        "{fences:?}"
    );
    let phases: std::collections::BTreeSet<&str> = landed
        .iter()
        .map(|commit| commit.trailer("Autopack-Phase"))
        .collect();
    assert_eq!(phases.len(), landed.len(), "one commit a phase");

    let outcomes = |id: &str| {
        played.phase(id)["outcome"]
            .as_str()
            .unwrap_or_default()
            .to_lowercase()
    };
    for id in ["again-00", "again-09", "again-23", "series-again"] {
        assert_eq!(outcomes(id), "already_present", "{id}");
    }
    for id in ["nothing-0", "nothing-1", "noop"] {
        assert_eq!(outcomes(id), "no_change", "{id}");
    }
    for tier in played.status["tiers"].as_array().unwrap() {
        assert_eq!(tier["state"], "COMPLETE");
        assert!(tier["snapshot"].is_string(), "{tier:#}");
    }
    played.again_is_the_same();
    let doctor = played.autopack.ask(&["doctor", "--verify"]);
    doctor.done.expect_code(0);
}
