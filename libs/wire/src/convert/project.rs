//! Shares and limits of projects.

use autopack_domain::project::{LimitsChange, ProjectLimits};

use crate::{registry, types};

/// Limits with the name of their project.
pub type NamedLimits = (String, ProjectLimits);

impl From<(&str, &ProjectLimits)> for types::ProjectLimits {
    fn from((project, limits): (&str, &ProjectLimits)) -> Self {
        Self {
            project: project.to_owned(),
            share: limits.share,
            max_running: limits.max_running,
            per_run: limits.per_run,
            labels: limits.labels.clone().into_iter().collect(),
        }
    }
}

impl From<types::ProjectLimits> for NamedLimits {
    fn from(message: types::ProjectLimits) -> Self {
        let limits = ProjectLimits {
            share: message.share.max(1),
            max_running: message.max_running,
            per_run: message.per_run,
            labels: message.labels.into_iter().collect(),
        };
        (message.project, limits)
    }
}

impl From<registry::SetProjectLimitsRequest> for LimitsChange {
    fn from(request: registry::SetProjectLimitsRequest) -> Self {
        Self {
            share: request.share,
            max_running: request.max_running,
            per_run: request.per_run,
            labels: request.labels.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_come_back_equal() {
        let limits = ProjectLimits {
            share: 7,
            max_running: Some(3),
            per_run: None,
            labels: [("gpu=1".to_owned(), 2)].into(),
        };
        let message = types::ProjectLimits::from(("p", &limits));
        assert_eq!(NamedLimits::from(message), ("p".to_owned(), limits));
    }
}
