//! One call to an endpoint: its body out, its stream in.
//!
//! Invariant: each call has a connection of its own, a bound on every wait and on what a refusal may say; redirects
//! are not followed, so a key stays where it was sent.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::HeaderMap;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(20);
/// Bytes of a refusal that are read.
const MAX_REFUSAL: usize = 64 * 1024;

/// A call.
pub(super) struct Post<'a> {
    pub(super) url: &'a str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    /// How long the endpoint may be silent.
    pub(super) silence: Duration,
}

/// What came back.
pub(super) enum Got {
    /// The stream ended, or the sink had enough.
    Streamed,
    /// The stream broke off; why.
    Broken(String),
    /// Another status than success.
    Refused {
        status: u16,
        headers: HeaderMap,
        body: Vec<u8>,
    },
}

/// Sends it, and hands each piece of a successful answer to `sink`, which says whether it wants more. The error says
/// why there is no answer at all. May be dropped at any point.
pub(super) async fn post(
    post: Post<'_>,
    sink: &mut (dyn FnMut(&[u8]) -> bool + Send),
) -> Result<Got, String> {
    let uri: http::Uri = post.url.parse().map_err(|e| format!("{e}"))?;
    let host = uri.host().ok_or("the address names no host")?;
    let bare = host.trim_matches(['[', ']']).to_owned();
    let is_tls = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let connect = async {
        let tcp = TcpStream::connect((bare.as_str(), port))
            .await
            .map_err(|e| format!("{bare}:{port}: {e}"))?;
        if !is_tls {
            return Ok::<_, String>((Some(tcp), None));
        }
        let name = ServerName::try_from(bare.clone()).map_err(|e| e.to_string())?;
        let tls = TlsConnector::from(config()?).connect(name, tcp).await;
        Ok((None, Some(tls.map_err(|e| e.to_string())?)))
    };
    let Ok(connected) = timeout(CONNECT, connect).await else {
        return Err(format!("no connection within {} s", CONNECT.as_secs()));
    };
    match connected? {
        (_, Some(tls)) => over(tls, &uri, post, sink).await,
        (Some(tcp), None) => over(tcp, &uri, post, sink).await,
        (None, None) => Err("no connection".to_owned()),
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

async fn over<S>(
    stream: S,
    uri: &http::Uri,
    post: Post<'_>,
    sink: &mut (dyn FnMut(&[u8]) -> bool + Send),
) -> Result<Got, String>
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
    let mut message = hyper::Request::builder()
        .method("POST")
        .uri(path)
        .header("host", authority)
        .header(
            "user-agent",
            concat!("autopack/", env!("CARGO_PKG_VERSION")),
        );
    for (name, value) in &post.headers {
        message = message.header(*name, value);
    }
    let message = message
        .body(Full::new(Bytes::from(post.body)))
        .map_err(|_| "the key cannot be sent in a header".to_owned())?;
    let silence = post.silence;
    let exchange = async {
        let sent = timeout(silence, sender.send_request(message)).await;
        let response = match sent {
            Ok(response) => response.map_err(|e| e.to_string())?,
            Err(_) => return Err(format!("no answer within {} s", silence.as_secs())),
        };
        let (parts, body) = response.into_parts();
        if parts.status.is_success() {
            return Ok(stream_of(body, silence, sink).await);
        }
        let body = timeout(silence, Limited::new(body, MAX_REFUSAL).collect()).await;
        let body = body.ok().and_then(Result::ok);
        Ok(Got::Refused {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body
                .map(|body| body.to_bytes().to_vec())
                .unwrap_or_default(),
        })
    };
    tokio::pin!(connection, exchange);
    // The connection carries the exchange; both end here.
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        ended = &mut connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => match exchange.await {
                Ok(got) => Ok(got),
                Err(_) => Err(error.to_string()),
            },
        },
    }
}

async fn stream_of(
    mut body: Incoming,
    silence: Duration,
    sink: &mut (dyn FnMut(&[u8]) -> bool + Send),
) -> Got {
    loop {
        match timeout(silence, body.frame()).await {
            Err(_) => return Got::Broken(format!("silent for {} s", silence.as_secs())),
            Ok(None) => return Got::Streamed,
            Ok(Some(Err(error))) => return Got::Broken(error.to_string()),
            Ok(Some(Ok(frame))) => {
                let wants_more = frame.data_ref().is_none_or(|data| sink(data));
                if !wants_more {
                    return Got::Streamed;
                }
            }
        }
    }
}
