//! What a shim says on its log descriptor.

use contract::instance::LogRecord;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::unix::pipe;

/// One line.
#[derive(Debug)]
pub(crate) enum Line {
    Record(LogRecord),
    /// Said before the shim had its configuration: why it does not start.
    Raw(String),
}

/// Reads lines until the shim has ended.
pub(crate) async fn follow(log: pipe::Receiver, mut take: impl FnMut(Line)) {
    let mut log = BufReader::new(log);
    let mut bytes = Vec::new();
    while log.read_until(b'\n', &mut bytes).await.is_ok_and(|read| read > 0) {
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end_matches('\n');
        take(match serde_json::from_str(text) {
            Ok(record) => Line::Record(record),
            Err(_) => Line::Raw(text.strip_prefix("zipship-shim: ").unwrap_or(text).to_owned()),
        });
        bytes.clear();
    }
}
