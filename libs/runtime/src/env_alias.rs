//! Variables of the deployment guide, read in one place.
//!
//! Invariant: every bad value is reported; what is unset or empty is `None`, so that a plan or a flag
//! can tell a choice from a default.

use std::path::PathBuf;

use autopack_domain::fault::{Fault, Faults};

/// The profile when none is set.
pub const DEFAULT_CI_PROFILE: CiProfile = CiProfile::Normal;
/// The attempts when none are set.
pub const DEFAULT_MAX_ATTEMPTS: u32 = 3;
/// The pause between attempts when none is set.
pub const DEFAULT_BACKOFF_SECONDS: u32 = 5;

/// Which tests must pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CiProfile {
    /// Unit and integration tests.
    Normal,
    /// Those, end-to-end and safety tests.
    Strict,
}

/// What the guide's variables say; `None`: not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aliases {
    /// `DATABASE_URL`; not set: the data directory's own database.
    pub database_url: Option<String>,
    /// `AUTONOMOUS_RUNS_DIR`: where reports of runs are written.
    pub runs_dir: Option<PathBuf>,
    /// `CI_PROFILE`.
    pub ci_profile: Option<CiProfile>,
    /// `MAX_ATTEMPTS`, 1 to 10.
    pub max_attempts: Option<u32>,
    /// `BACKOFF_SECONDS`, 0 to 3600.
    pub backoff_seconds: Option<u32>,
}

impl Aliases {
    /// The profile, set or default.
    pub fn ci_profile(&self) -> CiProfile {
        self.ci_profile.unwrap_or(DEFAULT_CI_PROFILE)
    }

    /// The attempts, set or default.
    pub fn max_attempts(&self) -> u32 {
        self.max_attempts.unwrap_or(DEFAULT_MAX_ATTEMPTS)
    }

    /// The pause, set or default.
    pub fn backoff_seconds(&self) -> u32 {
        self.backoff_seconds.unwrap_or(DEFAULT_BACKOFF_SECONDS)
    }
}

/// A variable that has no effect, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The variable.
    pub variable: &'static str,
    /// The text for the user.
    pub text: String,
}

/// Reads them; `lookup` is [`crate::config::environment`] in a process.
pub fn read(
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<(Aliases, Vec<Warning>), Vec<Fault>> {
    let set = |name: &str| {
        lookup(name)
            .map(|v| v.trim().to_owned())
            .filter(|v| !v.is_empty())
    };
    let mut faults = Faults::default();
    let mut number = |name: &str, low: u32, high: u32| {
        let value = set(name)?;
        match value.parse() {
            Ok(number) if (low..=high).contains(&number) => Some(number),
            _ => {
                let problem = format!("`{value}` is not a whole number from {low} to {high}");
                faults.push(Fault::new(name, problem).example(low.max(3).to_string()));
                None
            }
        }
    };
    let max_attempts = number("MAX_ATTEMPTS", 1, 10);
    let backoff_seconds = number("BACKOFF_SECONDS", 0, 3600);
    let ci_profile = match set("CI_PROFILE").as_deref() {
        None => None,
        Some("normal") => Some(CiProfile::Normal),
        Some("strict") => Some(CiProfile::Strict),
        Some(other) => {
            let fault = Fault::new("CI_PROFILE", format!("`{other}` is not a profile"));
            faults.push(fault.allowed(["normal", "strict"]).example("normal"));
            None
        }
    };
    let mut warnings = Vec::new();
    if set("TESTING").is_some() {
        warnings.push(Warning {
            variable: "TESTING",
            text: "TESTING is ignored: there is no mode without authentication or database"
                .to_owned(),
        });
    }
    let aliases = Aliases {
        database_url: set("DATABASE_URL"),
        runs_dir: set("AUTONOMOUS_RUNS_DIR").map(PathBuf::from),
        ci_profile,
        max_attempts,
        backoff_seconds,
    };
    faults.into_result((aliases, warnings))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&str, &str)]) -> Result<(Aliases, Vec<Warning>), Vec<Fault>> {
        read(&|name| {
            let found = pairs.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_set_gives_the_guides_defaults() {
        let (aliases, warnings) = from(&[("DATABASE_URL", "")]).unwrap();
        assert_eq!(aliases, Aliases::default());
        assert_eq!(aliases.ci_profile(), CiProfile::Normal);
        assert_eq!(aliases.max_attempts(), 3);
        assert_eq!(aliases.backoff_seconds(), 5);
        assert!(warnings.is_empty());
    }

    #[test]
    fn what_is_set_is_read() {
        let (aliases, _) = from(&[
            ("DATABASE_URL", "postgres://u:p@h/db"),
            ("AUTONOMOUS_RUNS_DIR", "runs"),
            ("CI_PROFILE", "strict"),
            ("MAX_ATTEMPTS", "10"),
            ("BACKOFF_SECONDS", "0"),
        ])
        .unwrap();
        assert_eq!(aliases.database_url.as_deref(), Some("postgres://u:p@h/db"));
        assert_eq!(aliases.runs_dir, Some("runs".into()));
        assert_eq!(aliases.ci_profile, Some(CiProfile::Strict));
        assert_eq!(aliases.max_attempts, Some(10));
        assert_eq!(aliases.backoff_seconds, Some(0));
    }

    #[test]
    fn all_bad_values_are_reported_at_once() {
        let faults = from(&[
            ("CI_PROFILE", "fast"),
            ("MAX_ATTEMPTS", "11"),
            ("BACKOFF_SECONDS", "-1"),
        ])
        .unwrap_err();
        let paths: Vec<_> = faults.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(paths, ["MAX_ATTEMPTS", "BACKOFF_SECONDS", "CI_PROFILE"]);
        assert!(from(&[("MAX_ATTEMPTS", "0")]).is_err());
        assert!(from(&[("BACKOFF_SECONDS", "3601")]).is_err());
    }

    #[test]
    fn testing_is_ignored_with_a_warning() {
        let (_, warnings) = from(&[("TESTING", "1")]).unwrap();
        assert_eq!(warnings[0].variable, "TESTING");
    }
}
