//! B0: what the machine gives at this moment. Printed, no aim.

use std::{
    fs::OpenOptions,
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use autopack_bus::{BusConfig, JobEnvelope, JobOptions};
use autopack_wire::{
    bus::JobMessage,
    echo::{Echo, EchoClient, EchoServer},
    types::Fault,
};

use super::numbers::{Line, percentile};

/// The medians that ratios are taken of, in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Calibration {
    sync: Vec<Duration>,
    commit: Vec<Duration>,
    hop: Vec<Duration>,
    call: Vec<Duration>,
}

impl Calibration {
    /// Three commits, one hop and four calls: what a phase of a chain cannot do without.
    pub(crate) fn chain_floor(&self) -> f64 {
        let p50 = |s: &[Duration]| percentile(s, 0.5);
        3.0 * p50(&self.commit) + p50(&self.hop) + 4.0 * p50(&self.call)
    }

    /// The block that is printed first.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for (what, samples) in [
            ("append 256 B + fdatasync", &self.sync),
            ("one-row SQLite commit, FULL", &self.commit),
            ("in-process bus: publish to received", &self.hop),
            ("in-process gRPC unary", &self.call),
        ] {
            lines.push(Line::plain(
                "B0",
                format!("{what}, p50"),
                percentile(samples, 0.5),
                "ms",
            ));
            lines.push(Line::plain(
                "B0",
                format!("{what}, p99"),
                percentile(samples, 0.99),
                "ms",
            ));
        }
        lines.push(Line::plain(
            "B0",
            "floor of a chain: 3 commits + 1 hop + 4 calls",
            self.chain_floor(),
            "ms",
        ));
        lines
    }
}

/// Samples of each.
const ROUNDS: usize = 200;

pub(crate) async fn run(folder: &Path) -> Result<Calibration, String> {
    let mut echo = EchoClient::new(EchoServer::new(Echo));
    let mut call = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        echo.echo(Fault {
            path: "x".repeat(256),
            ..Fault::default()
        })
        .await
        .map_err(|e| e.to_string())?;
        call.push(start.elapsed());
    }
    Ok(Calibration {
        sync: sync(folder).map_err(|e| e.to_string())?,
        commit: autopack_store_write::measure_commit(&folder.join("calibration.db"), ROUNDS)
            .await
            .map_err(|e| e.to_string())?,
        hop: hop().await?,
        call,
    })
}

fn sync(folder: &Path) -> std::io::Result<Vec<Duration>> {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("calibration.log"))?;
    let block = [b'x'; 256];
    (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            file.write_all(&block)?;
            file.sync_data()?;
            Ok(start.elapsed())
        })
        .collect()
}

async fn hop() -> Result<Vec<Duration>, String> {
    let bus = autopack_bus::connect(BusConfig::default())
        .await
        .map_err(|e| e.to_string())?;
    let mut source = bus
        .jobs(JobOptions::default())
        .await
        .map_err(|e| e.to_string())?;
    let mut spans = Vec::with_capacity(ROUNDS);
    for n in 0..ROUNDS {
        let job = JobMessage {
            lane: autopack_bus::subject::DEFAULT_LANE.to_owned(),
            ..JobMessage::default()
        };
        let start = Instant::now();
        bus.publish_jobs(vec![JobEnvelope {
            id: format!("calibration-{n}"),
            job,
            traceparent: None,
        }])
        .await
        .map_err(|e| e.to_string())?;
        let delivery = source
            .next()
            .await
            .map_err(|e| e.to_string())?
            .ok_or("the bus closed")?;
        spans.push(start.elapsed());
        delivery.ack().await.map_err(|e| e.to_string())?;
    }
    Ok(spans)
}
