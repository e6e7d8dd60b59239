//! A NATS client of a few lines, for what a test does to a bus behind the services' backs.
//!
//! Invariant: it is one blocking connection without reconnection; it never receives what it published itself.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// How long the server may take to answer.
const BOUND: Duration = Duration::from_secs(5);

/// A connection.
#[derive(Debug)]
pub struct NatsLine {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

/// A message that arrived.
#[derive(Debug, Clone)]
pub struct Message {
    /// Where it was published.
    pub subject: String,
    /// Its headers with the version line, as sent; empty if there were none.
    pub headers: String,
    /// Its content.
    pub body: Vec<u8>,
}

impl NatsLine {
    /// Connects to a server on the loopback interface.
    #[track_caller]
    pub fn connect(port: u16) -> Self {
        let writer = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        writer.set_read_timeout(Some(BOUND)).unwrap();
        writer.set_nodelay(true).unwrap();
        let reader = BufReader::new(writer.try_clone().unwrap());
        let mut line = Self { reader, writer };
        assert!(line.read_line().starts_with("INFO "));
        line.send(b"CONNECT {\"verbose\":false,\"echo\":false,\"headers\":true}\r\nPING\r\n");
        assert_eq!(line.read_line(), "PONG");
        line
    }

    /// Receives what is published there.
    #[track_caller]
    pub fn subscribe(&mut self, subject: &str) {
        self.send(format!("SUB {subject} 1\r\nPING\r\n").as_bytes());
        assert_eq!(self.read_line(), "PONG");
    }

    /// Publishes; `headers` as in [`Message::headers`].
    #[track_caller]
    pub fn publish(&mut self, subject: &str, headers: &str, body: &[u8]) {
        let (head, all) = (headers.len(), headers.len() + body.len());
        let first = if headers.is_empty() {
            format!("PUB {subject} {all}\r\n")
        } else {
            format!("HPUB {subject} {head} {all}\r\n{headers}")
        };
        self.send(&[first.as_bytes(), body, b"\r\n"].concat());
    }

    /// Asks JetStream, by the name of its call without `$JS.API.`; an error is an answer with `error`.
    #[track_caller]
    pub fn jetstream(&mut self, call: &str, body: &str) -> Value {
        let length = body.len();
        let ask = format!(
            "SUB _INBOX.testkit 9\r\nPUB $JS.API.{call} _INBOX.testkit {length}\r\n{body}\r\nUNSUB 9 1\r\n"
        );
        self.send(ask.as_bytes());
        loop {
            let answer = self.next(BOUND);
            let answer = answer.unwrap_or_else(|| panic!("JetStream does not answer {call}"));
            if answer.subject == "_INBOX.testkit" {
                return serde_json::from_slice(&answer.body).unwrap();
            }
        }
    }

    /// Messages that a stream holds; `None` if there is no such stream.
    #[track_caller]
    pub fn messages(&mut self, stream: &str) -> Option<u64> {
        self.jetstream(&format!("STREAM.INFO.{stream}"), "")["state"]["messages"].as_u64()
    }

    /// The next message, if one arrives in time.
    #[track_caller]
    pub fn next(&mut self, bound: Duration) -> Option<Message> {
        loop {
            self.writer.set_read_timeout(Some(bound)).unwrap();
            let arrived = match self.reader.fill_buf() {
                Ok(bytes) => !bytes.is_empty(),
                // A signal, such as that of a child's end.
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => false,
                Err(error) => panic!("{error}"),
            };
            self.writer.set_read_timeout(Some(BOUND)).unwrap();
            if !arrived {
                return None;
            }
            let line = self.read_line();
            let mut words = line.split(' ');
            let kind = words.next().unwrap_or_default();
            let words: Vec<&str> = words.collect();
            let size = |back: usize| words[words.len() - back].parse::<usize>().unwrap();
            match kind {
                "PING" => self.send(b"PONG\r\n"),
                "MSG" => return Some(self.read_message(words[0], 0, size(1))),
                "HMSG" => return Some(self.read_message(words[0], size(2), size(1))),
                _ => {}
            }
        }
    }

    fn read_message(&mut self, subject: &str, head: usize, all: usize) -> Message {
        let mut bytes = vec![0; all + 2];
        self.reader.read_exact(&mut bytes).unwrap();
        Message {
            subject: subject.to_owned(),
            headers: String::from_utf8(bytes[..head].to_vec()).unwrap(),
            body: bytes[head..all].to_vec(),
        }
    }

    #[track_caller]
    fn send(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).unwrap();
    }

    #[track_caller]
    fn read_line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}
