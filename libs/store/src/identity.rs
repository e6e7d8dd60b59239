//! Which database it is.
//!
//! Invariant: the id was made with the database and never changes; a database without one is corrupt, not nameless.

use sea_orm::{ConnectionTrait, EntityTrait};

use crate::{CorruptRow, StoreError, entity::database_identity};

/// The id that the database got when it was made: 32 hex.
pub async fn read<C: ConnectionTrait>(db: &C) -> Result<String, StoreError> {
    let row = database_identity::Entity::find_by_id(1).one(db).await?;
    let identity = row.map(|row| row.identity).unwrap_or_default();
    let is_sound = identity.len() == 32 && identity.bytes().all(|b| b.is_ascii_hexdigit());
    if is_sound {
        return Ok(identity);
    }
    Err(StoreError::Corrupt(CorruptRow {
        table: "database_identity",
        id: "1".to_owned(),
        column: "identity",
        value: identity.chars().take(64).collect(),
        valid: "32 hex digits".to_owned(),
    }))
}
