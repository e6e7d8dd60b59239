//! What a command needs of a registry beyond its methods.
//!
//! Invariant: a field that an older registry would ignore is sent only to one that says it understands it.

use autopack_domain::Reason;
use autopack_wire::client::{Clients, Offer};

use crate::error::CliError;

/// Refuses to go on with a registry that does not name this feature.
pub(crate) async fn require(clients: &Clients, feature: &str) -> Result<(), CliError> {
    let offer = Offer::learn(clients).await?;
    if offer.has(feature) {
        return Ok(());
    }
    let text = format!(
        "the registry does not say that it understands `{feature}` (told by {})",
        offer.told.as_str()
    );
    Err(CliError::reason(Reason::MethodMissing, text))
}
