//! An instance's log records, from its descriptor into the server's log.

use std::os::fd::OwnedFd;

use contract::instance::{LogRecord, LogStream};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::unix::pipe,
};

/// Reads records until the instance closes its end. Must be called inside the runtime.
pub(super) fn follow(descriptor: OwnedFd, function: String, instance: String) -> std::io::Result<()> {
    let receiver = pipe::Receiver::from_owned_fd(descriptor)?;
    tokio::spawn(async move {
        let mut lines = BufReader::new(receiver).lines();
        // An unreadable line is passed over; an unreadable pipe ends it.
        while let Ok(Some(line)) = lines.next_line().await {
            match serde_json::from_str(&line) {
                Ok(record) => tell(&record, &function, &instance),
                Err(error) => tracing::warn!(instance.id = %instance, %error, "a log record can't be read"),
            }
        }
    });
    Ok(())
}

fn tell(record: &LogRecord, function: &str, instance: &str) {
    let stream = match record.stream {
        LogStream::Stdout => "stdout",
        LogStream::Stderr => "stderr",
        LogStream::Platform => "platform",
    };
    let request = record.request_id.as_deref().unwrap_or_default();
    tracing::info!(
        function.id = %function, instance.id = %instance, stream, request.id = %request, "{}", record.line
    );
}
