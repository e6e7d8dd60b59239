//! What the contract documents: every RPC, and the errors that the line `Errors:` of its comment names.
//!
//! Invariant: read from the descriptor that the services themselves show by reflection.

use std::collections::{BTreeMap, BTreeSet};

use autopack_domain::Reason;
use prost::Message as _;
use prost_types::FileDescriptorSet;

/// The reasons of every RPC, by path.
pub(crate) fn errors() -> BTreeMap<String, BTreeSet<String>> {
    let set = FileDescriptorSet::decode(autopack_wire::DESCRIPTOR).unwrap();
    let mut found = BTreeMap::new();
    for file in &set.file {
        let places = file.source_code_info.iter().flat_map(|info| &info.location);
        let comments: BTreeMap<&[i32], &str> = places
            .map(|at| (at.path.as_slice(), at.leading_comments()))
            .collect();
        for (s, service) in file.service.iter().enumerate() {
            for (m, method) in service.method.iter().enumerate() {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                // Services are field 6 of a file, methods field 2 of a service.
                let place = [6, s as i32, 2, m as i32];
                let comment = comments.get(&place[..]).copied().unwrap_or_default();
                let reasons = reasons(comment, &path);
                found.insert(path, reasons);
            }
        }
    }
    found
}

#[track_caller]
fn reasons(comment: &str, path: &str) -> BTreeSet<String> {
    let Some((_, list)) = comment.split_once("Errors:") else {
        return BTreeSet::new();
    };
    let list = list.trim().strip_suffix('.');
    let list = list
        .unwrap_or_else(|| panic!("{path}: the line of errors is the last, and ends with a point"));
    let names: BTreeSet<String> = list.split(',').map(|name| name.trim().to_owned()).collect();
    for name in &names {
        assert!(
            Reason::parse(name).is_some(),
            "{path}: {name} is no reason of the catalogue"
        );
    }
    names
}
