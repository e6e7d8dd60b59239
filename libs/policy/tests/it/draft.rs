//! Plans from what people write: groups, ids, categories, and what is left out.

use autopack_domain::plan::{Plan, ReadOptions, read_plan};
use autopack_policy::draft::{Brief, Choices, render};

#[allow(clippy::panic, reason = "a helper of tests")]
fn plan(brief: &Brief) -> Plan {
    assert_eq!(brief.faults(), []);
    let text = render(brief, &Choices::default());
    let read = read_plan(&text, &ReadOptions::default());
    let read = read.unwrap_or_else(|faults| panic!("{faults:?}\n{text}"));
    assert!(read.warnings.is_empty(), "{:?}", read.warnings);
    read.plan
}

const NOTES: &str = "# Durations

Durations such as 1h30m are parsed and documented. Everything else waits.

## Parsing

### Deliverables

- Parse `1h30m` in src/time.rs
  - also `90m`
  and spaces between
- [ ] Refuse what is no duration
- [x] Choose a name

### Errors
1. A precise error in src/error.rs
2) Tests of every error

```
- not a deliverable: code
```

| a | - b |

## Documentation
* Write docs/time.md
* write docs/time.md

## Non-goals
- Time zones
";

#[test]
fn each_group_of_deliverables_becomes_a_phase() {
    let brief = Brief::read(NOTES);
    assert_eq!(brief.goal, "Durations");
    let groups: Vec<(&str, &str, usize)> = brief
        .groups
        .iter()
        .map(|g| (g.part.as_str(), g.name.as_str(), g.items.len()))
        .collect();
    assert_eq!(
        groups,
        [
            ("Parsing", "Parsing", 2),
            ("Parsing", "Errors", 2),
            ("Documentation", "Documentation", 1)
        ]
    );
    assert_eq!(
        brief.groups[0].items[0],
        "Parse 1h30m in src/time.rs; also 90m; and spaces between"
    );
    let notes = brief.notes.join("\n");
    for said in [
        "docs/time.md` stands there twice",
        "1 ticked off",
        "1 below headings",
    ] {
        assert!(notes.contains(said), "{said}: {notes}");
    }
    let plan = plan(&brief);
    let tiers: Vec<_> = plan
        .tiers
        .iter()
        .map(|t| (t.name.as_str(), t.phases.len()))
        .collect();
    assert_eq!(tiers, [("Parsing", 2), ("Documentation", 1)]);
    let phases: Vec<_> = plan.tiers.iter().flat_map(|t| &t.phases).collect();
    assert_eq!(phases.len(), 3, "never one phase for everything");
    assert_eq!(phases[0].scope.deliverables, ["src/time.rs"]);
    assert_eq!(phases[1].scope.deliverables, ["src/error.rs"]);
    assert_eq!(phases[2].task_category, "docs");
    assert_eq!(phases[1].scope.acceptance_criteria.len(), 2);
}

#[test]
fn ids_are_parent_and_child_and_never_the_same() {
    let plan = plan(&Brief::of_list("Parse durations!", ["One", "Two"]));
    assert_eq!(
        plan.run.id.as_ref().map(ToString::to_string).as_deref(),
        Some("parse-durations")
    );
    let ids: Vec<String> = plan.tiers[0]
        .phases
        .iter()
        .map(|p| p.id.to_string())
        .collect();
    assert_eq!(ids, ["parse-durations-phase1", "parse-durations-phase2"]);
    let nameless = render(&Brief::of_list("目標", ["x"]), &Choices::default());
    assert!(nameless.contains("id: \"run-phase1\""), "{nameless}");
}

#[test]
fn a_goal_and_a_list_need_no_marks() {
    let brief =
        Brief::read("Durations are parsed. Soon.\n\nParse them in src/a.rs\nDocument them\n");
    assert_eq!(brief.goal, "Durations are parsed.");
    assert_eq!(plan(&brief).tiers[0].phases.len(), 2);
}

#[test]
fn a_text_without_deliverables_is_a_fault_with_an_example() {
    for text in ["", "# Only a title", "# T\n\nProse.\n\n## Non-goals\n- a\n"] {
        let brief = Brief::read(text);
        let paths: Vec<String> = brief.faults().into_iter().map(|f| f.path).collect();
        assert!(
            paths.contains(&"deliverables".to_owned()),
            "{text}: {paths:?}"
        );
    }
    let both = Brief::default().faults();
    assert_eq!(both.len(), 2, "all at once: {both:?}");
}

#[test]
fn nothing_that_was_written_becomes_structure() {
    let nasty = "x\" }\n]: # evil\u{7}\u{85}\u{2028} *alias &anchor !tag {{ %";
    let brief = Brief::of_list(nasty, [nasty, "ünïcode — ok: yes, # no"]);
    let brief = Brief {
        notes: vec![nasty.to_owned()],
        ..brief
    };
    let text = render(
        &brief,
        &Choices {
            from: "a\nrun: x".to_owned(),
            ..Choices::default()
        },
    );
    let read =
        read_plan(&text, &ReadOptions::default()).unwrap_or_else(|f| panic!("{f:?}\n{text}"));
    assert_eq!(read.plan.tiers[0].phases.len(), 2, "{text}");
}

#[test]
fn long_lists_are_not_cut_off() {
    let items: Vec<String> = (0..60).map(|n| format!("- Item number {n}")).collect();
    let brief = Brief::read(&format!("# T\n## A\n{}\n", items.join("\n")));
    assert_eq!(brief.groups[0].items.len(), 60);
    assert_eq!(
        plan(&brief).tiers[0].phases[0]
            .scope
            .acceptance_criteria
            .len(),
        60
    );
}

proptest::proptest! {
    #[test]
    fn any_text_makes_a_plan_or_faults(text in "(?s)(#{0,3} ?.{0,30}\n|[-*0-9. ]{0,4}.{0,40}\n|```\n){0,30}") {
        let brief = Brief::read(&text);
        if brief.faults().is_empty() {
            let made = render(&brief, &Choices::default());
            let read = read_plan(&made, &ReadOptions::default());
            proptest::prop_assert!(read.is_ok(), "{:?}\n{}", read.err(), made);
        }
    }
}
