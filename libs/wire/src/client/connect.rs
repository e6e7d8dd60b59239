//! Channels to a service: Unix socket, TCP, TCP with TLS.
//!
//! Invariant: nothing is dialled before the first call, so a client can be made while the server starts.

use std::{path::Path, time::Duration};

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// An address that no channel can be made to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadAddress {
    /// As it was given.
    pub address: String,
    /// What is wrong with it.
    pub problem: String,
}

impl std::fmt::Display for BadAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`{}` is not an address: {}; example: 127.0.0.1:7777",
            self.address, self.problem
        )
    }
}

impl std::error::Error for BadAddress {}

pub(super) fn bad_address(address: &str, problem: &str) -> BadAddress {
    BadAddress {
        address: address.to_owned(),
        problem: problem.to_owned(),
    }
}

/// What TLS needs of a client. All texts are PEM.
#[derive(Clone, Default)]
pub struct ClientTls {
    /// The authority that signed the server's certificate.
    pub ca: Option<String>,
    /// Our certificate chain and its private key, for servers that ask for one.
    pub identity: Option<(String, String)>,
    /// The name that the server's certificate must have; `None`: the address's host.
    pub domain: Option<String>,
}

impl std::fmt::Debug for ClientTls {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientTls")
            .field("ca", &self.ca.is_some())
            .field("identity", &self.identity.is_some())
            .field("domain", &self.domain)
            .finish()
    }
}

/// A lazy channel to `unix:PATH`, `http://host:port`, `https://host:port` or `host:port`.
pub fn channel(address: &str, tls: &ClientTls) -> Result<Channel, BadAddress> {
    if let Some(path) = address.strip_prefix("unix:") {
        return channel_uds(Path::new(path));
    }
    if !address.starts_with("https://") {
        return channel_http(address);
    }
    let bad = |problem: String| BadAddress {
        address: address.to_owned(),
        problem,
    };
    let Some(ca) = &tls.ca else {
        return Err(bad(
            "https needs the authority that signed the server's certificate (ca_file)".to_owned(),
        ));
    };
    let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
    if let Some((certificate, key)) = &tls.identity {
        config = config.identity(Identity::from_pem(certificate, key));
    }
    if let Some(domain) = &tls.domain {
        config = config.domain_name(domain);
    }
    let endpoint = Endpoint::from_shared(address.to_owned()).map_err(|e| bad(e.to_string()))?;
    if endpoint.uri().host().is_none_or(str::is_empty) {
        return Err(bad("it names no host".to_owned()));
    }
    let endpoint = endpoint
        .tls_config(config)
        .map_err(|e| bad(format!("TLS cannot be set up: {}", chain(&e))))?;
    Ok(tuned(endpoint).connect_lazy())
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// Details with many faults are large headers; the library's default of 16 KiB would cut the call off.
const MAX_HEADERS: u32 = 256 * 1024;

/// A lazy channel over a Unix socket.
pub fn channel_uds(path: &Path) -> Result<Channel, BadAddress> {
    let bad = |problem: &str| BadAddress {
        address: path.display().to_string(),
        problem: problem.to_owned(),
    };
    let text = path.to_str().ok_or_else(|| bad("it is not UTF-8"))?;
    // `sun_path` holds 108 bytes with the final zero.
    if text.len() > 107 {
        return Err(bad("a socket's path has at most 107 bytes"));
    }
    let endpoint =
        Endpoint::from_shared(format!("unix:{text}")).map_err(|e| bad(&e.to_string()))?;
    Ok(tuned(endpoint).connect_lazy())
}

/// A lazy channel over TCP.
pub fn channel_http(address: &str) -> Result<Channel, BadAddress> {
    let bad = |problem: String| BadAddress {
        address: address.to_owned(),
        problem,
    };
    let full = if address.contains("://") {
        address.to_owned()
    } else {
        format!("http://{address}")
    };
    let endpoint = Endpoint::from_shared(full).map_err(|e| bad(e.to_string()))?;
    // TLS needs roots that only the operator knows: see [`channel`].
    if endpoint.uri().scheme_str() != Some("http") {
        return Err(bad("the scheme must be http".to_owned()));
    }
    if endpoint.uri().host().is_none_or(str::is_empty) {
        return Err(bad("it names no host".to_owned()));
    }
    Ok(tuned(endpoint).connect_lazy())
}

fn tuned(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(Duration::from_secs(5))
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20))
        .keep_alive_while_idle(true)
        .http2_max_header_list_size(MAX_HEADERS)
}
