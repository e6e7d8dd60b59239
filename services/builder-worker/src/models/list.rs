//! Which providers and models this worker knows, and by which key it asks them.
//!
//! Invariant: a key comes from the environment or from a file that the environment names, and from nowhere else; it is
//! never shown.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use autopack_adapters::endpoint::Protocol;
use autopack_domain::plan::ModelSpec;
use autopack_policy::routing::Routes;
use serde::Deserialize;

/// The variable that names the list, or `off`: no model is asked.
pub const LIST: &str = "AUTOPACK_MODELS";

/// A key. Its text is seen by the call that sends it, and by the redactor.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// Of this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "none" } else { "***" })
    }
}

/// Where models are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// What it speaks.
    pub protocol: Protocol,
    /// Its address, without the protocol's path.
    pub url: String,
    /// Its key; empty: none is sent.
    pub key: Key,
    /// The variable that the key comes from.
    pub key_env: String,
    /// The name of the bound on the answer, in chat completions.
    pub output_key: String,
    /// Whether it cannot be asked without a key.
    pub needs_key: bool,
    /// Tokens that a worker may use there in seven days; from four fifths on, others are asked. `None`: any number.
    pub weekly_tokens: Option<u64>,
}

/// A model by a name of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Entry {
    /// Who has it; empty: as its name tells.
    pub provider: String,
    /// Its name there; empty: the name in the list.
    pub id: String,
    /// Most tokens that it can answer.
    pub max_output: Option<u64>,
}

/// The list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// By name.
    pub providers: BTreeMap<String, Provider>,
    /// By name.
    pub models: BTreeMap<String, Entry>,
    /// The choice of models.
    pub routes: Routes,
    /// No model is asked.
    pub off: bool,
}

/// What is asked for one phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The provider's name.
    pub provider: String,
    /// The model's name there.
    pub model: String,
    /// Most tokens that it can answer, if known.
    pub max_output: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    providers: BTreeMap<String, FileProvider>,
    models: BTreeMap<String, Entry>,
    routes: Option<Routes>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileProvider {
    protocol: String,
    url: String,
    #[serde(default)]
    key_env: String,
    #[serde(default)]
    output_key: String,
    #[serde(default)]
    weekly_tokens: Option<u64>,
}

/// Providers that are known without a list: name, protocol, address, variables of address and key, bound.
const SHIPPED: &[(&str, Protocol, &str, &str, &str, &str)] = &[
    (
        "anthropic",
        Protocol::Anthropic,
        "https://api.anthropic.com",
        "ANTHROPIC_BASE_URL",
        "ANTHROPIC_API_KEY",
        "max_tokens",
    ),
    (
        "openai",
        Protocol::Openai,
        "https://api.openai.com/v1",
        "OPENAI_BASE_URL",
        "OPENAI_API_KEY",
        "max_completion_tokens",
    ),
];

impl List {
    /// From the environment, by the file that it names. The error says what to mend.
    pub fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let told = lookup(LIST).unwrap_or_default();
        if told == "off" {
            return Ok(Self {
                off: true,
                ..Self::default()
            });
        }
        let mut list = Self {
            routes: Routes::shipped(),
            ..Self::default()
        };
        for (name, protocol, url, url_env, key_env, output_key) in SHIPPED {
            let own = lookup(url_env).filter(|url| !url.trim().is_empty());
            list.providers.insert(
                (*name).to_owned(),
                Provider {
                    protocol: *protocol,
                    needs_key: own.is_none(),
                    url: plain(&own.unwrap_or_else(|| (*url).to_owned())),
                    key: key(lookup, key_env)?,
                    key_env: (*key_env).to_owned(),
                    output_key: (*output_key).to_owned(),
                    weekly_tokens: None,
                },
            );
        }
        if !told.is_empty() {
            list.take(Path::new(&told), lookup)?;
        }
        Ok(list)
    }

    fn take(&mut self, path: &Path, lookup: &dyn Fn(&str) -> Option<String>) -> Result<(), String> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("{LIST}: {shown} cannot be read: {error}"))?;
        let file: File =
            toml::from_str(&text).map_err(|error| format!("{LIST}: {shown}: {error}"))?;
        for (name, told) in file.providers {
            let Some(protocol) = Protocol::parse(&told.protocol) else {
                let allowed = Protocol::ALL.map(Protocol::as_str).join(", ");
                return Err(format!(
                    "{LIST}: {shown}: providers.{name}.protocol: `{}`; allowed: {allowed}",
                    told.protocol
                ));
            };
            if !(told.url.starts_with("https://") || told.url.starts_with("http://")) {
                return Err(format!(
                    "{LIST}: {shown}: providers.{name}.url: `{}` is no http address",
                    told.url
                ));
            }
            let output_key = Some(told.output_key).filter(|key| !key.is_empty());
            let provider = Provider {
                protocol,
                url: plain(&told.url),
                key: key(lookup, &told.key_env)?,
                needs_key: !told.key_env.is_empty(),
                key_env: told.key_env,
                weekly_tokens: told.weekly_tokens,
                output_key: output_key.unwrap_or_else(|| "max_tokens".to_owned()),
            };
            self.providers.insert(name, provider);
        }
        for (name, entry) in &file.models {
            if !entry.provider.is_empty() && !self.providers.contains_key(&entry.provider) {
                return Err(format!(
                    "{LIST}: {shown}: models.{name}.provider: `{}` is not among the providers: {}",
                    entry.provider,
                    self.names()
                ));
            }
        }
        self.models = file.models;
        self.routes = file.routes.unwrap_or_else(Routes::shipped);
        Ok(())
    }

    /// Every key, for redaction.
    pub fn keys(&self) -> Vec<String> {
        let keys = self.providers.values().map(|one| one.key.0.clone());
        keys.filter(|key| !key.is_empty()).collect()
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.providers.keys().map(String::as_str).collect();
        names.join(", ")
    }

    /// What is asked under a model's name. The error says what is missing and where it is told.
    pub fn target(&self, spec: &ModelSpec, name: &str) -> Result<Target, String> {
        if self.off {
            return Err(format!(
                "models are switched off on this worker: {LIST}=off"
            ));
        }
        let entry = self.models.get(name).cloned().unwrap_or_default();
        // The plan's provider is that of the plan's own model.
        let own = if name == spec.model {
            &spec.provider
        } else {
            ""
        };
        let provider = [own, &entry.provider, by_name(name)]
            .into_iter()
            .find(|name| !name.is_empty())
            .or_else(|| self.only());
        let Some(provider) = provider else {
            return Err(format!(
                "nothing tells whose model `{name}` is: name `builder.provider` (one of: {}), or list the model in the file that {LIST} names",
                self.names()
            ));
        };
        let Some(known) = self.providers.get(provider) else {
            return Err(format!(
                "the provider `{provider}` is not known on this worker; known: {}; others are listed in the file that {LIST} names",
                self.names()
            ));
        };
        if known.needs_key && known.key.0.is_empty() {
            return Err(format!(
                "the worker has no key for the provider `{provider}`: set {0} or {0}_FILE in its environment",
                known.key_env
            ));
        }
        let id = Some(entry.id).filter(|id| !id.is_empty());
        Ok(Target {
            provider: provider.to_owned(),
            model: id.unwrap_or_else(|| name.to_owned()),
            max_output: entry.max_output,
        })
    }

    /// The only provider that can be asked, if there is but one.
    fn only(&self) -> Option<&str> {
        let mut usable = self
            .providers
            .iter()
            .filter(|(_, one)| !one.needs_key || !one.key.0.is_empty());
        let first = usable.next()?;
        usable.next().is_none().then_some(first.0.as_str())
    }
}

/// Whose a model is, as its name tells; empty: it does not.
fn by_name(model: &str) -> &'static str {
    let model = model.to_ascii_lowercase();
    let starts = |list: &[&str]| list.iter().any(|start| model.starts_with(start));
    if starts(&["claude"]) {
        "anthropic"
    } else if starts(&["gpt-", "chatgpt", "o1", "o3", "o4", "codex"]) {
        "openai"
    } else {
        ""
    }
}

/// An address without a slash at its end.
fn plain(url: &str) -> String {
    url.trim().trim_end_matches('/').to_owned()
}

/// From a variable, or from the file that the same with `_FILE` names.
fn key(lookup: &dyn Fn(&str) -> Option<String>, name: &str) -> Result<Key, String> {
    if name.is_empty() {
        return Ok(Key::default());
    }
    if let Some(key) = lookup(name).filter(|key| !key.trim().is_empty()) {
        return Ok(Key(key.trim().to_owned()));
    }
    let variable = format!("{name}_FILE");
    let Some(path) = lookup(&variable).filter(|path| !path.is_empty()) else {
        return Ok(Key::default());
    };
    let text = std::fs::read_to_string(&path)
        .map_err(|error| format!("{variable}: {path} cannot be read: {error}"))?;
    Ok(Key(text.trim().to_owned()))
}
