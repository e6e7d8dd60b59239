//! TLS and mutual TLS between a service and its callers, with certificates made here.

use std::{path::Path, time::Duration};

use autopack_runtime::service::{
    settings::{RegistryAddress, ServerTlsFiles},
    tls,
};
use autopack_wire::{
    client::{channel, check_health},
    serve::{LIVENESS, ServeOptions, late_routes, serve_tcp, with_liveness},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// An authority, with its certificate in a file.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: String,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let file = write(
            folder,
            &format!("{name}.ca.pem"),
            &params.self_signed(&key).unwrap().pem(),
        );
        Self {
            issuer: Issuer::new(params, key),
            file,
        }
    }

    /// Files of a certificate for a name, and of its key.
    fn signs(&self, folder: &Path, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (
            write(folder, &format!("{name}.pem"), &certificate.pem()),
            write(folder, &format!("{name}.key.pem"), &key.serialize_pem()),
        )
    }
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// A server with TLS on a free port; it ends with the token.
async fn serve(files: &ServerTlsFiles, shutdown: &CancellationToken) -> u16 {
    let (routes, _late) = late_routes();
    let (routes, _probes) = with_liveness(routes, &[]).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let options = ServeOptions {
        grace: Duration::from_millis(100),
        tls: tls::server(files).unwrap(),
        ..ServeOptions::default()
    };
    let end = shutdown.clone().cancelled_owned();
    tokio::spawn(async move { serve_tcp(listener, routes, options, end).await.unwrap() });
    port
}

/// Whether a client with these files reaches the server.
async fn reaches(address: &RegistryAddress) -> bool {
    let tls = tls::client(address).unwrap();
    let channel = channel(&address.address, &tls).unwrap();
    let answer = check_health(channel, LIVENESS, Duration::from_secs(5)).await;
    matches!(answer, Ok(true))
}

#[tokio::test]
async fn who_is_not_signed_for_is_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let other = Authority::new(folder.path(), "other");
    let (certificate_file, key_file) = ours.signs(folder.path(), "localhost");
    let shutdown = CancellationToken::new();
    let files = ServerTlsFiles {
        certificate_file,
        key_file,
        ..ServerTlsFiles::default()
    };
    let port = serve(&files, &shutdown).await;
    let good = RegistryAddress {
        address: format!("https://localhost:{port}"),
        ca_file: ours.file.clone(),
        ..RegistryAddress::default()
    };
    assert!(reaches(&good).await);
    let plain = RegistryAddress {
        address: format!("http://localhost:{port}"),
        ..RegistryAddress::default()
    };
    assert!(!reaches(&plain).await, "a plain client");
    let wrong = RegistryAddress {
        ca_file: other.file.clone(),
        ..good.clone()
    };
    assert!(!reaches(&wrong).await, "another authority");
    let named = RegistryAddress {
        address: format!("https://127.0.0.1:{port}"),
        ..good.clone()
    };
    assert!(!reaches(&named).await, "another name");
    let told = RegistryAddress {
        domain: "localhost".into(),
        ..named
    };
    assert!(reaches(&told).await, "the name that was told");

    let mutual = ServerTlsFiles {
        client_ca_file: ours.file.clone(),
        ..files
    };
    let port = serve(&mutual, &shutdown).await;
    let nameless = RegistryAddress {
        address: format!("https://localhost:{port}"),
        ..good
    };
    assert!(!reaches(&nameless).await, "no certificate");
    let (certificate_file, key_file) = other.signs(folder.path(), "stranger");
    let stranger = RegistryAddress {
        certificate_file,
        key_file,
        ..nameless.clone()
    };
    assert!(
        !reaches(&stranger).await,
        "a certificate of another authority"
    );
    let (certificate_file, key_file) = ours.signs(folder.path(), "worker");
    let known = RegistryAddress {
        certificate_file,
        key_file,
        ..nameless
    };
    assert!(reaches(&known).await);
    shutdown.cancel();
}

#[test]
fn half_a_configuration_is_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "x.pem", "x");
    let half = ServerTlsFiles {
        certificate_file: file.clone(),
        ..ServerTlsFiles::default()
    };
    assert_eq!(tls::server(&half).unwrap_err().path, "tls.certificate_file");
    let clients_only = ServerTlsFiles {
        client_ca_file: file.clone(),
        ..ServerTlsFiles::default()
    };
    let fault = tls::server(&clients_only).unwrap_err();
    assert_eq!(fault.path, "tls.client_ca_file");
    let plain = RegistryAddress {
        ca_file: file,
        ..RegistryAddress::default()
    };
    assert_eq!(tls::client(&plain).unwrap_err().path, "registry.address");
    let mixed = RegistryAddress {
        address: "https://h:1,http://h:2".into(),
        ..plain
    };
    assert_eq!(tls::client(&mixed).unwrap_err().path, "registry.address");
    let missing = RegistryAddress {
        address: "https://h:1".into(),
        ca_file: "/nonexistent".into(),
        ..RegistryAddress::default()
    };
    assert_eq!(tls::client(&missing).unwrap_err().path, "registry.ca_file");
}
