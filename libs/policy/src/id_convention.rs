//! How runs and their phases are named, inferred from the runs that are there.
//!
//! Invariant: a convention is advice: whatever departs from it is named, and nothing is refused for it. Too few runs
//! prove nothing, and the phase id below the run's id is assumed.

/// Runs of one phase below which nothing is inferred.
pub const MINIMUM: usize = 5;

/// What phase ids look like beside their run's id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Convention {
    /// A phase has an id of its own: run `build-1`, phase `build-1-phase1` or `P1.1`.
    #[default]
    ParentChild,
    /// A run of one phase gives it its own id.
    SameId,
}

impl Convention {
    /// The spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ParentChild => "parent_child",
            Self::SameId => "same_id",
        }
    }

    /// Reads a spelling; `None`: it is of another version.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::ParentChild, Self::SameId]
            .into_iter()
            .find(|known| known.as_str() == text)
    }

    /// What it asks for, in words.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::ParentChild => {
                "a phase has an id of its own, such as RUN-phase1; it never equals the run's id"
            }
            Self::SameId => "a run of one phase gives it its own id",
        }
    }

    /// An id for the phase with a number, from 1.
    pub fn phase_id(self, run: &str, number: usize, phases: usize) -> String {
        match self {
            Self::SameId if phases == 1 => run.to_owned(),
            _ => format!("{run}-phase{number}"),
        }
    }
}

/// How many runs follow which pattern.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patterns {
    /// One phase, with the run's id.
    pub single_phase_same_id: usize,
    /// One phase, with an id of its own.
    pub single_phase_parent_child: usize,
    /// Several phases.
    pub multi_phase_parent_child: usize,
}

/// A run that departs from the convention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offender {
    /// Id of the run.
    pub run: String,
    /// Id of the phase.
    pub phase: String,
}

/// What the runs say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inferred {
    /// The counts.
    pub patterns: Patterns,
    /// The convention.
    pub convention: Convention,
    /// There were too few runs of one phase, or as many of the one as of the other.
    pub assumed: bool,
    /// What departs from it, in the order of the runs.
    pub offenders: Vec<Offender>,
}

/// Infers the convention from runs, each with its phases' ids. Ids that differ in case alone are the same.
pub fn infer(runs: &[(String, Vec<String>)]) -> Inferred {
    let mut patterns = Patterns::default();
    for (run, phases) in runs {
        match phases.as_slice() {
            [] => {}
            [one] if one.eq_ignore_ascii_case(run) => patterns.single_phase_same_id += 1,
            [_] => patterns.single_phase_parent_child += 1,
            _ => patterns.multi_phase_parent_child += 1,
        }
    }
    let (same, own) = (
        patterns.single_phase_same_id,
        patterns.single_phase_parent_child,
    );
    let assumed = same + own < MINIMUM || same == own;
    let convention = if !assumed && same > own {
        Convention::SameId
    } else {
        Convention::ParentChild
    };
    let offenders = runs
        .iter()
        .flat_map(|(run, phases)| offenders(convention, run, phases))
        .collect();
    Inferred {
        patterns,
        convention,
        assumed,
        offenders,
    }
}

/// What departs from a convention in one run.
pub fn offenders(convention: Convention, run: &str, phases: &[String]) -> Vec<Offender> {
    let departs = |phase: &&String| {
        let same = phase.eq_ignore_ascii_case(run);
        match convention {
            Convention::ParentChild => same,
            Convention::SameId => phases.len() == 1 && !same,
        }
    };
    let of = |phase: &String| Offender {
        run: run.to_owned(),
        phase: phase.clone(),
    };
    phases.iter().filter(departs).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: &str, phases: &[&str]) -> (String, Vec<String>) {
        let phases = phases.iter().map(ToString::to_string).collect();
        (id.to_owned(), phases)
    }

    #[test]
    fn the_majority_of_runs_with_one_phase_decides() {
        let mut runs: Vec<_> = (0..4)
            .map(|n| run(&format!("build-{n}"), &[&format!("build-{n}-phase1")]))
            .collect();
        runs.push(run("odd", &["ODD"]));
        runs.push(run("many", &["P1", "P2"]));
        let found = infer(&runs);
        assert_eq!(
            (found.convention, found.assumed),
            (Convention::ParentChild, false)
        );
        let counts = found.patterns;
        assert_eq!(
            (
                counts.single_phase_same_id,
                counts.single_phase_parent_child,
                counts.multi_phase_parent_child
            ),
            (1, 4, 1)
        );
        assert_eq!(found.offenders.len(), 1);
        assert_eq!(found.offenders[0].run, "odd");
    }

    #[test]
    fn a_house_that_gives_phases_their_run_s_id_is_followed() {
        let mut runs: Vec<_> = (0..5)
            .map(|n| run(&format!("r{n}"), &[&format!("r{n}")]))
            .collect();
        runs.push(run("other", &["P1"]));
        let found = infer(&runs);
        assert_eq!(found.convention, Convention::SameId);
        assert_eq!(found.offenders[0].phase, "P1");
        assert_eq!(found.convention.phase_id("x", 1, 1), "x");
        assert_eq!(found.convention.phase_id("x", 2, 2), "x-phase2");
    }

    #[test]
    fn too_few_runs_or_a_tie_assume_ids_of_their_own() {
        for runs in [
            vec![],
            vec![run("a", &["a"]), run("b", &["b"])],
            (0..6)
                .map(|n| {
                    if n % 2 == 0 {
                        run("a", &["a"])
                    } else {
                        run("b", &["P"])
                    }
                })
                .collect(),
        ] {
            let found = infer(&runs);
            assert_eq!(
                (found.convention, found.assumed),
                (Convention::ParentChild, true)
            );
        }
    }
}
