//! Who we are: each way of proving it, against a server that asks for it; wrong ones are refused at once.

use std::{path::Path, time::Instant};

use autopack_bus::{Bus, BusConfig, BusError, JetStreamBus, Secret};
use autopack_testkit::{Nats, NatsVersion};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nkeys::KeyPair;
use serde_json::{Value, json};

use crate::rig::job;

async fn accepted(config: BusConfig) {
    let bus = JetStreamBus::connect(config).await.unwrap();
    bus.publish_jobs(vec![job("a")]).await.unwrap();
}

/// Refused as credentials, before the deadline, and without repeating what must not be shown.
async fn denied(config: BusConfig, secret: &str) {
    let before = Instant::now();
    let Err(error) = JetStreamBus::connect(config.clone()).await else {
        panic!("accepted: {config:?}");
    };
    assert!(matches!(error, BusError::Denied(_)), "{error}");
    assert!(!error.is_transient());
    assert!(before.elapsed() < config.connect_deadline);
    for shown in [
        error.to_string(),
        format!("{error:?}"),
        format!("{config:?}"),
    ] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

async fn misconfigured(config: BusConfig, named: &str) {
    let Err(error) = JetStreamBus::connect(config).await else {
        panic!("accepted without {named}");
    };
    assert!(matches!(error, BusError::Config(_)), "{error}");
    assert!(error.to_string().contains(named), "{error}");
}

#[tokio::test]
async fn user_and_password() {
    let server = Nats::start_with(
        NatsVersion::Newest,
        &["--user", "autopack", "--pass", "right"],
    );
    let with = |user: Option<&str>, password: Option<&str>| BusConfig {
        user: user.map(Into::into),
        password: password.map(|p| Secret(p.into())),
        ..BusConfig::at(server.url())
    };
    accepted(with(Some("autopack"), Some("right"))).await;
    denied(with(Some("autopack"), Some("hunter2")), "hunter2").await;
    denied(with(None, None), "hunter2").await;
    misconfigured(with(Some("autopack"), None), "bus.password").await;
    misconfigured(with(None, Some("right")), "bus.user").await;
}

#[tokio::test]
async fn nkey_seed_file() {
    let folder = tempfile::tempdir().unwrap();
    let (right, wrong) = (KeyPair::new_user(), KeyPair::new_user());
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let configuration = format!(
        "authorization {{ users: [ {{ nkey: {} }} ] }}",
        right.public_key()
    );
    let server = Nats::start_configured(NatsVersion::Oldest, &configuration);
    let with = |path: &Path| BusConfig {
        nkey_seed_file: Some(path.to_owned()),
        ..BusConfig::at(server.url())
    };
    let seed = right.seed().unwrap();
    accepted(with(&file("right", &format!("# ours\n{seed}\n")))).await;
    let other = wrong.seed().unwrap();
    denied(with(&file("wrong", &other)), &other).await;
    misconfigured(with(&file("empty", "")), "bus.nkey_seed_file").await;
    misconfigured(with(Path::new("/nowhere/seed")), "/nowhere/seed").await;
    let both = BusConfig {
        user: Some("u".into()),
        password: Some(Secret("p".into())),
        ..with(&file("again", &seed))
    };
    misconfigured(both, "not several").await;
}

/// A token of the server's own form.
fn token(signer: &KeyPair, subject: &str, nats: Value) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({
        "jti": subject, "iat": 1_700_000_000, "iss": signer.public_key(), "name": "test",
        "sub": subject, "nats": nats,
    });
    let head = part(json!({ "typ": "JWT", "alg": "ed25519-nkey" }));
    let signed = format!("{head}.{}", part(claims));
    let signature = signer.sign(signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn account(operator: &KeyPair, account: &KeyPair, disk: i64) -> String {
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1, "mem_storage": disk, "disk_storage": disk, "streams": -1, "consumer": -1,
    });
    let claims = json!({ "type": "account", "version": 2, "limits": limits });
    token(operator, &account.public_key(), claims)
}

fn credentials(account: &KeyPair, user: &KeyPair) -> String {
    let claims = json!({
        "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1, "pub": {}, "sub": {},
    });
    format!(
        "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        token(account, &user.public_key(), claims),
        user.seed().unwrap()
    )
}

#[tokio::test]
async fn credentials_file() {
    let folder = tempfile::tempdir().unwrap();
    let (operator, system, ours, other) = (
        KeyPair::new_operator(),
        KeyPair::new_account(),
        KeyPair::new_account(),
        KeyPair::new_account(),
    );
    let key = operator.public_key();
    let configuration = format!(
        "operator: {}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{ {}: {}, {}: {} }}\n",
        token(&operator, &key, json!({ "type": "operator", "version": 2 })),
        system.public_key(),
        system.public_key(),
        account(&operator, &system, 0),
        ours.public_key(),
        account(&operator, &ours, -1),
    );
    let server = Nats::start_configured(NatsVersion::Newest, &configuration);
    let with = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        BusConfig {
            credentials_file: Some(path),
            ..BusConfig::at(server.url())
        }
    };
    let user = KeyPair::new_user();
    accepted(with("right", &credentials(&ours, &user))).await;
    let stranger = credentials(&other, &user);
    denied(with("stranger", &stranger), &user.seed().unwrap()).await;
    misconfigured(with("empty", ""), "bus.credentials_file").await;
}

/// What an administrator sees: whose connection it is, and answers under a prefix of the service's own.
#[tokio::test]
async fn connections_are_named_and_confined_to_their_own_inbox() {
    let configuration = r#"
        authorization { users: [ { user: w, password: p, permissions: {
            publish: ">", subscribe: [ "_INBOX_builder-worker.>", "autopack.>" ]
        } } ] }
    "#;
    let server = Nats::start_configured(NatsVersion::Newest, configuration);
    let with = |name: &str| BusConfig {
        name: name.into(),
        user: Some("w".into()),
        password: Some(Secret("p".into())),
        connect_deadline: std::time::Duration::from_secs(2),
        request_timeout: std::time::Duration::from_millis(700),
        ..BusConfig::at(server.url())
    };
    accepted(with("builder-worker/7")).await;
    let refused = JetStreamBus::connect(with("phase-scheduler/1")).await;
    assert!(refused.is_err(), "answers go to another service's prefix");
}
