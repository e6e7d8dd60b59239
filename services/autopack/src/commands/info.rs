//! `autopack info`.

use std::fmt::Write as _;

use autopack_wire::{client::Offer, contract, registry::GetInfoRequest};
use serde_json::json;

use super::Context;
use crate::error::{Exit, Outcome};

pub(super) async fn run(context: &Context) -> Outcome {
    let connection = context.connect().await?;
    let answer = connection
        .clients
        .registry
        .clone()
        .get_info(GetInfoRequest {})
        .await;
    let offer = Offer::learn(&connection.clients).await;
    let served = connection.engine.is_none();
    let local = connection.local;
    connection.close().await;
    let (info, offer) = (answer?.into_inner(), offer?);
    let missing = offer.missing();
    let data_dir = local.then(|| context.settings.data_dir.display().to_string());
    let lease_ms = info
        .lease
        .map(|lease| lease.seconds * 1000 + i64::from(lease.nanos) / 1_000_000);
    context.ui.data(
        || {
            json!({
                "version": info.version,
                "client_version": env!("CARGO_PKG_VERSION"),
                "database": info.database,
                "database_identity": info.database_identity,
                "epoch": info.epoch,
                "lease_ms": lease_ms,
                "data_dir": data_dir,
                "served": served,
                "set_aside": info.set_aside,
                "switches": info.switches,
                "contract_version": offer.contract_version,
                "contract_digest": offer.contract_digest,
                "client_contract_digest": contract::digest(),
                "told_by": offer.told.as_str(),
                "features": offer.features,
                "missing_methods": missing,
            })
        },
        || {
            let mut text = format!(
                "version      {}\nclient       {}\ndatabase     {} ({})\nepoch        {}\nlease        {} ms\n",
                info.version,
                env!("CARGO_PKG_VERSION"),
                info.database,
                info.database_identity,
                info.epoch,
                lease_ms.unwrap_or_default(),
            );
            if let Some(data_dir) = &data_dir {
                let _ = writeln!(text, "data dir     {data_dir}");
            }
            text.push_str(if served { "served       by another process\n" } else { "served       by nobody; `autopack up` serves\n" });
            let digest = if offer.contract_digest.is_empty() { "unknown" } else { &offer.contract_digest };
            let _ = writeln!(text, "contract     {digest} (told by {}); client {}", offer.told.as_str(), contract::digest());
            for method in &missing {
                let _ = writeln!(text, "missing      {}", method.trim_start_matches('/'));
            }
            for row in &info.set_aside {
                let _ = writeln!(text, "set aside    {row}");
            }
            text
        },
    );
    Ok(Exit::Success)
}
