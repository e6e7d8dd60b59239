//! Generates the closed enums (`Cause`, `Reason`, `Source`, `EventKind`, `FindingCode`) from the catalogue files.
//!
//! The files are the source of truth: a code that is not there does not exist in the program, and
//! each code carries the text that a person reads.
#![allow(clippy::expect_used, reason = "a build script reports by panicking")]

use std::fmt::Write as _;
use std::{env, fs, path::Path};

fn main() {
    let mut out = String::new();
    out.push_str(&enumeration(
        "causes",
        "cause",
        "Cause",
        &["charge", "repeat", "end", "text", "remedy"],
    ));
    out.push_str(&enumeration(
        "reasons",
        "reason",
        "Reason",
        &["kind", "text", "remedy"],
    ));
    out.push_str(&enumeration("sources", "source", "Source", &["text"]));
    out.push_str(&enumeration("events", "event", "EventKind", &["text"]));
    out.push_str(&enumeration(
        "findings",
        "finding",
        "FindingCode",
        &["severity", "text", "matters", "remedy"],
    ));
    let dir = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&dir).join("catalogue.rs"), out).expect("OUT_DIR is writable");
}

/// One enum with `ALL`, `code()`, `parse()` and a getter per text column.
fn enumeration(file: &str, table: &str, name: &str, columns: &[&str]) -> String {
    let path = format!("catalogue/{file}.toml");
    println!("cargo::rerun-if-changed={path}");
    let text = fs::read_to_string(&path).expect("catalogue file");
    let parsed: toml::Table = text.parse().expect("catalogue is TOML");
    let rows = parsed[table].as_array().expect("array of tables");
    let codes: Vec<&str> = rows
        .iter()
        .map(|r| r["code"].as_str().expect("code"))
        .collect();

    let mut s = String::new();
    let _ = writeln!(s, "/// Generated from `catalogue/{file}.toml`.");
    s.push_str("#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]\n");
    let _ = writeln!(s, "pub enum {name} {{");
    for row in rows {
        let code = row["code"].as_str().expect("code");
        let _ = writeln!(
            s,
            "    /// {}\n    {},",
            row["text"].as_str().expect("text"),
            camel(code)
        );
    }
    s.push_str("}\n");
    let _ = writeln!(s, "impl {name} {{");
    let _ = writeln!(s, "    /// Every value, in the order of the catalogue.");
    let list: Vec<String> = codes
        .iter()
        .map(|c| format!("Self::{}", camel(c)))
        .collect();
    let _ = writeln!(
        s,
        "    pub const ALL: &'static [Self] = &[{}];",
        list.join(", ")
    );
    getter(&mut s, "code", "The stable spelling.", rows, "code");
    for column in columns {
        let doc = format!("Column `{column}` of the catalogue.");
        let fun = if ["text", "matters", "remedy"].contains(column) {
            (*column).to_owned()
        } else {
            format!("{column}_name")
        };
        getter(&mut s, &fun, &doc, rows, column);
    }
    s.push_str("    /// The value with this spelling.\n    pub fn parse(code: &str) -> Option<Self> {\n        match code {\n");
    for code in &codes {
        let _ = writeln!(s, "            {code:?} => Some(Self::{}),", camel(code));
    }
    s.push_str("            _ => None,\n        }\n    }\n}\n");
    let _ = writeln!(
        s,
        "impl std::fmt::Display for {name} {{ fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{ f.write_str(self.code()) }} }}"
    );
    let _ = writeln!(
        s,
        "impl serde::Serialize for {name} {{ fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {{ s.serialize_str(self.code()) }} }}"
    );
    let _ = writeln!(
        s,
        "impl<'de> serde::Deserialize<'de> for {name} {{ fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {{ let t = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(d)?; Self::parse(&t).ok_or_else(|| serde::de::Error::unknown_variant(&t, &[])) }} }}"
    );
    s
}

fn getter(s: &mut String, fun: &str, doc: &str, rows: &[toml::Value], column: &str) {
    let _ = writeln!(
        s,
        "    /// {doc}\n    pub const fn {fun}(self) -> &'static str {{\n        match self {{"
    );
    for row in rows {
        let code = row["code"].as_str().expect("code");
        let value = row[column].as_str().expect("text column");
        let _ = writeln!(s, "            Self::{} => {value:?},", camel(code));
    }
    s.push_str("        }\n    }\n");
}

fn camel(code: &str) -> String {
    code.split('_')
        .map(|w| {
            let mut c = w.chars();
            c.next().map_or_else(String::new, |f| {
                f.to_uppercase()
                    .chain(c.flat_map(char::to_lowercase))
                    .collect()
            })
        })
        .collect()
}
