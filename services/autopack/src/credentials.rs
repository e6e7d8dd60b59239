//! What the command line shows a registry over TCP: its key, and its side of TLS.
//!
//! Invariant: a flag wins over a variable, a variable over the data directory's own key; that key goes to the loopback
//! interface only. Nothing here makes a registry ask for less.

use std::path::{Path, PathBuf};

use autopack_runtime::{config::environment, service::keys::Keys};
use autopack_wire::{
    client::{ClientTls, split_addresses},
    server::Principal,
};

use crate::{cli::Global, error::CliError};

/// Files that the flags and variables name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Credentials {
    api_key: Option<PathBuf>,
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    certificate_key: Option<PathBuf>,
}

impl Credentials {
    /// As the global flags say.
    pub(crate) fn of(global: &Global) -> Self {
        let named = |path: &Option<PathBuf>| path.clone().filter(|p| !p.as_os_str().is_empty());
        Self {
            api_key: named(&global.api_key_file),
            ca: named(&global.ca_file),
            certificate: named(&global.certificate_file),
            certificate_key: named(&global.key_file),
        }
    }

    /// The key for a registry at this address.
    pub(crate) fn key(&self, data_dir: &Path, address: &str) -> Result<Option<String>, CliError> {
        if self.api_key.is_none()
            && let Some(key) = environment("AUTOPACK_API_KEY")
        {
            return Ok(Some(key));
        }
        let variable = || environment("AUTOPACK_API_KEY_FILE").map(PathBuf::from);
        if let Some(path) = self.api_key.clone().or_else(variable) {
            let text = read("the file of the key", &path)?;
            let keys = Keys::read(&text, Principal::User).map_err(|faults| {
                let text: Vec<String> = faults.iter().map(ToString::to_string).collect();
                CliError::usage(format!("{}: {}", path.display(), text.join("; ")))
            })?;
            return Ok(keys.sent().map(ToOwned::to_owned));
        }
        if !split_addresses(address).all(is_loopback) {
            return Ok(None);
        }
        let own = std::fs::read_to_string(data_dir.join("token")).unwrap_or_default();
        Ok(Some(own.trim().to_owned()).filter(|key| !key.is_empty()))
    }

    /// Our side of TLS.
    pub(crate) fn tls(&self) -> Result<ClientTls, CliError> {
        let text = |what, path: &Option<PathBuf>| match path {
            Some(path) => read(what, path).map(Some),
            None => Ok(None),
        };
        let certificate = text("the certificate", &self.certificate)?;
        let key = text("the certificate's key", &self.certificate_key)?;
        if certificate.is_some() != key.is_some() {
            return Err(CliError::usage(
                "--certificate-file and --key-file go together",
            ));
        }
        Ok(ClientTls {
            ca: text("the authority's certificate", &self.ca)?,
            identity: certificate.zip(key),
            domain: None,
        })
    }
}

fn read(what: &str, path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path)
        .map_err(|error| CliError::io(&format!("cannot read {what}"), path, &error))
}

/// Whether an address stays on this machine.
fn is_loopback(address: &str) -> bool {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let host = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, _)) => host,
        None => rest.split([':', '/']).next().unwrap_or_default(),
    };
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_key_stays_on_this_machine() {
        for near in ["http://127.0.0.1:7878", "localhost:7", "https://[::1]:7"] {
            assert!(is_loopback(near), "{near}");
        }
        for far in [
            "http://10.0.0.1:7878",
            "registry:7",
            "https://127.0.0.1.example:7",
        ] {
            assert!(!is_loopback(far), "{far}");
        }
        let data = std::env::temp_dir();
        let key = Credentials::default().key(&data, "http://10.0.0.1:1");
        assert_eq!(key.unwrap(), environment("AUTOPACK_API_KEY"));
        let list = "http://127.0.0.1:1,http://10.0.0.1:1";
        let key = Credentials::default().key(&data, list);
        assert_eq!(key.unwrap(), environment("AUTOPACK_API_KEY"), "one is far");
    }

    #[test]
    fn half_a_pair_is_refused() {
        let half = Credentials {
            certificate: Some("/dev/null".into()),
            ..Credentials::default()
        };
        assert!(half.tls().is_err());
    }
}
