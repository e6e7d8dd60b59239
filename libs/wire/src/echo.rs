//! A service that answers what it is sent, for calibrating benchmarks: the cost of a call in process, with the
//! codec and the transport and nothing behind them. Not part of the contract and never served.

use tonic::{Request, Response, Status};

use crate::types::Fault;

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/autopack.echo.Echo.rs"));
}

pub use generated::{echo_client::EchoClient, echo_server::EchoServer};

/// The service.
#[derive(Clone, Copy, Debug, Default)]
pub struct Echo;

#[tonic::async_trait]
impl generated::echo_server::Echo for Echo {
    async fn echo(&self, request: Request<Fault>) -> Result<Response<Fault>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_sent_comes_back() {
        let mut client = EchoClient::new(EchoServer::new(Echo));
        let fault = Fault {
            path: "a.b".into(),
            problem: "none".into(),
            ..Fault::default()
        };
        assert_eq!(
            client.echo(fault.clone()).await.unwrap().into_inner(),
            fault
        );
    }
}
