//! Who we are to the server, and how the connection is secured.
//!
//! Invariant: one way of proving who we are, and errors name the option and the file, never their content.

use std::{path::Path, time::Duration};

use async_nats::ConnectOptions;

use crate::{config::BusConfig, error::BusError, subject};

/// Calls that the client holds while the connection is busy; publishers wait beyond it.
const CALLS: usize = 1024;
/// Messages that one subscription holds; more are dropped and seen as a gap.
const ARRIVALS: usize = 16_384;
/// How often the connection is probed; two missing answers end it.
const PING: Duration = Duration::from_secs(10);

/// Everything that the configuration says about the connection.
pub(super) async fn options(config: &BusConfig) -> Result<ConnectOptions, BusError> {
    let service = config.name.split('/').next().unwrap_or_default();
    let mut options = ConnectOptions::new()
        .name(&config.name)
        // A prefix for each service, so that its rights can be confined to its own answers.
        .custom_inbox_prefix(format!("_INBOX_{}", subject::token(service)))
        .client_capacity(CALLS)
        .subscription_capacity(ARRIVALS)
        .connection_timeout(config.request_timeout)
        .request_timeout(Some(config.request_timeout))
        .ping_interval(PING);
    options = prove(options, config).await?;
    secure(options, config)
}

async fn prove(options: ConnectOptions, config: &BusConfig) -> Result<ConnectOptions, BusError> {
    match (&config.user, &config.password) {
        (Some(_), None) => return Err(wrong("bus.user needs bus.password")),
        (None, Some(_)) => return Err(wrong("bus.password needs bus.user")),
        _ => {}
    }
    let ways = [
        config.user.is_some(),
        config.nkey_seed_file.is_some(),
        config.credentials_file.is_some(),
    ];
    if ways.into_iter().filter(|set| *set).count() > 1 {
        return Err(wrong(
            "one of bus.user, bus.nkey_seed_file and bus.credentials_file, not several",
        ));
    }
    if let (Some(user), Some(password)) = (&config.user, &config.password) {
        return Ok(options.user_and_password(user.clone(), password.0.clone()));
    }
    if let Some(file) = &config.nkey_seed_file {
        let seed = read("bus.nkey_seed_file", file).await?;
        let seed = seed
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with('S'));
        let seed = seed.ok_or_else(|| {
            wrong(format!(
                "bus.nkey_seed_file: {} holds no seed (`SU...`)",
                file.display()
            ))
        })?;
        return Ok(options.nkey(seed.to_owned()));
    }
    if let Some(file) = &config.credentials_file {
        let text = read("bus.credentials_file", file).await?;
        return options
            .credentials(&text)
            .map_err(|error| wrong(format!("bus.credentials_file: {}: {error}", file.display())));
    }
    Ok(options)
}

fn secure(mut options: ConnectOptions, config: &BusConfig) -> Result<ConnectOptions, BusError> {
    let tls = &config.tls;
    let files = [
        ("bus.tls.ca", &tls.ca),
        ("bus.tls.certificate", &tls.certificate),
        ("bus.tls.key", &tls.key),
    ];
    for (option, file) in files {
        if let Some(file) = file {
            std::fs::File::open(file)
                .map_err(|error| wrong(format!("{option}: {}: {error}", file.display())))?;
        }
    }
    if let Some(ca) = &tls.ca {
        options = options.add_root_certificates(ca.clone());
    }
    match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        (None, None) => {}
        _ => {
            return Err(wrong(
                "bus.tls.certificate and bus.tls.key: both or neither",
            ));
        }
    }
    if tls.is_set() {
        // Whoever names certificates does not want a connection in the clear.
        options = options.require_tls(true);
    }
    if tls.first {
        options = options.tls_first();
    }
    Ok(options)
}

async fn read(option: &str, file: &Path) -> Result<String, BusError> {
    tokio::fs::read_to_string(file)
        .await
        .map_err(|error| wrong(format!("{option}: {}: {error}", file.display())))
}

fn wrong(text: impl Into<String>) -> BusError {
    BusError::Config(text.into())
}
