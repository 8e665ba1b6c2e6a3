//! One kept connection to the program. The program is the user's, but its server is Go's `net/http`: answers are
//! read strictly and without haste, and nothing is sent twice.

use std::io;
use std::net::SocketAddr;

use bytes::{Buf, BytesMut};
use rustix::net::{RecvFlags, recv};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::ReadHalf;

use super::reply::{self, HttpReply};

/// Requests up to this size are written before an answer is looked for.
const SMALL: usize = 32 << 10;

pub(super) struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Connection {
    pub(super) async fn open(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: BytesMut::with_capacity(4096) })
    }

    /// Whether the program has neither closed it nor said anything unasked.
    pub(super) fn is_open(&self) -> bool {
        let peeked = recv(&self.stream, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        self.buffer.is_empty() && peeked.is_err_and(|error| error == rustix::io::Errno::AGAIN)
    }

    /// Sends a request and reads its answer. After an error, or when the reply says so, the connection is done
    /// with.
    ///
    /// Dropping the future leaves the connection in the middle of an exchange: it is to be dropped, too.
    pub(super) async fn post(&mut self, mut request: impl Buf) -> io::Result<HttpReply> {
        let (mut read, mut write) = self.stream.split();
        if request.remaining() <= SMALL {
            write.write_all_buf(&mut request).await?;
            return answer(&mut read, &mut self.buffer).await;
        }
        // The program may answer before it has read all, and then wait for us to read.
        let send = async {
            // It says why in its answer, or not at all.
            drop(write.write_all_buf(&mut request).await);
            std::future::pending().await
        };
        // Cancellation: the answer decides; what is not sent by then is not wanted.
        tokio::select! {
            reply = answer(&mut read, &mut self.buffer) => reply,
            never = send => never,
        }
        .map(|reply| HttpReply { is_reusable: reply.is_reusable && !request.has_remaining(), ..reply })
    }
}

async fn answer(read: &mut ReadHalf<'_>, buffer: &mut BytesMut) -> io::Result<HttpReply> {
    let mut parser = reply::Parser::default();
    loop {
        if let Some(reply) = parser.advance(buffer)? {
            return Ok(reply);
        }
        if buffer.capacity() - buffer.len() < 1024 {
            buffer.reserve(parser.wants());
        }
        if read.read_buf(buffer).await? == 0 {
            return parser.closed(buffer);
        }
    }
}
