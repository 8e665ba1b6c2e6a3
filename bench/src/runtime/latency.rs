//! `runtime.node.added_p50`: what a request on one connection waits longer than at node's own server.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};

use super::{
    compare::{self, Measured},
    places::Places,
    process::Server,
    subjects,
};
use crate::row::{Better, Row};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(800);

pub(super) fn measure(places: &Places) -> anyhow::Result<Vec<Row>> {
    let measured = compare::in_turn(subjects::node(places), ROUNDS, |server| Ok([p50(server, "/", b"")?]))?;
    let plain = measured.iter().find(|one| one.name == subjects::PLAIN_NODE);
    let plain = plain.and_then(|plain| plain.medians.as_ref().ok()).context("plain node answers")?[0];
    let added = |one: Measured<1>| match one.name == subjects::PLAIN_NODE {
        true => Measured {
            name: one.name,
            medians: Err(format!("all values are what is added to its own p50 of {plain:.1} us")),
        },
        false => Measured { name: one.name, medians: one.medians.map(|[p50]| [p50 - plain]) },
    };
    let measured: Vec<_> = measured.into_iter().map(added).collect();
    Ok(compare::rows(&measured, 0, "runtime.node.added_p50", "us", Better::Less))
}

/// The median of round trips on one kept connection, in microseconds. Every answer is as long as the first.
pub(super) fn p50(server: &Server, path: &str, body: &[u8]) -> anyhow::Result<f64> {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let method = if body.is_empty() { "GET" } else { "POST" };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let request = [head.as_bytes(), body].concat();
    let (mut times, mut buffer) = (Vec::new(), vec![0; body.len() + (64 << 10)]);
    let end = Instant::now() + ROUND;
    while Instant::now() < end {
        let sent = Instant::now();
        stream.write_all(&request)?;
        read_answer(&mut stream, &mut buffer, body)?;
        times.push(sent.elapsed().as_secs_f64() * 1e6);
    }
    Ok(compare::median(times.into_iter()))
}

fn read_answer(stream: &mut TcpStream, buffer: &mut [u8], body: &[u8]) -> anyhow::Result<()> {
    let (mut filled, mut whole) = (0, None);
    while whole.is_none_or(|whole| filled < whole) {
        let read = stream.read(buffer.get_mut(filled..).context("the answer is too long")?)?;
        ensure!(read > 0, "the connection was closed");
        filled += read;
        whole = whole.or_else(|| length(&buffer[..filled]));
    }
    ensure!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..filled.min(300)]));
    ensure!(buffer[..filled].ends_with(body), "another body came back");
    Ok(())
}

/// Of the whole answer, once its head is there.
fn length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).ok()?;
    let value = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    Some(head + value?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_an_answer_is_known_with_its_head() {
        assert_eq!(length(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"), None);
        assert_eq!(length(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n"), Some(41));
    }
}
