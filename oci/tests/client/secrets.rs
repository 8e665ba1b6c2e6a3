//! No secret in a log, whatever goes wrong. Alone in its process state: it sets the log of its own thread only.

use std::io;
use std::sync::{Arc, Mutex};

use oci::client::Credentials;
use tracing_subscriber::fmt::MakeWriter;

use crate::scripted::*;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// A failing push with everything logged; answers the log and the error in both forms.
async fn log_of(credentials: Credentials) -> String {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = Server::start(|seen, before| {
        if seen.target.starts_with("/token") {
            return Some(json(r#"{"token":"the-secret-token"}"#.to_owned()));
        }
        let host = seen.header("host").unwrap();
        let challenge = format!(r#"Bearer realm="http://{host}/token?key=the-secret-query""#);
        match (seen.line().as_str(), before) {
            (POST, 0) => Some(status(401).with("www-authenticate", &challenge)),
            (POST, _) => Some(status(202).with("location", "/elsewhere?sig=the-secret-state")),
            ("PUT /elsewhere", _) => Some(refusal(503, "UNAVAILABLE", "busy")),
            _ => None,
        }
    })
    .await;
    let client = client(credentials);
    let error = client.push(&image(), &server.reference("a:1")).await.unwrap_err();
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("trying again"), "the log holds what was done: {log}");
    format!("{log}\n{error}\n{error:?}\n{client:?}")
}

#[tokio::test]
async fn secrets_are_in_no_log_and_no_error() {
    let all = [
        Credentials::Basic { user: "me".into(), password: "the-secret-password".into() },
        Credentials::Identity { token: "the-secret-identity".into() },
        Credentials::Bearer { token: "the-secret-bearer".into() },
    ];
    for credentials in all {
        let shown = log_of(credentials).await;
        let basic = basic_of("me", "the-secret-password");
        for secret in ["the-secret", basic.as_str()] {
            let line = shown.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{secret}");
        }
    }
}
