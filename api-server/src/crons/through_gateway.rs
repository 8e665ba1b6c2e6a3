//! A call as any other: through the gateway, which starts an instance when there is none.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use contract::{
    api::CronRunState,
    event::{TOKEN_HEADERS, X_REQUEST_ID},
};
use futures_util::future::BoxFuture;
use gateway::{BoxBody, Gateway};
use http::{
    Request, Response,
    header::{CONTENT_TYPE, HOST, USER_AGENT},
};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Frame;
use serde::Deserialize;

use super::scheduler::{ALLOWANCE, Caller};
use crate::{
    store::{Call, End, Store, now_ms},
    tokens::{self, Subject},
};

/// What callers are told who asks.
const AGENT: &str = concat!("zipship-cron/", env!("CARGO_PKG_VERSION"));
/// How much of a failed call's answer is looked at, in bytes.
const LOOKED_AT: usize = 64 << 10;

/// Sends calls through the gateway.
pub struct ThroughGateway {
    store: Store,
    gateway: Arc<Gateway>,
    host: Arc<str>,
}

impl ThroughGateway {
    /// `host` is what applications see as the host of their endpoint.
    #[must_use]
    pub fn new(store: Store, gateway: Arc<Gateway>, host: &str) -> Self {
        Self { store, gateway, host: host.into() }
    }
}

impl Caller for ThroughGateway {
    fn call(&self, call: Call) -> BoxFuture<'static, End> {
        let (store, gateway, host) = (self.store.clone(), Arc::clone(&self.gateway), Arc::clone(&self.host));
        Box::pin(async move {
            let limit = Duration::from_millis(call.timeout_ms) + ALLOWANCE;
            let sent = async {
                match request(&store, &host, &call, limit).await {
                    Ok(request) => ended(gateway.forward(request, Ipv4Addr::LOCALHOST.into()).await).await,
                    Err(error) => failed(None, error),
                }
            };
            let gave_up = |_| failed(None, format!("it was not over within {} s", limit.as_secs()));
            tokio::time::timeout(limit, sent).await.unwrap_or_else(gave_up)
        })
    }
}

/// POST to the endpoint; to a private application with a token that is good for as long as the call.
async fn request(
    store: &Store,
    host: &str,
    call: &Call,
    limit: Duration,
) -> Result<Request<Full<Bytes>>, String> {
    let body = serde_json::to_vec(&call.args).map_err(|error| error.to_string())?;
    let mut request = Request::post(format!("/f/{}", call.application_id))
        .header(HOST, host)
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, AGENT)
        .header(X_REQUEST_ID, &call.request_id);
    if call.is_private {
        // The document's name of it: containers check tokens themselves.
        request = request.header(TOKEN_HEADERS[1], token(store, call, limit).await?);
    }
    request.body(Full::new(body.into())).map_err(|error| error.to_string())
}

async fn token(store: &Store, call: &Call, limit: Duration) -> Result<String, String> {
    let key = store.signing_key(&call.namespace_id).await.map_err(|error| error.to_string())?;
    let key = key.ok_or("the namespace has no key to sign a token with")?;
    let subject = Subject::Application {
        namespace_id: call.namespace_id.clone(),
        application_id: call.application_id.clone(),
    };
    let now = now_ms() / 1000;
    let expires = now.saturating_add(i64::try_from(limit.as_secs()).unwrap_or(i64::MAX));
    tokens::issue(&key, subject, now, Some(expires)).map_err(|error| error.to_string())
}

/// Reads the answer to its end: until then the call runs.
async fn ended(response: Response<BoxBody>) -> End {
    let (parts, mut body) = response.into_parts();
    let status = parts.status.as_u16();
    let mut text = BytesMut::new();
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) if text.len() + data.len() <= LOOKED_AT => text.extend_from_slice(&data),
            Ok(_) => {}
            Err(_) => return failed(Some(status), "the answer broke off".to_owned()),
        }
    }
    match status {
        ..400 => {
            End { state: CronRunState::Succeeded, status_code: Some(status), error_message: String::new() }
        }
        _ => failed(Some(status), said(&text)),
    }
}

fn failed(status_code: Option<u16>, error_message: String) -> End {
    End { state: CronRunState::Failed, status_code, error_message }
}

/// The message of an error, where the answer is one of the platform or a runtime.
fn said(body: &[u8]) -> String {
    #[derive(Default, Deserialize)]
    struct Said {
        #[serde(alias = "errorMessage")]
        message: String,
    }
    serde_json::from_slice::<Said>(body).unwrap_or_default().message
}

#[cfg(test)]
mod tests {
    use super::said;

    #[test]
    fn errors_of_platform_and_runtimes_are_read() {
        assert_eq!(said(br#"{"type": "not_found", "message": "nobody", "request_id": "1"}"#), "nobody");
        assert_eq!(said(br#"{"errorMessage": "boom", "errorType": "Error"}"#), "boom");
        for other in ["", "boom", "[]", r#"{"message": 1}"#] {
            assert_eq!(said(other.as_bytes()), "", "{other}");
        }
    }
}
