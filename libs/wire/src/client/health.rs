//! One question to a health service, for container probes.

use std::time::Duration;

use tonic::{Code, Status, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// Whether the server behind the channel says SERVING for the name. A name that it does not know is an error.
pub async fn check_health(channel: Channel, name: &str, within: Duration) -> Result<bool, Status> {
    let mut client = HealthClient::new(channel);
    let asked = client.check(HealthCheckRequest {
        service: name.to_owned(),
    });
    match tokio::time::timeout(within, asked).await {
        Ok(answer) => Ok(answer?.into_inner().status() == ServingStatus::Serving),
        Err(_) => Err(Status::new(Code::DeadlineExceeded, "no answer in time")),
    }
}
