//! The way of a request through the gateway, the whole of it in [`Gateway::forward`] and [`Gateway::serve`].

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use contract::event::{X_REQUEST_ID, X_ZIPSHIP_ERROR};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, Version};
use http_body::Body;
use http_body_util::BodyExt;

use crate::answer::Trouble;
use crate::core::{Cold, Refusal, WaiterKind};
use crate::finish::Finish;
use crate::headers::{self, Told, request_id, text};
use crate::hold::{Held, hold};
use crate::instance::Instance;
use crate::proxy::{Failed, exchange};
use crate::route::{Route, RouteState, Target};
use crate::{BodyError, BoxBody, Gateway, Program, probe};

/// Instances that are tried for a request of which no byte was written.
const TRIES: u32 = 3;
/// What the shim marks its answer with when its worker died.
const WORKER_KILLED: &str = "Runtime.WorkerKilled";
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

impl Gateway {
    /// Answers a request to `/f/<function id>` or below; `peer` is the caller's address. Every answer carries
    /// `X-Request-Id`; troubles of the platform are JSON. The body is read only when there is an instance for
    /// it. May be dropped at any time: the caller has gone.
    pub async fn forward<B>(&self, request: Request<B>, peer: IpAddr) -> Response<BoxBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        let request_id = request_id(request.headers());
        let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
        let mut response = match self.route(request.uri()) {
            Ok((target, route)) => match self.serve(request, target, &route, peer, &request_id).await {
                Ok(response) => response,
                Err(trouble) => trouble.answer(route.function.program(), &request_id),
            },
            Err(trouble) => trouble.answer(None, &request_id),
        };
        response.headers_mut().insert(X_REQUEST_ID, request_id);
        response
    }

    /// hold (and balance) → proxy; the end of the answer's body releases.
    async fn serve(
        &self,
        request: Request<BoxBody>,
        target: Target,
        route: &Route,
        peer: IpAddr,
        request_id: &HeaderValue,
    ) -> Result<Response<BoxBody>, Trouble> {
        let nonce = probe::expected(request.headers(), &route.function);
        let kind = if nonce.is_some() { WaiterKind::Probe } else { WaiterKind::Request };
        let prefix = target.prefix();
        let scheme = self.shared.config.scheme;
        let told = Told { peer, scheme, prefix: &prefix, request_id, probe: nonce.as_ref() };
        let mut request = to_instance(request, target, &told);
        for _ in 0..TRIES {
            let slot = hold(&route.function, kind).await.map_err(|held| refused(held, route))?;
            let (instance, cold, granted) = (Arc::clone(&slot.instance), slot.cold, slot.granted);
            let limit = self.shared.config.answer_limit(&instance.revision);
            if kind == WaiterKind::Probe && instance.revision.program == Program::Container {
                return probe::of_container(slot, limit).await.ok_or(Trouble::Unreachable);
            }
            match Finish::new(exchange(slot, request, limit), &self.shared.runtime).await {
                Ok(response) => {
                    if self.ran_out_of_memory(&response, &instance).await {
                        return Err(Trouble::OutOfMemory { memory_mb: instance.revision.memory_mb });
                    }
                    let mut response = to_caller(response);
                    if let Some(cold) = cold {
                        tell_timing(response.headers_mut(), cold, granted.elapsed(), &instance);
                    }
                    if kind == WaiterKind::Probe {
                        probe::sign(response.headers_mut(), &instance.revision);
                    }
                    return Ok(response);
                }
                Err(Failed::NotSent(unsent)) => request = *unsent,
                Err(failed) => {
                    if let (Failed::TimedOut, Ok(request_id)) = (&failed, request_id.to_str()) {
                        self.shared.instances.timed_out(&instance.name, request_id);
                    }
                    return Err(trouble(failed, &instance));
                }
            }
        }
        Err(Trouble::Unreachable)
    }

    /// The shim lives and says that its worker was killed: whether for want of memory is known outside only.
    async fn ran_out_of_memory<B>(&self, response: &Response<B>, instance: &Instance) -> bool {
        let lost = response.headers().get(X_ZIPSHIP_ERROR).is_some_and(|error| error == WORKER_KILLED);
        let shim = instance.revision.program == Program::Function;
        shim && lost && self.shared.instances.out_of_memory(instance.name.clone()).await
    }

    fn route(&self, uri: &Uri) -> Result<(Target, Route), Trouble> {
        let target = Target::of(uri).ok_or(Trouble::NotFound)?;
        match self.table.get(&target.function_id) {
            Some(Route { state: RouteState::Locked, .. }) | None => Err(Trouble::NotFound),
            Some(route) => Ok((target, route)),
        }
    }
}

fn refused(held: Held, route: &Route) -> Trouble {
    match held {
        Held::Refused(Refusal::NoRevision) => Trouble::NotServing(route.state.clone()),
        held => Trouble::Held(held),
    }
}

fn trouble(failed: Failed, instance: &Instance) -> Trouble {
    let revision = &instance.revision;
    match failed {
        Failed::TimedOut => Trouble::TimedOut { timeout: revision.timeout },
        Failed::Broken(exit) => Trouble::Broken { exit, memory_mb: revision.memory_mb },
        Failed::NotSent(_) => Trouble::Unreachable,
    }
}

fn to_instance(request: Request<BoxBody>, target: Target, told: &Told<'_>) -> Request<BoxBody> {
    let (mut parts, body) = request.into_parts();
    headers::to_instance(&mut parts, told);
    parts.version = Version::HTTP_11;
    parts.uri = Uri::from(target.path_and_query);
    Request::from_parts(parts, body)
}

fn to_caller(response: Response<crate::proxy::Answering>) -> Response<BoxBody> {
    let (mut parts, body) = response.into_parts();
    headers::strip(&mut parts.headers);
    parts.version = Version::HTTP_11;
    parts.extensions = http::Extensions::new();
    Response::from_parts(parts, body.boxed_unsync())
}

/// `queue`, `start` and `handler`, and the parts of the start as its instance tells them, in milliseconds.
fn tell_timing(headers: &mut HeaderMap, cold: Cold, handler: Duration, instance: &Instance) {
    let of = |name: &str, took: Duration| format!("{name};dur={:.1}", took.as_secs_f64() * 1000.0);
    let mut entries = vec![of("queue", cold.queue), of("start", cold.start)];
    entries.extend(instance.phases().iter().map(|phase| of(phase.name, phase.duration)));
    entries.push(of("handler", handler));
    headers.append(SERVER_TIMING, text(&entries.join(", ")));
}
