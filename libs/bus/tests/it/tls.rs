//! TLS against a server that asks for it, with certificates made on the spot.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use autopack_bus::{Bus, BusConfig, BusError, JetStreamBus, TlsFiles};
use autopack_testkit::{Nats, NatsVersion};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::rig::job;

/// An authority with its own folder of files.
struct Authority {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        let issuer = Issuer::new(params, key);
        Self { folder, issuer }
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Certificate and key for this name.
    fn issue(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let file = |end: &str| self.folder.path().join(format!("{name}.{end}"));
        std::fs::write(file("pem"), certificate.pem()).unwrap();
        std::fs::write(file("key"), key.serialize_pem()).unwrap();
        (file("pem"), file("key"))
    }

    fn server(&self, version: NatsVersion, more: &str) -> Nats {
        self.server_named(version, "127.0.0.1", more)
    }

    fn server_named(&self, version: NatsVersion, name: &str, more: &str) -> Nats {
        let (certificate, key) = self.issue(name);
        let text = |path: &Path| path.display().to_string();
        let configuration = format!(
            "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\" {more} }}",
            text(&certificate),
            text(&key),
            text(&self.ca())
        );
        Nats::start_configured(version, &configuration)
    }
}

fn config(server: &Nats, tls: TlsFiles) -> BusConfig {
    BusConfig {
        tls,
        connect_deadline: Duration::from_secs(2),
        request_timeout: Duration::from_secs(1),
        ..BusConfig::at(server.url())
    }
}

async fn accepted(server: &Nats, tls: TlsFiles) {
    let bus = JetStreamBus::connect(config(server, tls)).await.unwrap();
    bus.publish_jobs(vec![job("a")]).await.unwrap();
}

async fn refused(server: &Nats, tls: TlsFiles) -> String {
    let Err(error) = JetStreamBus::connect(config(server, tls.clone())).await else {
        panic!("accepted: {tls:?}");
    };
    assert!(matches!(error, BusError::Config(_)), "{error}");
    error.to_string()
}

#[tokio::test]
async fn the_servers_certificate_is_checked() {
    let (ours, other) = (Authority::new(), Authority::new());
    let server = ours.server(NatsVersion::Newest, "");
    let with = |ca: PathBuf| TlsFiles {
        ca: Some(ca),
        ..TlsFiles::default()
    };
    accepted(&server, with(ours.ca())).await;
    let text = refused(&server, with(other.ca())).await;
    assert!(text.contains("bus.tls"), "{text}");
    assert!(text.contains("certificate is not accepted"), "{text}");
    let text = refused(&server, with("/nowhere/ca.pem".into())).await;
    assert!(text.contains("bus.tls.ca: /nowhere/ca.pem"), "{text}");
    let elsewhere = ours.server_named(NatsVersion::Oldest, "elsewhere.example", "");
    let text = refused(&elsewhere, with(ours.ca())).await;
    assert!(text.contains("certificate is not accepted"), "{text}");
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_ours() {
    let (ours, other) = (Authority::new(), Authority::new());
    let server = ours.server(NatsVersion::Oldest, ", verify: true");
    let with = |pair: Option<(PathBuf, PathBuf)>| {
        let (certificate, key) = pair.unzip();
        TlsFiles {
            ca: Some(ours.ca()),
            certificate,
            key,
            ..TlsFiles::default()
        }
    };
    accepted(&server, with(Some(ours.issue("worker.example")))).await;
    let text = refused(&server, with(None)).await;
    assert!(text.contains("bus.tls"), "{text}");
    let text = refused(&server, with(Some(other.issue("worker.example")))).await;
    assert!(text.contains("bus.tls"), "{text}");
    let (certificate, _) = ours.issue("half.example");
    let half = TlsFiles {
        certificate: Some(certificate),
        ..with(None)
    };
    let text = refused(&server, half).await;
    assert!(text.contains("both or neither"), "{text}");
}

#[tokio::test]
async fn tls_before_the_servers_first_line() {
    let ours = Authority::new();
    let server = ours.server(NatsVersion::Newest, ", handshake_first: true");
    let with = |first: bool| TlsFiles {
        ca: Some(ours.ca()),
        first,
        ..TlsFiles::default()
    };
    accepted(&server, with(true)).await;
    let config = config(&server, with(false));
    assert!(JetStreamBus::connect(config).await.is_err());
}

/// Whoever asks for TLS is not served in the clear.
#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_required() {
    let server = Nats::start(NatsVersion::Newest);
    let tls = TlsFiles {
        required: true,
        ..TlsFiles::default()
    };
    let config = config(&server, tls);
    assert!(JetStreamBus::connect(config).await.is_err());
}
