//! The environment: variables of the deployment guide, switches, and where the data directory is.
//!
//! Invariant: every bad variable is reported at once, before anything is opened; paths are absolute from here on.

use std::path::{Path, PathBuf};

use autopack_domain::{Fault, Reason, plan::GateProfile};
use autopack_runtime::{
    config::environment,
    env_alias::{self, Aliases, CiProfile},
    paths::{absolute, default_data_dir, mask_database_url},
    switches::Switches,
};

use builder_worker::Confinement;
use run_registry::SelfRepair;

use crate::{cli::Global, credentials::Credentials, error::CliError, runfiles::Bounds};

/// What the self-check mends at the start.
const SELF_REPAIR: &str = "AUTOPACK_SELF_REPAIR";

/// What the environment and the global flags say.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The data directory, absolute.
    pub(crate) data_dir: PathBuf,
    /// The database file, absolute; `None`: the data directory's own.
    pub(crate) database: Option<PathBuf>,
    /// What a registry over TCP is shown.
    pub(crate) credentials: Credentials,
    /// Identity of the database that a registry must keep.
    pub(crate) database_identity: Option<String>,
    /// Gate profile of phases that name none.
    pub(crate) gate_profile: Option<GateProfile>,
    /// Attempts of phases that name none.
    pub(crate) max_attempts: Option<u32>,
    /// First pause between attempts.
    pub(crate) backoff_seconds: Option<u32>,
    /// What the self-check mends at the start.
    pub(crate) self_repair: SelfRepair,
    /// Where files of runs are written, absolute.
    pub(crate) runs_dir: PathBuf,
    /// The environment names that folder.
    pub(crate) runs_dir_named: bool,
    /// How much of the files of ended runs is kept.
    pub(crate) run_files: Bounds,
    /// What builders and gates may touch.
    pub(crate) confinement: Confinement,
    /// The switches.
    pub(crate) switches: Switches,
    /// Variables that have no effect, for people.
    pub(crate) warnings: Vec<String>,
}

impl Settings {
    /// Reads the process's environment.
    pub(crate) fn read(global: &Global) -> Result<Self, CliError> {
        Self::from_lookup(global, &environment)
    }

    fn from_lookup(
        global: &Global,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, CliError> {
        let mut faults = Vec::new();
        let (aliases, warnings) = env_alias::read(lookup).unwrap_or_else(|found| {
            faults.extend(found);
            (Aliases::default(), Vec::new())
        });
        let switches = Switches::read(lookup).unwrap_or_else(|found| {
            faults.extend(found);
            Switches::default()
        });
        let self_repair = match lookup(SELF_REPAIR).filter(|value| !value.is_empty()) {
            None => SelfRepair::default(),
            Some(value) => SelfRepair::parse(&value).unwrap_or_else(|| {
                let fault = Fault::new(SELF_REPAIR, format!("`{value}` is not known"));
                faults.push(fault.allowed(SelfRepair::SPELLINGS).example("report"));
                SelfRepair::default()
            }),
        };
        let run_files = Bounds::read(lookup).unwrap_or_else(|found| {
            faults.extend(found);
            Bounds::default()
        });
        let confinement = Confinement::read(lookup).unwrap_or_else(|found| {
            faults.extend(found);
            Confinement::default()
        });
        if !faults.is_empty() {
            let count = crate::output::count(faults.len(), "bad value");
            let message = format!("the environment holds {count}");
            return Err(CliError::faults(Reason::ArgumentInvalid, message, faults));
        }
        let data_dir = global
            .data_dir
            .clone()
            .filter(|path| !path.as_os_str().is_empty())
            .or_else(|| aliases.runs_dir.clone())
            .or_else(|| default_data_dir(lookup))
            .ok_or_else(|| {
                CliError::usage(
                    "no data directory is known: neither XDG_STATE_HOME nor HOME is set",
                )
                .hint("name one with --data-dir")
            })?;
        let data_dir = absolute_path(&data_dir)?;
        let runs_dir_named = aliases.runs_dir.is_some();
        let runs_dir = match &aliases.runs_dir {
            Some(named) => absolute_path(named)?,
            None => data_dir.join("runs"),
        };
        Ok(Self {
            runs_dir,
            runs_dir_named,
            data_dir,
            database: aliases
                .database_url
                .as_deref()
                .map(database_file)
                .transpose()?,
            credentials: Credentials::of(global),
            database_identity: global
                .database_identity
                .clone()
                .filter(|identity| !identity.is_empty()),
            gate_profile: aliases.ci_profile.map(|profile| match profile {
                CiProfile::Normal => GateProfile::Normal,
                CiProfile::Strict => GateProfile::Strict,
            }),
            max_attempts: aliases.max_attempts,
            backoff_seconds: aliases.backoff_seconds,
            self_repair,
            run_files,
            confinement,
            switches,
            warnings: warnings.into_iter().map(|warning| warning.text).collect(),
        })
    }

    /// The database file in use.
    pub(crate) fn database_file(&self) -> PathBuf {
        self.database
            .clone()
            .unwrap_or_else(|| self.data_dir.join("db/registry.sqlite"))
    }

    /// The database's address without credentials.
    pub(crate) fn database_shown(&self) -> String {
        let url = format!("sqlite://{}", self.database_file().display());
        mask_database_url(&url)
    }
}

/// A path as it is from the root.
pub(crate) fn absolute_path(path: &Path) -> Result<PathBuf, CliError> {
    absolute(path).map_err(|error| CliError::io("cannot resolve", path, &error))
}

/// The file of `sqlite:///path`; everything else is refused.
fn database_file(url: &str) -> Result<PathBuf, CliError> {
    let file = url
        .strip_prefix("sqlite://")
        .or_else(|| url.strip_prefix("sqlite:"))
        .map(|rest| rest.split('?').next().unwrap_or_default())
        // `sqlite:////path` is how the older system wrote an absolute path.
        .map(|rest| {
            if rest.starts_with("//") {
                &rest[1..]
            } else {
                rest
            }
        })
        .filter(|rest| !rest.is_empty() && *rest != ":memory:" && *rest != "/:memory:");
    if let Some(file) = file {
        return absolute_path(Path::new(file));
    }
    let masked = mask_database_url(url);
    let message = format!(
        "DATABASE_URL is `{masked}`; this process keeps its runs in SQLite and takes sqlite:///PATH only"
    );
    let mut error = CliError::reason(Reason::DatabaseUnsupported, message);
    error.metadata.insert("database".to_owned(), masked);
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, CliError> {
        let global = Global::default();
        Settings::from_lookup(&global, &|name| {
            let found = pairs.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_data_directory_is_absolute_and_the_alias_names_it() {
        assert_eq!(
            read(&[("HOME", "/h")]).unwrap().data_dir,
            Path::new("/h/.local/state/autopack")
        );
        let settings = read(&[("AUTONOMOUS_RUNS_DIR", "runs"), ("HOME", "/h")]).unwrap();
        assert!(settings.data_dir.is_absolute() && settings.data_dir.ends_with("runs"));
        assert_eq!(
            settings.runs_dir, settings.data_dir,
            "and files of runs go there"
        );
        assert_eq!(read(&[]).unwrap_err().exit, crate::error::Exit::Usage);
    }

    #[test]
    fn only_sqlite_is_accepted_and_a_password_is_never_shown() {
        for (url, file) in [
            ("sqlite:///tmp/none/a.db", "/tmp/none/a.db"),
            ("sqlite:////tmp/none/a.db", "/tmp/none/a.db"),
            ("sqlite:///tmp/none/a.db?mode=rwc", "/tmp/none/a.db"),
        ] {
            let settings = read(&[("HOME", "/h"), ("DATABASE_URL", url)]).unwrap();
            assert!(
                settings
                    .database_file()
                    .ends_with(file.trim_start_matches("/tmp/")),
                "{url}"
            );
        }
        for url in [
            "postgresql://u:secret@h/db",
            "sqlite://",
            "sqlite:///:memory:",
            "nonsense",
        ] {
            let error = read(&[("HOME", "/h"), ("DATABASE_URL", url)]).unwrap_err();
            assert_eq!(error.code, "DATABASE_UNSUPPORTED");
            assert!(!error.render().contains("secret"));
        }
    }

    #[test]
    fn all_bad_variables_are_reported_together() {
        let error = read(&[
            ("HOME", "/h"),
            ("MAX_ATTEMPTS", "0"),
            ("CI_PROFILE", "fast"),
            ("AUTOPACK_ROLLBACK_ENABLED", "maybe"),
            ("AUTOPACK_SELF_REPAIR", "everything"),
        ])
        .unwrap_err();
        assert_eq!(error.faults.len(), 4);
    }

    #[test]
    fn testing_is_ignored_with_a_warning() {
        let settings = read(&[
            ("HOME", "/h"),
            ("TESTING", "1"),
            ("AUTOPACK_ENABLE_INTENTION_CONTEXT", "1"),
        ])
        .unwrap();
        assert_eq!(settings.warnings.len(), 1);
        let on: Vec<_> = settings.switches.on().collect();
        assert_eq!(on, ["AUTOPACK_ENABLE_INTENTION_CONTEXT"]);
    }
}
