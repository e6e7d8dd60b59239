//! Faults of input: each names the field's path, what is wrong, what would be right, and an example.
//!
//! Invariant: a reader of input reports all faults at once, never only the first.

use std::fmt;

/// One fault of a plan, a ruleset or a request.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Fault {
    /// Dotted path of the field, such as `tiers[0].phases[2].depends_on[0]`.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
    /// The values that would be right, where they can be listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
    /// A value that would be accepted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub example: String,
}

impl Fault {
    /// A fault at a path.
    pub fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            problem: problem.into(),
            allowed: Vec::new(),
            example: String::new(),
        }
    }

    /// Adds the values that would be right.
    pub fn allowed<I: IntoIterator<Item = S>, S: Into<String>>(mut self, values: I) -> Self {
        self.allowed = values.into_iter().map(Into::into).collect();
        self
    }

    /// Adds an example.
    pub fn example(mut self, example: impl Into<String>) -> Self {
        self.example = example.into();
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)?;
        if !self.allowed.is_empty() {
            write!(f, "; allowed: {}", self.allowed.join(", "))?;
        }
        if !self.example.is_empty() {
            write!(f, "; example: {}", self.example)?;
        }
        Ok(())
    }
}

/// Collects faults while reading.
#[derive(Clone, Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// At most this many faults are kept; a file of garbage must not fill the memory.
    pub const MAX: usize = 500;

    /// Adds one.
    pub fn push(&mut self, fault: Fault) {
        if self.0.len() < Self::MAX {
            self.0.push(fault);
        }
    }

    /// Whether none was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn into_vec(self) -> Vec<Fault> {
        self.0
    }

    /// `Ok` if none was found.
    pub fn into_result<T>(self, value: T) -> Result<T, Vec<Fault>> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(self.0)
        }
    }
}
