//! GitHub's API through `gh`, GitHub's own command line.
//!
//! Invariant: the token stays with `gh`; it is asked for one named host, asks nobody for input, and ends with us.

use std::{path::PathBuf, time::Duration};

use autopack_sandbox::trusted;
use hyper::{
    HeaderMap,
    header::{HeaderName, HeaderValue},
};

use super::{address::Api, http::Answer};

/// The program.
const PROGRAM: &str = "gh";
/// How long one call may take.
const DEADLINE: Duration = Duration::from_secs(45);
/// Bytes of an answer at most.
const MAX_BODY: usize = 4 << 20;
/// Exit code for "not logged in".
const UNKNOWN: i32 = 4;
/// What it needs of our environment: where it is, where it keeps its token, and how it gets out.
const PASSED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "GH_CONFIG_DIR",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
    "XDG_DATA_HOME",
    "XDG_CACHE_HOME",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// The program, for one host.
#[derive(Clone, Debug)]
pub(super) struct Gh {
    program: PathBuf,
    host: String,
}

impl Gh {
    /// It, if it is installed and speaks to that host.
    pub(super) fn find(api: &Api) -> Option<Self> {
        let host = api.gh_host()?;
        let path = std::env::var_os("PATH")?;
        let mut found = std::env::split_paths(&path).map(|folder| folder.join(PROGRAM));
        let program = found.find(|file| file.is_absolute() && file.is_file())?;
        Some(Self { program, host })
    }

    /// One call and its answer; an error says why there is none.
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
    ) -> Result<Answer, String> {
        let mut command = trusted::Command::new(self.program.clone(), std::env::temp_dir());
        command = command
            .args(["api", "--include", "--hostname", &self.host])
            .args(["--method", method, path])
            .env("GH_PROMPT_DISABLED", "1")
            .env("GH_NO_UPDATE_NOTIFIER", "1")
            .env("NO_COLOR", "1")
            .timeout(DEADLINE);
        command.stdout_limit = MAX_BODY;
        for name in PASSED {
            if let Some(value) = std::env::var_os(name) {
                command = command.env(*name, value);
            }
        }
        if let Some(body) = body {
            command = command.args(["--input", "-"]).stdin(body);
        }
        let output = trusted::run(command).await.map_err(|e| e.to_string())?;
        if let Some(answer) = parse(&output.stdout) {
            return Ok(answer);
        }
        let said = output.stderr.trim();
        if output.status == UNKNOWN {
            return Ok(Answer::new(401, HeaderMap::new(), said.into()));
        }
        Err(format!("gh ended with status {}: {said}", output.status))
    }
}

/// Status line, headers and body, as `gh api --include` prints them; also for what the host refused.
fn parse(bytes: &[u8]) -> Option<Answer> {
    let mut headers = HeaderMap::new();
    let mut rest = bytes;
    let mut line = || {
        let end = rest.iter().position(|b| *b == b'\n')?;
        let text = std::str::from_utf8(&rest[..end]).ok()?;
        rest = &rest[end + 1..];
        Some(text.trim_end_matches('\r'))
    };
    let first = line()?;
    let (version, words) = first.split_once(' ')?;
    let status = words.split(' ').next()?.parse().ok()?;
    if !version.starts_with("HTTP/") {
        return None;
    }
    loop {
        let text = line()?;
        let Some((name, value)) = text.split_once(':') else {
            break;
        };
        let name = HeaderName::try_from(name.trim()).ok();
        let value = HeaderValue::try_from(value.trim()).ok();
        if let Some((name, value)) = name.zip(value) {
            headers.append(name, value);
        }
    }
    Some(Answer::new(status, headers, rest.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_is_printed() {
        let text = "HTTP/2.0 201 Created\r\nContent-Type: application/json\r\nRetry-After: 7\r\n\r\n{\"html_url\": \"u\"}";
        let answer = parse(text.as_bytes()).unwrap();
        assert_eq!(answer.status, 201);
        assert_eq!(answer.json()["html_url"], "u");
        let limited = parse(b"HTTP/2.0 429 Too Many\r\nRetry-After: 7\r\n\r\n").unwrap();
        assert_eq!(limited.wait(), Some(Duration::from_secs(7)));
        for bad in ["", "gh: no", "HTTP/2.0 201 Created", "{\n}\n\n"] {
            assert!(parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}
