//! B8 a worker killed, B9 a worker drained, B10 servers killed: how soon the work goes on.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use autopack_testkit::program::within;
use autopack_wire::types::Attempt;

use crate::numbers::{Line, percentile};
use crate::rig::{Rig, free, micros};

/// Phases that run at the moment of the fault.
const RUNNING: usize = 32;
/// What a service may take at most before the benchmark gives up.
const BOUND: Duration = Duration::from_mins(2);
/// The lease of the rig, in milliseconds.
const LEASE: f64 = 10_000.0;

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_micros()).unwrap()
}

/// A phase that waits for none and runs for a while.
fn long(n: usize) -> String {
    format!(
        r#""depends_on": [], "scope": {{"paths": ["*.txt"]}}, "builder": {{"kind": "command", "run": "sleep 3; echo x > P{n}.txt"}}"#
    )
}

/// Starts 32 phases on two workers with room for all on each, and waits until all run.
async fn all_running(rig: &Rig, id: &str) {
    rig.prepare(id, RUNNING, long).await;
    rig.begin(id).await;
    within(BOUND, "all phases run", || {
        let leases = rig.cluster.registry.metric("autopack_registry_leases")?;
        (leases >= RUNNING as f64).then_some(())
    });
}

fn milliseconds(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// How long after `since` each attempt that is not the first of its phase was leased.
fn taken_up(attempts: &[Attempt], since: i64) -> Vec<Duration> {
    let again = attempts
        .iter()
        .filter(|a| a.number > 1 && a.lease_time.is_some());
    again
        .map(|a| milliseconds(micros(a.lease_time.as_ref()) - since))
        .collect()
}

/// B8: SIGKILL of one of two workers.
pub(crate) async fn worker_killed() -> Vec<Line> {
    let mut rig = Rig::start(2, RUNNING);
    all_running(&rig, "killed").await;
    let since = now();
    rig.cluster.workers[0].kill();
    rig.finish("killed").await;
    let attempts = rig.attempts("killed").await;
    let spans = taken_up(&attempts, since);
    let succeeded = attempts.iter().filter(|a| !a.commit.is_empty()).count();
    vec![
        Line::plain(
            "B8",
            format!("orphans of a killed worker, of {RUNNING} running"),
            spans.len() as f64,
            "",
        ),
        Line::plain(
            "B8",
            "SIGKILL to an orphan's next lease, the longest",
            percentile(&spans, 1.0),
            "ms",
        )
        .at_most(LEASE + 1000.0, "lease + 1 s"),
        Line::plain(
            "B8",
            "effects accepted twice",
            succeeded.saturating_sub(RUNNING) as f64,
            "",
        )
        .at_most(0.0, "none"),
    ]
}

/// B9: SIGTERM of one of two workers, once with time to finish and once without.
pub(crate) async fn worker_drained() -> Vec<Line> {
    let mut lines = Vec::new();
    for (grace, said) in [("10", "with time to finish"), ("0", "with none")] {
        let mut rig = Rig::with(2, RUNNING, &[("AUTOPACK_DRAIN_SECONDS", grace)]);
        let id = format!("drained-{grace}");
        all_running(&rig, &id).await;
        let (since, began) = (now(), Instant::now());
        assert_eq!(rig.cluster.workers[0].stop(), Some(0));
        let took = began.elapsed();
        rig.finish(&id).await;
        let attempts = rig.attempts(&id).await;
        let spans = taken_up(&attempts, since);
        let phases = rig.phases(&id).await;
        // Success is charged, too.
        let charged: u32 = phases
            .iter()
            .map(|phase| phase.attempts_charged.saturating_sub(1) + phase.crashes)
            .sum();
        lines.push(Line::plain(
            "B9",
            format!("SIGTERM {said}: to its end"),
            took.as_secs_f64() * 1e3,
            "ms",
        ));
        lines.push(Line::plain(
            "B9",
            format!("SIGTERM {said}: phases handed back"),
            spans.len() as f64,
            "",
        ));
        lines.push(
            Line::plain(
                "B9",
                format!("SIGTERM {said}: attempts charged for it"),
                f64::from(charged),
                "",
            )
            .at_most(0.0, "none"),
        );
        if !spans.is_empty() {
            lines.push(Line::plain(
                "B9",
                format!("SIGTERM {said}: to the next lease, p50"),
                percentile(&spans, 0.5),
                "ms",
            ));
        }
    }
    lines
}

/// B10: SIGKILL of each server in the middle of 3,000 phases, then of all together.
pub(crate) async fn servers_killed() -> Vec<Line> {
    let mut lines = Vec::new();
    for name in ["registry", "scheduler", "nats-server", "all three"] {
        let mut rig = Rig::start(2, 8);
        rig.prepare("fan", 3000, free).await;
        rig.begin("fan").await;
        let began = rig
            .cluster
            .registry
            .metric("autopack_registry_commands_total");
        within(BOUND, "the run is in its middle", || {
            let now = rig
                .cluster
                .registry
                .metric("autopack_registry_commands_total")?;
            (now > began.unwrap_or(0.0) + 2000.0).then_some(())
        });
        let cluster = &mut rig.cluster;
        let hit = |victim: &str| name == victim || name == "all three";
        if hit("registry") {
            cluster.registry.kill();
        }
        if hit("scheduler") {
            cluster.schedulers[0].kill();
        }
        if hit("nats-server") {
            cluster.nats.kill();
        }
        let since = now();
        if hit("nats-server") {
            cluster.nats.start_again();
        }
        if hit("registry") {
            cluster.registry.start();
        }
        if hit("scheduler") {
            cluster.schedulers[0].start();
        }
        rig.finish("fan").await;
        let attempts = rig.attempts("fan").await;
        let ended = attempts.iter().map(|a| micros(a.finish_time.as_ref()));
        let first = ended.filter(|end| *end > since).min().unwrap_or(since);
        let aim = if name == "all three" { 3000.0 } else { 1000.0 };
        lines.push(
            Line::plain(
                "B10",
                format!("{name} killed and started: to the first completion"),
                milliseconds(first - since).as_secs_f64() * 1e3,
                "ms",
            )
            .at_most(aim, "first aim"),
        );
        lines.push(Line::plain(
            "B10",
            format!("{name} killed: attempts beyond one a phase"),
            attempts.len().saturating_sub(3000) as f64,
            "",
        ));
    }
    lines
}
