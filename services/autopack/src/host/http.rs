//! One request to a host's API and its answer.
//!
//! Invariant: each request has a connection of its own, a deadline, and a bound on the answer; redirects are not
//! followed, so the token stays where it was sent.

use std::{sync::Arc, time::Duration};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{HeaderMap, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// How long one request may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// Bytes of an answer at most.
const MAX_BODY: usize = 4 << 20;

/// A request.
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) url: String,
    pub(super) authorization: String,
    /// JSON.
    pub(super) body: Option<String>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// One that came another way.
    pub(super) fn new(status: u16, headers: HeaderMap, body: Vec<u8>) -> Self {
        Self {
            status,
            headers,
            body: body.into(),
        }
    }

    /// The body; `null` if it is no JSON.
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// How long the host wants us to wait because we asked too much; `None`: it does not.
    pub(super) fn wait(&self) -> Option<Duration> {
        let number = |name: &str| -> Option<u64> {
            self.headers.get(name)?.to_str().ok()?.trim().parse().ok()
        };
        let limited = self.status == 429
            || (self.status == 403
                && (number("retry-after").is_some() || number("x-ratelimit-remaining") == Some(0)));
        if !limited {
            return None;
        }
        // Without a number, GitHub asks for a minute at least.
        Some(Duration::from_secs(number("retry-after").unwrap_or(60)))
    }

    /// What the host says, as long as it is.
    pub(super) fn said(&self) -> String {
        let json = self.json();
        let mut said = json["message"].as_str().unwrap_or_default().to_owned();
        for error in json["errors"].as_array().into_iter().flatten() {
            let text = error["message"].as_str().or_else(|| error.as_str());
            if let Some(text) = text {
                said.push_str("; ");
                said.push_str(text);
            }
        }
        if said.is_empty() {
            said = String::from_utf8_lossy(&self.body).into_owned();
        }
        said
    }
}

/// Sends it and reads the answer; an error says why there is none.
pub(super) async fn send(request: &Request) -> Result<Answer, String> {
    match tokio::time::timeout(DEADLINE, exchange(request)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {} s", DEADLINE.as_secs())),
    }
}

async fn exchange(request: &Request) -> Result<Answer, String> {
    let uri: http::Uri = request.url.parse().map_err(|e| format!("{e}"))?;
    let host = uri.host().ok_or("the address names no host")?;
    let bare = host.trim_matches(['[', ']']).to_owned();
    let is_tls = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let tcp = TcpStream::connect((bare.as_str(), port))
        .await
        .map_err(|e| e.to_string())?;
    if is_tls {
        let name = ServerName::try_from(bare).map_err(|e| e.to_string())?;
        let tls = TlsConnector::from(config()?)
            .connect(name, tcp)
            .await
            .map_err(|e| e.to_string())?;
        over(tls, &uri, request).await
    } else {
        over(tcp, &uri, request).await
    }
}

/// The authorities that this machine trusts; SSL_CERT_FILE names others.
fn config() -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err("this machine trusts no authority; SSL_CERT_FILE names a file of them".into());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

async fn over<S>(stream: S, uri: &http::Uri, request: &Request) -> Result<Answer, String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| e.to_string())?;
    let path = uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    let message = hyper::Request::builder()
        .method(request.method)
        .uri(path)
        .header("host", authority)
        .header("accept", "application/json")
        .header(
            "user-agent",
            concat!("autopack/", env!("CARGO_PKG_VERSION")),
        )
        .header("authorization", &request.authorization)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(
            request.body.clone().unwrap_or_default(),
        )))
        .map_err(|_| "the token cannot be sent in a header".to_owned())?;
    let exchange = async {
        let response = sender.send_request(message).await;
        let (parts, body) = response.map_err(|e| e.to_string())?.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await;
        let body = body.map_err(|e| e.to_string())?.to_bytes();
        Ok(Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        })
    };
    tokio::pin!(connection, exchange);
    // The connection carries the exchange; both end here.
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        ended = &mut connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(error.to_string()),
        },
    }
}
