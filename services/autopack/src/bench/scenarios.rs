//! B1 chain, B2 runs, B3 fan-out, B5 start latency, B7 idle runs (DURABILITY a.4). Bodies are `noop`.

use std::{
    path::Path,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use autopack_wire::{registry as pb, types};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    calibrate::Calibration,
    numbers::{Line, percentile},
    stack::Stack,
    usage::{cpu_seconds, resident_kib},
};

/// Runs that are created or awaited at a time.
const CONCURRENCY: usize = 32;

/// B1: one run, phases in sequence, one worker slot. With an empty body the gap between the end of one phase and
/// the start of the next is the whole cycle.
pub(crate) async fn chain(
    folder: &Path,
    phases: usize,
    calibration: &Calibration,
) -> Result<Vec<Line>, String> {
    let stack = Stack::start(&folder.join("b1"), 1).await?;
    stack.prepare("warm", 20, true).await?;
    stack.begin("warm").await?;
    stack.finish("warm").await?;
    stack.prepare("chain", phases, true).await?;
    let before = (
        stack.registry.core.writer_stats(),
        stack.calls.load(Ordering::Relaxed),
    );
    stack.begin("chain").await?;
    stack.finish("chain").await?;
    let after = (
        stack.registry.core.writer_stats(),
        stack.calls.load(Ordering::Relaxed),
    );
    let request = pb::ListAttemptsRequest {
        run_id: "chain".to_owned(),
        phase_id: String::new(),
    };
    let attempts = stack
        .clients
        .registry
        .clone()
        .list_attempts(request)
        .await
        .map_err(|e| e.to_string())?
        .into_inner()
        .attempts;
    stack.stop().await;
    let mut leased: Vec<i64> = attempts
        .iter()
        .filter_map(|a| a.lease_time.as_ref())
        .map(|t| t.seconds * 1_000_000 + i64::from(t.nanos) / 1000)
        .collect();
    leased.sort_unstable();
    let gaps: Vec<Duration> = leased
        .windows(2)
        .map(|w| Duration::from_micros(u64::try_from(w[1] - w[0]).unwrap_or(0)))
        .collect();
    let per = |n: u64| n as f64 / phases as f64;
    let p50 = percentile(&gaps, 0.5);
    Ok(vec![
        Line::plain("B1", format!("chain of {phases}: gap p50"), p50, "ms"),
        Line::plain(
            "B1",
            "gap p50 as a ratio to the floor of B0",
            p50 / calibration.chain_floor(),
            "x",
        )
        .at_most(3.0, "first aim"),
        Line::plain("B1", "gap p90", percentile(&gaps, 0.9), "ms"),
        Line::plain("B1", "gap p99", percentile(&gaps, 0.99), "ms"),
        Line::plain(
            "B1",
            "commits per phase",
            per(after.0.commits - before.0.commits),
            "",
        ),
        Line::plain(
            "B1",
            "statements per phase",
            per(after.0.statements - before.0.statements),
            "",
        ),
        Line::plain("B1", "RPCs per phase", per(after.1 - before.1), ""),
        Line::plain(
            "B1",
            "events per phase",
            per(after.0.events - before.0.events),
            "",
        ),
    ])
}

/// B2: many runs of a few phases, 16 slots.
pub(crate) async fn runs(
    folder: &Path,
    (runs, phases): (usize, usize),
) -> Result<Vec<Line>, String> {
    let stack = Stack::start(&folder.join("b2"), 16).await?;
    let ids: Vec<String> = (0..runs).map(|n| format!("run-{n}")).collect();
    stream::iter(&ids)
        .map(|id| stack.prepare(id, phases, true))
        .buffer_unordered(CONCURRENCY)
        .try_collect::<Vec<_>>()
        .await?;
    let before = (
        stack.registry.core.writer_stats(),
        stack.calls.load(Ordering::Relaxed),
    );
    let cpu = cpu_seconds();
    stream::iter(&ids)
        .map(|id| stack.begin(id))
        .buffer_unordered(CONCURRENCY)
        .try_collect::<Vec<()>>()
        .await?;
    // One watch at a time: hundreds of them are another scenario.
    let mut ended = Vec::with_capacity(runs);
    for id in &ids {
        ended.push(stack.finish(id).await?);
    }
    // By the registry's clock: asking for 300 ends is not part of the work.
    let span = span(&ended).as_secs_f64();
    let cpu = cpu_seconds() - cpu;
    let after = (
        stack.registry.core.writer_stats(),
        stack.calls.load(Ordering::Relaxed),
    );
    stack.stop().await;
    let total = (runs * phases) as f64;
    Ok(vec![
        Line::plain(
            "B2",
            format!("{runs} runs x {phases} phases, 16 slots"),
            total / span,
            "phases/s",
        )
        .at_least(1000.0, "first aim"),
        Line::plain(
            "B2",
            "commits per phase",
            (after.0.commits - before.0.commits) as f64 / total,
            "",
        ),
        Line::plain(
            "B2",
            "statements per phase",
            (after.0.statements - before.0.statements) as f64 / total,
            "",
        ),
        Line::plain(
            "B2",
            "RPCs per phase",
            (after.1 - before.1) as f64 / total,
            "",
        ),
        Line::plain(
            "B2",
            "processor time per 1,000 phases",
            cpu / total * 1000.0,
            "s",
        ),
    ])
}

/// From the first run's start to the last one's end.
fn span(runs: &[types::Run]) -> Duration {
    let micros = |t: &prost_types::Timestamp| t.seconds * 1_000_000 + i64::from(t.nanos) / 1000;
    let first = runs
        .iter()
        .filter_map(|r| r.start_time.as_ref())
        .map(micros);
    let last = runs
        .iter()
        .filter_map(|r| r.complete_time.as_ref())
        .map(micros);
    match (first.min(), last.max()) {
        (Some(first), Some(last)) => {
            Duration::from_micros(u64::try_from(last - first).unwrap_or(0))
        }
        _ => Duration::ZERO,
    }
}

/// B3: one run, independent phases, 16 slots.
pub(crate) async fn fan_out(folder: &Path, phases: usize) -> Result<Vec<Line>, String> {
    let stack = Stack::start(&folder.join("b3"), 16).await?;
    stack.prepare("fan", phases, false).await?;
    let start = Instant::now();
    stack.begin("fan").await?;
    stack
        .wait("fan", |run| run.first_lease_time.is_some())
        .await?;
    let first = start.elapsed();
    stack.finish("fan").await?;
    let span = start.elapsed().as_secs_f64();
    stack.stop().await;
    Ok(vec![
        Line::plain(
            "B3",
            format!("{phases} independent phases, 16 slots"),
            phases as f64 / span,
            "phases/s",
        )
        .at_least(1000.0, "first aim"),
        Line::plain(
            "B3",
            "time to the first start",
            first.as_secs_f64() * 1e3,
            "ms",
        ),
    ])
}

/// B5: from the call that starts a run to its first phase's lease, on an idle engine.
pub(crate) async fn start_latency(folder: &Path, starts: usize) -> Result<Vec<Line>, String> {
    let stack = Stack::start(&folder.join("b5"), 4).await?;
    let mut spans = Vec::with_capacity(starts);
    for n in 0..starts {
        let id = format!("start-{n}");
        stack.prepare(&id, 1, false).await?;
        let start = Instant::now();
        stack.begin(&id).await?;
        stack
            .wait(&id, |run| run.first_lease_time.is_some())
            .await?;
        spans.push(start.elapsed());
        stack.finish(&id).await?;
    }
    stack.stop().await;
    Ok(vec![
        Line::plain(
            "B5",
            "start call to first lease seen, idle, p50",
            percentile(&spans, 0.5),
            "ms",
        ),
        Line::plain(
            "B5",
            "start call to first lease seen, idle, p99",
            percentile(&spans, 0.99),
            "ms",
        ),
    ])
}

/// B7: runs that wait for somebody: memory, disk and processor time that they cost.
pub(crate) async fn idle(folder: &Path, runs: usize) -> Result<Vec<Line>, String> {
    let stack = Stack::start(&folder.join("b7"), 4).await?;
    let make = |from: usize, to: usize| {
        let stack = &stack;
        async move {
            stream::iter(from..to)
                .map(|n| async move {
                    let id = format!("idle-{n}");
                    stack.prepare(&id, 1, false).await?;
                    let pause = pb::PauseRunRequest {
                        run_id: id,
                        ..pb::PauseRunRequest::default()
                    };
                    stack
                        .clients
                        .registry
                        .clone()
                        .pause_run(pause)
                        .await
                        .map_err(|e| e.to_string())
                })
                .buffer_unordered(4)
                .try_collect::<Vec<_>>()
                .await
        }
    };
    // What the first runs cost is the engine's own warmth.
    make(0, runs).await?;
    let (memory, disk) = (resident_kib(), disk_kib(&stack.folder));
    make(runs, 2 * runs).await?;
    let (memory, disk) = (resident_kib() - memory, disk_kib(&stack.folder) - disk);
    let cpu = cpu_seconds();
    let watched = Duration::from_secs(5);
    tokio::time::sleep(watched).await;
    let cpu = (cpu_seconds() - cpu) / watched.as_secs_f64() * 100.0;
    stack.stop().await;
    Ok(vec![
        Line::plain(
            "B7",
            format!("memory per paused one-phase run ({runs})"),
            memory / runs as f64,
            "KiB",
        )
        .at_most(2.0, "first aim"),
        Line::plain(
            "B7",
            "disk per paused one-phase run",
            disk / runs as f64,
            "KiB",
        )
        .at_most(12.0, "first aim"),
        Line::plain("B7", "processor share while all of them wait", cpu, "%"),
    ])
}

/// The database's own file: the log in front of it is reused and does not grow with the runs.
fn disk_kib(folder: &Path) -> f64 {
    std::fs::metadata(folder.join("registry.db")).map_or(0.0, |m| m.len() as f64 / 1024.0)
}
