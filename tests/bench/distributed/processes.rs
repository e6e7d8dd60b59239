//! Memory and processor time of the services, from `/proc`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use autopack_testkit::Cluster;

/// The processes of a cluster, by name.
#[derive(Clone)]
pub(crate) struct Watched(Vec<(String, u32)>);

/// Samples until it is ended.
pub(crate) struct Sampled {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<BTreeMap<String, f64>>,
}

impl Watched {
    pub(crate) fn of(cluster: &Cluster) -> Self {
        let mut list = vec![
            ("registry".to_owned(), cluster.registry.id()),
            ("nats-server".to_owned(), cluster.nats.id()),
        ];
        let more = |name: &str, nodes: &[autopack_testkit::cluster::Node]| {
            nodes
                .iter()
                .map(|node| (name.to_owned(), node.id()))
                .collect::<Vec<_>>()
        };
        list.extend(more("scheduler", &cluster.schedulers));
        list.extend(more("a worker", &cluster.workers));
        Self(list)
    }

    /// Of all of them together.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        self.0.iter().map(|(_, id)| cpu_seconds(*id)).sum()
    }

    /// Samples the memory of each, four times a second.
    pub(crate) fn sampled(self) -> Sampled {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut most: BTreeMap<String, f64> = BTreeMap::new();
            while !stopped.load(Ordering::Relaxed) {
                for (name, id) in &self.0 {
                    let most = most.entry(name.clone()).or_default();
                    *most = most.max(resident_mib(*id));
                }
                std::thread::sleep(Duration::from_millis(250));
            }
            most
        });
        Sampled { stop, thread }
    }
}

impl Sampled {
    /// The most of each, in MiB.
    pub(crate) fn end(self) -> BTreeMap<String, f64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn resident_mib(id: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

fn cpu_seconds(id: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let Some((_, rest)) = stat.rsplit_once(')') else {
        return 0.0;
    };
    let fields = rest.split_whitespace().skip(11).take(2);
    // utime and stime, 100 ticks a second.
    fields.filter_map(|f| f.parse::<f64>().ok()).sum::<f64>() / 100.0
}
