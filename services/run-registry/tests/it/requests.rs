//! Any bytes as the request of any RPC, through the layers: an answer or a refusal with its reason, and a registry that
//! goes on.

#[path = "../../../../fuzz/bodies/made.rs"]
mod made;

use std::time::Duration;

use autopack_domain::Reason;
use autopack_wire::{
    client::in_process_transport,
    methods::{self, Method},
    server::{ALLOWED, ServerLayer},
    status::from_status,
};
use bytes::{Buf as _, BufMut as _};
use made::{Numbers, TEXTS, bytes, message};
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
};

use crate::harness::{Harness, PLAN, Place, both, request};

both!(no_request_makes_a_service_panic);

/// Requests of each RPC.
const ROUNDS: usize = 40;

/// Bytes as they are.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;
    fn encode(&mut self, item: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}

async fn no_request_makes_a_service_panic(place: Place) {
    let h = Harness::start(&place).await;
    let run = h.create(request(PLAN)).await.unwrap().run.unwrap();
    h.bootstrap(&run).await;
    let mut texts = TEXTS.to_vec();
    texts.extend(["demo", "A", "phase", run.uid.as_str(), h.worker.as_str()]);
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let (mut answered, mut refused) = (0, 0);
    for (path, method) in methods::all().filter(|(path, _)| path.starts_with("/autopack.registry."))
    {
        for round in 0..ROUNDS {
            let mut body = Vec::new();
            // With and without the run's own name in front, where most requests have it.
            if round % 3 == 0 {
                bytes(
                    1,
                    ["demo", run.uid.as_str()][round % 2].as_bytes(),
                    &mut body,
                );
            }
            if round > 0 {
                message(&mut numbers, 3, &texts, &mut body);
            }
            match call(&h, path, method, body.clone()).await {
                Ok(()) => answered += 1,
                Err(status) => {
                    refused += 1;
                    let error = from_status(&status);
                    let named = error.reason.is_some_and(|r| r != Reason::InternalFault);
                    assert!(named, "{path} {body:?}: {status:?}");
                }
            }
        }
    }
    assert!(
        answered > 100 && refused > 500,
        "{answered} answered, {refused} refused"
    );
    assert_eq!(h.run("demo").await.run.unwrap().uid, run.uid, "it goes on");
    h.stop().await;
}

/// The first answer of a call by somebody who may make it.
async fn call(
    h: &Harness,
    path: &'static str,
    method: Method,
    body: Vec<u8>,
) -> Result<(), Status> {
    let (_, allowed) = ALLOWED.iter().find(|(known, _)| *known == path).unwrap();
    let layer = ServerLayer::default();
    let mut grpc = Grpc::new(in_process_transport(h.routes.clone(), allowed[0], &layer));
    let path = PathAndQuery::from_static(path);
    let asked = async {
        grpc.ready().await.unwrap();
        if method.is_unary() {
            return grpc.unary(Request::new(body), path, Raw).await.map(drop);
        }
        let one = Request::new(tokio_stream::once(body));
        grpc.streaming(one, path, Raw).await.map(drop)
    };
    let bound = Duration::from_secs(30);
    tokio::time::timeout(bound, asked)
        .await
        .unwrap_or_else(|_| panic!("no answer within {bound:?}"))
}
