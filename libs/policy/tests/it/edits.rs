//! Structured edits: applied as a whole, by the numbers of the file as it was.

use autopack_domain::submission::{Edit, EditOp};
use autopack_policy::edits::{Edited, Patch, apply, patch};
use proptest::prelude::*;

fn edit(op: EditOp, start: u64, end: u64, content: &str) -> Edit {
    Edit {
        op,
        path: "f".into(),
        content: content.into(),
        start,
        end,
        before: String::new(),
        after: String::new(),
    }
}

fn on(text: &str, edits: &[Edit]) -> Result<String, String> {
    let edits: Vec<&Edit> = edits.iter().collect();
    match apply("f", Some(text), &edits)? {
        Edited::Text(text) => Ok(text),
        Edited::Removed => Ok("removed".into()),
    }
}

#[test]
fn numbers_mean_the_file_as_it_was_whatever_the_order() {
    let text = "1\n2\n3\n4\n";
    let edits = [
        edit(EditOp::Insert, 1, 0, "zero"),
        edit(EditOp::Delete, 2, 2, ""),
        edit(EditOp::Replace, 4, 4, "four\nfive\n"),
        edit(EditOp::Append, 0, 0, "end"),
        edit(EditOp::Prepend, 0, 0, "begin"),
    ];
    let wanted = "zero\nbegin\n1\n3\nfour\nfive\nend\n";
    assert_eq!(on(text, &edits).as_deref(), Ok(wanted));
    let mut reversed = edits;
    reversed.reverse();
    // Two insertions at one place keep the order in which they were given.
    assert_eq!(
        on(text, &reversed).as_deref(),
        Ok("begin\nzero\n1\n3\nfour\nfive\nend\n")
    );
}

#[test]
fn the_files_own_line_ends_are_kept() {
    let windows = on("a\r\nb\r\n", &[edit(EditOp::Insert, 2, 0, "x\ny")]);
    assert_eq!(windows.as_deref(), Ok("a\r\nx\r\ny\r\nb\r\n"));
    let open = on("a\nb", &[edit(EditOp::Append, 0, 0, "c")]);
    assert_eq!(open.as_deref(), Ok("a\nb\nc\n"));
    let untouched = on("a\nb", &[edit(EditOp::Replace, 1, 1, "x")]);
    assert_eq!(untouched.as_deref(), Ok("x\nb"));
    assert_eq!(
        on("", &[edit(EditOp::Append, 0, 0, "c")]).as_deref(),
        Ok("c\n")
    );
}

#[test]
fn edits_that_overlap_or_lie_outside_are_refused() {
    let text = "1\n2\n3\n4\n5\n6\n7\n8\n";
    for (edits, word) in [
        (
            vec![
                edit(EditOp::Delete, 1, 3, ""),
                edit(EditOp::Replace, 3, 4, "x"),
            ],
            "overlap at line 3",
        ),
        (
            vec![
                edit(EditOp::Replace, 1, 3, "x"),
                edit(EditOp::Insert, 2, 0, "y"),
            ],
            "overlap",
        ),
        (vec![edit(EditOp::Delete, 8, 9, "")], "8 lines"),
        (vec![edit(EditOp::Insert, 10, 0, "x")], "8 lines"),
        (vec![edit(EditOp::Create, 0, 0, "x")], "exists"),
    ] {
        let error = on(text, &edits).unwrap_err();
        assert!(error.contains(word), "{error}");
    }
    // Next to each other is not over each other.
    let near = [
        edit(EditOp::Delete, 1, 2, ""),
        edit(EditOp::Insert, 3, 0, "x"),
    ];
    assert_eq!(on("1\n2\n3\n", &near).as_deref(), Ok("x\n3\n"));
    let missing = apply("f", None, &[&edit(EditOp::Append, 0, 0, "x")]).unwrap_err();
    assert!(missing.contains("does not exist"), "{missing}");
    assert!(apply("f", None, &[&edit(EditOp::Remove, 0, 0, "")]).is_err());
}

#[test]
fn context_must_stand_near() {
    let text = "fn a() {\n    1\n}\n\n\nfn b() {\n    2\n}\n";
    let with = |before: &str, after: &str| Edit {
        before: before.into(),
        after: after.into(),
        ..edit(EditOp::Replace, 7, 7, "    3")
    };
    assert!(on(text, &[with("fn b() {", "}")]).is_ok());
    for (before, after, side) in [("fn a() {", "", "above"), ("", "fn b() {", "below")] {
        let error = on(text, &[with(before, after)]).unwrap_err();
        assert!(error.contains(side), "{error}");
    }
}

#[test]
fn a_change_reads_as_a_git_patch() {
    let changed = Edited::Text("b\nc".into());
    assert_eq!(
        patch("d/my f", Some("a\n"), &changed),
        "diff --git a/d/my f b/d/my f\n--- a/d/my f\t\n+++ b/d/my f\t\n@@ -1,1 +1,2 @@\n-a\n+b\n+c\n\\ No newline at end of file\n"
    );
    assert!(
        patch("f", None, &changed)
            .contains("new file mode 100644\n--- /dev/null\n+++ b/f\n@@ -0,0 +1,2 @@")
    );
    assert!(
        patch("f", Some("a\n"), &Edited::Removed)
            .contains("deleted file mode 100644\n--- a/f\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-a\n")
    );
    assert_eq!(
        patch("f", None, &Edited::Text(String::new())),
        "diff --git a/f b/f\nnew file mode 100644\n"
    );
    assert_eq!(patch("f", Some("a"), &Edited::Text("a".into())), "");
}

#[test]
fn a_patch_shows_the_change_and_what_stands_around_it() {
    let numbers: Vec<String> = (1..=20).map(|n| n.to_string()).collect();
    let text = numbers.join("\n") + "\n";
    let changed = Edited::Text(text.replace("10\n11\n", "ten\n"));
    assert_eq!(
        patch("f", Some(&text), &changed),
        "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -7,8 +7,7 @@\n 7\n 8\n 9\n-10\n-11\n+ten\n 12\n 13\n 14\n"
    );
    let begun = Edited::Text(format!("0\n{text}"));
    assert!(patch("f", Some(&text), &begun).ends_with("@@ -1,3 +1,4 @@\n+0\n 1\n 2\n 3\n"));
    let open = text.trim_end();
    let ended = Edited::Text(text.clone());
    assert!(
        patch("f", Some(open), &ended).ends_with(
            "@@ -17,4 +17,4 @@\n 17\n 18\n 19\n-20\n\\ No newline at end of file\n+20\n"
        )
    );
    let first = Edited::Text(open.replacen("1\n", "one\n", 1));
    assert!(patch("f", Some(open), &first).ends_with("@@ -1,4 +1,4 @@\n-1\n+one\n 2\n 3\n 4\n"));
}

#[test]
fn the_patch_of_many_files_has_one_bound() {
    let mut small = Patch::within(150);
    small.add("a", Some("x\n"), &Edited::Removed).unwrap();
    small
        .add("b", Some("x\n"), &Edited::Text("x\n".into()))
        .unwrap();
    assert!(!small.is_empty());
    let error = small
        .add("c", Some("x\n"), &Edited::Text("y\n".repeat(40)))
        .unwrap_err();
    assert!(
        error.starts_with("c: up to here the edits make a patch of more than 1 MiB"),
        "{error}"
    );
    // A line of a large file is a small change.
    let large = "a line\n".repeat(1 << 18);
    let mut patch = Patch::within(1000);
    for name in ["d", "e", "f"] {
        let after = Edited::Text(format!("{large}end\n"));
        patch.add(name, Some(&large), &after).unwrap();
    }
    let text = String::from_utf8(patch.into_bytes()).unwrap();
    assert_eq!(text.matches("diff --git").count(), 3);
}

proptest! {
    /// Whatever is asked of whatever text: a refusal, or a text whose patch is empty only where nothing changed.
    #[test]
    fn any_edits_are_refused_or_make_a_patch(
        text in "[a-c\r\n]{0,40}",
        asked in prop::collection::vec((0_usize..5, 0_u64..9, 0_u64..9, "[x\n]{0,6}"), 1..5),
    ) {
        const OPS: [EditOp; 5] = [
            EditOp::Insert, EditOp::Replace, EditOp::Delete, EditOp::Append, EditOp::Prepend,
        ];
        let edits: Vec<Edit> = asked
            .iter()
            .map(|(op, start, end, content)| edit(OPS[*op], *start, *end, content))
            .collect();
        let edits: Vec<&Edit> = edits.iter().collect();
        match apply("f", Some(&text), &edits) {
            Ok(Edited::Text(after)) => {
                let made = patch("f", Some(&text), &Edited::Text(after.clone()));
                prop_assert_eq!(made.is_empty(), after == text);
            }
            Ok(Edited::Removed) => prop_assert!(false, "nobody asked for that"),
            Err(problem) => prop_assert!(problem.starts_with("f: ")),
        }
    }
}
