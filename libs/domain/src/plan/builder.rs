//! Builders: who makes the change of a phase.
//!
//! Invariant: the kind decides the keys; a kind that is not known is a fault in every form.

use serde_json::Value;

use super::{
    agent, endpoint,
    keys::{Keys, nearest},
    lists::{ENV, list, text_map},
    model::{BuilderSpec, PatchSpec},
    node::{At, Cx, Section, clip, join, show},
    scope::plain_path,
    value::{MAX_TEXT, boolean, filled, id, number32},
};
use crate::{catalogue::Source, fault::Fault, submission::DEFAULT_SECONDS};

/// Seconds a builder command has, if the plan does not say.
const COMMAND_SECONDS: u32 = 1800;
/// Longest time-out: a day.
pub(super) const MAX_SECONDS: u32 = 86_400;
/// Longest wait for a submission: thirty days.
const MAX_EXTERNAL_SECONDS: u32 = 30 * 86_400;
/// Longest patch series.
const MAX_PATCHES: usize = 500;
const EXAMPLE: &str = "{ kind: command, run: \"./build.sh\" }";

/// A builder, and where its defaults came from (paths below `builder`).
#[derive(Clone)]
pub(super) struct BuilderDraft {
    pub(super) spec: BuilderSpec,
    pub(super) sources: Vec<(&'static str, Source)>,
}

impl BuilderDraft {
    /// Records the sources for the builder at `dst`.
    pub(super) fn record(&self, cx: &mut Cx, dst: &str, source: Source) {
        cx.source(dst, source);
        for (below, source) in &self.sources {
            cx.source(join(dst, below), *source);
        }
    }
}

/// A `builder` section.
pub(super) fn read(cx: &mut Cx, at: &At) -> Option<BuilderDraft> {
    let section = Section::read(cx, at, EXAMPLE)?;
    let mut sources = Vec::new();
    let Some(kind) = section.get(cx, "kind") else {
        let problem = "is missing: it says who builds";
        cx.faults.push(
            Fault::new(join(&at.path, "kind"), problem)
                .allowed(BuilderSpec::KINDS.iter().copied())
                .example(EXAMPLE),
        );
        return None;
    };
    let spec = match kind.value.as_str().unwrap_or_default() {
        "patch" => {
            section.check(
                cx,
                &Keys {
                    v1: &["kind", "patch"],
                    older: &[],
                },
            );
            BuilderSpec::Patch {
                patches: patches(cx, &section)?,
            }
        }
        "command" => {
            section.check(
                cx,
                &Keys {
                    v1: &["kind", "run", "env", "timeout_seconds"],
                    older: &[],
                },
            );
            let run =
                needed(cx, &section, "run", "./build.sh").and_then(|at| filled(cx, &at, MAX_TEXT));
            let env = section
                .get(cx, "env")
                .map(|at| text_map(cx, &at, &ENV))
                .unwrap_or_default();
            let timeout = section
                .get(cx, "timeout_seconds")
                .and_then(|at| number32(cx, &at, 1, MAX_SECONDS));
            sources.push((
                "timeout_seconds",
                if timeout.is_some() {
                    Source::Plan
                } else {
                    Source::Builtin
                },
            ));
            BuilderSpec::Command {
                run: run?,
                env,
                timeout_seconds: timeout.unwrap_or(COMMAND_SECONDS),
            }
        }
        "agent" => agent::read(cx, &section, &mut sources)?,
        "model" => endpoint::read(cx, &section, &mut sources)?,
        "replay" => {
            section.check(
                cx,
                &Keys {
                    v1: &["kind", "run"],
                    older: &[],
                },
            );
            let run = needed(cx, &section, "run", "demo-1")?;
            BuilderSpec::Replay {
                run: id(cx, &run)?.parse().ok()?,
            }
        }
        "external" => {
            section.check(
                cx,
                &Keys {
                    v1: &["kind", "timeout_seconds", "audit"],
                    older: &[],
                },
            );
            let timeout = section
                .get(cx, "timeout_seconds")
                .and_then(|at| number32(cx, &at, 1, MAX_EXTERNAL_SECONDS));
            let audit = section.get(cx, "audit").and_then(|at| boolean(cx, &at));
            for (key, given) in [
                ("timeout_seconds", timeout.is_some()),
                ("audit", audit.is_some()),
            ] {
                let source = if given { Source::Plan } else { Source::Builtin };
                sources.push((key, source));
            }
            BuilderSpec::External {
                timeout_seconds: timeout.unwrap_or(DEFAULT_SECONDS),
                audit: audit.unwrap_or(false),
            }
        }
        "noop" => {
            section.check(
                cx,
                &Keys {
                    v1: &["kind"],
                    older: &[],
                },
            );
            BuilderSpec::Noop
        }
        written => {
            let near = nearest(&written.to_ascii_lowercase(), BuilderSpec::KINDS)
                .filter(|_| cx.may_hint(1));
            let hint = near.map_or(String::new(), |near| format!(" (did you mean `{near}`?)"));
            let fault = Fault::new(
                &kind.path,
                format!("unknown kind of builder: {}{hint}", show(kind.value)),
            );
            cx.faults.push(
                fault
                    .allowed(BuilderSpec::KINDS.iter().copied())
                    .example(EXAMPLE),
            );
            return None;
        }
    };
    Some(BuilderDraft { spec, sources })
}

/// The value of a key that the section must have.
pub(super) fn needed<'v>(
    cx: &mut Cx,
    section: &Section<'v>,
    key: &str,
    example: &str,
) -> Option<At<'v>> {
    if !section.map.contains_key(key) || (cx.older() && section.map[key].is_null()) {
        cx.fault_like(&join(&section.path, key), "is missing", example);
    }
    section.get(cx, key)
}

/// `patch`: one path or a list of paths.
fn patches(cx: &mut Cx, section: &Section) -> Option<Vec<PatchSpec>> {
    let at = needed(cx, section, "patch", "patches/0001.patch")?;
    let items = match at.value {
        Value::String(_) => vec![At {
            value: at.value,
            path: at.path.clone(),
            older_name: false,
        }],
        _ => list(
            cx,
            &at,
            MAX_PATCHES,
            "[patches/0001.patch, patches/0002.patch]",
        )?,
    };
    if items.is_empty() {
        cx.fault_like(&at.path, "names no patch", "patches/0001.patch");
    }
    let mut found = Vec::new();
    for item in &items {
        let Some(path) = plain_path(cx, item) else {
            continue;
        };
        if path.ends_with('/') {
            let problem = format!("`{}` is a folder; name each patch file", clip(&path, 80));
            cx.fault_like(&item.path, problem, "patches/0001.patch");
        }
        found.push(PatchSpec {
            path,
            digest: String::new(),
        });
    }
    Some(found)
}
