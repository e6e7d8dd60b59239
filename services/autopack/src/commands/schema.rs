//! `autopack schema [SUBJECT]`.

use std::fmt::Write as _;

use autopack_wire::registry::{DescribeSchemaRequest, SchemaField, SchemaSubject};
use serde_json::{Value, json};

use super::Context;
use crate::{
    error::{Exit, Outcome},
    output::table::Table,
};

pub(super) async fn run(context: &Context, subject: Option<String>) -> Outcome {
    let connection = context.connect().await?;
    let named = subject.is_some();
    let request = DescribeSchemaRequest {
        subject: subject.unwrap_or_default(),
    };
    let mut doctor = connection.clients.doctor();
    let answer = doctor.describe_schema(request).await;
    connection.close().await;
    let answer = answer?.into_inner();
    context.ui.data(
        || answer.subjects.iter().map(as_json).collect(),
        || {
            if named {
                return answer.subjects.iter().map(as_text).collect();
            }
            let mut table = Table::new(&["SUBJECT", "KIND", "WHAT IT IS"]);
            for s in &answer.subjects {
                table.row([s.name.clone(), s.kind.clone(), s.description.clone()]);
            }
            let rest = answer.known.len() - answer.subjects.len();
            format!(
                "{}\n`autopack schema SUBJECT` shows one; {rest} requests such as CreateRunRequest besides\n",
                table.render()
            )
        },
    );
    Ok(Exit::Success)
}

fn as_json(subject: &SchemaSubject) -> Value {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).ok();
    let field = |f: &SchemaField| {
        json!({
            "name": f.name,
            "description": f.description,
            "type": f.r#type,
            "required": f.required,
            "default": f.default_value,
            "default_source": f.default_source,
            "allowed": f.allowed,
            "example": f.example,
            "json_schema": parsed(&f.json_schema),
        })
    };
    json!({
        "name": subject.name,
        "kind": subject.kind,
        "description": subject.description,
        "fields": subject.fields.iter().map(field).collect::<Vec<_>>(),
        "example": parsed(&subject.example_json),
    })
}

fn as_text(subject: &SchemaSubject) -> String {
    let mut text = format!(
        "{} ({}): {}\n",
        subject.name, subject.kind, subject.description
    );
    for f in &subject.fields {
        let needed = if f.required { ", required" } else { "" };
        let kind = if f.r#type.is_empty() {
            "value"
        } else {
            &f.r#type
        };
        let _ = writeln!(text, "\n{} ({kind}{needed})\n  {}", f.name, f.description);
        let default = match (f.default_value.as_str(), f.default_source.as_str()) {
            ("", "") => String::new(),
            ("", source) => format!("set by {source}"),
            (value, source) => format!("{value} (from {source})"),
        };
        let schema = serde_json::from_str::<Value>(&f.json_schema).ok();
        let schema = schema.and_then(|s| serde_json::to_string_pretty(&s).ok());
        for (name, value) in [
            ("default", default.as_str()),
            ("allowed", &f.allowed.join(", ")),
            ("example", &f.example),
            (
                "schema",
                &schema.unwrap_or_default().replace('\n', "\n          "),
            ),
        ] {
            if !value.is_empty() {
                let _ = writeln!(text, "  {name:<7} {value}");
            }
        }
    }
    if !subject.example_json.is_empty() {
        let _ = writeln!(
            text,
            "\nexample row, required columns only\n  {}",
            subject.example_json
        );
    }
    text
}
