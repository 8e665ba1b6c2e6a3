//! Counts the bytes that a client sends: a TCP relay in front of the registry.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// Relays until the process ends.
pub(super) struct Relay {
    /// Where clients connect.
    pub(super) address: String,
    sent: Arc<AtomicU64>,
}

impl Relay {
    pub(super) fn before(registry: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let (sent, registry) = (Arc::new(AtomicU64::new(0)), registry.to_owned());
        let counted = sent.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A connection that cannot be relayed is closed, and its client fails.
                let _ = relay(client, &registry, &counted);
            }
        });
        Ok(Self { address, sent })
    }

    /// Bytes from clients so far: headers and bodies.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

fn relay(client: TcpStream, registry: &str, sent: &Arc<AtomicU64>) -> io::Result<()> {
    let server = TcpStream::connect(registry)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    let sent = sent.clone();
    thread::spawn(move || {
        let _ = copy(&mut from_client, &mut to_server, |bytes| {
            sent.fetch_add(bytes as u64, Ordering::SeqCst);
        });
        to_server.shutdown(Shutdown::Write)
    });
    let (mut from_server, mut to_client) = (server, client);
    thread::spawn(move || {
        let _ = copy(&mut from_server, &mut to_client, |_| {});
        to_client.shutdown(Shutdown::Write)
    });
    Ok(())
}

fn copy(from: &mut TcpStream, to: &mut TcpStream, counted: impl Fn(usize)) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        // Before they are handed on: whoever has seen the answer sees the count.
        counted(read);
        to.write_all(&buffer[..read])?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_sends_arrives_and_is_counted_and_the_answer_is_not() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Relay::before(&server.local_addr().unwrap().to_string()).unwrap();
        let mut client = TcpStream::connect(&relay.address).unwrap();
        client.write_all(b"hello").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let (mut accepted, _) = server.accept().unwrap();
        let mut text = String::new();
        accepted.read_to_string(&mut text).unwrap();
        accepted.write_all(b"a longer answer").unwrap();
        drop(accepted);
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!((text.as_str(), answer.as_str(), relay.sent()), ("hello", "a longer answer", 5));
    }
}
