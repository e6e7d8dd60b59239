//! Which model builds a phase (SEMANTICS 9.6).
//!
//! Invariant: the order is: named by the plan, the category's, the complexity's, the default; then the first of it and
//! its fallbacks whose provider may be asked. A category that never falls back is held rather than built by less.

use std::collections::{BTreeMap, BTreeSet};

use autopack_domain::plan::{Complexity, category};
use serde::{Deserialize, Serialize};

/// Failures after which a phase counts as harder than the plan says; as many again, and it counts as hard.
pub const HARDER_AFTER: u32 = 2;

/// The choice of models, as data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Routes {
    /// The model of everything else; empty: none.
    pub default: String,
    /// By complexity: `low`, `medium`, `high`.
    pub complexity: BTreeMap<String, String>,
    /// By category.
    pub category: BTreeMap<String, String>,
    /// The strong model that a category is raised to; empty: none.
    pub strong: String,
    /// Failures after which a category is raised to the strong model.
    pub upgrade_after: BTreeMap<String, u32>,
    /// What is taken where a model's provider may not be asked, in order.
    pub fallback: BTreeMap<String, Vec<String>>,
    /// Categories that no other model may build.
    pub never_fallback: BTreeSet<String>,
}

impl Routes {
    /// The older system's rules, without a model.
    pub fn shipped() -> Self {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            upgrade_after: BTreeMap::from([("docs".to_owned(), 3), ("tests".to_owned(), 2)]),
            never_fallback: list(&[
                "security_auth_change",
                "external_feature_reuse",
                "external_code_intake",
                "schema_contract_change",
            ]),
            ..Self::default()
        }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The plan's own model; empty or `auto`: none.
    pub named: &'a str,
    /// The plan's own fallbacks, before those of the routes.
    pub fallback: &'a [String],
    /// The phase's category.
    pub category: &'a str,
    /// The phase's complexity, as the plan has it.
    pub complexity: Complexity,
    /// Attempts that failed and were charged.
    pub failures: u32,
    /// Whether phases are raised after failures.
    pub escalate: bool,
}

/// Why a model was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The plan names it.
    Named,
    /// Its category does.
    Category,
    /// Its complexity does.
    Complexity,
    /// Nothing else does.
    Default,
    /// Failures raised it.
    Raised,
    /// The one that came first may not be asked.
    Fallback,
}

impl Why {
    /// The name in facts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::Category => "category",
            Self::Complexity => "complexity",
            Self::Default => "default",
            Self::Raised => "raised",
            Self::Fallback => "fallback",
        }
    }
}

/// A model, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// It builds.
    Model {
        /// Its name.
        name: String,
        /// Why.
        why: Why,
    },
    /// The right one may not be asked now, and no other may take its place.
    Held {
        /// Its name.
        name: String,
    },
    /// No model is named for such a phase.
    None,
}

/// How hard a phase counts as after failures.
pub fn raised(complexity: Complexity, failures: u32) -> Complexity {
    let steps = failures / HARDER_AFTER;
    match (complexity, steps) {
        (complexity, 0) => complexity,
        (Complexity::Low, 1) => Complexity::Medium,
        (Complexity::Low | Complexity::Medium | Complexity::High, _) => Complexity::High,
    }
}

/// The model of a phase. `may` tells whether the provider of a model may be asked.
pub fn route(routes: &Routes, ask: &Ask<'_>, may: &dyn Fn(&str) -> bool) -> Route {
    let (first, why) = first(routes, ask);
    if first.is_empty() {
        return Route::None;
    }
    if may(&first) {
        return Route::Model { name: first, why };
    }
    let row = category(ask.category).name;
    let never = |name: &str| routes.never_fallback.contains(name);
    if never(ask.category) || (!row.is_empty() && never(row)) {
        return Route::Held { name: first };
    }
    let others = ask
        .fallback
        .iter()
        .chain(routes.fallback.get(&first).into_iter().flatten());
    for other in others {
        if *other != first && may(other) {
            return Route::Model {
                name: other.clone(),
                why: Why::Fallback,
            };
        }
    }
    Route::Held { name: first }
}

fn first(routes: &Routes, ask: &Ask<'_>) -> (String, Why) {
    if !ask.named.is_empty() && ask.named != "auto" {
        return (ask.named.to_owned(), Why::Named);
    }
    let row = category(ask.category).name;
    let by_name = |key: &str| routes.category.get(key).cloned();
    if ask.escalate && !routes.strong.is_empty() {
        let after = routes
            .upgrade_after
            .get(ask.category)
            .or_else(|| routes.upgrade_after.get(row));
        if after.is_some_and(|after| ask.failures >= *after) {
            return (routes.strong.clone(), Why::Raised);
        }
    }
    if let Some(model) = by_name(ask.category).or_else(|| by_name(row)) {
        return (model, Why::Category);
    }
    let failures = if ask.escalate { ask.failures } else { 0 };
    let complexity = raised(ask.complexity, failures);
    if let Some(model) = routes.complexity.get(complexity.as_str()) {
        let why = if complexity == ask.complexity {
            Why::Complexity
        } else {
            Why::Raised
        };
        return (model.clone(), why);
    }
    (routes.default.clone(), Why::Default)
}
