//! A model's answers: the three forms, what they may do to a file, and what is refused.

use autopack_domain::plan::AnswerForm::{self, Edits, Files, Lines};
use autopack_policy::answer::{Answer, Limits, Problem, apply, read};

const FILE: &str = "one\ntwo\nthree\n";

/// The text of a file after an answer that changes it alone.
fn after(form: AnswerForm, text: Option<&str>, answer: &str) -> Result<Option<String>, Problem> {
    let found = read(form, answer, false)?;
    let (path, work) = &found.files[0];
    apply(path, text, work, Limits::default(), &mut Vec::new())
}

fn refused(form: AnswerForm, answer: &str) -> String {
    read(form, answer, false).unwrap_err().to_string()
}

#[test]
fn edits_are_those_of_a_submission_also_in_a_fenced_block() {
    let answer = "Here:\n```json\n{\"edits\": [{\"op\": \"replace\", \"path\": \"a.txt\", \"start_line\": 2, \"end_line\": 2, \"content\": \"2\", \"context_before\": \"one\"}]}\n```\n";
    assert_eq!(
        after(Edits, Some(FILE), answer).unwrap().unwrap(),
        "one\n2\nthree\n"
    );
    let wrong = r#"{"edits": [{"op": "replace", "path": "a.txt", "start_line": 0, "content": "x", "colour": 1}]}"#;
    let text = refused(Edits, wrong);
    for part in ["end_line", "colour", "counted from 1"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(refused(Edits, "I cannot do that.").contains("no JSON object"));
    assert!(refused(Edits, r#"{"edits": [{"op": "app"#).contains("no JSON object"));
    assert!(refused(Edits, "{}").contains("edits"));
}

#[test]
fn whole_files_are_made_written_and_removed() {
    let file = |mode: &str, content: &str| {
        format!(r#"{{"files": [{{"path": "a.txt", "mode": "{mode}", "content": "{content}"}}]}}"#)
    };
    assert_eq!(
        after(Files, None, &file("create", "x")).unwrap().unwrap(),
        "x\n"
    );
    assert_eq!(
        after(Files, Some(FILE), &file("modify", "x\\ny"))
            .unwrap()
            .unwrap(),
        "x\ny\n"
    );
    assert_eq!(after(Files, Some(FILE), &file("delete", "")).unwrap(), None);
    let older = r#"{"files": [{"path": "a.txt", "mode": "modify", "new_content": "n"}]}"#;
    assert_eq!(after(Files, Some(FILE), older).unwrap().unwrap(), "n\n");
    let over = after(Files, Some(FILE), &file("create", "x")).unwrap_err();
    assert!(
        matches!(over, Problem::Misfit(ref text) if text.contains("exists")),
        "{over}"
    );
    assert!(refused(Files, &file("rename", "x")).contains("unknown mode"));
    let twice = r#"{"files": [{"path": "a", "content": ""}, {"path": "./a", "content": ""}]}"#;
    assert!(refused(Files, twice).contains("twice"));
}

#[test]
fn a_whole_file_that_loses_or_gains_too_much_is_refused() {
    let lines = |n: usize| "line\n".repeat(n);
    let write = |before: usize, after: &str, limits: Limits| {
        let content = after.replace('\n', "\\n");
        let answer = format!(r#"{{"files": [{{"path": "a", "content": "{content}"}}]}}"#);
        let answer = read(Files, &answer, false).unwrap();
        apply(
            "a",
            Some(&lines(before)),
            &answer.files[0].1,
            limits,
            &mut Vec::new(),
        )
    };
    let usual = Limits::default();
    for (before, after, ok) in [
        (100, 40, true),
        (100, 39, false),
        (100, 300, true),
        (100, 301, false),
        (5, 1, true),
        (1001, 1000, false),
        (900, 1001, false),
    ] {
        assert_eq!(
            write(before, &lines(after), usual).is_ok(),
            ok,
            "{before} to {after}"
        );
    }
    let fix = Limits {
        small_fix: true,
        ..usual
    };
    let changed = |n: usize| lines(100 - n) + &"new\n".repeat(n);
    assert!(write(100, &changed(30), fix).is_ok());
    let text = write(100, &changed(31), fix).unwrap_err().to_string();
    assert!(text.contains("31 of 100 lines"), "{text}");
    assert!(write(100, &changed(31), usual).is_ok());
}

#[test]
fn lines_create_modify_and_delete() {
    let modify = |operation: &str| {
        format!(
            "{{\"type\": \"meta\", \"summary\": \"s\", \"total_operations\": 1}}\n{{\"type\": \"modify\", \"file_path\": \"a.txt\", \"operations\": [{operation}]}}"
        )
    };
    for (operation, want) in [
        (
            r#"{"type": "append", "content": "four"}"#,
            "one\ntwo\nthree\nfour\n",
        ),
        (
            r#"{"type": "insert_after", "anchor": "one", "content": "1.5"}"#,
            "one\n1.5\ntwo\nthree\n",
        ),
        (
            r#"{"type": "insert_after", "anchor": "nine", "content": "x"}"#,
            "one\ntwo\nthree\nx\n",
        ),
        (
            r#"{"type": "replace", "old_text": "t", "new_text": "T"}"#,
            "one\nTwo\nthree\n",
        ),
        (
            r#"{"type": "replace_all", "old_text": "t", "new_text": "T"}"#,
            "one\nTwo\nThree\n",
        ),
        (
            r#"{"type": "replace_all", "old_text": "zzz", "new_text": "T"}"#,
            FILE,
        ),
    ] {
        assert_eq!(
            after(Lines, Some(FILE), &modify(operation))
                .unwrap()
                .unwrap(),
            want,
            "{operation}"
        );
    }
    let missing = after(
        Lines,
        Some(FILE),
        &modify(r#"{"type": "replace", "old_text": "zzz", "new_text": ""}"#),
    );
    assert!(matches!(missing, Err(Problem::Misfit(_))), "{missing:?}");
    let several = "Sure:\n{\"type\": \"create\", \"file_path\": \"b\", \"content\": \"x\"}\n{\"type\": \"delete\", \"file_path\": \"c\"}\nThat is all.";
    let found = read(Lines, several, false).unwrap();
    assert_eq!((found.operations, found.files.len()), (2, 2));
    let mut odd = Vec::new();
    assert_eq!(
        apply("c", None, &found.files[1].1, Limits::default(), &mut odd).unwrap(),
        None
    );
    assert_eq!(odd.len(), 1);
}

#[test]
fn a_cut_answer_of_lines_keeps_every_complete_one() {
    let cut = "{\"type\": \"meta\", \"total_operations\": 3}\n{\"type\": \"create\", \"file_path\": \"a\", \"content\": \"x\"}\n{\"type\": \"create\", \"file_pa";
    let found = read(Lines, cut, true).unwrap();
    assert_eq!(
        (found.operations, found.announced, found.is_short()),
        (1, Some(3), true)
    );
    let mut whole = found;
    let rest = "{\"type\": \"create\", \"file_path\": \"b\", \"content\": \"y\"}\n{\"type\": \"delete\", \"file_path\": \"c\"}";
    whole.extend(read(Lines, rest, false).unwrap()).unwrap();
    assert!(!whole.is_short() && whole.files.len() == 3);
    assert!(refused(Lines, cut).contains("line 3"));
    let short = cut.rsplit_once('\n').unwrap().0;
    assert!(refused(Lines, short).contains("announces 3 operations and has 1"));
    assert!(refused(Lines, "nothing").contains("no line"));
    assert!(
        refused(Lines, "{\"type\": \"rename\", \"file_path\": \"a\"}").contains("unknown type")
    );
}

#[test]
fn no_form_reaches_out_of_the_repository() {
    for path in [
        "../up",
        "/etc/passwd",
        ".git/config",
        "a/../../b",
        "C:/x",
        "a//b",
        "sub/.GIT/hooks",
    ] {
        for (form, answer) in [
            (
                Edits,
                format!(r#"{{"edits": [{{"op": "create", "path": "{path}", "content": "x"}}]}}"#),
            ),
            (
                Files,
                format!(r#"{{"files": [{{"path": "{path}", "content": "x"}}]}}"#),
            ),
            (
                Lines,
                format!(r#"{{"type": "create", "file_path": "{path}", "content": "x"}}"#),
            ),
        ] {
            let found = read(form, &answer, false);
            assert!(
                matches!(found, Err(Problem::Escape(_))),
                "{form} {path}: {found:?}"
            );
        }
    }
}

#[test]
fn empty_answers_change_nothing() {
    let found = read(Files, r#"{"summary": "all well", "files": []}"#, false).unwrap();
    let want = Answer {
        summary: "all well".into(),
        ..Answer::default()
    };
    assert_eq!(found, want);
    let meta = r#"{"type": "meta", "summary": "", "total_operations": 0}"#;
    assert!(read(Lines, meta, false).unwrap().files.is_empty());
}
