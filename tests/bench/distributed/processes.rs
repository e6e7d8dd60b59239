//! Memory and processor time of the services and of the servers below them, from `/proc`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use autopack_testkit::Cluster;

use crate::numbers::Line;

/// The processes of a cluster, by name.
#[derive(Clone)]
pub(crate) struct Watched {
    services: Vec<(String, u32)>,
    /// The postmaster; it has a child per session.
    database: u32,
}

/// Processor time in seconds, by name.
pub(crate) struct Spent(BTreeMap<String, f64>);

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
        Self {
            services: list,
            database: cluster.database.server().processes().0,
        }
    }

    /// What each has used so far; replicas together, PostgreSQL with all its sessions.
    pub(crate) fn spent(&self) -> Spent {
        let mut spent = BTreeMap::new();
        for (name, id) in &self.services {
            *spent
                .entry(name.replace("a worker", "workers"))
                .or_default() += cpu_seconds(*id, 2);
        }
        let children = format!("/proc/{0}/task/{0}/children", self.database);
        let children = std::fs::read_to_string(children).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|id| id.parse().ok());
        let sessions: f64 = children.map(|id| cpu_seconds(id, 2)).sum();
        // Those that ended are counted by their parent.
        let database = sessions + cpu_seconds(self.database, 4);
        spent.insert("PostgreSQL".to_owned(), database);
        Spent(spent)
    }

    /// Samples the memory of each, four times a second.
    pub(crate) fn sampled(self) -> Sampled {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut most: BTreeMap<String, f64> = BTreeMap::new();
            while !stopped.load(Ordering::Relaxed) {
                for (name, id) in &self.services {
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

impl Spent {
    /// What was used since `before` per 1,000 of `phases`, by name, and in all.
    pub(crate) fn lines(&self, id: &'static str, before: &Self, phases: usize) -> Vec<Line> {
        let line = |what: String, seconds: f64| {
            let what = format!("processor time per 1,000 phases: {what}");
            Line::plain(id, what, seconds / phases as f64 * 1000.0, "s")
        };
        let used = |name: &String, now: f64| now - before.0.get(name).unwrap_or(&0.0);
        let by_name = self.0.iter().map(|(name, now)| (name, used(name, *now)));
        let mut lines: Vec<Line> = by_name
            .clone()
            .map(|(name, used)| line(name.clone(), used))
            .collect();
        lines.push(line("all".to_owned(), by_name.map(|(_, used)| used).sum()));
        lines
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

/// The first `count` of: user's and system's time of the process, and of its ended children.
fn cpu_seconds(id: u32, count: usize) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let Some((_, rest)) = stat.rsplit_once(')') else {
        return 0.0;
    };
    let fields = rest.split_whitespace().skip(11).take(count);
    // 100 ticks a second.
    fields.filter_map(|f| f.parse::<f64>().ok()).sum::<f64>() / 100.0
}
