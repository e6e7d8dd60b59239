//! A service's configuration from all layers.
//!
//! Invariant: every fault of every layer is told at once, before anything is opened; a short name and the long one of
//! the same key do not contradict each other in silence.

use std::{collections::BTreeMap, net::SocketAddr, path::Path};

use autopack_domain::fault::{Fault, Faults};

use super::{
    args::ServiceArgs,
    settings::{Common, SHORT, Settings},
};
use crate::{
    config::{Layers, Loaded},
    switches::{Switch, Switches},
};

/// What a service was told.
#[derive(Clone, Debug)]
pub struct Told<S> {
    /// The values with their sources.
    pub loaded: Loaded<S>,
    /// The switches.
    pub switches: Switches,
}

/// Reads defaults, file, variables and flags, in this order, and checks all values.
pub fn load<S: Settings>(
    args: &ServiceArgs,
    variables: &BTreeMap<String, String>,
) -> Result<Told<S>, Vec<Fault>> {
    let told = load_unchecked::<S>(args, variables);
    let mut faults = Faults::default();
    let (told, mut found) = match told {
        Ok(told) => (Some(told), Vec::new()),
        Err(found) => (None, found),
    };
    if let Some(told) = &told {
        check(told.loaded.value.common(), &mut faults);
        found.extend(faults.into_vec());
        found.extend(told.loaded.value.faults());
    }
    match told {
        Some(told) if found.is_empty() => Ok(told),
        _ => Err(found),
    }
}

/// The same, for a program that only asks a service: values that the service itself needs may be missing.
pub(super) fn load_unchecked<S: Settings>(
    args: &ServiceArgs,
    variables: &BTreeMap<String, String>,
) -> Result<Told<S>, Vec<Fault>> {
    let mut faults = Faults::default();
    // An empty variable is an unset one.
    let mut all: BTreeMap<String, String> = variables
        .iter()
        .filter(|(_, value)| !value.trim().is_empty())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let switches = Switches::read(&|name| all.get(name).cloned()).unwrap_or_else(|found| {
        for fault in found {
            faults.push(fault);
        }
        Switches::default()
    });
    for switch in Switch::ALL {
        all.remove(switch.variable());
    }
    let mut layers = Layers::of::<S>();
    if let Some(path) = &args.config {
        layers = layers.file(path);
    }
    let short: Vec<(&str, &str, String)> = SHORT
        .iter()
        .chain(S::short_names())
        .filter_map(|(name, key)| Some((*name, *key, all.remove(*name)?)))
        .collect();
    for (name, key, text) in &short {
        if layers.has(key) {
            layers = layers.variable(key, name, text);
        }
    }
    layers = layers.variables("AUTOPACK_", &all);
    for (key, flag, text) in [
        ("listen", "--listen", &args.listen),
        ("metrics_listen", "--metrics-listen", &args.metrics_listen),
        ("log.format", "--log-format", &args.log_format),
        ("log.level", "--log-level", &args.log_level),
    ] {
        if let Some(text) = text {
            layers = layers.flag(key, flag, text);
        }
    }
    for pair in &args.set {
        match pair.split_once('=') {
            Some((key, text)) => layers = layers.flag(key.trim(), "--set", text),
            None => faults.push(Fault::new("--set", format!("`{pair}` is not KEY=VALUE"))),
        }
    }
    let loaded = match layers.load::<S>() {
        Ok(loaded) => Some(loaded),
        Err(found) => {
            for fault in found {
                faults.push(fault);
            }
            None
        }
    };
    let faults = faults.into_vec();
    match loaded {
        Some(loaded) if faults.is_empty() => Ok(Told { loaded, switches }),
        _ => Err(faults),
    }
}

impl<S> Told<S> {
    /// Every value with its source, and every switch.
    pub fn print_config(&self) -> String {
        let mut text = self.loaded.print_config();
        for switch in Switch::ALL {
            use std::fmt::Write as _;
            let _ = writeln!(
                text,
                "switch {} = {}",
                switch.variable(),
                self.switches.is_on(switch)
            );
        }
        text
    }
}

/// The value of a secret: itself, or the first line of its file.
pub fn secret(key: &str, value: &str, file: &str) -> Result<Option<String>, Fault> {
    match (value.trim(), file.trim()) {
        ("", "") => Ok(None),
        ("", file) => {
            let text = read_file(&format!("{key}_file"), file)?;
            Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
        }
        (value, "") => Ok(Some(value.to_owned())),
        _ => Err(Fault::new(
            key,
            format!("is set, and `{key}_file` too; set one of them"),
        )),
    }
}

/// A named file's text.
pub fn read_file(key: &str, path: &str) -> Result<String, Fault> {
    std::fs::read_to_string(Path::new(path))
        .map_err(|error| Fault::new(key, format!("{path} cannot be read: {error}")))
}

fn check(common: &Common, faults: &mut Faults) {
    let mut one_of = |key: &str, value: &str, allowed: &[&str]| {
        if !allowed.contains(&value) {
            let fault = Fault::new(key, format!("`{value}` is not known"));
            faults.push(fault.allowed(allowed.iter().copied()));
        }
    };
    one_of("auth", &common.auth, &["keys", "none"]);
    one_of("log.format", &common.log.format, &["text", "json"]);
    let mut address = |key: &str, text: &str| {
        if text.parse::<SocketAddr>().is_err() {
            let fault = Fault::new(key, format!("`{text}` is not an address and port"));
            faults.push(fault.example("127.0.0.1:7878"));
        }
    };
    address("listen", &common.listen);
    if !["", "none"].contains(&common.metrics_listen.as_str()) {
        address("metrics_listen", &common.metrics_listen);
    }
    if common.shutdown_seconds == 0 || common.shutdown_seconds > 3600 {
        faults.push(Fault::new("shutdown_seconds", "must be from 1 to 3600").example("25"));
    }
}
