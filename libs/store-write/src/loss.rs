//! Which failures mean that the connection is gone, and not that a statement was wrong.
//!
//! Invariant: a statement that fails again and again is never taken for a lost connection.

use sea_orm::{DbErr, RuntimeErr, sqlx};

/// Whether the connection to the database is lost, or the server is ending or starting.
pub fn is_connection_lost(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) => true,
        DbErr::Conn(RuntimeErr::SqlxError(e))
        | DbErr::Exec(RuntimeErr::SqlxError(e))
        | DbErr::Query(RuntimeErr::SqlxError(e)) => is_lost(e),
        _ => false,
    }
}

pub(crate) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(e) => e.code().is_some_and(|code| is_lost_code(&code)),
        _ => false,
    }
}

/// Classes 08 (connection) and 57P (operator), sessions ended for their idleness, too many connections, and a
/// server that became a replica: another connection reaches the one that is none.
fn is_lost_code(code: &str) -> bool {
    code.starts_with("08") || code.starts_with("57P") || ["25P03", "53300", "25006"].contains(&code)
}

/// A driver's error as the library's.
pub(crate) fn exec_error(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(std::sync::Arc::new(error)))
}

#[cfg(test)]
mod tests {
    use super::is_lost_code;

    #[test]
    fn an_ended_session_is_a_loss_and_a_wrong_statement_is_not() {
        for code in ["08006", "57P01", "57P05", "25P03", "25006"] {
            assert!(is_lost_code(code), "{code}");
        }
        // A constraint, a syntax error, a statement that took too long, a lock that was not given.
        for code in ["23505", "42601", "57014", "55P03"] {
            assert!(!is_lost_code(code), "{code}");
        }
    }
}
