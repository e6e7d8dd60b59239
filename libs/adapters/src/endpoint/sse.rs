//! Server-sent events: bytes in, events out.
//!
//! Invariant: the same events whatever the pieces in which the bytes come; no more than one event of [`MAX_EVENT`]
//! bytes is held.

/// The largest event.
const MAX_EVENT: usize = 4 * 1024 * 1024;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its name; empty: none.
    pub name: String,
    /// Its data, several lines joined.
    pub data: String,
}

/// The parser.
#[derive(Clone, Debug, Default)]
pub struct Sse {
    line: Vec<u8>,
    event: Event,
    has_data: bool,
    too_large: bool,
}

impl Sse {
    /// Whether an event was longer than what is held; the stream means nothing from there on.
    pub fn is_broken(&self) -> bool {
        self.too_large
    }

    /// Takes bytes; answers the events that they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for byte in bytes {
            if self.too_large {
                return events;
            }
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                events.extend(self.take(&line));
            } else if self.line.len() + self.event.data.len() >= MAX_EVENT {
                self.too_large = true;
            } else {
                self.line.push(*byte);
            }
        }
        events
    }

    fn take(&mut self, line: &[u8]) -> Option<Event> {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches('\r');
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.has_data = true;
                self.event.data.push_str(value);
            }
            // Comments, ids and retry times mean nothing here.
            _ => {}
        }
        None
    }
}
