//! TLS and mutual TLS from files.
//!
//! Invariant: half a pair is a fault, and so is a file that cannot be read; nothing falls back to plain text.

use autopack_domain::fault::Fault;
use autopack_wire::client::{ClientTls, split_addresses};
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use super::{
    load::read_file,
    settings::{RegistryAddress, ServerTlsFiles},
};

/// TLS of a server; `None`: plain text.
pub fn server(files: &ServerTlsFiles) -> Result<Option<ServerTlsConfig>, Fault> {
    let Some((certificate, key)) = pair("tls", &files.certificate_file, &files.key_file)? else {
        if files.client_ca_file.is_empty() {
            return Ok(None);
        }
        return Err(Fault::new(
            "tls.client_ca_file",
            "clients' certificates need TLS: set tls.certificate_file and tls.key_file",
        ));
    };
    let mut config = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
    if !files.client_ca_file.is_empty() {
        let ca = read_file("tls.client_ca_file", &files.client_ca_file)?;
        config = config.client_ca_root(Certificate::from_pem(ca));
    }
    Ok(Some(config))
}

/// TLS towards the registry.
pub fn client(address: &RegistryAddress) -> Result<ClientTls, Fault> {
    let identity = pair("registry", &address.certificate_file, &address.key_file)?;
    let ca = match address.ca_file.as_str() {
        "" => None,
        path => Some(read_file("registry.ca_file", path)?),
    };
    let secure = split_addresses(&address.address).all(|one| one.starts_with("https://"));
    if !secure && (ca.is_some() || identity.is_some()) {
        return Err(Fault::new(
            "registry.address",
            "files for TLS are set, but an address does not begin with https://",
        ));
    }
    Ok(ClientTls {
        ca,
        identity,
        domain: Some(address.domain.clone()).filter(|domain| !domain.is_empty()),
    })
}

/// Certificate and key, both or none.
fn pair(section: &str, certificate: &str, key: &str) -> Result<Option<(String, String)>, Fault> {
    match (certificate, key) {
        ("", "") => Ok(None),
        ("", _) | (_, "") => Err(Fault::new(
            format!("{section}.certificate_file"),
            format!("{section}.certificate_file and {section}.key_file go together"),
        )),
        (certificate, key) => Ok(Some((
            read_file(&format!("{section}.certificate_file"), certificate)?,
            read_file(&format!("{section}.key_file"), key)?,
        ))),
    }
}
