//! `autopack info`.

use std::fmt::Write as _;

use autopack_wire::registry::GetInfoRequest;
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
    let served = connection.engine.is_none();
    let local = connection.local;
    connection.close().await;
    let info = answer?.into_inner();
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
            for row in &info.set_aside {
                let _ = writeln!(text, "set aside    {row}");
            }
            text
        },
    );
    Ok(Exit::Success)
}
