//! Structured edits of a submitted result, over all files at once.

use autopack_domain::plan::{BuilderSpec, PhaseSpec};
use autopack_domain::submission::{BuilderResult, Content, Edit, EditOp, ResultStatus, Submission};
use autopack_domain::{Cause, Timestamp};

use crate::samples::phase;
use crate::world::World;

fn edit(op: EditOp, path: &str, content: &str) -> Edit {
    Edit {
        op,
        path: path.into(),
        content: content.into(),
        start: 0,
        end: 0,
        before: String::new(),
        after: String::new(),
    }
}

impl World {
    /// An external phase with these edits as its result.
    fn submitted(&self, id: &str, edits: Vec<Edit>) -> PhaseSpec {
        let result = BuilderResult {
            builder: "bot-7".into(),
            status: ResultStatus::Success,
            content: Some(Content::Edits(edits)),
            changed_files: vec![],
            probes: vec![],
            notes: String::new(),
            usage: vec![],
            issues: vec![],
        };
        let document = serde_json::to_vec(&result).unwrap();
        let submission = Submission {
            builder: "bot-7".into(),
            digest: self.fake.store(&document),
            size: document.len() as u64,
            at: Timestamp(0),
            auditor: String::new(),
            audit_digest: String::new(),
        };
        self.fake.state().submission = Some(submission);
        phase(id, BuilderSpec::external())
    }
}

#[tokio::test]
async fn edits_of_many_files_are_one_change_whatever_stands_in_whose_place() {
    let mut world = World::new();
    // A file takes the place of a folder: only both together make sense.
    let mut edits = vec![
        edit(EditOp::Create, "src", "a file\n"),
        edit(EditOp::Remove, "src/lib.rs", ""),
        edit(EditOp::Append, "README.md", "more"),
    ];
    edits.extend((0..40).map(|n| edit(EditOp::Create, &format!("made/{n}.txt"), "made\n")));
    let report = world.execute(world.submitted("P1", edits)).await;
    assert_eq!(report.cause, None, "{}", report.detail);
    let files = world.git(&["ls-tree", "-r", "--name-only", &report.commit]);
    assert!(files.lines().any(|file| file == "src"), "{files}");
    assert_eq!(files.matches("made/").count(), 40);
    let readme = world.git(&["show", &format!("{}:README.md", report.commit)]);
    assert!(readme.ends_with("\nmore"), "{readme}");
}

#[tokio::test]
async fn edits_that_change_nothing_are_no_change_and_unfit_ones_say_where() {
    let mut world = World::new();
    let same = vec![edit(EditOp::Append, "README.md", "")];
    let report = world.execute(world.submitted("P1", same)).await;
    assert_eq!(report.cause, Some(Cause::NoChange));
    let absent = vec![edit(EditOp::Append, "absent", "x")];
    let report = world.execute(world.submitted("P2", absent)).await;
    assert_eq!(report.cause, Some(Cause::SubmissionUnusable));
    assert!(report.detail.starts_with("absent: "), "{}", report.detail);
    assert_eq!(world.branch(), None);
}
