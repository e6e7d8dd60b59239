//! Names of streams, consumers and subjects.
//!
//! Invariant: subjects hold uids, closed words and slugs, never user text as it came.

/// The work queue of jobs.
pub const JOBS_STREAM: &str = "AUTOPACK_JOBS";
/// The log of events.
pub const EVENTS_STREAM: &str = "AUTOPACK_EVENTS";
/// Best-effort measurements.
pub const TELEMETRY_STREAM: &str = "AUTOPACK_TELEMETRY";
/// Jobs that were given up on.
pub const DLQ_STREAM: &str = "AUTOPACK_DLQ";
/// What the server says about jobs that it gives up on.
pub const ADVISORIES_STREAM: &str = "AUTOPACK_ADVISORIES";
/// Everything in the work queue.
pub const JOBS_ALL: &str = "autopack.jobs.>";
/// Everything in the event log.
pub const EVENTS_ALL: &str = "autopack.events.>";
/// Everything in the telemetry stream.
pub const TELEMETRY_ALL: &str = "autopack.telemetry.>";
/// All dead letters.
pub const DLQ_ALL: &str = "autopack.dlq.>";
/// Advisories about jobs: delivered too often, or ended by a worker.
pub const ADVISORIES: [&str; 2] = [
    "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.AUTOPACK_JOBS.>",
    "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.AUTOPACK_JOBS.>",
];
/// The lane of jobs that name none.
pub const DEFAULT_LANE: &str = autopack_domain::lane::DEFAULT;
/// The largest priority.
pub const MAX_PRIORITY: u32 = 9;

/// Priorities that share a consumer: a worker looks into the first band before the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Band {
    /// Part of the consumer's name.
    pub name: &'static str,
    /// The priorities, as one filter each.
    pub priorities: &'static [u32],
}

/// The bands, most urgent first; together they cover every priority once.
pub const BANDS: [Band; 3] = [
    Band {
        name: "high",
        priorities: &[9, 8, 7],
    },
    Band {
        name: "normal",
        priorities: &[6, 5, 4, 3],
    },
    Band {
        name: "low",
        priorities: &[2, 1, 0],
    },
];

/// The lane as a token; none named is the default lane.
pub use autopack_domain::lane::name as lane;
/// A slug that is one legal subject token: lower case, digits and dashes, never empty.
pub use autopack_domain::lane::slug as token;

/// Subject of a job.
pub fn job(priority: u32, lane_name: &str) -> String {
    format!(
        "autopack.jobs.{}.{}",
        priority.min(MAX_PRIORITY),
        lane(lane_name)
    )
}

/// Subject of an event.
pub fn event(project: &str, run_uid: &str, kind: &str) -> String {
    format!(
        "autopack.events.{}.{}.{}",
        token(project),
        uid(run_uid),
        word(kind)
    )
}

/// Filter for the events of one run, or of all.
pub fn events_of(run_uid: Option<&str>) -> String {
    match run_uid {
        Some(run) => format!("autopack.events.*.{}.*", uid(run)),
        None => EVENTS_ALL.to_owned(),
    }
}

/// Subject of a measurement.
pub fn telemetry(kind: &str) -> String {
    format!("autopack.telemetry.{}", word(kind))
}

/// Subject of the dead letter of this sequence in the job stream of this identity.
pub fn dead_letter(epoch: &str, sequence: u64) -> String {
    format!("autopack.dlq.{}.{sequence}", word(epoch))
}

/// Name of a dead letter, from its subject.
pub fn dead_letter_id(subject: &str) -> Option<String> {
    let (epoch, sequence) = subject.strip_prefix("autopack.dlq.")?.split_once('.')?;
    let sequence: u64 = sequence.parse().ok()?;
    Some(format!("{epoch}-{sequence}"))
}

/// Subject of a dead letter, from its name; `None` for a name that none has.
pub fn of_dead_letter(id: &str) -> Option<String> {
    let (epoch, sequence) = id.split_once('-')?;
    let plain = !epoch.is_empty() && epoch.bytes().all(|b| b.is_ascii_hexdigit());
    let sequence: u64 = sequence.parse().ok().filter(|_| plain)?;
    Some(dead_letter(epoch, sequence))
}

/// Name and filters of the consumer for one band of one lane.
pub fn consumer(band: &Band, lane_name: &str) -> (String, Vec<String>) {
    let lane = lane(lane_name);
    let filters = band.priorities.iter().map(|p| job(*p, &lane)).collect();
    (format!("jobs-{}-{lane}", band.name), filters)
}

/// A uid is hex and dashes; anything else becomes a dash.
fn uid(text: &str) -> String {
    keep(text, |c| c.is_ascii_hexdigit() || c == '-', 36)
}

/// A word of a closed list: letters, digits, underscores.
fn word(text: &str) -> String {
    keep(text, |c| c.is_ascii_alphanumeric() || c == '_', 64)
}

fn keep(text: &str, legal: impl Fn(char) -> bool, longest: usize) -> String {
    let kept: String = text
        .chars()
        .take(longest)
        .map(|c| if legal(c) { c } else { '-' })
        .collect();
    if kept.is_empty() {
        "none".to_owned()
    } else {
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_text_never_adds_a_token_or_a_wildcard() {
        assert_eq!(job(5, "GPU > box.*"), "autopack.jobs.5.gpu-box");
        assert_eq!(job(12, ""), "autopack.jobs.9.default");
        assert_eq!(token("äöü"), "none");
        let subject = event("My Project.>", "0197-ab.*", "run created");
        assert_eq!(subject, "autopack.events.my-project.0197-ab--.run-created");
        assert_eq!(subject.split('.').count(), 5);
    }

    #[test]
    fn dead_letters_are_named_by_stream_and_sequence() {
        let subject = dead_letter("18ab", 7);
        assert_eq!(dead_letter_id(&subject).as_deref(), Some("18ab-7"));
        assert_eq!(of_dead_letter("18ab-7"), Some(subject));
        for other in ["", "18ab", "18ab-x", ">-7", "-7", "*-1"] {
            assert_eq!(of_dead_letter(other), None, "{other}");
        }
    }

    #[test]
    fn bands_cover_each_priority_once() {
        let mut all: Vec<u32> = BANDS
            .iter()
            .flat_map(|b| b.priorities.iter().copied())
            .collect();
        all.sort_unstable();
        assert_eq!(all, (0..=MAX_PRIORITY).collect::<Vec<_>>());
    }
}
