//! Names of span and metric attributes; the standard's where the standard has one.
//!
//! Invariant: a name stands here once, and no other spelling is used.

/// The user's id of the run.
pub const RUN_ID: &str = "autopack.run.id";
/// Uid of the run.
pub const RUN_UID: &str = "autopack.run.uid";
/// How often the run was reopened.
pub const RUN_REVISION: &str = "autopack.run.revision";
/// State of the run.
pub const RUN_STATE: &str = "autopack.run.state";
/// The project.
pub const PROJECT: &str = "autopack.project";
/// The tier's id.
pub const TIER_ID: &str = "autopack.tier.id";
/// The phase's id.
pub const PHASE_ID: &str = "autopack.phase.id";
/// State of the phase.
pub const PHASE_STATE: &str = "autopack.phase.state";
/// What a complete phase brought.
pub const PHASE_OUTCOME: &str = "autopack.phase.outcome";
/// Attempts that the phase made.
pub const PHASE_ATTEMPTS: &str = "autopack.phase.attempts";
/// Uid of the attempt.
pub const ATTEMPT_UID: &str = "autopack.attempt.uid";
/// Number of the attempt.
pub const ATTEMPT_NUMBER: &str = "autopack.attempt.number";
/// State of the attempt.
pub const ATTEMPT_STATE: &str = "autopack.attempt.state";
/// From the last offer of the attempt to its lease.
pub const ATTEMPT_WAIT_MS: &str = "autopack.attempt.wait_ms";
/// Fencing token of the lease.
pub const LEASE_FENCE: &str = "autopack.lease.fence";
/// Uid of the job.
pub const JOB_UID: &str = "autopack.job.uid";
/// Kind of the job.
pub const JOB_KIND: &str = "autopack.job.kind";
/// How often the bus delivered it.
pub const JOB_DELIVERIES: &str = "autopack.job.deliveries";
/// Uid of the worker.
pub const WORKER_UID: &str = "autopack.worker.uid";
/// Phases that a scheduler asks to offer.
pub const OFFERED_PHASES: &str = "autopack.offered.phases";
/// Stage of an attempt.
pub const STAGE: &str = "autopack.stage";
/// Kind of the builder.
pub const BUILDER_KIND: &str = "autopack.builder.kind";
/// Verdict of the gate.
pub const GATE_VERDICT: &str = "autopack.gate.verdict";
/// Tokens that were booked.
pub const TOKENS: &str = "autopack.tokens";
/// Why something did not succeed.
pub const CAUSE: &str = "autopack.cause";
/// Reason of a refusal.
pub const REASON: &str = "autopack.reason";
/// Number in the registry's log.
pub const EVENT_SEQUENCE: &str = "autopack.event.sequence";
/// Kind of the event.
pub const EVENT_KIND: &str = "autopack.event.kind";
/// How long it took.
pub const DURATION_MS: &str = "autopack.duration_ms";
/// How much there was.
pub const SIZE_BYTES: &str = "autopack.size_bytes";

/// `grpc`.
pub const RPC_SYSTEM_NAME: &str = "rpc.system.name";
/// `package.Service/Method`.
pub const RPC_METHOD: &str = "rpc.method";
/// The status as a word.
pub const RPC_RESPONSE_STATUS_CODE: &str = "rpc.response.status_code";
/// What went wrong.
pub const ERROR_TYPE: &str = "error.type";
/// `nats`, or `in-process`.
pub const MESSAGING_SYSTEM: &str = "messaging.system";
/// create, send, receive, process, settle.
pub const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
/// publish, fetch, process, ack, nak.
pub const MESSAGING_OPERATION_NAME: &str = "messaging.operation.name";
/// The subject.
pub const MESSAGING_DESTINATION_NAME: &str = "messaging.destination.name";
/// The subject's pattern, since subjects hold ids.
pub const MESSAGING_DESTINATION_TEMPLATE: &str = "messaging.destination.template";
/// The durable consumer.
pub const MESSAGING_CONSUMER_GROUP_NAME: &str = "messaging.consumer.group.name";
/// The `Nats-Msg-Id`.
pub const MESSAGING_MESSAGE_ID: &str = "messaging.message.id";
/// The run, for tools that know pipelines.
pub const CICD_PIPELINE_RUN_ID: &str = "cicd.pipeline.run.id";
/// The project, for tools that know pipelines.
pub const CICD_PIPELINE_NAME: &str = "cicd.pipeline.name";
/// How the run ended.
pub const CICD_PIPELINE_RESULT: &str = "cicd.pipeline.result";
/// The phase.
pub const CICD_PIPELINE_TASK_NAME: &str = "cicd.pipeline.task.name";
/// The attempt.
pub const CICD_PIPELINE_TASK_RUN_ID: &str = "cicd.pipeline.task.run.id";
/// How the attempt ended.
pub const CICD_PIPELINE_TASK_RUN_RESULT: &str = "cicd.pipeline.task.run.result";
/// Tokens of the prompt.
pub const GEN_AI_USAGE_INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
/// Tokens of the completion.
pub const GEN_AI_USAGE_OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
/// The vendor.
pub const GEN_AI_PROVIDER_NAME: &str = "gen_ai.provider.name";
/// The model.
pub const GEN_AI_REQUEST_MODEL: &str = "gen_ai.request.model";
