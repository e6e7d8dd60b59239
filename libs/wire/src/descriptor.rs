//! The descriptor in a normal form that is kept in git, to see what a change of `proto/` breaks.
//!
//! Invariant: the form holds names, numbers, labels and types, and nothing else; it is sorted, so it changes only
//! when the contract does.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

/// One line per message, field, enum value, service and method of the encoded descriptor set.
pub fn normal_form(descriptor: &[u8]) -> Result<BTreeSet<String>, prost::DecodeError> {
    let set = FileDescriptorSet::decode(descriptor)?;
    let mut lines = BTreeSet::new();
    for file in set
        .file
        .iter()
        .filter(|f| f.package().starts_with("autopack."))
    {
        for message in &file.message_type {
            add_message(&mut lines, file.package(), message);
        }
        for enumeration in &file.enum_type {
            add_enum(&mut lines, file.package(), enumeration);
        }
        for service in &file.service {
            let name = format!("{}.{}", file.package(), service.name());
            for method in &service.method {
                lines.insert(format!(
                    "service {name} rpc {}({}{}) returns ({}{})",
                    method.name(),
                    stream(method.client_streaming()),
                    method.input_type().trim_start_matches('.'),
                    stream(method.server_streaming()),
                    method.output_type().trim_start_matches('.'),
                ));
            }
        }
    }
    Ok(lines)
}

fn add_message(lines: &mut BTreeSet<String>, scope: &str, message: &DescriptorProto) {
    let name = format!("{scope}.{}", message.name());
    lines.insert(format!("message {name}"));
    for field in &message.field {
        lines.insert(format!(
            "message {name} field {:04} {}",
            field.number(),
            field_text(message, field)
        ));
    }
    for nested in &message.nested_type {
        add_message(lines, &name, nested);
    }
    for enumeration in &message.enum_type {
        add_enum(lines, &name, enumeration);
    }
}

fn add_enum(lines: &mut BTreeSet<String>, scope: &str, enumeration: &EnumDescriptorProto) {
    let name = format!("{scope}.{}", enumeration.name());
    for value in &enumeration.value {
        lines.insert(format!(
            "enum {name} value {:04} {}",
            value.number(),
            value.name()
        ));
    }
}

fn field_text(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let kind = match field.r#type() {
        Type::Message | Type::Enum | Type::Group => {
            field.type_name().trim_start_matches('.').to_owned()
        }
        scalar => scalar
            .as_str_name()
            .trim_start_matches("TYPE_")
            .to_ascii_lowercase(),
    };
    let label = match field.label() {
        Label::Repeated => "repeated ",
        Label::Required => "required ",
        Label::Optional if field.proto3_optional() => "optional ",
        Label::Optional => "",
    };
    let group = field
        .oneof_index
        .filter(|_| !field.proto3_optional())
        .and_then(|i| message.oneof_decl.get(usize::try_from(i).ok()?))
        .map_or_else(String::new, |oneof| format!(" oneof {}", oneof.name()));
    format!("{} {label}{kind}{group}", field.name())
}

fn stream(streams: bool) -> &'static str {
    if streams { "stream " } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A removed or changed line breaks callers that were built against it; a new line does not.
    #[test]
    fn the_contract_only_grows() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/descriptor.txt");
        let now = normal_form(crate::DESCRIPTOR).unwrap();
        if std::env::var_os("UPDATE_SNAPSHOT").is_some() {
            let text: String = now.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
            std::fs::write(path, text).unwrap();
            return;
        }
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        let stored: BTreeSet<String> = stored.lines().map(str::to_owned).collect();
        let gone: Vec<&String> = stored.difference(&now).collect();
        let new: Vec<&String> = now.difference(&stored).collect();
        assert!(
            gone.is_empty(),
            "proto/ lost or changed what libs/wire/descriptor.txt promises:\n{gone:#?}\nnow:\n{new:#?}\n\
             Restore it: keep the number and name (or `reserved` both) and add a new field instead. Only if no \
             release carries the old form, accept the change with UPDATE_SNAPSHOT=1 cargo test -p autopack-wire."
        );
        assert!(
            new.is_empty(),
            "proto/ grew; record it with UPDATE_SNAPSHOT=1 cargo test -p autopack-wire and commit \
             libs/wire/descriptor.txt:\n{new:#?}"
        );
    }

    #[test]
    fn the_form_names_what_callers_depend_on() {
        let lines = normal_form(crate::DESCRIPTOR).unwrap();
        for want in [
            "message autopack.types.v1.Account field 0001 cap optional uint64",
            "message autopack.types.v1.Builder field 0001 patch autopack.types.v1.PatchBuilder oneof kind",
            "message autopack.types.v1.Plan field 0003 tiers repeated autopack.types.v1.TierSpec",
            "enum autopack.types.v1.Run.State value 0014 STATE_DONE_CANCELLED",
            "service autopack.registry.v1.RegistryService rpc WatchRun(autopack.registry.v1.WatchRunRequest) \
             returns (stream autopack.registry.v1.WatchRunResponse)",
        ] {
            assert!(lines.contains(want), "{want}");
        }
    }
}
