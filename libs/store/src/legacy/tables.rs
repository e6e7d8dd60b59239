//! Which tables a file has, before anything in it is looked at.
//!
//! Invariant: a file in which something computes (tables of modules, columns that are computed) is refused by name before
//! a statement touches a table: SQLite's own check would already run what they ask for.

use sea_orm::sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{LegacyError, Source, quoted, rows, text};

/// Tables of a file at most.
const MAX_TABLES: usize = 200;
/// Columns of a table at most.
const MAX_COLUMNS: usize = 200;
/// What an older database has at least.
const NEEDED: [(&str, [&str; 3]); 2] = [
    ("runs", ["id", "state", "created_at"]),
    ("phases", ["run_id", "phase_id", "state"]),
];

/// Every ordinary table with its columns, in the order of their names.
pub(super) async fn find(
    db: &mut SqliteConnection,
    source: &Source<'_>,
) -> Result<Vec<(String, Vec<String>)>, LegacyError> {
    let ask =
        async |db: &mut SqliteConnection, sql: String| -> Result<Vec<SqliteRow>, LegacyError> {
            rows(db, sql).await.map_err(|e| source.failed(&e))
        };
    let written = ask(db, "SELECT name, sql FROM sqlite_schema".to_owned()).await?;
    for row in &written {
        let name = text(row, "name").unwrap_or_default();
        if text(row, "sql").is_some_and(|sql| is_virtual(&sql)) {
            let detail = format!(
                "`{}` is a table of a module, which is not read",
                clip(&name)
            );
            return Err(source.foreign(detail));
        }
    }
    // Not the schema's own words: what its rows call themselves need not be what they define.
    let listed = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' \
                  AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
    let listed = ask(db, listed.to_owned()).await?;
    let names: Vec<String> = listed.iter().filter_map(|row| text(row, "name")).collect();
    if names.len() > MAX_TABLES {
        let detail = format!(
            "it has {} tables, {MAX_TABLES} at most are read",
            names.len()
        );
        return Err(source.foreign(detail));
    }
    if names.iter().any(|name| name == "run_document") {
        let detail = "it is a database of this system; set database or --data-dir to it";
        return Err(source.foreign(detail.to_owned()));
    }
    let mut found = Vec::with_capacity(names.len());
    for table in names {
        let described = ask(db, format!("PRAGMA table_xinfo({})", quoted(&table))).await?;
        let columns = columns(&table, &described).map_err(|detail| source.foreign(detail))?;
        found.push((table, columns));
    }
    let check = ask(db, "PRAGMA quick_check(1)".to_owned()).await?;
    let answer = check.first().and_then(|row| text(row, "quick_check"));
    if answer.as_deref() != Some("ok") {
        return Err(LegacyError::Damaged {
            path: source.name.to_owned(),
            detail: answer.unwrap_or_else(|| "the check gave no answer".to_owned()),
        });
    }
    needed(&found).map_err(|detail| source.foreign(detail))?;
    Ok(found)
}

/// The columns of a table; a computed one is a reason to refuse the file.
fn columns(table: &str, described: &[SqliteRow]) -> Result<Vec<String>, String> {
    use sea_orm::sqlx::Row as _;
    if described.len() > MAX_COLUMNS {
        let table = clip(table);
        return Err(format!(
            "its table `{table}` has more than {MAX_COLUMNS} columns"
        ));
    }
    let mut columns = Vec::with_capacity(described.len());
    for row in described {
        let name = text(row, "name").unwrap_or_default();
        if row.try_get::<i64, _>("hidden").unwrap_or(0) != 0 {
            let (table, name) = (clip(table), clip(&name));
            return Err(format!(
                "column `{name}` of its table `{table}` is computed, and nothing that a file computes is run"
            ));
        }
        columns.push(name);
    }
    Ok(columns)
}

fn needed(found: &[(String, Vec<String>)]) -> Result<(), String> {
    for (table, needed) in NEEDED {
        let Some((_, columns)) = found.iter().find(|(name, _)| name == table) else {
            let names: Vec<String> = found.iter().take(20).map(|(name, _)| clip(name)).collect();
            return Err(format!(
                "it has no table `{table}`, only: {}",
                names.join(", ")
            ));
        };
        let missing = needed
            .iter()
            .find(|c| !columns.iter().any(|known| known == *c));
        if let Some(missing) = missing {
            return Err(format!("its table `{table}` has no column `{missing}`"));
        }
    }
    Ok(())
}

/// Whether a statement of the schema makes a table of a module. SQLite reads only what begins with `CREATE` itself.
fn is_virtual(sql: &str) -> bool {
    let mut rest = sql.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    loop {
        let shorter = rest.trim_start();
        let shorter = if let Some(comment) = shorter.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = shorter.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else {
            shorter
        };
        if shorter.len() == rest.len() {
            break;
        }
        rest = shorter;
    }
    let word = rest.get(..7);
    word.is_some_and(|word| word.eq_ignore_ascii_case("virtual"))
}

/// A name for a message.
fn clip(name: &str) -> String {
    name.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::is_virtual;

    #[test]
    fn a_table_of_a_module_is_known_however_it_is_written() {
        for sql in [
            "CREATE VIRTUAL TABLE t USING fts5(a)",
            "create\tvirtual table t USING fts5(a)",
            "CREATE/* x */ -- y\n VIRTUAL TABLE t USING fts5(a)",
        ] {
            assert!(is_virtual(sql), "{sql}");
        }
        for sql in [
            "CREATE TABLE virtual (a)",
            "CREATE TABLE t (a)",
            "CREATE",
            "CREATE é",
            "",
        ] {
            assert!(!is_virtual(sql), "{sql}");
        }
    }
}
