//! Opens the connection and checks what is at its other end.
//!
//! Invariant: once open, the connection comes back by itself for ever; only the first attempt can fail.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    time::Duration,
};

use async_nats::{Client, ConnectError, ConnectErrorKind, Event, ServerAddr};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};

use super::{FLOOR, Link, identity};
use crate::{
    config::BusConfig,
    error::BusError,
    stats::{Counters, count},
};

/// Longest pause between two attempts to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Connects within the configured deadline, trying again meanwhile.
pub(super) async fn connect(
    config: &BusConfig,
    counters: &Arc<Counters>,
) -> Result<(Client, watch::Receiver<Link>), BusError> {
    let addresses = addresses(config)?;
    let deadline = Instant::now() + config.connect_deadline;
    let (sender, mut link) = watch::channel(Link::default());
    let sender = Arc::new(sender);
    let mut reason = None;
    for attempt in 0.. {
        let (noted, counters) = (Arc::clone(&sender), Arc::clone(counters));
        let options = identity::options(config).await?;
        let options = options
            .max_reconnects(None)
            .reconnect_delay_callback(pause)
            .event_callback(move |event| {
                note(&noted, &counters, &event);
                std::future::ready(())
            });
        let error = match timeout_at(deadline, options.connect(addresses.clone())).await {
            Ok(Ok(client)) => {
                // The event of this first connection is not to look like a reconnection later.
                let _ = timeout_at(deadline, link.wait_for(|l| l.connects > 0)).await;
                return Ok((client, link));
            }
            Ok(Err(error)) => refusal(&error, config)?,
            // An earlier attempt may know more than one that the deadline cut short.
            Err(_) => reason.unwrap_or_else(|| BusError::Unavailable("no answer".to_owned())),
        };
        let next = Instant::now() + pause(attempt);
        if next >= deadline {
            return Err(error);
        }
        tracing::debug!(%error, "the bus does not answer yet");
        reason = Some(error);
        sleep(next - Instant::now()).await;
    }
    Err(BusError::Unavailable("no attempt was made".into()))
}

/// The server's version; refuses one below the floor unless allowed.
pub(super) fn check_version(
    client: &Client,
    allow_unsupported: bool,
) -> Result<(u64, u64, u64), BusError> {
    let found = client.server_info().version;
    let version = parse_version(&found);
    if version < FLOOR {
        if !allow_unsupported {
            let (major, minor, patch) = FLOOR;
            return Err(BusError::Unsupported {
                found,
                floor: format!("{major}.{minor}.{patch}"),
            });
        }
        tracing::warn!(version = %found, "this nats-server is not supported; it was allowed by configuration");
    }
    Ok(version)
}

fn addresses(config: &BusConfig) -> Result<Vec<ServerAddr>, BusError> {
    let url = config.url.as_deref().unwrap_or_default();
    url.split(',')
        .map(|one| {
            one.trim().parse::<ServerAddr>().map_err(|_| {
                // The address itself may hold a password.
                BusError::Config(
                    "bus.url: not an address such as `nats://host:4222`, several with commas"
                        .into(),
                )
            })
        })
        .collect()
}

/// What to report when the time is over; an error at once where trying again cannot help.
fn refusal(error: &ConnectError, config: &BusConfig) -> Result<BusError, BusError> {
    let text = causes(error);
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            Err(BusError::Denied(text))
        }
        _ if text.contains("invalid peer certificate") => Ok(BusError::Config(format!(
            "bus.tls: the server's certificate is not accepted: {text}; check bus.tls.ca and the host's name"
        ))),
        ConnectErrorKind::Tls => Ok(BusError::Config(format!("bus.tls: {text}"))),
        // A server that wants a client's certificate, or TLS from the first byte, just hangs up.
        ConnectErrorKind::Io if config.tls.is_set() => Ok(BusError::Config(format!(
            "bus.tls: the server ended the connection: {text}; check its `verify` and `handshake_first`"
        ))),
        _ => Ok(BusError::Unavailable(text)),
    }
}

/// An error with its causes, each once.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = cause.source();
    }
    text
}

fn note(link: &watch::Sender<Link>, counters: &Counters, event: &Event) {
    match event {
        Event::Connected => {
            tracing::info!("connected to the bus");
            count(&counters.connects);
            link.send_modify(|l| l.connects += 1);
        }
        Event::SlowConsumer(_) => {
            tracing::warn!("a consumer of the bus was too slow and missed messages");
            count(&counters.overflows);
            link.send_modify(|l| l.overflows += 1);
        }
        Event::Disconnected => {
            tracing::warn!("the connection to the bus was lost");
            count(&counters.disconnects);
        }
        other => tracing::info!(event = %other, "the connection to the bus changed"),
    }
}

/// Doubles from 50 ms, with jitter so that many clients do not return at the same moment.
fn pause(attempt: usize) -> Duration {
    let full = Duration::from_millis(50 << attempt.min(8)).min(LONGEST_PAUSE);
    let draw = RandomState::new().build_hasher().finish() % 1000;
    full / 2 + full.mul_f64(draw as f64 / 2000.0)
}

/// The leading numbers of a version; what follows a dash is ignored.
fn parse_version(text: &str) -> (u64, u64, u64) {
    let plain = text.trim_start_matches('v').split('-').next();
    let mut numbers = plain
        .unwrap_or_default()
        .split('.')
        .map(|n| n.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(parse_version("2.9.10") < FLOOR);
        assert!(parse_version("2.10.27") < FLOOR);
        assert!(parse_version("2.11.10") < FLOOR);
        assert!(parse_version("v2.11.11-RC.1") >= FLOOR);
        assert!(parse_version("2.15.1") >= FLOOR);
        assert!(parse_version("") < FLOOR);
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        assert!(pause(0) <= Duration::from_millis(50));
        assert!(pause(usize::MAX) >= LONGEST_PAUSE / 2);
        assert!(pause(usize::MAX) <= LONGEST_PAUSE);
    }

    #[test]
    fn a_bad_address_is_not_repeated_in_the_error() {
        let error = addresses(&BusConfig::at("nats://u:hunter2@[")).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }
}
