//! Which model builds a phase.

use std::collections::BTreeMap;

use autopack_domain::plan::Complexity::{self, High, Low, Medium};
use autopack_policy::routing::{Ask, Route, Routes, Why, raised, route};

fn routes() -> Routes {
    let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).into(), (*v).into()))
            .collect()
    };
    Routes {
        default: "plain".into(),
        complexity: map(&[("low", "small"), ("medium", "middle"), ("high", "large")]),
        category: map(&[("security_auth_change", "safe")]),
        strong: "strong".into(),
        fallback: [("small".into(), vec!["other".into()])].into(),
        ..Routes::shipped()
    }
}

fn ask(category: &str, complexity: Complexity, failures: u32) -> Ask<'_> {
    Ask {
        named: "",
        fallback: &[],
        category,
        complexity,
        failures,
        escalate: true,
    }
}

fn found(ask: &Ask<'_>, down: &[&str]) -> (String, &'static str) {
    match route(&routes(), ask, &|model| !down.contains(&model)) {
        Route::Model { name, why } => (name, why.as_str()),
        Route::Held { name } => (name, "held"),
        Route::None => (String::new(), "none"),
    }
}

#[test]
fn named_then_category_then_complexity_then_default() {
    let named = Ask {
        named: "mine",
        ..ask("security_auth_change", High, 9)
    };
    assert_eq!(found(&named, &[]), ("mine".into(), "named"));
    let auto = Ask {
        named: "auto",
        ..ask("feature_scaffolding", Medium, 0)
    };
    assert_eq!(found(&auto, &[]), ("middle".into(), "complexity"));
    // The playbook's name of the same category.
    assert_eq!(
        found(&ask("security_auth", Low, 0), &[]),
        ("safe".into(), "category")
    );
    let bare = Routes {
        default: "plain".into(),
        ..Routes::default()
    };
    let answer = route(&bare, &ask("x", Low, 0), &|_| true);
    assert_eq!(
        answer,
        Route::Model {
            name: "plain".into(),
            why: Why::Default
        }
    );
    assert_eq!(
        route(&Routes::default(), &ask("x", Low, 0), &|_| true),
        Route::None
    );
}

#[test]
fn failures_raise_a_phase_step_by_step_unless_that_is_switched_off() {
    let steps: Vec<Complexity> = (0..6).map(|n| raised(Low, n)).collect();
    assert_eq!(steps, [Low, Low, Medium, Medium, High, High]);
    assert_eq!((raised(Medium, 2), raised(High, 2)), (High, High));
    assert_eq!(
        found(&ask("bug_fix", Low, 2), &[]),
        ("middle".into(), "raised")
    );
    let off = Ask {
        escalate: false,
        ..ask("bug_fix", Low, 4)
    };
    assert_eq!(found(&off, &[]), ("small".into(), "complexity"));
    assert_eq!(found(&ask("tests", Low, 1), &[]).0, "small");
    assert_eq!(
        found(&ask("tests", Low, 2), &[]),
        ("strong".into(), "raised")
    );
    assert_eq!(found(&ask("docs", Low, 2), &[]).0, "middle");
    assert_eq!(
        found(&ask("docs", Low, 3), &[]),
        ("strong".into(), "raised")
    );
}

#[test]
fn another_model_takes_the_place_of_one_that_may_not_be_asked() {
    assert_eq!(
        found(&ask("bug_fix", Low, 0), &["small"]),
        ("other".into(), "fallback")
    );
    let own = vec!["mine".to_owned()];
    let with = Ask {
        fallback: &own,
        ..ask("bug_fix", Low, 0)
    };
    assert_eq!(found(&with, &["small"]), ("mine".into(), "fallback"));
    assert_eq!(
        found(&with, &["small", "mine"]),
        ("other".into(), "fallback")
    );
    assert_eq!(
        found(&with, &["small", "mine", "other"]),
        ("small".into(), "held")
    );
}

#[test]
fn what_must_be_safe_waits_rather_than_take_less() {
    let own = vec!["mine".to_owned()];
    for category in ["security_auth_change", "schema_change"] {
        let ask = Ask {
            fallback: &own,
            ..ask(category, High, 0)
        };
        assert_eq!(found(&ask, &["safe", "large"]).1, "held", "{category}");
    }
}
