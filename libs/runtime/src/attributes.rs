//! Names of span and metric attributes; the standard's where the standard has one.
//!
//! Invariant: a name stands here once, and no other spelling is used.

/// The user's id of the run.
pub const RUN_ID: &str = "run.id";
/// Uid of the run.
pub const RUN_UID: &str = "run.uid";
/// State of the run.
pub const RUN_STATE: &str = "run.state";
/// The project.
pub const PROJECT: &str = "project";
/// The tier's id.
pub const TIER_ID: &str = "tier.id";
/// The phase's id.
pub const PHASE_ID: &str = "phase.id";
/// State of the phase.
pub const PHASE_STATE: &str = "phase.state";
/// Uid of the attempt.
pub const ATTEMPT_UID: &str = "attempt.uid";
/// Number of the attempt.
pub const ATTEMPT_NUMBER: &str = "attempt.number";
/// Fencing token of the lease.
pub const LEASE_FENCE: &str = "lease.fence";
/// Uid of the job.
pub const JOB_UID: &str = "job.uid";
/// Kind of the job.
pub const JOB_KIND: &str = "job.kind";
/// How often the bus delivered it.
pub const JOB_DELIVERIES: &str = "job.deliveries";
/// Uid of the worker.
pub const WORKER_UID: &str = "worker.uid";
/// Kind of the builder.
pub const BUILDER_KIND: &str = "builder.kind";
/// Verdict of the gate.
pub const GATE_VERDICT: &str = "gate.verdict";
/// Why something did not succeed.
pub const CAUSE: &str = "cause";
/// Reason of a refusal.
pub const REASON: &str = "reason";
/// Number in the registry's log.
pub const EVENT_SEQUENCE: &str = "event.sequence";
/// Kind of the event.
pub const EVENT_KIND: &str = "event.kind";
/// How long it took.
pub const DURATION_MS: &str = "duration_ms";
/// How much there was.
pub const SIZE_BYTES: &str = "size_bytes";

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
