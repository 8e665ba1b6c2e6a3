//! One request to one instance and its answer back, both streamed.

use std::io::{Error, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;

use crate::core::Outcome;
use crate::hold::Slot;
use crate::instance::Exit;
use crate::pool::Pool;
use crate::usage::Invocation;
use crate::{BodyError, BoxBody};

/// Connections that are tried for one slot: one that was kept, then new ones.
const TRIES: u32 = 3;
/// How long a broken connection waits for the report of the instance's exit, to name the cause.
const EXIT_NOTICE: Duration = Duration::from_millis(200);

/// Why there is no answer.
pub(crate) enum Failed {
    /// No byte of the request was written: it may go to another instance.
    NotSent(Box<Request<BoxBody>>),
    /// The instance took the request and gave no answer.
    Broken(Option<Exit>),
    /// No answer within the limit.
    TimedOut,
}

enum Unanswered {
    NotSent { request: Box<Request<BoxBody>>, dead: bool },
    Broken,
}

/// Sends the request and waits for the head of the answer; the body of the answer holds the slot from then on.
/// `limit` counts from here, where the slot was just given.
pub(crate) async fn exchange(
    mut slot: Slot,
    request: Request<BoxBody>,
    limit: Duration,
) -> Result<Response<Answering>, Failed> {
    let Some(pool) = slot.instance.pool() else { return Err(Failed::NotSent(Box::new(request))) };
    match tokio::time::timeout(limit, send(pool, request)).await {
        Ok(Ok((response, connection))) => {
            slot.outcome = Outcome::Answered;
            let failed = response.status().is_server_error();
            slot.invocation = if failed { Invocation::Failed } else { Invocation::Answered };
            slot.instance.answered(&*slot.shared().instances);
            Ok(response.map(|body| Answering::new(body, slot, connection)))
        }
        Ok(Err(Unanswered::NotSent { request, dead })) => {
            if dead {
                slot.outcome = Outcome::Unreachable;
            }
            Err(Failed::NotSent(request))
        }
        Ok(Err(Unanswered::Broken)) => {
            slot.invocation = Invocation::Failed;
            let instance = slot.instance.clone();
            drop(slot);
            Err(Failed::Broken(instance.exit_within(EXIT_NOTICE).await))
        }
        Err(_) => {
            slot.invocation = Invocation::Failed;
            Err(Failed::TimedOut)
        }
    }
}

/// A request that may have reached user code is sent again only when that cannot matter: the connection was a
/// kept one that the instance had closed meanwhile, the method is idempotent and there is no body.
async fn send(
    pool: &Pool,
    mut request: Request<BoxBody>,
) -> Result<(Response<Incoming>, SendRequest<BoxBody>), Unanswered> {
    let mut kept = pool.take();
    let mut again = kept.as_ref().and_then(|_| copy(&request));
    let mut written = false;
    for _ in 0..TRIES {
        let reused = kept.is_some();
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => match pool.connect().await {
                Ok(connection) => connection,
                Err(_) if written => return Err(Unanswered::Broken),
                Err(error) => {
                    let request = Box::new(request);
                    return Err(Unanswered::NotSent { request, dead: is_dead(&error) });
                }
            },
        };
        match connection.try_send_request(request).await {
            Ok(response) => return Ok((response, connection)),
            Err(mut error) => match (error.take_message(), again.take()) {
                (Some(unsent), copy) => (request, again) = (unsent, copy),
                (None, Some(copy)) if reused => (request, written) = (copy, true),
                (None, _) => return Err(Unanswered::Broken),
            },
        }
    }
    Err(if written {
        Unanswered::Broken
    } else {
        Unanswered::NotSent { request: Box::new(request), dead: false }
    })
}

fn copy(request: &Request<BoxBody>) -> Option<Request<BoxBody>> {
    if !request.method().is_idempotent() || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(Empty::new().map_err(BodyError::from).boxed_unsync());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

pub(crate) fn is_dead(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound)
}

/// The body of an answer on its way to the caller. At its end the slot is returned and the connection kept;
/// dropped before, the slot is returned and the connection closed.
pub(crate) struct Answering {
    body: Incoming,
    held: Option<(Slot, SendRequest<BoxBody>)>,
}

impl Answering {
    fn new(body: Incoming, slot: Slot, connection: SendRequest<BoxBody>) -> Self {
        let mut answering = Self { body, held: Some((slot, connection)) };
        answering.finish_at_end();
        answering
    }

    fn finish_at_end(&mut self) {
        if self.body.is_end_stream() {
            self.finish();
        }
    }

    fn finish(&mut self) {
        if let Some((slot, connection)) = self.held.take()
            && let Some(pool) = slot.instance.pool()
        {
            pool.keep(connection);
        }
    }
}

impl Body for Answering {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match frame {
            Some(Ok(frame)) => {
                self.finish_at_end();
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                if let Some((mut slot, _connection)) = self.held.take() {
                    (slot.outcome, slot.invocation) = (Outcome::Broken, Invocation::Failed);
                }
                Poll::Ready(Some(Err(error.into())))
            }
            None => {
                self.finish();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
