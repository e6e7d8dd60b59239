//! Any bytes as the request of any RPC of any service: an answer or a refusal with its reason, and services that go on.

#[path = "../../../fuzz/bodies/made.rs"]
mod made;

use autopack_domain::Reason;
use autopack_wire::registry as pb;
use autopack_wire::server::ALLOWED;
use autopack_wire::status::from_status;
use made::{Numbers, TEXTS, bytes, message};

use crate::book::{Book, Caller};
use crate::desk::NOOP;

/// Requests of each RPC.
const ROUNDS: usize = 40;

/// The first number of the messages.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// It ends the worker as soon as it is understood.
const DRAIN: &str = "/autopack.worker.v1.WorkerService/Drain";

pub(crate) async fn send(book: &mut Book) {
    let run = book.create("demo", NOOP).await;
    let mut texts = TEXTS.to_vec();
    texts.extend(["demo", "A", "phase", run.uid.as_str()]);
    let mut numbers = Numbers(SEED);
    let (mut answered, mut refused) = (0, 0);
    // The registry has a test of its own, on both databases.
    let beside = ALLOWED.iter().map(|(path, _)| *path);
    let beside = beside.filter(|path| !path.starts_with("/autopack.registry."));
    for path in beside.filter(|path| *path != DRAIN).chain([DRAIN]) {
        for round in 0..ROUNDS {
            let mut body = Vec::new();
            if round % 3 == 0 {
                bytes(
                    1,
                    ["demo", run.uid.as_str()][round % 2].as_bytes(),
                    &mut body,
                );
            }
            if round > 0 {
                message(&mut numbers, 3, &texts, &mut body);
            }
            match book.send(path, Caller::Allowed, vec![body.clone()]).await {
                Ok(_) => answered += 1,
                Err(status) => {
                    refused += 1;
                    let error = from_status(&status);
                    let named = error.reason.is_some_and(|r| r != Reason::InternalFault);
                    assert!(named, "{path} {body:?}: {status:?}");
                }
            }
            if path == DRAIN && answered > 0 && round == 0 {
                // Understood, so the worker is on its way out.
                break;
            }
        }
    }
    assert!(
        answered > 50 && refused > 50,
        "{answered} answered, {refused} refused"
    );
    // The services go on.
    let request = autopack_wire::scheduler::ListQueueRequest::default();
    let _: autopack_wire::scheduler::ListQueueResponse =
        book.ok("SchedulerService/ListQueue", request).await;
    let request = autopack_wire::telemetry::GetRunUsageRequest {
        run_id: "demo".into(),
    };
    let _: autopack_wire::telemetry::GetRunUsageResponse =
        book.ok("TelemetryService/GetRunUsage", request).await;
    let request = pb::GetRunRequest {
        run_id: "demo".into(),
        brief: true,
    };
    let found: pb::GetRunResponse = book.ok("RegistryService/GetRun", request).await;
    assert_eq!(found.run.unwrap().uid, run.uid);
}
