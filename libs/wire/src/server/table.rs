//! The table: which principal may call which RPC.
//!
//! Invariant: every RPC of the descriptor stands here once; a test fails for one that does not. A method that is
//! not here is not served.

use super::principal::Principal::{
    self, Auditor, Builder, Reader, Scheduler, Telemetry, User, Worker,
};

/// Principals by `/package.Service/Method`.
pub const ALLOWED: &[(&str, &[Principal])] = &[
    ("/autopack.registry.v1.RegistryService/CreateRun", &[User]),
    ("/autopack.registry.v1.RegistryService/StartRun", &[User]),
    ("/autopack.registry.v1.RegistryService/PauseRun", &[User]),
    ("/autopack.registry.v1.RegistryService/ResumeRun", &[User]),
    ("/autopack.registry.v1.RegistryService/CancelRun", &[User]),
    ("/autopack.registry.v1.RegistryService/RetryRun", &[User]),
    ("/autopack.registry.v1.RegistryService/AddPhase", &[User]),
    (
        "/autopack.registry.v1.RegistryService/ImportRuleset",
        &[User],
    ),
    (
        "/autopack.registry.v1.RegistryService/SetProjectLimits",
        &[User],
    ),
    (
        "/autopack.registry.v1.RegistryService/GetRun",
        &[User, Worker, Scheduler, Telemetry, Builder, Auditor, Reader],
    ),
    (
        "/autopack.registry.v1.RegistryService/ListRuns",
        &[User, Scheduler, Telemetry, Auditor, Reader],
    ),
    (
        "/autopack.registry.v1.RegistryService/WatchRun",
        &[User, Scheduler, Telemetry, Auditor, Reader],
    ),
    (
        "/autopack.registry.v1.RegistryService/ExplainRun",
        &[User, Telemetry, Auditor, Reader],
    ),
    (
        "/autopack.registry.v1.RegistryService/ListAttempts",
        &[User, Telemetry, Auditor, Reader],
    ),
    (
        "/autopack.registry.v1.RegistryService/ListFacts",
        &[User, Telemetry, Auditor],
    ),
    (
        "/autopack.registry.v1.RegistryService/ListChanges",
        &[User, Telemetry, Auditor, Reader],
    ),
    (
        "/autopack.registry.v1.RegistryService/GetProject",
        &[User, Telemetry, Auditor, Reader],
    ),
    (
        "/autopack.registry.v1.RegistryService/ListDeadLetters",
        &[User, Telemetry, Auditor],
    ),
    (
        "/autopack.registry.v1.RegistryService/RequeueDeadLetter",
        &[User],
    ),
    (
        "/autopack.registry.v1.RegistryService/DiscardDeadLetter",
        &[User],
    ),
    (
        "/autopack.registry.v1.RegistryService/GetInfo",
        &[User, Worker, Scheduler, Telemetry, Builder, Auditor, Reader],
    ),
    (
        "/autopack.registry.v1.RegistryService/ListWorkers",
        &[User, Scheduler, Telemetry, Auditor],
    ),
    (
        "/autopack.registry.v1.IssueService/RecordIssue",
        &[User, Worker, Builder, Auditor],
    ),
    (
        "/autopack.registry.v1.IssueService/ListIssues",
        &[User, Telemetry, Builder, Auditor, Reader],
    ),
    ("/autopack.registry.v1.IssueService/ResolveIssue", &[User]),
    (
        "/autopack.registry.v1.IssueService/GetBacklog",
        &[User, Telemetry, Builder, Auditor, Reader],
    ),
    (
        "/autopack.registry.v1.ReportService/GetRunReport",
        &[User, Telemetry, Auditor, Reader],
    ),
    (
        "/autopack.registry.v1.ReportService/ListRunMetrics",
        &[User, Telemetry, Auditor, Reader],
    ),
    (
        "/autopack.registry.v1.ReportService/GetBacklogSummary",
        &[User, Telemetry, Auditor, Reader],
    ),
    (
        "/autopack.registry.v1.ReportService/GetBudgetAnalysis",
        &[User, Telemetry, Auditor, Reader],
    ),
    ("/autopack.registry.v1.PromotionService/PromoteRun", &[User]),
    (
        "/autopack.registry.v1.PromotionService/RecordPullRequest",
        &[User],
    ),
    (
        "/autopack.registry.v1.PromotionService/AbandonPromotion",
        &[User],
    ),
    (
        "/autopack.registry.v1.PromotionService/RefreshIntegrationStatus",
        &[User],
    ),
    (
        "/autopack.registry.v1.PromotionService/GetPromotion",
        &[User, Telemetry, Auditor, Reader],
    ),
    (
        "/autopack.registry.v1.PromotionService/ListPromotions",
        &[User, Telemetry, Auditor, Reader],
    ),
    (
        "/autopack.registry.v1.PromotionService/GetIntegrationStatus",
        &[User, Telemetry, Auditor, Reader],
    ),
    (
        "/autopack.registry.v1.SubmissionService/SubmitBuilderResult",
        &[User, Builder],
    ),
    (
        "/autopack.registry.v1.SubmissionService/RequestAudit",
        &[User, Builder, Auditor],
    ),
    (
        "/autopack.registry.v1.SubmissionService/SubmitAuditorResult",
        &[User, Auditor],
    ),
    (
        "/autopack.registry.v1.SubmissionService/UpdatePhaseStatus",
        &[User],
    ),
    (
        "/autopack.registry.v1.ApprovalService/ListApprovals",
        &[User, Telemetry, Auditor, Reader],
    ),
    (
        "/autopack.registry.v1.ApprovalService/DecideApproval",
        &[User],
    ),
    (
        "/autopack.registry.v1.DispatchService/ListActiveRuns",
        &[Scheduler],
    ),
    (
        "/autopack.registry.v1.DispatchService/GetSnapshot",
        &[Scheduler],
    ),
    (
        "/autopack.registry.v1.DispatchService/OfferJob",
        &[Scheduler],
    ),
    (
        "/autopack.registry.v1.DispatchService/OfferPhases",
        &[Scheduler],
    ),
    (
        "/autopack.registry.v1.DispatchService/OfferBatch",
        &[Scheduler],
    ),
    (
        "/autopack.registry.v1.DispatchService/ExhaustBudget",
        &[Scheduler],
    ),
    (
        "/autopack.registry.v1.DispatchService/ExpireWaits",
        &[Scheduler],
    ),
    (
        "/autopack.registry.v1.DispatchService/GetPolicy",
        &[Scheduler],
    ),
    (
        "/autopack.registry.v1.DispatchService/PauseLane",
        &[Scheduler],
    ),
    (
        "/autopack.registry.v1.WorkService/RegisterWorker",
        &[Worker],
    ),
    ("/autopack.registry.v1.WorkService/LeaseJob", &[Worker]),
    ("/autopack.registry.v1.WorkService/Heartbeat", &[Worker]),
    ("/autopack.registry.v1.WorkService/ReportStage", &[Worker]),
    ("/autopack.registry.v1.WorkService/RecordUsage", &[Worker]),
    (
        "/autopack.registry.v1.WorkService/AwaitLandingTurn",
        &[Worker],
    ),
    (
        "/autopack.registry.v1.WorkService/PrepareLanding",
        &[Worker],
    ),
    ("/autopack.registry.v1.WorkService/SettleAttempt", &[Worker]),
    ("/autopack.registry.v1.WorkService/ReleaseLease", &[Worker]),
    (
        "/autopack.registry.v1.WorkService/FinishBootstrap",
        &[Worker],
    ),
    ("/autopack.registry.v1.WorkService/FinishCleanup", &[Worker]),
    (
        "/autopack.registry.v1.WorkService/PreparePromotion",
        &[Worker],
    ),
    (
        "/autopack.registry.v1.WorkService/FinishPromotion",
        &[Worker],
    ),
    (
        "/autopack.registry.v1.WorkService/FinishIntegrationStatus",
        &[Worker],
    ),
    ("/autopack.registry.v1.WorkService/FailJob", &[Worker]),
    (
        "/autopack.registry.v1.WorkService/RecordSnapshot",
        &[Worker],
    ),
    (
        "/autopack.registry.v1.DoctorService/Diagnose",
        &[User, Telemetry, Auditor],
    ),
    ("/autopack.registry.v1.DoctorService/Repair", &[User]),
    (
        "/autopack.registry.v1.DoctorService/ListRepairs",
        &[User, Telemetry, Auditor, Reader],
    ),
    (
        "/autopack.registry.v1.DoctorService/InferIds",
        &[User, Telemetry, Builder, Auditor, Reader],
    ),
    (
        "/autopack.registry.v1.DoctorService/DescribeSchema",
        &[User, Worker, Scheduler, Telemetry, Builder, Auditor, Reader],
    ),
    ("/autopack.registry.v1.ImportService/ImportRuns", &[User]),
    (
        "/autopack.registry.v1.ArtifactService/PutArtifact",
        &[User, Worker, Builder],
    ),
    (
        "/autopack.registry.v1.ArtifactService/GetArtifact",
        &[User, Worker, Telemetry, Builder, Auditor],
    ),
    (
        "/autopack.registry.v1.ArtifactService/StatArtifact",
        &[User, Worker, Telemetry, Builder, Auditor],
    ),
    (
        "/autopack.registry.v1.ServerService/GetServerInfo",
        &[User, Worker, Scheduler, Telemetry, Builder, Auditor, Reader],
    ),
    (
        "/autopack.scheduler.v1.SchedulerService/Explain",
        &[User, Telemetry, Auditor, Reader],
    ),
    (
        "/autopack.scheduler.v1.SchedulerService/ListQueue",
        &[User, Telemetry, Auditor, Reader],
    ),
    ("/autopack.scheduler.v1.SchedulerService/PauseLane", &[User]),
    (
        "/autopack.telemetry.v1.TelemetryService/GetRunUsage",
        &[User, Auditor, Reader],
    ),
    (
        "/autopack.telemetry.v1.TelemetryService/StreamMetrics",
        &[User, Auditor, Reader],
    ),
    (
        "/autopack.worker.v1.WorkerService/GetStatus",
        &[User, Scheduler, Telemetry, Auditor, Reader],
    ),
    (
        "/autopack.worker.v1.WorkerService/ListSlots",
        &[User, Scheduler, Telemetry, Auditor, Reader],
    ),
    ("/autopack.worker.v1.WorkerService/Drain", &[User]),
];
