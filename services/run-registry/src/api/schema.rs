//! Tables, plans and requests as documentation.
//!
//! Invariant: tables are described by `store`, plans by `domain`, requests by the comments of `proto/`; nothing is
//! said here.

use autopack_domain::{
    Fault, Reason, Refusal,
    plan::{PlanField, fields},
};
use autopack_store::schema::{Table, document, tables};
use autopack_wire::{
    messages::{Description, requests},
    registry as pb,
};

/// The subject that is no table and no request.
const PLAN: &str = "plan";

/// One subject, or all tables and the plan.
pub(super) fn describe(subject: &str) -> Result<pb::DescribeSchemaResponse, Refusal> {
    let (tables, requests) = (tables(), requests());
    let mut known: Vec<String> = tables.iter().map(|t| t.name.to_owned()).collect();
    known.push(PLAN.to_owned());
    let all = known.len();
    known.extend(requests.keys().cloned());
    let wanted: Vec<String> = match subject {
        "" => known[..all].to_vec(),
        subject => vec![subject.to_owned()],
    };
    let mut subjects = Vec::with_capacity(wanted.len());
    for name in &wanted {
        let found = match name.as_str() {
            PLAN => Some(plan()),
            name => tables
                .iter()
                .find(|t| t.name == name)
                .map(of_table)
                .or_else(|| requests.get(name).map(of_request)),
        };
        subjects.extend(found);
    }
    if subjects.is_empty() {
        let fault = Fault::new("subject", format!("`{subject}` is not known")).allowed(known);
        return Err(Refusal::invalid(Reason::ArgumentInvalid, vec![fault]));
    }
    Ok(pb::DescribeSchemaResponse { subjects, known })
}

fn of_table(table: &Table) -> pb::SchemaSubject {
    let rows = document::rows(table).into_iter();
    let columns = rows.filter(|row| !row.column.is_empty());
    pb::SchemaSubject {
        name: table.name.to_owned(),
        kind: "table".to_owned(),
        description: table.text.to_owned(),
        fields: columns
            .map(|row| pb::SchemaField {
                allowed: table
                    .column(&row.column)
                    .map_or(row.allowed, |column| column.kind.valid()),
                name: row.column,
                description: row.description,
                r#type: row.data_type,
                required: row.required,
                default_value: row.default_value.unwrap_or_default(),
                default_source: row.default_source,
                example: row.example,
                json_schema: row.json_schema.map_or_else(String::new, |s| s.to_string()),
            })
            .collect(),
        example_json: document::example(table, false).to_string(),
    }
}

fn plan() -> pb::SchemaSubject {
    let field = |f: PlanField| pb::SchemaField {
        name: f.path,
        description: f.text.to_owned(),
        r#type: String::new(),
        required: f.required,
        default_value: f.default,
        default_source: f.source.map_or_else(String::new, |s| s.text().to_owned()),
        allowed: f.allowed,
        example: f.example.to_owned(),
        json_schema: String::new(),
    };
    pb::SchemaSubject {
        name: PLAN.to_owned(),
        kind: PLAN.to_owned(),
        description: "The plan as users write it, YAML or JSON.".to_owned(),
        fields: fields().into_iter().map(field).collect(),
        example_json: String::new(),
    }
}

fn of_request(request: &Description) -> pb::SchemaSubject {
    let field = |f: &autopack_wire::messages::Field| pb::SchemaField {
        name: f.name.clone(),
        description: f.text.clone(),
        r#type: f.kind.clone(),
        required: f.required,
        default_value: f.default.clone(),
        default_source: f.source.to_owned(),
        allowed: f.allowed.clone(),
        example: f.example.clone(),
        json_schema: String::new(),
    };
    pb::SchemaSubject {
        name: request.name.clone(),
        kind: "request".to_owned(),
        description: request.text.clone(),
        fields: request.fields.iter().map(field).collect(),
        example_json: String::new(),
    }
}
