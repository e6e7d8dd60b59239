//! Layered configuration: defaults, a TOML file, the environment, flags; each later one wins.
//!
//! Invariant: each value knows where it came from; every fault of every layer is reported at once; an
//! unknown key is a fault. The struct's own serialised defaults say which keys exist, so an optional
//! field must not be skipped when it is `None`.

mod layer;
mod show;

use std::{collections::BTreeMap, path::Path};

use autopack_domain::fault::{Fault, Faults};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The program.
    Default,
    /// A file.
    File(String),
    /// A variable.
    Environment(String),
    /// The command line.
    Flag(String),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {path}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A variable of this process; an empty or non-Unicode one counts as unset.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// All variables of this process.
pub fn environment_all() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Builds a configuration layer by layer.
#[derive(Debug)]
pub struct Layers {
    tree: Value,
    defaults: Value,
    /// Values of optional fields given as text: their type is known at `load` only.
    open: Vec<(Vec<String>, String)>,
    sources: BTreeMap<String, Source>,
    faults: Faults,
}

/// A configuration with the source of each value.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The values.
    pub value: T,
    tree: Value,
    sources: BTreeMap<String, Source>,
}

impl Layers {
    /// Starts with the defaults of the struct.
    pub fn of<T: Serialize + Default>() -> Self {
        let mut faults = Faults::default();
        let tree = serde_json::to_value(T::default()).unwrap_or_else(|error| {
            faults.push(Fault::new("defaults", error.to_string()));
            Value::Null
        });
        Self {
            defaults: tree.clone(),
            tree,
            open: Vec::new(),
            sources: BTreeMap::new(),
            faults,
        }
    }

    /// Adds a TOML file that must exist.
    pub fn file(mut self, path: &Path) -> Self {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => self.toml(&name, &text),
            Err(error) => self.faults.push(Fault::new(name, error.to_string())),
        }
        self
    }

    /// Adds a TOML file if there is one.
    pub fn optional_file(self, path: &Path) -> Self {
        if path.try_exists().unwrap_or(true) {
            self.file(path)
        } else {
            self
        }
    }

    /// Adds variables such as `AUTOPACK_BUS__URL` for `bus.url`, for the prefix `AUTOPACK_`. Variables
    /// of the prefix without a double underscore or a key of that name are other programs' or aliases.
    pub fn variables(mut self, prefix: &str, all: &BTreeMap<String, String>) -> Self {
        for (name, text) in all {
            let Some(rest) = name.strip_prefix(prefix) else {
                continue;
            };
            let path: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
            if path.len() > 1 || layer::find(&self.tree, &path).is_some() {
                let source = Source::Environment(name.clone());
                self.set(&path, name, text, source);
            }
        }
        self
    }

    /// Whether there is a key of this dotted path.
    pub fn has(&self, path: &str) -> bool {
        let keys: Vec<String> = path.split('.').map(ToOwned::to_owned).collect();
        layer::find(&self.defaults, &keys).is_some()
    }

    /// Sets one value from a variable whose name does not spell the key.
    pub fn variable(mut self, path: &str, name: &str, text: &str) -> Self {
        let keys: Vec<String> = path.split('.').map(ToOwned::to_owned).collect();
        self.set(&keys, name, text, Source::Environment(name.to_owned()));
        self
    }

    /// Sets one value from a flag, such as `bus.url` from `--bus-url`.
    pub fn flag(mut self, path: &str, flag: &str, text: &str) -> Self {
        let keys: Vec<String> = path.split('.').map(ToOwned::to_owned).collect();
        self.set(&keys, flag, text, Source::Flag(flag.to_owned()));
        self
    }

    /// Reads the struct from all layers.
    pub fn load<T: DeserializeOwned>(mut self) -> Result<Loaded<T>, Vec<Fault>> {
        for (path, text) in std::mem::take(&mut self.open) {
            let text = Value::String(text);
            let mut alone = self.defaults.clone();
            layer::put(&mut alone, &path, text.clone());
            if serde_json::from_value::<T>(alone).is_ok() {
                layer::put(&mut self.tree, &path, text);
            }
        }
        match serde_json::from_value(self.tree.clone()) {
            Ok(value) if self.faults.is_empty() => Ok(Loaded {
                value,
                tree: self.tree,
                sources: self.sources,
            }),
            Ok(_) => Err(self.faults.into_vec()),
            Err(error) => {
                if self.faults.is_empty() {
                    self.faults
                        .push(Fault::new("configuration", error.to_string()));
                }
                Err(self.faults.into_vec())
            }
        }
    }

    fn toml(&mut self, name: &str, text: &str) {
        let parsed = match toml::from_str::<toml::Table>(text) {
            Ok(table) => serde_json::to_value(table).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match parsed {
            Ok(parsed) => layer::merge(
                &mut self.tree,
                parsed,
                &mut Vec::new(),
                &Source::File(name.to_owned()),
                &mut self.sources,
                &mut self.faults,
            ),
            Err(error) => self.faults.push(Fault::new(name, error)),
        }
    }

    fn set(&mut self, path: &[String], given_as: &str, text: &str, source: Source) {
        let default = layer::find(&self.defaults, path).unwrap_or(&Value::Null);
        match layer::set(&mut self.tree, default, path, given_as, text) {
            Ok(()) => {
                if default.is_null() {
                    self.open.push((path.to_vec(), text.to_owned()));
                }
                self.sources.insert(path.join("."), source);
            }
            Err(fault) => self.faults.push(fault),
        }
    }
}

impl<T> Loaded<T> {
    /// Where the value of a dotted key came from.
    pub fn source(&self, key: &str) -> &Source {
        self.sources.get(key).unwrap_or(&Source::Default)
    }

    /// Every value with its source, one a line; secrets and passwords in addresses are masked.
    pub fn print_config(&self) -> String {
        show::lines(&self.tree, |key| self.source(key).to_string())
    }
}
