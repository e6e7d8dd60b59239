//! Usage and accounts.

use autopack_domain::{
    budget::Account,
    usage::{Provenance, Usage},
};

use super::at::{At, Decode};
use crate::types;

impl From<&Usage> for types::Usage {
    fn from(usage: &Usage) -> Self {
        Self {
            provider: usage.provider.clone(),
            model: usage.model.clone(),
            role: usage.role.clone(),
            purpose: usage.purpose.clone(),
            total: usage.total,
            prompt: usage.prompt,
            completion: usage.completion,
            provenance: usage.provenance.as_str().to_owned(),
        }
    }
}

impl Decode<types::Usage> for Usage {
    fn decode(message: types::Usage, at: &At<'_>) -> Option<Self> {
        let provenance = at.field("provenance").word(
            &message.provenance,
            Provenance::parse,
            Provenance::spellings,
        )?;
        Some(Self {
            provider: message.provider,
            model: message.model,
            role: message.role,
            purpose: message.purpose,
            total: message.total,
            prompt: message.prompt,
            completion: message.completion,
            provenance,
        })
    }
}

impl From<&Account> for types::Account {
    fn from(account: &Account) -> Self {
        Self {
            cap: account.cap,
            reserved: account.reserved,
            settled: account.settled,
        }
    }
}

impl From<types::Account> for Account {
    fn from(account: types::Account) -> Self {
        Self {
            cap: account.cap,
            reserved: account.reserved,
            settled: account.settled,
        }
    }
}

impl Decode<types::Account> for Account {
    fn decode(message: types::Account, _: &At<'_>) -> Option<Self> {
        Some(message.into())
    }
}

super::try_from_proto!(types::Usage => Usage);
