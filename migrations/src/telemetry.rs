//! The role of PostgreSQL that telemetry connects as.
//!
//! Invariant: it reads the versioned views and nothing else, and writes nothing; making it again after a
//! migration that adds a view grants the new view as well.

use std::fmt::Write as _;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement, TransactionTrait};

/// Why the role could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// Not a name that can be granted to.
    #[error("`{0}` is not a role name: 1 to 63 of a-z 0-9 _, beginning with a letter")]
    Name(String),
    /// It could do anything, whatever is granted.
    #[error("`{0}` is a superuser: no grant limits it; name another role")]
    Superuser(String),
    /// An embedded database has no roles.
    #[error("only a PostgreSQL database has roles")]
    Embedded,
    /// The database failed, or the caller may not make roles.
    #[error("the role was not made: {0}")]
    Database(#[from] DbErr),
}

/// Makes the role if it is missing, sets its password if one is given, and grants it the views (`v1_run`, ...)
/// and nothing else. The caller owns the tables and may make roles.
pub async fn grant_telemetry(
    db: &DatabaseConnection,
    role: &str,
    password: Option<&str>,
) -> Result<(), RoleError> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let leads = role.starts_with(|c: char| c.is_ascii_lowercase());
    if !leads || role.len() > 63 || !role.chars().all(fits) {
        return Err(RoleError::Name(role.to_owned()));
    }
    if db.get_database_backend() != DbBackend::Postgres {
        return Err(RoleError::Embedded);
    }
    let transaction = db.begin().await?;
    let one = |sql: &str| Statement::from_string(DbBackend::Postgres, sql);
    let exists = format!("SELECT rolsuper FROM pg_roles WHERE rolname = '{role}'");
    match transaction.query_one_raw(one(&exists)).await? {
        Some(row) if row.try_get("", "rolsuper")? => {
            return Err(RoleError::Superuser(role.to_owned()));
        }
        Some(_) => {}
        None => {
            let create = format!("CREATE ROLE \"{role}\"");
            transaction.execute_unprepared(&create).await?;
        }
    }
    let login = password.map_or(String::new(), |secret| {
        format!(" PASSWORD '{}'", secret.replace('\'', "''"))
    });
    let row = transaction
        .query_one_raw(one("SELECT current_database() AS name"))
        .await?;
    let database: String = row
        .map(|r| r.try_get("", "name"))
        .transpose()?
        .unwrap_or_default();
    let database = database.replace('"', "\"\"");
    let mut sql = format!(
        "SET LOCAL standard_conforming_strings = on;
         ALTER ROLE \"{role}\" LOGIN NOCREATEDB NOCREATEROLE{login};
         ALTER ROLE \"{role}\" SET default_transaction_read_only = on;
         ALTER ROLE \"{role}\" SET statement_timeout = '30s';
         REVOKE CREATE ON SCHEMA public FROM PUBLIC;
         REVOKE TEMPORARY ON DATABASE \"{database}\" FROM PUBLIC;
         REVOKE ALL ON ALL TABLES IN SCHEMA public FROM \"{role}\";
         GRANT CONNECT ON DATABASE \"{database}\" TO \"{role}\";
         GRANT USAGE ON SCHEMA public TO \"{role}\";"
    );
    let views = "SELECT viewname AS name FROM pg_views WHERE schemaname = 'public' AND viewname ~ '^v[0-9]+_'";
    for row in transaction.query_all_raw(one(views)).await? {
        let view: String = row.try_get("", "name")?;
        let _ = write!(sql, "GRANT SELECT ON public.\"{view}\" TO \"{role}\";");
    }
    transaction.execute_unprepared(&sql).await?;
    transaction.commit().await?;
    Ok(())
}
