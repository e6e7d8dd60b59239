//! What one hop over JetStream takes: as much of the NATS protocol as that needs.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A connection that asks one thing at a time.
struct Connection {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

impl Connection {
    fn open(url: &str) -> Self {
        let writer = TcpStream::connect(url.trim_start_matches("nats://")).unwrap();
        writer.set_nodelay(true).unwrap();
        let bound = Some(Duration::from_secs(10));
        writer.set_read_timeout(bound).unwrap();
        let reader = BufReader::new(writer.try_clone().unwrap());
        let mut connection = Self { reader, writer };
        connection.line();
        connection.send("CONNECT {\"verbose\":false}\r\nSUB answers 1\r\n");
        connection
    }

    fn send(&mut self, text: &str) {
        self.writer.write_all(text.as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.reader.read_line(&mut line).unwrap() > 0, "nats ended");
        line.trim_end().to_owned()
    }

    fn publish(&mut self, subject: &str, body: &str) {
        let length = body.len();
        self.send(&format!("PUB {subject} answers {length}\r\n{body}\r\n"));
    }

    /// The next message: where an acknowledgement of it goes, and what it says.
    fn message(&mut self) -> (Option<String>, String) {
        loop {
            let line = self.line();
            if line == "PING" {
                self.send("PONG\r\n");
            }
            let Some(head) = line.strip_prefix("MSG ") else {
                assert!(!line.starts_with("-ERR"), "{line}");
                continue;
            };
            let words: Vec<&str> = head.split(' ').collect();
            let length: usize = words.last().unwrap().parse().unwrap();
            let mut body = vec![0; length + 2];
            self.reader.read_exact(&mut body).unwrap();
            body.truncate(length);
            let reply = (words.len() == 4).then(|| words[2].to_owned());
            return (reply, String::from_utf8_lossy(&body).into_owned());
        }
    }

    fn ask(&mut self, subject: &str, body: &Value) {
        self.publish(subject, &body.to_string());
        let (_, answer) = self.message();
        assert!(!answer.contains("\"error\""), "{subject}: {answer}");
    }
}

/// Samples of: published and acknowledged, received by a pull, double ack.
pub(crate) fn hops(url: &str, rounds: usize) -> Vec<Duration> {
    let mut nats = Connection::open(url);
    nats.ask(
        "$JS.API.STREAM.CREATE.HOPS",
        &json!({"name": "HOPS", "subjects": ["hops"], "retention": "workqueue", "storage": "file"}),
    );
    nats.ask(
        "$JS.API.CONSUMER.DURABLE.CREATE.HOPS.c",
        &json!({"stream_name": "HOPS", "config": {"durable_name": "c", "ack_policy": "explicit"}}),
    );
    let body = "x".repeat(256);
    let hop = |_| {
        let began = Instant::now();
        nats.publish("hops", &body);
        nats.message();
        nats.publish("$JS.API.CONSUMER.MSG.NEXT.HOPS.c", "1");
        let (reply, _) = nats.message();
        nats.publish(&reply.unwrap(), "+ACK");
        nats.message();
        began.elapsed()
    };
    (0..rounds).map(hop).collect()
}
