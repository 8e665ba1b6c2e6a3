//! The shim's end of a worker's socket.
//!
//! It waits for what can be read, and for room to write only when there was none: told of both, as a plain
//! `UnixStream` is, the shim would be woken once more for every request, when the worker takes it out.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;

use rustix::net::sockopt::set_socket_send_buffer_size;
pub(super) use tokio::net::unix::pipe::Receiver as ReadHalf;
use tokio::net::unix::pipe::Sender;

/// What the worker's direction may hold, in bytes: a large answer goes out in one write, where the kernel allows it,
/// and nobody is waited for again and again. The other direction stays as it is: what lies in there unread is lost
/// with the worker, what did not fit goes to the next one.
const ANSWERS: usize = 1 << 20;

/// A connected pair: the shim's end, and the worker's.
pub(super) fn pair() -> io::Result<(UnixStream, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    // Above its own limit (`net.core.wmem_max`) the kernel gives that; failing only costs time.
    let _ = set_socket_send_buffer_size(&theirs, ANSWERS);
    Ok((ours, theirs))
}

/// Fails when the machine has no room for another descriptor.
pub(super) fn split(stream: UnixStream) -> io::Result<(ReadHalf, WriteHalf)> {
    // A pipe's end is watched for one direction alone, and is read like any descriptor.
    let read = ReadHalf::from_owned_fd_unchecked(stream.try_clone()?.into())?;
    Ok((read, WriteHalf { stream }))
}

pub(super) struct WriteHalf {
    stream: UnixStream,
}

impl WriteHalf {
    /// Writes some of `bytes`.
    ///
    /// Cancellation: what was written is not known; the socket is of no more use.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.stream.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => return written,
            }
        }
    }

    pub(super) async fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write(bytes).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => bytes = &bytes[written..],
            }
        }
        Ok(())
    }

    async fn writable(&self) -> io::Result<()> {
        // A descriptor can be watched once, so this is a copy; it is watched no longer than there is need.
        let copy = Sender::from_owned_fd_unchecked(self.stream.try_clone()?.into())?;
        copy.writable().await
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn bytes_of_any_number_come_whole_both_ways_and_then_the_end() {
        let (ours, theirs) = pair().expect("a pair");
        let (mut read, mut write) = split(ours).expect("watched");
        let echo = std::thread::spawn(move || std::io::copy(&mut &theirs, &mut &theirs).expect("copied"));
        for length in [1, 100, 70_000, 3 << 20] {
            let sent: Vec<u8> = (0..=250).cycle().take(length).collect();
            let mut got = BytesMut::new();
            let sending = async { write.write_all(&sent).await.expect("written") };
            let reading = async {
                while got.len() < length {
                    got.reserve(length - got.len());
                    assert!(read.read_buf(&mut got).await.expect("read") > 0);
                }
            };
            tokio::join!(sending, reading);
            assert!(got == sent, "{length} bytes");
        }
        write.stream.shutdown(std::net::Shutdown::Write).expect("shut down");
        assert_eq!(echo.join().expect("the other end"), 70_101 + (3 << 20));
        assert_eq!(read.read_buf(&mut BytesMut::with_capacity(1)).await.expect("the end"), 0);
    }
}
