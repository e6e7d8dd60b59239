//! Which keys a section may have, and what a wrong key probably meant.
//!
//! Invariant: in `plan/v1` every key is known, or starts with `x-`; nothing is ignored silently.

/// Keys of one section.
pub(super) struct Keys {
    /// Keys of `plan/v1`.
    pub(super) v1: &'static [&'static str],
    /// Keys that only older forms have.
    pub(super) older: &'static [&'static str],
}

/// Keys of older forms and near misses that spelling does not reveal, with the key that is meant.
const MEANT: &[(&str, &str)] = &[
    ("phase_id", "id"),
    ("tier_id", "id"),
    ("run_id", "id"),
    ("display_name", "name"),
    ("title", "name"),
    ("branch", "base"),
    ("token_cap", "budgets"),
    ("max_phases", "budgets"),
    ("max_duration_minutes", "budgets"),
    ("max_tokens", "tokens"),
    ("dependencies", "depends_on"),
    ("needs", "depends_on"),
    ("requires", "depends_on"),
    ("test_cmd", "gate"),
    ("tests", "gate"),
    ("ci_profile", "gate"),
    ("ci", "gate"),
    ("command", "run"),
    ("cmd", "run"),
    ("script", "run"),
    ("cwd", "dir"),
    ("workdir", "dir"),
    ("working_directory", "dir"),
    ("timeout", "timeout_seconds"),
    ("type", "kind"),
    ("files", "patch"),
    ("attempts", "max_attempts"),
    ("retries", "max_attempts"),
    ("category", "task_category"),
    ("allowed_paths", "paths"),
    ("builder", "default_builder"),
    ("version", "schema"),
    ("memory", "memory_mb"),
    ("wall_minutes", "minutes"),
];

/// The allowed key that a wrong one probably meant.
pub(super) fn meant<'k>(wrong: &str, allowed: &[&'k str]) -> Option<&'k str> {
    let wrong = wrong.trim().to_ascii_lowercase().replace(['-', ' '], "_");
    let known = MEANT
        .iter()
        .find(|(key, meant)| *key == wrong && allowed.contains(meant));
    if let Some((_, meant)) = known {
        return allowed.iter().copied().find(|key| key == meant);
    }
    nearest(&wrong, allowed)
}

/// The nearest of some words, if it is near enough to be a slip.
pub(super) fn nearest<'k>(wrong: &str, words: &[&'k str]) -> Option<&'k str> {
    if wrong.len() > 64 {
        return None;
    }
    let (near, length) = (words.iter(), wrong.chars().count());
    let near = near.filter(|word| word.chars().count().abs_diff(length) <= 2);
    let near = near
        .map(|word| (distance(wrong, word), *word))
        .min_by_key(|(far, _)| *far);
    near.filter(|(far, word)| *far <= 2.min(word.chars().count() / 3))
        .map(|(_, word)| word)
}

/// Edits (insert, delete, replace, swap of neighbours) between two short words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1)
                .min(row[j - 1] + 1)
                .min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_recognised_and_far_ones_are_not() {
        let allowed = [
            "id",
            "name",
            "goal",
            "depends_on",
            "task_category",
            "builder",
            "gate",
        ];
        for (wrong, right) in [
            ("goals", Some("goal")),
            ("depend_on", Some("depends_on")),
            ("dependson", Some("depends_on")),
            ("depends-on", Some("depends_on")),
            ("Builder", Some("builder")),
            ("biulder", Some("builder")),
            ("phase_id", Some("id")),
            ("dependencies", Some("depends_on")),
            ("test_cmd", Some("gate")),
            ("colour", None),
            ("ix", None),
            ("", None),
        ] {
            assert_eq!(meant(wrong, &allowed), right, "{wrong}");
        }
        assert_eq!(nearest(&"a".repeat(100_000), &allowed), None);
    }
}
