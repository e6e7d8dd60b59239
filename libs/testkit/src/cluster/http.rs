//! As much of HTTP as it takes to read a page of a service.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Status and body; `None` if nobody answers in time.
pub(super) fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let bound = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&address.parse().ok()?, bound).ok()?;
    stream.set_read_timeout(Some(bound)).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let code = head.split(' ').nth(1)?.parse().ok()?;
    Some((code, body.to_owned()))
}
