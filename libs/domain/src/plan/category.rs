//! Defaults that a task category chooses (SEMANTICS 4.2), as data.
//!
//! Invariant: [`category`] always answers; an unknown or missing category has the base row.

use super::model::{Complexity, GateProfile};

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CategoryDefaults {
    /// The category; empty for the base row.
    pub name: &'static str,
    /// Complexity of a phase that names none.
    pub complexity: Complexity,
    /// Which tests must pass.
    pub gate_profile: GateProfile,
    /// Attempts of the builder.
    pub max_builder_attempts: u32,
    /// Attempts of the auditor.
    pub max_auditor_attempts: u32,
    /// Tokens one phase may use.
    pub incident_token_cap: u64,
    /// Whether a result may be applied without review.
    pub auto_apply: bool,
    /// What a review looks at; empty: nothing in particular.
    pub auditor_profile: &'static str,
    /// Severity of an issue of this category.
    pub severity: &'static str,
    /// Tier cap on tokens: this times the sum of the phases' caps.
    pub tier_token_multiplier: f64,
    /// Tier cap on gate runs: this times the number of phases.
    pub tier_ci_multiplier: f64,
    /// Minor issues a tier tolerates: this times the number of phases.
    pub tier_minor_multiplier: f64,
    /// Major issues a tier tolerates.
    pub tier_majors_tolerated: u32,
}

const BASE: CategoryDefaults = CategoryDefaults {
    name: "",
    complexity: Complexity::Medium,
    gate_profile: GateProfile::Normal,
    max_builder_attempts: 3,
    max_auditor_attempts: 2,
    incident_token_cap: 500_000,
    auto_apply: true,
    auditor_profile: "",
    severity: "minor",
    tier_token_multiplier: 3.0,
    tier_ci_multiplier: 2.0,
    tier_minor_multiplier: 2.0,
    tier_majors_tolerated: 0,
};

/// A row of high risk: strict gate, nothing applied without review, issues are major.
const fn risky(
    name: &'static str,
    attempts: (u32, u32),
    incident_token_cap: u64,
    tier_minor_multiplier: f64,
    auditor_profile: &'static str,
) -> CategoryDefaults {
    CategoryDefaults {
        name,
        complexity: Complexity::High,
        gate_profile: GateProfile::Strict,
        max_builder_attempts: attempts.0,
        max_auditor_attempts: attempts.1,
        incident_token_cap,
        auto_apply: false,
        auditor_profile,
        severity: "major",
        tier_minor_multiplier,
        ..BASE
    }
}

/// Every row but the base.
pub const CATEGORIES: &[CategoryDefaults] = &[
    CategoryDefaults {
        name: "feature_scaffolding",
        ..BASE
    },
    CategoryDefaults {
        name: "docs",
        complexity: Complexity::Low,
        max_builder_attempts: 2,
        max_auditor_attempts: 1,
        incident_token_cap: 200_000,
        ..BASE
    },
    CategoryDefaults {
        name: "tests",
        complexity: Complexity::Low,
        max_auditor_attempts: 1,
        incident_token_cap: 300_000,
        ..BASE
    },
    CategoryDefaults {
        name: "debt_cleanup",
        max_builder_attempts: 2,
        max_auditor_attempts: 1,
        incident_token_cap: 400_000,
        auto_apply: false,
        auditor_profile: "debt_cleanup_review",
        ..BASE
    },
    risky(
        "cross_cutting_refactor",
        (2, 2),
        1_000_000,
        1.0,
        "refactor_review",
    ),
    risky(
        "index_registry_change",
        (2, 2),
        800_000,
        1.0,
        "index_review",
    ),
    risky(
        "schema_contract_change",
        (2, 3),
        1_000_000,
        1.0,
        "schema_review",
    ),
    risky(
        "bulk_multi_file_operation",
        (1, 2),
        1_500_000,
        1.0,
        "bulk_review",
    ),
    risky(
        "security_auth_change",
        (2, 3),
        800_000,
        0.5,
        "security_review",
    ),
    risky(
        "external_feature_reuse",
        (2, 2),
        1_000_000,
        1.0,
        "external_code_review",
    ),
    risky(
        "external_code_intake",
        (2, 3),
        1_200_000,
        0.5,
        "license_and_security_review",
    ),
];

/// Names of the playbook for rows of the table.
const ALIASES: &[(&str, &str)] = &[
    ("schema_change", "schema_contract_change"),
    ("bulk_operation", "bulk_multi_file_operation"),
    ("security_auth", "security_auth_change"),
    ("index_registry_maintenance", "index_registry_change"),
];

/// The defaults of a category, without regard to case; the base row if the name is not known.
pub fn category(name: &str) -> &'static CategoryDefaults {
    static BASE_ROW: CategoryDefaults = BASE;
    let wanted = name.trim();
    let wanted = ALIASES
        .iter()
        .find(|(alias, _)| alias.eq_ignore_ascii_case(wanted))
        .map_or(wanted, |(_, row)| row);
    CATEGORIES
        .iter()
        .find(|row| row.name.eq_ignore_ascii_case(wanted))
        .unwrap_or(&BASE_ROW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_aliases_are_found_and_everything_else_has_the_base() {
        assert!(CATEGORIES.iter().all(|row| category(row.name) == row));
        assert_eq!(category("SCHEMA_CHANGE").name, "schema_contract_change");
        assert!(category("security_auth").tier_minor_multiplier < 1.0);
        assert_eq!(category("backend"), &BASE);
        assert!(
            ALIASES
                .iter()
                .all(|(alias, row)| category(alias).name == *row)
        );
    }

    #[test]
    fn the_table_is_the_one_of_the_ruleset() {
        let strict: Vec<_> = CATEGORIES
            .iter()
            .filter(|row| row.gate_profile == GateProfile::Strict)
            .map(|row| {
                (
                    row.name,
                    row.max_builder_attempts,
                    row.incident_token_cap / 1000,
                )
            })
            .collect();
        assert_eq!(
            strict,
            [
                ("cross_cutting_refactor", 2, 1000),
                ("index_registry_change", 2, 800),
                ("schema_contract_change", 2, 1000),
                ("bulk_multi_file_operation", 1, 1500),
                ("security_auth_change", 2, 800),
                ("external_feature_reuse", 2, 1000),
                ("external_code_intake", 2, 1200),
            ]
        );
        assert!(
            CATEGORIES
                .iter()
                .all(|row| row.auto_apply == row.auditor_profile.is_empty())
        );
    }
}
