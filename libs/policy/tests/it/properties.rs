//! Properties that hold for every input.

use autopack_domain::gate::Verdict;
use autopack_domain::plan::StepKind;
use autopack_policy::gate::{StepEnd, StepResult, counts, failing_ids, verdict};
use autopack_policy::paths::{check, is_dot_git, normalise_entry};
use autopack_policy::scope::CompiledScope;
use autopack_policy::signature::normalise;
use proptest::prelude::*;

use crate::scope;

fn component() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(".".to_owned()),
        Just("..".to_owned()),
        Just(".git".to_owned()),
        Just(".GiT. ".to_owned()),
        Just("GIT~1".to_owned()),
        Just(".g\u{200d}it".to_owned()),
        Just(String::new()),
        "[a-cA-C.~ \\\\:]{1,4}",
        "\\PC{1,3}",
    ]
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(component(), 1..5).prop_map(|parts| parts.join("/"))
}

fn entry() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{1,2}(/[a-c]{1,2}){0,2}/?",
        "([a-c*?]{1,3}/){0,2}[a-c*?]{1,3}",
        Just("**".to_owned())
    ]
}

proptest! {
    #[test]
    fn an_accepted_path_never_leaves_the_root(path in path()) {
        if check(path.as_bytes()).is_ok() {
            for part in path.split(['/', '\\']) {
                prop_assert!(part != "." && part != ".." && !is_dot_git(part));
            }
            prop_assert!(!path.starts_with('/') && !path.contains("//"));
        }
    }

    #[test]
    fn a_normalised_entry_is_canonical_and_stays_so(entry in path()) {
        if let Ok(normal) = normalise_entry(&entry) {
            prop_assert!(check(normal.trim_end_matches('/').as_bytes()).is_ok());
            prop_assert_eq!(normalise_entry(&normal), Ok(normal.clone()));
        }
    }

    #[test]
    fn checking_bytes_never_panics(raw in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = check(&raw);
    }

    #[test]
    fn deny_wins(allow in prop::collection::vec(entry(), 0..4), deny in prop::collection::vec(entry(), 1..4), path in "[a-c]{1,2}(/[a-c]{1,2}){0,2}") {
        let allow: Vec<&str> = allow.iter().map(String::as_str).collect();
        let deny: Vec<&str> = deny.iter().map(String::as_str).collect();
        let both = CompiledScope::compile(&scope(Some(&allow), &deny)).unwrap();
        let denied = CompiledScope::compile(&scope(Some(&deny), &[])).unwrap();
        if denied.in_scope(&path) {
            prop_assert!(!both.allows(&path));
        }
        let open = CompiledScope::compile(&scope(None, &deny)).unwrap();
        // Protection is the same whatever is allowed, and in whatever case the path is written.
        prop_assert_eq!(open.protects(&path), both.protects(&path));
        prop_assert_eq!(open.protects(&path), both.protects(&path.to_uppercase()));
        prop_assert!(!both.allows(&path) || open.allows(&path));
        prop_assert!(!both.names_literally(&path) || both.in_scope(&path));
    }

    #[test]
    fn reading_output_never_panics_and_is_bounded(output in "(\\PC{0,20}\n|[0-9]{1,25} passed in 1s\n|Ran [0-9]{18,22} tests in 1s\n\nOK\n|\u{1b}\\[[0-9;]{0,3}m|test result: ok. [0-9]{1,22} passed; 9 failed; 0 ignored; 0 measured; 0 filtered out\n|--- FAIL: T \\(0s\\)\n){0,12}", run in "(pytest|cargo test|make|go test|npm test)") {
        let _ = counts(&output, &run);
        prop_assert!(failing_ids(&output).len() <= 50);
        let _ = normalise(&output);
    }

    #[test]
    fn output_never_turns_a_red_step_green(code in 1..=255i32, output in "(3 passed in 1s\n|no tests ran in 1s\n|collected 0 items\n|No tests found, exiting with code 1\n|ok\n){0,3}", run in "(pytest|jest|make|npm test)") {
        let step = StepResult { kind: StepKind::Test, run: &run, end: StepEnd::Exited(code), output: &output, report: None };
        prop_assert!(!verdict(&[step]).lands());
    }

    #[test]
    fn only_green_steps_land(codes in prop::collection::vec(0..3i32, 1..5)) {
        let steps: Vec<StepResult<'_>> = codes
            .iter()
            .map(|code| StepResult { kind: StepKind::Check, run: "x", end: StepEnd::Exited(*code), output: "", report: None })
            .collect();
        let landed = matches!(verdict(&steps), Verdict::Passed { .. });
        prop_assert_eq!(landed, codes.iter().all(|code| *code == 0));
    }
}
