//! Where a reader stands in a message, and the faults it found.
//!
//! Invariant: a getter that answers `None` has recorded a fault; a path is written out only for a fault.

use std::{cell::RefCell, fmt::Write as _, str::FromStr};

use autopack_domain::{Fault, Faults, Timestamp};

/// A message that becomes a domain value; `None` only after a fault was recorded at `at`.
pub trait Decode<Proto>: Sized {
    /// Reads every field before it gives up.
    fn decode(message: Proto, at: &At<'_>) -> Option<Self>;
}

/// Runs a reader at the root of a message: its value, or all faults.
pub fn read<T>(reader: impl FnOnce(&At<'_>) -> Option<T>) -> Result<T, Vec<Fault>> {
    let faults = RefCell::new(Faults::default());
    let value = reader(&At {
        parent: None,
        step: Step::Root,
        faults: &faults,
    });
    let faults = faults.into_inner().into_vec();
    match value {
        Some(value) if faults.is_empty() => Ok(value),
        _ if faults.is_empty() => Err(vec![Fault::new("", "the message cannot be read")]),
        _ => Err(faults),
    }
}

/// A place in a message.
#[derive(Clone, Copy)]
pub struct At<'a> {
    parent: Option<&'a At<'a>>,
    step: Step<'a>,
    faults: &'a RefCell<Faults>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Field(&'static str),
    Index(usize),
    Key(&'a str),
}

impl<'a> At<'a> {
    /// A field of the message.
    pub fn field(&'a self, name: &'static str) -> At<'a> {
        At {
            parent: Some(self),
            step: Step::Field(name),
            faults: self.faults,
        }
    }

    /// An element of the list.
    pub fn index(&'a self, index: usize) -> At<'a> {
        At {
            parent: Some(self),
            step: Step::Index(index),
            faults: self.faults,
        }
    }

    /// A value of the map.
    pub fn key(&'a self, key: &'a str) -> At<'a> {
        At {
            parent: Some(self),
            step: Step::Key(key),
            faults: self.faults,
        }
    }

    /// The dotted path.
    pub fn path(&self) -> String {
        let mut path = self.parent.map_or_else(String::new, At::path);
        match self.step {
            Step::Root => {}
            Step::Field(name) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
            }
            Step::Index(index) => {
                let _ = write!(path, "[{index}]");
            }
            Step::Key(key) => {
                let _ = write!(path, "[{key}]");
            }
        }
        path
    }

    /// Records a fault here.
    pub fn fault<T>(&self, problem: impl Into<String>) -> Option<T> {
        self.refuse(Fault::new(self.path(), problem))
    }

    /// Records a fault that was built with [`At::path`].
    pub fn refuse<T>(&self, fault: Fault) -> Option<T> {
        self.faults.borrow_mut().push(fault);
        None
    }

    /// An id or uid.
    pub fn parse<T: FromStr<Err: std::fmt::Display>>(&self, text: &str) -> Option<T> {
        if text.is_empty() {
            return self.fault("is missing");
        }
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => self.fault(error.to_string()),
        }
    }

    /// An id or uid; empty means none. The outer layer says whether it could be read, the inner one whether it
    /// was there; so for all `*_optional` getters.
    pub fn parse_optional<T: FromStr<Err: std::fmt::Display>>(
        &self,
        text: &str,
    ) -> Option<Option<T>> {
        if text.is_empty() {
            Some(None)
        } else {
            self.parse(text).map(Some)
        }
    }

    /// A word of a closed list.
    pub fn word<T>(
        &self,
        text: &str,
        parse: fn(&str) -> Option<T>,
        all: impl FnOnce() -> Vec<&'static str>,
    ) -> Option<T> {
        if let Some(value) = parse(text) {
            return Some(value);
        }
        let problem = if text.is_empty() {
            "is missing".to_owned()
        } else {
            format!("`{}` is not known", clip(text))
        };
        self.refuse(Fault::new(self.path(), problem).allowed(all()))
    }

    /// A word of a closed list; empty means none.
    pub fn word_optional<T>(
        &self,
        text: &str,
        parse: fn(&str) -> Option<T>,
        all: impl FnOnce() -> Vec<&'static str>,
    ) -> Option<Option<T>> {
        if text.is_empty() {
            Some(None)
        } else {
            self.word(text, parse, all).map(Some)
        }
    }

    /// A message that must be there.
    pub fn message<P, D: Decode<P>>(&self, message: Option<P>) -> Option<D> {
        match message {
            Some(message) => D::decode(message, self),
            None => self.fault("is missing"),
        }
    }

    /// A message that may be absent.
    pub fn message_optional<P, D: Decode<P>>(&self, message: Option<P>) -> Option<Option<D>> {
        match message {
            Some(message) => D::decode(message, self).map(Some),
            None => Some(None),
        }
    }

    /// A list of messages; reads all of them before it gives up.
    pub fn list<P, D: Decode<P>>(&self, messages: Vec<P>) -> Option<Vec<D>> {
        let read: Vec<Option<D>> = messages
            .into_iter()
            .enumerate()
            .map(|(i, message)| D::decode(message, &self.index(i)))
            .collect();
        read.into_iter().collect()
    }

    /// A list of ids.
    pub fn ids<T: FromStr<Err: std::fmt::Display>>(&self, texts: &[String]) -> Option<Vec<T>> {
        let read: Vec<Option<T>> = texts
            .iter()
            .enumerate()
            .map(|(i, text)| self.index(i).parse(text))
            .collect();
        read.into_iter().collect()
    }

    /// A time that must be there.
    pub fn time(&self, time: Option<prost_types::Timestamp>) -> Option<Timestamp> {
        match time {
            Some(time) => super::time::time_from_proto(&time, self),
            None => self.fault("is missing"),
        }
    }

    /// A time that may be absent.
    pub fn time_optional(&self, time: Option<prost_types::Timestamp>) -> Option<Option<Timestamp>> {
        match time {
            Some(time) => super::time::time_from_proto(&time, self).map(Some),
            None => Some(None),
        }
    }

    /// A priority: 0 to 9.
    pub fn priority(&self, value: u32) -> Option<u8> {
        match u8::try_from(value) {
            Ok(priority) if priority <= 9 => Some(priority),
            _ => {
                self.refuse(Fault::new(self.path(), format!("{value} is not 0 to 9")).example("5"))
            }
        }
    }
}

/// The start of a text, for a message.
fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}
