//! A bus under test, and how to hurt it.

use std::{sync::Arc, time::Duration};

use autopack_bus::{
    Bus, BusConfig, Event, EventEnvelope, InProcessBus, JetStreamBus, JobDelivery, JobEnvelope,
    JobMessage, JobOptions, JobSource, Limits,
};
use autopack_testkit::{Nats, NatsVersion};
use tokio::time::timeout;

/// Longer than anything here takes on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(10);
/// Long enough to believe that nothing comes.
pub(crate) const SILENCE: Duration = Duration::from_millis(250);

pub(crate) struct Rig {
    pub(crate) bus: Arc<dyn Bus>,
    memory: Option<Arc<InProcessBus>>,
    server: Option<Nats>,
}

impl Rig {
    pub(crate) fn in_process() -> Self {
        let memory = Arc::new(InProcessBus::new(Limits::default()));
        Self {
            bus: memory.clone(),
            memory: Some(memory),
            server: None,
        }
    }

    pub(crate) async fn jetstream(version: NatsVersion) -> Self {
        let server = Nats::start(version);
        let config = BusConfig::at(server.url());
        Self {
            bus: Arc::new(JetStreamBus::connect(config).await.unwrap()),
            memory: None,
            server: Some(server),
        }
    }

    /// The job stream is gone with all that was in it.
    pub(crate) async fn lose_jobs(&self) {
        if let Some(memory) = &self.memory {
            memory.lose_jobs();
        }
        if let Some(server) = &self.server {
            let client = async_nats::connect(server.url()).await.unwrap();
            let context = async_nats::jetstream::new(client);
            context.delete_stream("AUTOPACK_JOBS").await.unwrap();
        }
    }

    pub(crate) async fn source(&self, ack_wait: Duration) -> Box<dyn JobSource> {
        self.source_of(&["default"], ack_wait).await
    }

    pub(crate) async fn source_of(&self, lanes: &[&str], ack_wait: Duration) -> Box<dyn JobSource> {
        let lanes = lanes.iter().map(ToString::to_string).collect();
        let options = JobOptions { lanes, ack_wait };
        self.bus.jobs(options).await.unwrap()
    }

    pub(crate) async fn publish(&self, jobs: &[JobEnvelope]) -> Vec<u64> {
        let published = timeout(SOON, self.bus.publish_jobs(jobs.to_vec())).await;
        published.unwrap().unwrap()
    }
}

pub(crate) fn job(id: &str) -> JobEnvelope {
    job_of(id, 5, "default")
}

pub(crate) fn job_of(id: &str, priority: u32, lane: &str) -> JobEnvelope {
    JobEnvelope {
        id: id.to_owned(),
        job: JobMessage {
            job_uid: id.to_owned(),
            priority,
            lane: lane.to_owned(),
            ..JobMessage::default()
        },
        traceparent: Some(format!("00-{id}")),
    }
}

pub(crate) fn event(run: &str, sequence: u64, run_sequence: u64) -> EventEnvelope {
    EventEnvelope {
        id: format!("{run}-{sequence}"),
        project: "Demo Project".into(),
        run_uid: run.to_owned(),
        event: Event {
            sequence,
            run_sequence,
            kind: "phase_completed".into(),
            ..Event::default()
        },
        traceparent: None,
    }
}

pub(crate) async fn take(source: &mut Box<dyn JobSource>) -> Box<dyn JobDelivery> {
    let next = timeout(SOON, source.next()).await;
    next.expect("a job in time")
        .unwrap()
        .expect("the bus is open")
}

pub(crate) async fn assert_silent(source: &mut Box<dyn JobSource>) {
    if let Ok(next) = timeout(SILENCE, source.next()).await {
        let delivery = next.unwrap().unwrap();
        panic!("nothing was expected, but {:?} came", delivery.job());
    }
}
