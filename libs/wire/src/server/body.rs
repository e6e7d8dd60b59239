//! The body of an answer: its status for the span, and a net for panics of streams.
//!
//! Invariant: a stream whose handler panics ends with INTERNAL and a reason, not with a broken connection.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http_body::{Frame, SizeHint};
use prost::bytes::Bytes;
use tonic::{Code, Status, body::Body};
use tracing::Span;

use super::{reply, service::RequestId};
use crate::status::code_name;

pub(super) struct WatchedBody {
    inner: Body,
    path: Arc<str>,
    id: RequestId,
    span: Span,
    ended: bool,
}

impl WatchedBody {
    pub(super) fn new(inner: Body, path: Arc<str>, id: RequestId, span: Span) -> Self {
        Self {
            inner,
            path,
            id,
            span,
            ended: false,
        }
    }
}

impl http_body::Body for WatchedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        let _entered = this.span.enter();
        let polled = catch_unwind(AssertUnwindSafe(|| {
            Pin::new(&mut this.inner).poll_frame(cx)
        }));
        match polled {
            Ok(Poll::Ready(Some(Ok(frame)))) => {
                if let Some(status) = frame.trailers_ref().and_then(Status::from_header_map) {
                    record(&this.span, status.code());
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Ok(other) => other,
            Err(panic) => {
                this.ended = true;
                let status = reply::panicked(&this.path, &this.id.0, panic.as_ref());
                record(&this.span, status.code());
                let mut trailers = http::HeaderMap::new();
                Poll::Ready(match status.add_header(&mut trailers) {
                    Ok(()) => Some(Ok(Frame::trailers(trailers))),
                    Err(status) => Some(Err(status)),
                })
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Writes the status on the span; only a server's own failures mark it as an error.
pub(super) fn record(span: &Span, code: Code) {
    span.record("rpc.response.status_code", code_name(code));
    if matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    ) {
        span.record("error.type", code_name(code));
        span.record("otel.status_code", "ERROR");
    }
}
