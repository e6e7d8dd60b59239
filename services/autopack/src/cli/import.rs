//! Arguments of `import`.
//!
//! Invariant: the source is only parsed here; whether it can be read says the reader.

use std::{path::PathBuf, str::FromStr};

use clap::Args;

/// `import`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  autopack import sqlite:old/autopack.db --dry-run
  autopack import sqlite:old/autopack.db --project legacy
  autopack import sqlite:old/autopack.db --json

The file is read from a copy and never changed. Imported runs have ended and never get work. Importing
again changes nothing. Exits 1 if a run was set aside.")]
pub(crate) struct ImportArgs {
    /// What to import: sqlite:FILE, a database of an older Autopack
    #[arg(value_name = "SOURCE")]
    pub(crate) source: Source,
    /// Say what would become of each row, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Project that the runs go to
    #[arg(long, value_name = "NAME", default_value = "imported")]
    pub(crate) project: String,
}

/// Where runs come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A database of an older Autopack.
    Sqlite(PathBuf),
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("sqlite", file)) if !file.is_empty() => {
                // `sqlite:///srv/old.db` is the address that other tools use.
                let file = file
                    .strip_prefix("//")
                    .filter(|path| path.starts_with('/'))
                    .unwrap_or(file);
                Ok(Self::Sqlite(PathBuf::from(file)))
            }
            _ => Err(
                "sqlite:FILE is what can be imported, such as sqlite:old/autopack.db".to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_names_its_kind() {
        for (text, path) in [
            ("sqlite:a.db", "a.db"),
            ("sqlite:/srv/a.db", "/srv/a.db"),
            ("sqlite:///srv/a.db", "/srv/a.db"),
            ("sqlite:a:b.db", "a:b.db"),
        ] {
            assert_eq!(text.parse(), Ok(Source::Sqlite(path.into())), "{text}");
        }
        for bad in ["a.db", "sqlite:", "postgres:x", ""] {
            assert!(bad.parse::<Source>().is_err(), "{bad}");
        }
    }
}
