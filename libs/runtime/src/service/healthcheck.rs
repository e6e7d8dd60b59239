//! `healthcheck`: asks a service of this program how it is.
//!
//! Invariant: it ends within its time; its exit code is the answer.

use std::{net::SocketAddr, time::Duration};

use autopack_wire::{
    client::{ClientTls, channel, check_health},
    serve::{LIVENESS, READINESS},
};

use super::{args::HealthcheckArgs, settings::Common};

/// Whether the service answers as asked; the text says why not.
pub(super) async fn check(
    args: &HealthcheckArgs,
    common: &Common,
    tls: &ClientTls,
) -> Result<(), String> {
    let scheme = if common.tls.certificate_file.is_empty() {
        "http"
    } else {
        "https"
    };
    let address = args
        .address
        .clone()
        .unwrap_or_else(|| reachable(&common.listen));
    let address =
        if address.contains(':') && (address.contains("://") || address.starts_with("unix:")) {
            address
        } else {
            format!("{scheme}://{address}")
        };
    let name = if args.ready { READINESS } else { LIVENESS };
    let channel = channel(&address, tls).map_err(|error| error.to_string())?;
    match check_health(channel, name, Duration::from_secs(args.timeout)).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("{address}: {name} is NOT_SERVING")),
        Err(status) => Err(format!("{address}: {}", status.message())),
    }
}

/// An address that listens everywhere is asked on the loopback interface.
fn reachable(listen: &str) -> String {
    match listen.parse::<SocketAddr>() {
        Ok(SocketAddr::V4(at)) if at.ip().is_unspecified() => format!("127.0.0.1:{}", at.port()),
        Ok(SocketAddr::V6(at)) if at.ip().is_unspecified() => format!("[::1]:{}", at.port()),
        _ => listen.to_owned(),
    }
}
