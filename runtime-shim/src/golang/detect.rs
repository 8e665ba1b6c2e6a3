//! Which interface a program speaks is found out: it asks for its first invocation, or it listens on its port.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::LambdaApi;
use crate::worker::StartFailure;
use crate::worker::process::START_LIMIT;

/// Between two looks at the port.
const EVERY: Duration = Duration::from_millis(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Lambda,
    Http,
}

/// Waits for the first use of either interface, or for the program's own report that it cannot start.
pub(super) async fn first_use(api: &LambdaApi, upstream: SocketAddr) -> Result<Form, StartFailure> {
    // Cancellation: all branches only observe.
    let first = async {
        tokio::select! {
            started = api.first_next() => started.map(|()| Form::Lambda),
            () = listens(upstream) => Ok(Form::Http),
        }
    };
    timeout(START_LIMIT, first).await.unwrap_or_else(|_| {
        let seconds = START_LIMIT.as_secs();
        Err(StartFailure::died(format!(
            "within {seconds} s the handler neither asked the Lambda Runtime API for work nor listened on {upstream}"
        )))
    })
}

async fn listens(upstream: SocketAddr) {
    while TcpStream::connect(upstream).await.is_err() {
        sleep(EVERY).await;
    }
}
