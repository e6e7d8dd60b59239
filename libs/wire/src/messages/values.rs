//! What a field of a request is without being sent, what it accepts, and an example.
//!
//! Invariant: defaults are those of the protocol, closed lists those of the contract's enums and of `domain`; an example is
//! a value that the field accepts, in the JSON form of the message.

use std::collections::BTreeMap;

use autopack_domain::{
    ids::ID_RULE,
    issue::Severity,
    plan::{GateProfile, SafetyProfile},
    states::RunState,
};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::Type,
};

/// Where the default of a field comes from.
const SOURCE: &str = "the protocol: the field is not sent";
/// A uid of examples.
const UID: &str = "0197a4c2-0000-7000-8000-000000000001";
/// A commit of examples.
const SHA: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b";
/// Texts by the name of their field.
const EXAMPLES: &[(&str, &str)] = &[
    ("address", "http://worker-1:7879"),
    ("base_sha", SHA),
    ("capabilities", "git"),
    ("cause", "GATE_FAILED"),
    ("commit", SHA),
    ("contract_digest", "sha256:9f86d081"),
    ("contract_version", "1"),
    ("database", "sqlite"),
    ("database_identity", UID),
    ("decided_by", "ada"),
    ("default_builder_json", "{\"kind\":\"noop\"}"),
    ("default_gate_profile", "normal"),
    ("default_project", "demo"),
    ("detail", "2 tests failed"),
    (
        "digest",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ),
    ("document", "schema: autopack/plan/v1"),
    ("documents", "{\"schema\":\"autopack/run-history/v1\"}"),
    ("expected_tip", SHA),
    ("facts_json", "{\"tests\":12}"),
    ("failure_class", "test"),
    ("failure_raw", "assertion failed"),
    ("failure_signature", "durations::parse"),
    ("features", "validate_only"),
    ("from", SHA),
    ("gate", "passed"),
    ("host", "build-1"),
    ("id", "42"),
    ("key", "lint:unused-import"),
    ("kind", "phase"),
    ("lane", "default"),
    ("lanes", "default"),
    ("methods", "/autopack.registry.v1.RegistryService/GetRun"),
    ("name", "worker-1"),
    ("note", "removed by hand"),
    ("outcome", "committed"),
    ("phase_id", "P1.1"),
    ("project", "demo"),
    ("repository", "https://git.example/demo.git"),
    ("request_id", UID),
    ("requested_by", "ada"),
    ("run_id", "demo-1"),
    ("safety_profile", "normal"),
    ("set_aside", "demo-1"),
    ("severity", "minor"),
    ("state", "DONE_SUCCESS"),
    ("strategy", "merge"),
    ("subject", "phase"),
    ("switches", "AUTOPACK_ROLLBACK_ENABLED"),
    ("target_branch", "main"),
    ("tier_id", "T1"),
    ("tip", SHA),
    ("tree", SHA),
    ("url", "https://git.example/demo/pulls/7"),
    ("version", "1.0.0"),
    ("why", "not needed any more"),
];

/// What there is to say of a field.
pub(super) struct Values {
    pub(super) default: String,
    pub(super) source: &'static str,
    pub(super) allowed: Vec<String>,
    pub(super) example: String,
}

/// Values of the contract's enums, by full name.
pub(super) type Enums = BTreeMap<String, Vec<String>>;

/// Every enum of the contract; the value of a field that is not set is left out.
pub(super) fn enums(set: &FileDescriptorSet) -> Enums {
    let mut found = Enums::new();
    for file in &set.file {
        let at = format!(".{}", file.package());
        put(&mut found, &at, &file.enum_type);
        for message in &file.message_type {
            nested(&mut found, &at, message);
        }
    }
    found
}

fn nested(found: &mut Enums, at: &str, message: &DescriptorProto) {
    let at = format!("{at}.{}", message.name());
    put(found, &at, &message.enum_type);
    for below in &message.nested_type {
        nested(found, &at, below);
    }
}

fn put(found: &mut Enums, at: &str, enums: &[EnumDescriptorProto]) {
    for one in enums {
        let names = one.value.iter().filter(|value| value.number() != 0);
        let names = names.map(|value| value.name().to_owned()).collect();
        found.insert(format!("{at}.{}", one.name()), names);
    }
}

/// What there is to say of a field; `kind` is as it is shown.
pub(super) fn of(
    field: &FieldDescriptorProto,
    kind: &str,
    required: bool,
    enums: &Enums,
) -> Values {
    let allowed = allowed(field, enums);
    let (default, one) = match field.r#type() {
        Type::Message | Type::Group => ("null", message(kind).to_owned()),
        Type::Enum => ("null", quoted(allowed.first().map_or("", String::as_str))),
        Type::Bool => ("false", "true".to_owned()),
        Type::String => ("\"\"", quoted(&text(field.name()))),
        Type::Bytes => ("\"\"", quoted("aGVsbG8=")),
        _ => ("0", "1".to_owned()),
    };
    let repeated = kind.starts_with("repeated ");
    let default = match kind {
        "map" => "{}",
        _ if repeated => "[]",
        _ if field.proto3_optional() => "null",
        _ => default,
    };
    Values {
        default: if required { "" } else { default }.to_owned(),
        source: if required { "" } else { SOURCE },
        example: if repeated { format!("[{one}]") } else { one },
        allowed: if kind == "map" { Vec::new() } else { allowed },
    }
}

fn message(kind: &str) -> &'static str {
    match kind {
        "Duration" => "\"10s\"",
        "map" => "{\"1\": 1}",
        _ => "{}",
    }
}

/// The closed list of a field, or its form.
fn allowed(field: &FieldDescriptorProto, enums: &Enums) -> Vec<String> {
    let texts = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect();
    match field.r#type() {
        Type::Enum => enums.get(field.type_name()).cloned().unwrap_or_default(),
        Type::Bool => texts(vec!["true", "false"]),
        Type::Uint32 | Type::Uint64 | Type::Int32 => texts(vec!["a whole number from 0"]),
        Type::String => match field.name() {
            "severity" => texts(Severity::spellings()),
            "state" => texts(RunState::spellings()),
            "safety_profile" => texts(SafetyProfile::spellings()),
            "default_gate_profile" => texts(GateProfile::spellings()),
            "strategy" => texts(vec!["ff", "merge", "squash"]),
            "run_id" | "phase_id" | "tier_id" => texts(vec![ID_RULE]),
            "request_id" => texts(vec!["at most 36 ASCII characters"]),
            name if is_uid(name) => texts(vec!["a UUID"]),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn is_uid(name: &str) -> bool {
    name == "uid" || name.ends_with("_uid") || name.ends_with("_uids")
}

fn text(name: &str) -> String {
    if is_uid(name) {
        return UID.to_owned();
    }
    let known = EXAMPLES.iter().find(|(known, _)| *known == name);
    known.map_or_else(String::new, |(_, example)| (*example).to_owned())
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
