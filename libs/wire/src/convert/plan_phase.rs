//! The specification of a phase: scope and limits here, builder and gate beside.

use autopack_domain::plan::{Complexity, ContextSpec, LimitSpec, PhaseSpec, ScopeSpec};

use super::at::{At, Decode};
use crate::types;

impl From<&PhaseSpec> for types::PhaseSpec {
    fn from(phase: &PhaseSpec) -> Self {
        Self {
            id: phase.id.to_string(),
            name: phase.name.clone(),
            goal: phase.goal.clone(),
            description: phase.description.clone(),
            task_category: phase.task_category.clone(),
            complexity: phase.complexity.as_str().to_owned(),
            builder_mode: phase.builder_mode.clone(),
            depends_on: phase.depends_on.iter().map(ToString::to_string).collect(),
            scope: Some((&phase.scope).into()),
            builder: phase.builder.as_ref().map(Into::into),
            allow_noop: phase.allow_noop,
            gate: Some((&phase.gate).into()),
            max_attempts: phase.max_attempts,
            tokens: phase.tokens,
            limits: Some((&phase.limits).into()),
            priority: phase.priority.map(u32::from),
            labels: phase.labels.clone().into_iter().collect(),
        }
    }
}

impl Decode<types::PhaseSpec> for PhaseSpec {
    fn decode(message: types::PhaseSpec, at: &At<'_>) -> Option<Self> {
        let id = at.field("id").parse(&message.id);
        let complexity = at.field("complexity").word(
            &message.complexity,
            Complexity::parse,
            Complexity::spellings,
        );
        let depends_on = at.field("depends_on").ids(&message.depends_on);
        let scope = at.field("scope").message(message.scope);
        let builder = at.field("builder").message_optional(message.builder);
        let gate = at.field("gate").message(message.gate);
        let limits = at.field("limits").message(message.limits);
        let priority = match message.priority {
            Some(priority) => at.field("priority").priority(priority).map(Some),
            None => Some(None),
        };
        Some(Self {
            id: id?,
            name: message.name,
            goal: message.goal,
            description: message.description,
            task_category: message.task_category,
            complexity: complexity?,
            builder_mode: message.builder_mode,
            depends_on: depends_on?,
            scope: scope?,
            builder: builder?,
            allow_noop: message.allow_noop,
            gate: gate?,
            max_attempts: message.max_attempts,
            tokens: message.tokens,
            limits: limits?,
            priority: priority?,
            labels: message.labels.into_iter().collect(),
        })
    }
}

impl From<&ScopeSpec> for types::Scope {
    fn from(scope: &ScopeSpec) -> Self {
        Self {
            has_paths: scope.paths.is_some(),
            paths: scope.paths.clone().unwrap_or_default(),
            protected_paths: scope.protected_paths.clone(),
            read_only_context: scope
                .read_only_context
                .iter()
                .map(|c| types::ContextPath {
                    path: c.path.clone(),
                    reason: c.reason.clone(),
                })
                .collect(),
            deliverables: scope.deliverables.clone(),
            acceptance_criteria: scope.acceptance_criteria.clone(),
            approval_paths: scope.approval_paths.clone(),
        }
    }
}

impl Decode<types::Scope> for ScopeSpec {
    fn decode(message: types::Scope, at: &At<'_>) -> Option<Self> {
        let paths = if message.has_paths {
            Some(message.paths)
        } else if message.paths.is_empty() {
            None
        } else {
            return at
                .field("paths")
                .fault("must be empty unless `has_paths` is set");
        };
        Some(Self {
            paths,
            protected_paths: message.protected_paths,
            approval_paths: message.approval_paths,
            read_only_context: message
                .read_only_context
                .into_iter()
                .map(|c| ContextSpec {
                    path: c.path,
                    reason: c.reason,
                })
                .collect(),
            deliverables: message.deliverables,
            acceptance_criteria: message.acceptance_criteria,
        })
    }
}

impl From<&LimitSpec> for types::Limits {
    fn from(limits: &LimitSpec) -> Self {
        Self {
            memory_mb: limits.memory_mb,
            disk_mb: limits.disk_mb,
            cpu_seconds: limits.cpu_seconds,
            processes: limits.processes,
            file_kb: limits.file_kb,
            files: limits.files,
        }
    }
}

impl Decode<types::Limits> for LimitSpec {
    fn decode(message: types::Limits, _: &At<'_>) -> Option<Self> {
        Some(Self {
            memory_mb: message.memory_mb,
            disk_mb: message.disk_mb,
            cpu_seconds: message.cpu_seconds,
            processes: message.processes,
            file_kb: message.file_kb,
            files: message.files,
        })
    }
}

super::try_from_proto!(types::PhaseSpec => PhaseSpec);
