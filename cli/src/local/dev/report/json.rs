//! One JSON object a line: `event` says what it is.

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{About, News, Style};

pub(super) struct Json;

impl Style for Json {
    fn write(&mut self, news: &News<'_>) {
        let Some(mut value) = value(news) else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        value["ts"] = json!(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        // Nobody reads any more: the server goes on.
        let _ = writeln!(std::io::stdout(), "{value}");
    }
}

fn value(news: &News<'_>) -> Option<Value> {
    Some(match news {
        News::Ready { url, directory, functions } => json!({
            "event": "ready", "url": url, "directory": directory.display().to_string(),
            "functions": functions.iter().map(about).collect::<Vec<_>>(),
        }),
        // Told when it is over.
        News::Running(_) => return None,
        News::Done(request) => json!({
            "event": "request", "request_id": request.id, "method": request.method, "path": request.path,
            "status": (request.status != 0).then_some(request.status), "broke_off": request.broken,
            "duration_ms": ms(request.took),
        }),
        News::Output { function, id, record } => json!({
            "event": "log", "function": function, "request_id": id, "stream": record.stream,
            "part": record.part, "line": record.line,
        }),
        News::Compiling { function } => json!({ "event": "compiling", "function": function }),
        News::Reloaded { function, files, took } => json!({
            "event": "reloaded", "function": function, "files": files, "duration_ms": ms(*took),
        }),
        News::Broken { function, why } => json!({ "event": "broken", "function": function, "error": why }),
        News::Note(text) => json!({ "event": "note", "text": text }),
        News::Stopping => json!({ "event": "stopping" }),
    })
}

fn about(about: &About) -> Value {
    let claims = about.claims.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    json!({
        "name": about.name, "url": about.url, "runtime": about.runtime, "handler": about.handler,
        "private": about.token.is_some(), "token": about.token, "claims": claims,
    })
}

fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}
