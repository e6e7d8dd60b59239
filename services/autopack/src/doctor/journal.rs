//! `debug_journal.md` in the data directory: every repair, for people.
//!
//! Invariant: it is made anew from the table `repair` and moved into place as a whole; nothing reads it for a decision.

use std::{fmt::Write as _, path::Path};

use autopack_wire::registry::RepairRecord;

use crate::{error::CliError, output::text::moment};

/// Name of the file.
const FILE: &str = "debug_journal.md";

/// Writes it.
pub(crate) fn write(data: &Path, repairs: &[RepairRecord]) -> Result<(), CliError> {
    let path = data.join(FILE);
    let beside = data.join(format!("{FILE}.new"));
    let failed = |error: std::io::Error| CliError::io("cannot write", &path, &error);
    std::fs::write(&beside, page(repairs)).map_err(failed)?;
    std::fs::rename(&beside, &path).map_err(failed)
}

fn page(repairs: &[RepairRecord]) -> String {
    let mut text = String::from(
        "# Repairs\n\nWhat the self-check has mended, newest first. The table `repair` of the database is the record.\n\n\
         | time | table | row | column | before | after | rule |\n|---|---|---|---|---|---|---|\n",
    );
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
    for r in repairs {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | `{}` | `{}` | {} |",
            moment(r.time.as_ref()),
            r.table,
            cell(&r.row),
            r.column,
            cell(&r.before),
            r.after,
            r.rule
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_names_both_spellings_and_replaces_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let repair = RepairRecord {
            table: "run".to_owned(),
            before: "REA|DY".to_owned(),
            after: "RUN_CREATED".to_owned(),
            ..RepairRecord::default()
        };
        for _ in 0..2 {
            write(folder.path(), std::slice::from_ref(&repair)).unwrap();
        }
        let text = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert_eq!(text.matches("RUN_CREATED").count(), 1, "{text}");
        assert!(text.contains("`REA\\|DY`"), "{text}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
