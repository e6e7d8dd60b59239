//! Facts about the RPCs, read from the descriptor: which stream, which may be repeated.
//!
//! Invariant: the facts follow `proto/`; only [`READS`] is written by hand, and a test keeps it honest.

use std::{collections::BTreeMap, sync::LazyLock};

use prost::Message as _;
use prost_types::{DescriptorProto, FileDescriptorSet};

/// What the layers want to know about an RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    /// The client sends a stream.
    pub client_streaming: bool,
    /// The server sends a stream.
    pub server_streaming: bool,
    /// Calling it twice changes nothing more than calling it once.
    pub read: bool,
    /// Number of the request's `request_id` field, which makes the call idempotent when it is set.
    pub request_id: Option<u32>,
}

impl Method {
    /// Neither side streams: the call has a deadline.
    pub fn is_unary(self) -> bool {
        !self.client_streaming && !self.server_streaming
    }
}

/// RPCs that change nothing, or for which a repetition changes nothing more.
pub const READS: &[&str] = &[
    "/autopack.registry.v1.RegistryService/GetRun",
    "/autopack.registry.v1.RegistryService/ListRuns",
    "/autopack.registry.v1.RegistryService/WatchRun",
    "/autopack.registry.v1.RegistryService/ExplainRun",
    "/autopack.registry.v1.RegistryService/ListAttempts",
    "/autopack.registry.v1.RegistryService/ListFacts",
    "/autopack.registry.v1.RegistryService/ListChanges",
    "/autopack.registry.v1.RegistryService/GetProject",
    "/autopack.registry.v1.RegistryService/SetProjectLimits",
    "/autopack.registry.v1.RegistryService/ListDeadLetters",
    "/autopack.registry.v1.RegistryService/GetInfo",
    "/autopack.registry.v1.RegistryService/ListWorkers",
    "/autopack.registry.v1.IssueService/ListIssues",
    "/autopack.registry.v1.IssueService/GetBacklog",
    "/autopack.registry.v1.ReportService/GetRunReport",
    "/autopack.registry.v1.ReportService/ListRunMetrics",
    "/autopack.registry.v1.ReportService/GetBacklogSummary",
    "/autopack.registry.v1.ReportService/GetBudgetAnalysis",
    "/autopack.registry.v1.PromotionService/GetPromotion",
    "/autopack.registry.v1.PromotionService/ListPromotions",
    "/autopack.registry.v1.PromotionService/RecordPullRequest",
    "/autopack.registry.v1.PromotionService/GetIntegrationStatus",
    "/autopack.registry.v1.PromotionService/RefreshIntegrationStatus",
    "/autopack.registry.v1.SubmissionService/RequestAudit",
    "/autopack.registry.v1.ApprovalService/ListApprovals",
    "/autopack.registry.v1.DispatchService/ListActiveRuns",
    "/autopack.registry.v1.DispatchService/GetSnapshot",
    "/autopack.registry.v1.DispatchService/GetPolicy",
    "/autopack.registry.v1.DispatchService/PauseLane",
    "/autopack.registry.v1.WorkService/Heartbeat",
    "/autopack.registry.v1.WorkService/ReportStage",
    "/autopack.registry.v1.WorkService/AwaitLandingTurn",
    "/autopack.registry.v1.WorkService/PreparePromotion",
    "/autopack.registry.v1.DoctorService/Diagnose",
    "/autopack.registry.v1.DoctorService/Repair",
    "/autopack.registry.v1.DoctorService/ListRepairs",
    "/autopack.registry.v1.DoctorService/InferIds",
    "/autopack.registry.v1.DoctorService/DescribeSchema",
    "/autopack.registry.v1.ImportService/ImportRuns",
    "/autopack.registry.v1.ArtifactService/GetArtifact",
    "/autopack.registry.v1.ArtifactService/StatArtifact",
    "/autopack.registry.v1.ServerService/GetServerInfo",
    "/autopack.scheduler.v1.SchedulerService/Explain",
    "/autopack.scheduler.v1.SchedulerService/ListQueue",
    "/autopack.scheduler.v1.SchedulerService/PauseLane",
    "/autopack.telemetry.v1.TelemetryService/GetRunUsage",
    "/autopack.telemetry.v1.TelemetryService/StreamMetrics",
    "/autopack.worker.v1.WorkerService/GetStatus",
    "/autopack.worker.v1.WorkerService/ListSlots",
    "/autopack.worker.v1.WorkerService/Drain",
];

static METHODS: LazyLock<BTreeMap<String, Method>> = LazyLock::new(|| {
    // The descriptor was written by this crate's own build.
    let set = FileDescriptorSet::decode(crate::DESCRIPTOR).unwrap_or_default();
    let mut messages: BTreeMap<String, &DescriptorProto> = BTreeMap::new();
    for file in &set.file {
        for message in &file.message_type {
            messages.insert(format!(".{}.{}", file.package(), message.name()), message);
        }
    }
    let mut methods = BTreeMap::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                let request_id = messages
                    .get(method.input_type())
                    .and_then(|m| m.field.iter().find(|f| f.name() == "request_id"))
                    .and_then(|f| u32::try_from(f.number()).ok());
                let facts = Method {
                    client_streaming: method.client_streaming(),
                    server_streaming: method.server_streaming(),
                    read: READS.contains(&path.as_str()),
                    request_id,
                };
                methods.insert(path, facts);
            }
        }
    }
    methods
});

/// The facts about `/package.Service/Method`; `None` for a method that is not of Autopack.
pub fn method(path: &str) -> Option<Method> {
    METHODS.get(path).copied()
}

/// Every RPC with its facts.
pub fn all() -> impl Iterator<Item = (&'static str, Method)> {
    METHODS
        .iter()
        .map(|(path, method)| (path.as_str(), *method))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_read_exists_and_creating_calls_carry_a_request_id() {
        for path in READS {
            assert!(method(path).is_some(), "{path} is not in the descriptor");
        }
        let create = method("/autopack.registry.v1.RegistryService/CreateRun").unwrap();
        assert_eq!(
            (create.request_id, create.is_unary(), create.read),
            (Some(1), true, false)
        );
        assert!(
            method("/autopack.registry.v1.RegistryService/WatchRun")
                .unwrap()
                .server_streaming
        );
        assert!(
            method("/autopack.registry.v1.ArtifactService/PutArtifact")
                .unwrap()
                .client_streaming
        );
        assert!(all().count() >= 35);
    }
}
