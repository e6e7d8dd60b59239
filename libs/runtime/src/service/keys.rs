//! Keys of a service: those that it takes from callers, and the one that it sends.
//!
//! Invariant: a lone key stands for every role; a list says which role each key has. What is wrong with a key file is
//! told with the entry's number and never with a key.

use autopack_domain::{
    fault::{Fault, Faults},
    time::Timestamp,
};
use autopack_wire::server::{Grant, Principal, TokenTable, digest};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// A file with several keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    key: Vec<Entry>,
}

/// One key of the list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    role: String,
    key: Option<String>,
    sha256: Option<String>,
    expires: Option<String>,
}

impl std::fmt::Debug for Entry {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("name", &self.name).finish()
    }
}

/// The keys that a text names: those to take, and the one to send in a role.
#[derive(Debug, Default)]
pub struct Keys {
    /// Keys that callers may send.
    pub taken: TokenTable,
    sent: Option<String>,
}

impl Keys {
    /// The key to send.
    pub fn sent(&self) -> Option<&str> {
        self.sent.as_deref()
    }

    /// Reads a lone key, or a list in TOML; `role` is the one whose key is sent.
    pub fn read(text: &str, role: Principal) -> Result<Self, Vec<Fault>> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self::default());
        }
        if !text.contains('\n') && !text.contains("[[") {
            let digest =
                digest(text).map_err(|short| vec![Fault::new("api_key", short.to_string())])?;
            let grant = Grant {
                digest,
                roles: Principal::ALL.to_vec(),
                expires: None,
            };
            return Ok(Self {
                taken: TokenTable::default().grant(grant),
                sent: Some(text.to_owned()),
            });
        }
        // The parser's own message would quote the line, which may hold a key.
        let list: List = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| line_of(text, span.start));
            let problem = format!("line {at} is not part of a list of [[key]] entries");
            vec![
                Fault::new("api_key_file", problem)
                    .allowed(["name", "role", "key", "sha256", "expires"]),
            ]
        })?;
        let mut faults = Faults::default();
        let mut keys = Self::default();
        for (index, entry) in list.key.into_iter().enumerate() {
            let at = format!("api_key_file.key[{index}]");
            match entry.grant(&at) {
                Ok(grant) => {
                    if keys.sent.is_none() && grant.roles.contains(&role) {
                        keys.sent = entry.key;
                    }
                    keys.taken = keys.taken.grant(grant);
                }
                Err(found) => found.into_iter().for_each(|fault| faults.push(fault)),
            }
        }
        faults.into_result(keys)
    }
}

impl Entry {
    fn grant(&self, at: &str) -> Result<Grant, Vec<Fault>> {
        let mut faults = Faults::default();
        let role = Principal::parse(&self.role);
        if role.is_none() {
            let fault = Fault::new(format!("{at}.role"), format!("`{}` is no role", self.role));
            faults.push(fault.allowed(Principal::ALL.iter().map(|p| p.as_str())));
        }
        let found = match (&self.key, &self.sha256) {
            (Some(key), None) => digest(key).map_err(|short| short.to_string()),
            (None, Some(hex)) => {
                unhex(hex).ok_or_else(|| "is not a SHA-256 in hex of 64 digits".to_owned())
            }
            _ => Err("has to have either `key` or `sha256`".to_owned()),
        };
        let found = found.map_err(|problem| faults.push(Fault::new(at, problem)));
        let expires = match self.expires.as_deref().map(moment) {
            Some(None) => {
                let fault = Fault::new(format!("{at}.expires"), "is not a moment of RFC 3339");
                faults.push(fault.example("2027-01-01T00:00:00Z"));
                None
            }
            Some(known) => known,
            None => None,
        };
        match (role, found) {
            (Some(role), Ok(digest)) if faults.is_empty() => Ok(Grant {
                digest,
                roles: vec![role],
                expires,
            }),
            _ => Err(faults.into_vec()),
        }
    }
}

fn moment(text: &str) -> Option<Timestamp> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(moment.unix_timestamp_nanos() / 1000)
        .ok()
        .map(Timestamp)
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use autopack_wire::server::Known;

    use super::*;

    #[test]
    fn a_lone_key_has_every_role_and_is_sent() {
        let keys = Keys::read(" 0123456789abcdef \n", Principal::Worker).unwrap();
        assert_eq!(keys.sent(), Some("0123456789abcdef"));
        let found = keys.taken.find("0123456789abcdef", None);
        assert_eq!(found, Known::Good(Principal::ALL));
        assert!(Keys::read("short", Principal::Worker).is_err());
        assert!(
            Keys::read(" \n", Principal::Worker)
                .unwrap()
                .taken
                .is_empty()
        );
    }

    #[test]
    fn a_list_gives_each_key_its_role() {
        // SHA-256 of `key-of-the-reader`.
        let hex = digest("key-of-the-reader")
            .unwrap()
            .iter()
            .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        let text = format!(
            "[[key]]\nname = \"ops\"\nrole = \"operator\"\nkey = \"key-of-the-operator\"\n\
             [[key]]\nname = \"w\"\nrole = \"worker\"\nkey = \"key-of-the-worker\"\n\
             [[key]]\nname = \"r\"\nrole = \"reader\"\nsha256 = \"{hex}\"\nexpires = \"1970-01-01T00:00:01Z\"\n"
        );
        let keys = Keys::read(&text, Principal::Worker).unwrap();
        assert_eq!(keys.sent(), Some("key-of-the-worker"));
        let find = |key, at| keys.taken.find(key, Some(Timestamp(at)));
        assert_eq!(
            find("key-of-the-operator", 0),
            Known::Good(&[Principal::User])
        );
        assert_eq!(
            find("key-of-the-reader", 0),
            Known::Good(&[Principal::Reader])
        );
        assert_eq!(find("key-of-the-reader", 1_000_000), Known::Expired);
        assert_eq!(
            Keys::read(&text, Principal::Telemetry).unwrap().sent(),
            None
        );
    }

    #[test]
    fn every_fault_of_a_list_is_told_without_a_key() {
        let text = "[[key]]\nname = \"a\"\nrole = \"boss\"\nkey = \"tiny\"\n\
                    [[key]]\nname = \"b\"\nrole = \"reader\"\nexpires = \"soon\"\n";
        let faults = Keys::read(text, Principal::User).unwrap_err();
        let paths: Vec<&str> = faults.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "api_key_file.key[0].role",
                "api_key_file.key[0]",
                "api_key_file.key[1]",
                "api_key_file.key[1].expires"
            ]
        );
        let broken = Keys::read(
            "[[key]]\nname = \"a\"\nkey = oops-a-secret\n",
            Principal::User,
        );
        let text = format!("{:?}", broken.unwrap_err());
        assert!(text.contains("line 3") && !text.contains("oops"), "{text}");
    }
}
