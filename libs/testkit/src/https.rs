//! A git server over HTTPS: `git http-backend` behind a small server with a certificate of its own authority.
//!
//! Invariant: it listens on the loopback interface only, asks for user and password, and ends with the value.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

/// `user:right-password` in base64.
const CREDENTIAL: &str = "Basic dXNlcjpyaWdodC1wYXNzd29yZA==";
/// How long a client may be silent.
const SILENCE: Duration = Duration::from_secs(20);

/// A server of one folder of repositories.
#[derive(Debug)]
pub struct HttpsServer {
    temp: TempDir,
    port: u16,
    end: Arc<AtomicBool>,
}

impl HttpsServer {
    /// Serves the repositories below a folder.
    #[track_caller]
    pub fn start(root: &Path) -> Self {
        let temp = tempfile::Builder::new()
            .prefix("autopack-https-")
            .tempdir()
            .unwrap();
        let config = certificates(&temp.path().join("ca.pem"));
        for word in ["right-password", "wrong-password"] {
            let script =
                format!("#!/bin/sh\ncase \"$1\" in U*) echo user ;; *) echo {word} ;; esac\n");
            let path = temp.path().join(word);
            std::fs::write(&path, script).unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).unwrap();
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let end = Arc::new(AtomicBool::new(false));
        let (ended, root) = (Arc::clone(&end), root.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let (config, root) = (Arc::clone(&config), root.clone());
                // A client that goes away is no matter of the server.
                std::thread::spawn(move || serve(stream, config, &root).ok());
            }
        });
        Self { temp, port, end }
    }

    /// The address of a repository below the folder.
    pub fn url(&self, name: &str) -> String {
        format!("https://127.0.0.1:{}/{name}", self.port)
    }

    /// What git needs to get in.
    pub fn env(&self) -> Vec<(OsString, OsString)> {
        self.env_with("right-password")
    }

    /// The same with a wrong password.
    pub fn wrong_env(&self) -> Vec<(OsString, OsString)> {
        self.env_with("wrong-password")
    }

    fn env_with(&self, word: &str) -> Vec<(OsString, OsString)> {
        let at = |name: &str| -> PathBuf { self.temp.path().join(name) };
        vec![
            ("GIT_SSL_CAINFO".into(), at("ca.pem").into()),
            ("GIT_ASKPASS".into(), at(word).into()),
        ]
    }
}

impl Drop for HttpsServer {
    fn drop(&mut self) {
        self.end.store(true, Ordering::SeqCst);
        // Wakes the listener, which looks at the flag.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

/// An authority, whose certificate is written out, and a server that it vouches for.
fn certificates(ca_file: &Path) -> Arc<ServerConfig> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&ca_key).unwrap();
    std::fs::write(ca_file, ca.pem()).unwrap();
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let certificate = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    Arc::new(config)
}

/// A request.
#[derive(Debug, Default)]
struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

/// Answers one request; the connection ends with it.
fn serve(stream: TcpStream, config: Arc<ServerConfig>, root: &Path) -> io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    let request = read(&mut stream)?;
    let answer = if request.header("authorization") == CREDENTIAL {
        backend(&request, root)?
    } else {
        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"test\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()
    };
    let stream = stream.get_mut();
    stream.write_all(&answer)?;
    stream.conn.send_close_notify();
    stream.flush()
}

fn read<S: Read + Write>(
    stream: &mut BufReader<StreamOwned<ServerConnection, S>>,
) -> io::Result<Request> {
    let mut request = Request::default();
    let first = line(stream)?;
    let mut words = first.split(' ').map(str::to_owned);
    request.method = words.next().unwrap_or_default();
    request.target = words.next().unwrap_or_default();
    loop {
        let header = line(stream)?;
        let Some((name, value)) = header.split_once(':') else {
            break;
        };
        let pair = (name.to_ascii_lowercase(), value.trim().to_owned());
        request.headers.push(pair);
    }
    if request.header("expect") == "100-continue" {
        stream
            .get_mut()
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    if request.header("transfer-encoding") == "chunked" {
        loop {
            let size = usize::from_str_radix(&line(stream)?, 16).map_err(io::Error::other)?;
            let mut piece = vec![0; size];
            stream.read_exact(&mut piece)?;
            request.body.extend(piece);
            line(stream)?;
            if size == 0 {
                break;
            }
        }
    } else if let Ok(length) = request.header("content-length").parse() {
        request.body = vec![0; length];
        stream.read_exact(&mut request.body)?;
    }
    Ok(request)
}

fn line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

/// Lets git answer.
fn backend(request: &Request, root: &Path) -> io::Result<Vec<u8>> {
    let (path, query) = request
        .target
        .split_once('?')
        .unwrap_or((&request.target, ""));
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_PROTOCOL", request.header("git-protocol"))
        .env("HTTP_CONTENT_ENCODING", request.header("content-encoding"))
        .env("CONTENT_TYPE", request.header("content-type"))
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("REMOTE_USER", "user")
        .env("REQUEST_METHOD", &request.method)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let (mut stdin, body) = (child.stdin.take(), request.body.clone());
    let writer = std::thread::spawn(move || stdin.as_mut().map(|stdin| stdin.write_all(&body)));
    let output = child.wait_with_output()?.stdout;
    let _ = writer.join();
    let end = output
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .ok_or_else(|| io::Error::other("the backend sent no headers"))?;
    let headers = String::from_utf8_lossy(&output[..end]).into_owned();
    let status = headers
        .lines()
        .find_map(|line| line.strip_prefix("Status: "))
        .unwrap_or("200 OK");
    let kept: Vec<&str> = headers
        .lines()
        .filter(|line| !line.starts_with("Status: "))
        .collect();
    let kept = kept.join("\r\n");
    let body = &output[end + 4..];
    let head = format!(
        "HTTP/1.1 {status}\r\n{kept}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    Ok([head.as_bytes(), body].concat())
}
