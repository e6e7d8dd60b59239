//! A host of repositories that speaks the part of GitHub's or Gitea's API that pull requests need.
//!
//! Invariant: it answers with the real hosts' status codes and bodies: 401 without the right token, 403 where the token
//! lacks the right or the limit is used up, 404 for what the token may not see, 422 (GitHub) or 409 (Gitea) for what is
//! open already. It listens on the loopback interface only and ends with the value.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

/// The token that it takes.
pub const TOKEN: &str = "right-token-0123456789";
/// The one repository that it has.
pub const REPOSITORY: &str = "ann/demo";
/// How long a client may be silent.
const SILENCE: Duration = Duration::from_secs(20);

/// Whose API it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// GitHub's, below `/api/v3`.
    GitHub,
    /// Gitea's, below `/api/v1`.
    Gitea,
}

/// What it has, and how it is to behave.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// Branches with their commits.
    pub branches: Vec<(String, String)>,
    /// Open pull requests: head, base.
    pub pulls: Vec<(String, String)>,
    /// Calls so far, such as `GET /repos/ann/demo/pulls`.
    pub calls: Vec<String>,
    /// Answers that come first, one a call: status, headers, body.
    pub first: Vec<(u16, String, String)>,
    /// The next list shows nothing, as if another client opened the pull request right after it.
    pub hide_once: bool,
    /// The token may read but not write.
    pub read_only: bool,
    /// So many pull requests are opened, and the connection is cut before the answer.
    pub lose_answers: u32,
}

/// The host.
#[derive(Debug)]
pub struct GitHost {
    flavour: Flavour,
    port: u16,
    end: Arc<AtomicBool>,
    content: Arc<Mutex<Content>>,
}

impl GitHost {
    /// Starts it.
    #[track_caller]
    pub fn start(flavour: Flavour) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let end = Arc::new(AtomicBool::new(false));
        let content = Arc::new(Mutex::new(Content::default()));
        let (ended, state) = (Arc::clone(&end), Arc::clone(&content));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let state = Arc::clone(&state);
                // A client that goes away is no matter of the server.
                std::thread::spawn(move || serve(stream, flavour, &state).ok());
            }
        });
        Self {
            flavour,
            port,
            end,
            content,
        }
    }

    /// Base address of its API.
    pub fn api(&self) -> String {
        format!("http://127.0.0.1:{}{}", self.port, prefix(self.flavour))
    }

    /// What it has.
    pub fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for GitHost {
    fn drop(&mut self) {
        self.end.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn prefix(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::GitHub => "/api/v3",
        Flavour::Gitea => "/api/v1",
    }
}

struct Call {
    method: String,
    path: String,
    query: String,
    authorization: String,
    body: Value,
}

fn serve(stream: TcpStream, flavour: Flavour, state: &Mutex<Content>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default().to_owned();
    let (mut length, mut authorization) = (0, String::new());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "authorization" => value.trim().clone_into(&mut authorization),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let call = Call {
        method,
        path: path.strip_prefix(prefix(flavour)).unwrap_or("").to_owned(),
        query: query.to_owned(),
        authorization,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    let is_post = call.method == "POST";
    let (status, headers, body) = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.calls.push(format!("{} {}", call.method, call.path));
        if state.first.is_empty() {
            let (status, body) = answer(&call, flavour, &mut state);
            if is_post && state.lose_answers > 0 {
                state.lose_answers -= 1;
                return Ok(());
            }
            (status, String::new(), body.to_string())
        } else {
            state.first.remove(0)
        }
    };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn answer(call: &Call, flavour: Flavour, state: &mut Content) -> (u16, Value) {
    let scheme = match flavour {
        Flavour::GitHub => "Bearer",
        Flavour::Gitea => "token",
    };
    if call.authorization != format!("{scheme} {TOKEN}") {
        return (401, json!({"message": "Bad credentials"}));
    }
    let missing = || (404, json!({"message": "Not Found"}));
    let repository = format!("/repos/{REPOSITORY}");
    let Some(path) = call.path.strip_prefix(&repository) else {
        return missing();
    };
    match (call.method.as_str(), path) {
        ("GET", "/pulls") => {
            if std::mem::take(&mut state.hide_once) {
                return (200, json!([]));
            }
            let asked = |head: &str| call.query.contains(&format!("head=ann:{}", quoted(head)));
            let shown = state
                .pulls
                .iter()
                .enumerate()
                .filter(|(_, (head, _))| flavour == Flavour::Gitea || asked(head))
                .map(|(n, (head, base))| pull(n, head, base));
            (200, shown.collect())
        }
        ("POST", "/pulls") if state.read_only => (
            403,
            json!({"message": "Resource not accessible by personal access token"}),
        ),
        ("POST", "/pulls") => {
            let text = |name: &str| call.body[name].as_str().unwrap_or_default().to_owned();
            let (head, base) = (text("head"), text("base"));
            let known = |name: &String| state.branches.iter().any(|(branch, _)| branch == name);
            if text("title").is_empty() || !known(&head) || !known(&base) {
                let error = json!({"resource": "PullRequest", "field": "base", "code": "invalid"});
                return (
                    422,
                    json!({"message": "Validation Failed", "errors": [error]}),
                );
            }
            if state.pulls.contains(&(head.clone(), base.clone())) {
                let text = format!("A pull request already exists for ann:{head}.");
                return match flavour {
                    Flavour::GitHub => (
                        422,
                        json!({"message": "Validation Failed", "errors": [{"message": text}]}),
                    ),
                    Flavour::Gitea => (409, json!({"message": text})),
                };
            }
            state.pulls.push((head.clone(), base.clone()));
            (201, pull(state.pulls.len() - 1, &head, &base))
        }
        ("GET", path) => {
            let name = path.strip_prefix("/branches/").unwrap_or_default();
            match state.branches.iter().find(|(branch, _)| branch == name) {
                Some((_, commit)) if flavour == Flavour::GitHub => {
                    (200, json!({"name": name, "commit": {"sha": commit}}))
                }
                Some((_, commit)) => (200, json!({"name": name, "commit": {"id": commit}})),
                None => missing(),
            }
        }
        _ => missing(),
    }
}

fn pull(n: usize, head: &str, base: &str) -> Value {
    let number = n + 1;
    json!({
        "number": number,
        "state": "open",
        "html_url": format!("https://git.example/{REPOSITORY}/pull/{number}"),
        "head": {"ref": head, "repo": {"full_name": REPOSITORY}},
        "base": {"ref": base},
    })
}

fn quoted(text: &str) -> String {
    text.replace('/', "%2F")
}
