//! Messages of the contract as documentation: fields with the comments of `proto/`, read from the descriptor.
//!
//! Invariant: what is said of a field is what stands above it in `proto/`; only which fields a request must have
//! ([`REQUIRED`]), and which texts are accepted ([`values`]), is written by hand, and tests keep the names honest.

mod values;

use std::collections::BTreeMap;

use prost::Message as _;
use prost_types::{FieldDescriptorProto, FileDescriptorSet, field_descriptor_proto::Type};

/// A field of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// The comment above it.
    pub text: String,
    /// Its type, `repeated` and `map` spelled out.
    pub kind: String,
    /// Whether a request without it is refused.
    pub required: bool,
    /// What it is if it is not sent, as JSON; empty: it is required.
    pub default: String,
    /// Where that comes from; empty: it is required.
    pub source: &'static str,
    /// The closed list, or the form; empty: free.
    pub allowed: Vec<String>,
    /// A value that is accepted, as JSON.
    pub example: String,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its name, without the package.
    pub name: String,
    /// The comment above it.
    pub text: String,
    /// In order.
    pub fields: Vec<Field>,
}

/// Fields without which a request is refused.
pub const REQUIRED: &[(&str, &[&str])] = &[
    ("CreateRunRequest", &["document", "repository"]),
    ("AddPhaseRequest", &["run_id", "tier_id", "document"]),
    ("GetRunRequest", &["run_id"]),
    ("WatchRunRequest", &["run_id"]),
    ("StartRunRequest", &["run_id"]),
    ("PauseRunRequest", &["run_id"]),
    ("ResumeRunRequest", &["run_id"]),
    ("CancelRunRequest", &["run_id"]),
    ("RetryRunRequest", &["run_id"]),
    ("ExplainRunRequest", &["run_id"]),
    ("ListAttemptsRequest", &["run_id"]),
    ("ListFactsRequest", &["run_id"]),
    ("ImportRulesetRequest", &["project", "document"]),
    ("SetProjectLimitsRequest", &["project"]),
    ("GetProjectRequest", &["project"]),
    ("RequeueDeadLetterRequest", &["id"]),
    ("DiscardDeadLetterRequest", &["id"]),
];

/// Every request of the registry, by name.
pub fn requests() -> BTreeMap<String, Description> {
    // The descriptor was written by this crate's own build.
    let set = FileDescriptorSet::decode(crate::DESCRIPTOR).unwrap_or_default();
    let enums = values::enums(&set);
    let mut found = BTreeMap::new();
    for file in set
        .file
        .iter()
        .filter(|f| f.package() == "autopack.registry.v1")
    {
        let comments: BTreeMap<&[i32], &str> = file
            .source_code_info
            .iter()
            .flat_map(|info| &info.location)
            .map(|at| (at.path.as_slice(), at.leading_comments()))
            .collect();
        let said = |path: &[i32]| -> String {
            let text = comments.get(path).copied().unwrap_or_default();
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        for (n, message) in file.message_type.iter().enumerate() {
            if !message.name().ends_with("Request") {
                continue;
            }
            let required = REQUIRED.iter().find(|(name, _)| *name == message.name());
            let required = required.map(|(_, fields)| *fields).unwrap_or_default();
            let fields = message.field.iter().enumerate().map(|(m, field)| {
                let kind = kind(message, field);
                let required = required.contains(&field.name());
                let values = values::of(field, &kind, required, &enums);
                Field {
                    name: field.name().to_owned(),
                    // Messages are field 4 of a file, fields are field 2 of a message.
                    text: said(&[4, n as i32, 2, m as i32]),
                    kind,
                    required,
                    default: values.default,
                    source: values.source,
                    allowed: values.allowed,
                    example: values.example,
                }
            });
            let description = Description {
                name: message.name().to_owned(),
                text: said(&[4, n as i32]),
                fields: fields.collect(),
            };
            found.insert(description.name.clone(), description);
        }
    }
    found
}

fn kind(message: &prost_types::DescriptorProto, field: &FieldDescriptorProto) -> String {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let one = match field.r#type() {
        Type::Message | Type::Enum | Type::Group => last(field.type_name()),
        scalar => scalar
            .as_str_name()
            .trim_start_matches("TYPE_")
            .to_lowercase(),
    };
    let is_map = message.nested_type.iter().any(|nested| {
        nested.name() == one
            && nested
                .options
                .as_ref()
                .is_some_and(prost_types::MessageOptions::map_entry)
    });
    if is_map {
        return "map".to_owned();
    }
    match field.label() {
        prost_types::field_descriptor_proto::Label::Repeated => format!("repeated {one}"),
        _ => one,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_described_by_the_comments_of_the_contract() {
        let all = requests();
        let create = &all["CreateRunRequest"];
        assert_eq!(create.text, "Asks for a run.");
        let document = create.fields.iter().find(|f| f.name == "document").unwrap();
        assert!(document.required && document.text.starts_with("The plan as written"));
        let files = create.fields.iter().find(|f| f.name == "files").unwrap();
        assert_eq!((files.kind.as_str(), files.required), ("map", false));
        for (name, fields) in REQUIRED {
            let known = &all[*name];
            for field in *fields {
                assert!(
                    known.fields.iter().any(|f| f.name == *field),
                    "{name}.{field}"
                );
            }
        }
        for description in all.values() {
            for field in &description.fields {
                let at = format!("{}.{}", description.name, field.name);
                assert!(!field.text.is_empty(), "{at}");
                assert_eq!(field.required, field.default.is_empty(), "{at}");
                assert_eq!(field.required, field.source.is_empty(), "{at}");
                let example = serde_json::from_str::<serde_json::Value>(&field.example);
                let example = example.unwrap_or_else(|e| panic!("{at}: {}: {e}", field.example));
                // An empty text is what a first page and the default take.
                let empty = example == "" && field.name != "page_token";
                assert!(
                    !empty,
                    "{at}: libs/wire/src/messages/values.rs has no example"
                );
                let closed = field.allowed.len() > 1 && field.kind != "bool";
                let listed = example
                    .as_str()
                    .is_some_and(|e| field.allowed.iter().any(|a| a == e));
                assert!(
                    !closed || listed,
                    "{at}: {example} is not in {:?}",
                    field.allowed
                );
            }
        }
    }
}
