//! Scope of a phase: what may be written, what must come out, what is there to read.
//!
//! Invariant: every path is in its one spelling; in older forms prose among paths becomes a criterion.

use serde_json::Value;

use super::{
    deliverables,
    document::parse_document,
    keys::Keys,
    lists::{distinct, list, texts},
    model::{ContextSpec, ScopeSpec},
    node::{At, Cx, Section, clip, join, show},
    options::WarningCode,
    paths,
    value::{MAX_TEXT, filled, text},
};
use crate::{catalogue::Source, fault::Fault};

pub(super) const KEYS: Keys = Keys {
    v1: &[
        "paths",
        "protected_paths",
        "approval_paths",
        "read_only_context",
        "deliverables",
        "acceptance_criteria",
    ],
    older: &["allowed_paths", "goal", "test_cmd", "notes"],
};
const CONTEXT: Keys = Keys {
    v1: &["path", "reason"],
    older: &[],
};
/// Longest list of paths.
pub(super) const MAX_PATHS: usize = 2000;

/// What older forms keep in the scope and the plan elsewhere.
#[derive(Default)]
pub(super) struct Extras {
    pub(super) goal: Option<String>,
    pub(super) notes: Vec<String>,
    pub(super) test_cmd: Option<String>,
}

/// The scope of a phase; `dst` is the phase's path in the normalised plan.
pub(super) fn read(cx: &mut Cx, phase: &Section, dst: &str) -> (ScopeSpec, Extras) {
    let at = phase.get(cx, "scope");
    let Some(at) = at else {
        return fields(cx, None, phase, dst, Extras::default());
    };
    let tree;
    let mut extras = Extras::default();
    let scope = match at.value {
        Value::Object(_) => Section::read(cx, &at, ""),
        Value::String(written) if cx.older() => {
            tree = parse_document(written, "scope.json").unwrap_or_default();
            if let Value::Object(map) = &tree {
                let text = "is text that holds JSON; read as a mapping";
                cx.warn(WarningCode::ScopeText, &at.path, text, written);
                Some(Section {
                    map,
                    path: at.path.clone(),
                })
            } else {
                let text = "is text; kept in the description";
                cx.warn(WarningCode::ScopeText, &at.path, text, written);
                extras.notes.extend(filled(cx, &at, MAX_TEXT));
                None
            }
        }
        Value::Array(items) if cx.older() => {
            let mut map = serde_json::Map::new();
            map.insert("paths".to_owned(), Value::Array(items.clone()));
            tree = Value::Object(map);
            cx.warn(
                WarningCode::ScopeText,
                &at.path,
                "is a list; read as `paths`",
                &at.value.to_string(),
            );
            tree.as_object().map(|map| Section {
                map,
                path: at.path.clone(),
            })
        }
        other if cx.older() => {
            let text = format!("expected a mapping, found {}; ignored", show(other));
            cx.warn(WarningCode::ScopeText, &at.path, text, &other.to_string());
            None
        }
        _ => Section::read(cx, &at, "{ paths: [\"src/**\"] }"),
    };
    fields(cx, scope.as_ref(), phase, dst, extras)
}

fn fields(
    cx: &mut Cx,
    scope: Option<&Section>,
    phase: &Section,
    dst: &str,
    mut extras: Extras,
) -> (ScopeSpec, Extras) {
    if let Some(scope) = scope {
        scope.check(cx, &KEYS);
    }
    // Older forms also write these keys beside `scope`.
    let pick = |cx: &mut Cx, names: &[&str]| {
        let inside = scope.and_then(|scope| scope.any(cx, names));
        if inside.is_some() || !cx.older() {
            return inside;
        }
        phase.any(cx, names).map(|at| At {
            older_name: true,
            ..at
        })
    };
    let mut spec = ScopeSpec::default();
    let source = |cx: &mut Cx, name: &str, at: Option<&At>| {
        cx.source(
            format!("{dst}.scope.{name}"),
            at.map_or(Source::Builtin, At::source),
        );
    };

    let at = pick(cx, &["paths", "allowed_paths"]);
    source(cx, "paths", at.as_ref());
    if let Some(at) = &at {
        let found = path_list(cx, at, true);
        if found.is_empty() && cx.older() {
            let text = "is empty; in the older form that meant everything but protected paths";
            cx.warn(WarningCode::ValueChanged, &at.path, text, "[]");
            source(cx, "paths", None);
        } else {
            spec.paths = Some(found);
        }
    }
    let at = pick(cx, &["protected_paths"]);
    source(cx, "protected_paths", at.as_ref());
    spec.protected_paths = at.map(|at| protected(cx, &at)).unwrap_or_default();
    let at = pick(cx, &["approval_paths"]);
    source(cx, "approval_paths", at.as_ref());
    spec.approval_paths = at.map(|at| path_list(cx, &at, true)).unwrap_or_default();
    let at = pick(cx, &["read_only_context"]);
    source(cx, "read_only_context", at.as_ref());
    spec.read_only_context = at.map(|at| context(cx, &at)).unwrap_or_default();
    let at = pick(cx, &["acceptance_criteria"]);
    source(cx, "acceptance_criteria", at.as_ref());
    spec.acceptance_criteria = at.map(|at| texts(cx, &at, 200)).unwrap_or_default();
    let at = pick(cx, &["deliverables"]);
    source(cx, "deliverables", at.as_ref());
    if let Some(at) = at {
        if cx.older() {
            deliverables::flatten(cx, &at, &mut spec);
        } else {
            let items = list(cx, &at, MAX_PATHS, "[\"src/lib.rs\", \"docs/\"]").unwrap_or_default();
            spec.deliverables = items
                .iter()
                .filter_map(|item| deliverables::one(cx, item))
                .collect();
        }
        spec.deliverables = distinct(spec.deliverables);
    }
    if cx.older() {
        extras.goal = scope
            .and_then(|scope| scope.get(cx, "goal"))
            .and_then(|at| filled(cx, &at, MAX_TEXT));
        extras.test_cmd = pick(cx, &["test_cmd"]).and_then(|at| filled(cx, &at, MAX_TEXT));
        let notes = pick(cx, &["notes"])
            .map(|at| texts(cx, &at, 200))
            .unwrap_or_default();
        extras.notes.extend(notes);
    }
    if let (false, Some(scope), Some(paths)) = (cx.older(), scope, &spec.paths) {
        for both in paths
            .iter()
            .filter(|path| spec.protected_paths.contains(path))
        {
            let problem =
                format!("`{both}` stands in `paths` and in `protected_paths`, which wins");
            cx.fault(&join(&scope.path, "paths"), problem);
        }
    }
    (spec, extras)
}

/// One path; `globs` says whether it may be a pattern.
pub(super) fn path(cx: &mut Cx, at: &At, globs: bool) -> Option<String> {
    let mut written = text(cx, at, MAX_TEXT)?;
    if cx.older() && (written.contains('\\') || written.trim() != written) {
        let mended = written.trim().replace('\\', "/");
        cx.warn(
            WarningCode::PathChanged,
            &at.path,
            format!("became `{}`", clip(&mended, 120)),
            &written,
        );
        written = mended;
    }
    match paths::normal(&written) {
        Err(problem) => {
            let problem = format!("`{}` {problem}", clip(&written, 80));
            cx.fault_like(
                &at.path,
                problem,
                if globs { "src/**" } else { "src/lib.rs" },
            );
            None
        }
        Ok(path) => match paths::glob_fault(&path).filter(|_| globs && paths::is_glob(&path)) {
            Some(problem) => {
                cx.fault_like(
                    &at.path,
                    format!("the pattern `{}` {problem}", clip(&path, 80)),
                    "src/**/*.rs",
                );
                None
            }
            None => Some(path),
        },
    }
}

/// One path that is not a pattern: for patches and folders too.
pub(super) fn plain_path(cx: &mut Cx, at: &At) -> Option<String> {
    path(cx, at, false)
}

fn path_list(cx: &mut Cx, at: &At, globs: bool) -> Vec<String> {
    let items = list(cx, at, MAX_PATHS, "[\"src/**\", \"Cargo.toml\"]").unwrap_or_default();
    distinct(
        items
            .iter()
            .filter_map(|item| path(cx, item, globs))
            .collect(),
    )
}

/// Protected paths; older forms list `.git/`, which is protected anyway.
fn protected(cx: &mut Cx, at: &At) -> Vec<String> {
    let mut found = Vec::new();
    for item in list(cx, at, MAX_PATHS, "[\"src/generated/\"]").unwrap_or_default() {
        let git = item
            .value
            .as_str()
            .is_some_and(|path| path.trim_start_matches("./").trim_end_matches('/') == ".git");
        if git && cx.older() {
            cx.warn(
                WarningCode::EntryMoved,
                &item.path,
                "dropped: `.git` is always protected",
                ".git/",
            );
        } else {
            found.extend(path(cx, &item, true));
        }
    }
    distinct(found)
}

/// Files to read: a path, or a path and why.
fn context(cx: &mut Cx, at: &At) -> Vec<ContextSpec> {
    let mut found = Vec::new();
    for item in list(
        cx,
        at,
        MAX_PATHS,
        "[{ path: README.md, reason: conventions }]",
    )
    .unwrap_or_default()
    {
        let (place, reason) = match item.value {
            Value::Object(_) => {
                let Some(entry) = Section::read(cx, &item, "") else {
                    continue;
                };
                entry.check(cx, &CONTEXT);
                let reason = entry
                    .get(cx, "reason")
                    .and_then(|at| text(cx, &at, MAX_TEXT))
                    .unwrap_or_default();
                match entry.get(cx, "path") {
                    Some(place) => (place, reason),
                    None if cx.older() => {
                        cx.warn(
                            WarningCode::EntryMoved,
                            &item.path,
                            "dropped: it has no path",
                            &item.value.to_string(),
                        );
                        continue;
                    }
                    None => {
                        cx.fault_like(&join(&item.path, "path"), "is missing", "README.md");
                        continue;
                    }
                }
            }
            Value::String(_) => (item, String::new()),
            other if cx.older() => {
                cx.warn(
                    WarningCode::EntryMoved,
                    &item.path,
                    "dropped: it is not a path",
                    &other.to_string(),
                );
                continue;
            }
            other => {
                let problem = format!("expected a path or a mapping, found {}", show(other));
                cx.faults.push(
                    Fault::new(item.path, problem)
                        .example("{ path: README.md, reason: conventions }"),
                );
                continue;
            }
        };
        if let Some(path) = path(cx, &place, true) {
            found.push(ContextSpec { path, reason });
        }
    }
    found
}
