//! A request's way through the shim, one file a step: limits, token, event, worker, answer.

pub(crate) mod answer;
mod ascii;
mod body;
pub(crate) mod clock;
mod decode;
pub(crate) mod event;
pub(crate) mod forwarded;
pub(crate) mod id;
mod limits;
pub(crate) mod probe;
pub(crate) mod slots;
pub(crate) mod token;
pub(crate) mod trace;

use std::sync::Arc;
use std::time::SystemTime;

use contract::event::X_ZIPSHIP_PROBE;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, Version};

use self::answer::{Answer, Body, Refusal};
pub(crate) use self::ascii::{push_number, to_vec as ascii_json};
use self::event::Event;
use self::forwarded::{Network, Peer};
use self::slots::Slots;
use self::token::Guard;
use crate::config::Limits;
use crate::init::drain::End;
use crate::init::logs::{Level, Logs};
use crate::metrics::Metrics;
use crate::serve::Violation;
use crate::worker::{Call, Worker};

/// What every request needs; one for the life of the process.
pub(crate) struct Shim {
    pub(crate) limits: Limits,
    pub(crate) guard: Guard,
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) slots: Slots,
    pub(crate) worker: Arc<Worker>,
    pub(crate) logs: Logs,
    pub(crate) metrics: Metrics,
    pub(crate) end: End,
}

/// The whole flow. Dropping the future (the caller has gone) tells the worker, and keeps the slot until the
/// handler has finished.
///
/// `violation`: the request stands for one that was refused while it was read.
pub(crate) async fn handle(
    shim: Arc<Shim>,
    peer: Arc<Peer>,
    request: Request<Incoming>,
    violation: Option<Violation>,
) -> Response<Body> {
    shim.end.count();
    let count = shim.metrics.request();
    let (method, version) = (request.method().clone(), request.version());
    let traceparent = trace::of(request.headers());
    let path = shim.logs.wants(Level::Debug).then(|| request.uri().path().to_owned());
    let id = id::of(request.headers());
    let result = match violation {
        Some(violation) => Err(limits::broken(violation)),
        None => flow(&shim, &peer, id.clone(), request).await.and_then(answer::carry),
    };
    if let Some(line) = result.as_ref().err().and_then(Refusal::log_line) {
        shim.logs.of_request(Level::Warn, &id, &line);
    }
    let mut response = answer::respond(&method, result);
    trace::answer(traceparent, response.headers_mut());
    let took = count.answered(response.status());
    if let Some(path) = path {
        let line = format!("{method} {path} {} in {} us", response.status().as_u16(), took.as_micros());
        shim.logs.of_request(Level::Debug, &id, &line);
    }
    if shim.end.has_begun() && version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn flow(
    shim: &Arc<Shim>,
    peer: &Peer,
    id: Arc<str>,
    request: Request<Incoming>,
) -> Result<Answer<Body>, Refusal> {
    let (mut head, body) = request.into_parts();
    limits::head(shim.limits, &head)?;
    if is_probe(peer, &head) {
        return Ok(Answer::nothing().into());
    }
    let claims = shim.guard.check(&mut head.headers, SystemTime::now())?;
    let body = limits::read(body, head.version, shim.limits.payload).await?;
    let slot = shim.metrics.waiting(shim.slots.take()).await?;
    peer.strip(&mut head.headers);
    let source = peer.source(&head.headers);
    let event = Event::new(&head, id, source, claims.as_ref(), SystemTime::now());
    shim.worker.call(Call { event, body, timeout: shim.limits.timeout }, slot).await
}

/// The deploy's question, answered without the worker and before the token check; the gateway alone may ask.
fn is_probe(peer: &Peer, head: &Parts) -> bool {
    peer.is_gateway && head.headers.contains_key(X_ZIPSHIP_PROBE)
}
