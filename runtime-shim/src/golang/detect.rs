//! Which interface a program speaks is found out: it asks for its first invocation, or it listens on its port.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::lambda::Desk;
use crate::init::reap::Exit;
use crate::worker::StartFailure;

/// Between two looks at the port: a Go program listens a few milliseconds after its start.
const EVERY: Duration = Duration::from_millis(1);
/// Loopback says at once whether somebody listens.
const AT_ONCE: Duration = Duration::from_millis(20);
/// How long a port that was the last process's may take to be free again.
const FREE_WITHIN: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Lambda,
    Http,
}

/// Makes sure that whoever listens on the port later is the program.
pub(super) async fn is_free(upstream: SocketAddr) -> Result<(), StartFailure> {
    let free = async {
        while is_taken(upstream) {
            sleep(EVERY).await;
        }
    };
    timeout(FREE_WITHIN, free).await.map_err(|_| {
        let name = contract::environment::SCW_UPSTREAM_PORT;
        StartFailure::died(format!("somebody else listens on {upstream}; {name} names the handler's port"))
    })
}

/// Waits for the first use of either interface, or for the program's own report that it cannot start.
pub(super) async fn first_use(
    desk: &Desk,
    upstream: SocketAddr,
    within: Duration,
) -> Result<Form, StartFailure> {
    // Cancellation: all branches only observe.
    let first = async {
        tokio::select! {
            started = desk.first_next() => started.map(|()| Form::Lambda),
            () = listens(upstream) => Ok(Form::Http),
        }
    };
    timeout(within, first).await.unwrap_or_else(|_| Err(speaks_neither(upstream, within)))
}

async fn listens(upstream: SocketAddr) {
    while !is_taken(upstream) {
        sleep(EVERY).await;
    }
}

fn is_taken(upstream: SocketAddr) -> bool {
    match TcpStream::connect_timeout(&upstream, AT_ONCE) {
        // Where nobody listens, a port of the range that connections are given may be connected to itself.
        Ok(stream) => stream.local_addr().ok() != Some(upstream),
        // More wait to be accepted than the listener holds.
        Err(error) => error.kind() == io::ErrorKind::TimedOut,
    }
}

fn speaks_neither(upstream: SocketAddr, within: Duration) -> StartFailure {
    let seconds = within.as_secs();
    StartFailure::died(format!(
        "within {seconds} s the handler neither asked the Lambda Runtime API for work (aws-lambda-go does) \
         nor listened on {upstream} (scaleway-functions-go does)"
    ))
}

/// The program ended and had used neither.
pub(super) fn ended_early(exit: Exit, upstream: SocketAddr) -> StartFailure {
    StartFailure::died(format!(
        "the handler {exit} before it asked the Lambda Runtime API for work (aws-lambda-go does) or listened \
         on {upstream} (scaleway-functions-go does)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_speaks_neither_is_told_both() {
        let upstream = SocketAddr::from(([127, 0, 0, 1], 8081));
        for failure in
            [speaks_neither(upstream, Duration::from_secs(60)), ended_early(Exit::Code(0), upstream)]
        {
            for word in ["Lambda Runtime API", "127.0.0.1:8081", "aws-lambda-go", "scaleway-functions-go"] {
                assert!(failure.message.contains(word), "{}", failure.message);
            }
            assert!(!failure.is_final);
        }
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_told_before_the_program_is_taken_for_it() {
        let other = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = other.local_addr().expect("an address");
        let failure = is_free(address).await.expect_err("taken");
        assert!(failure.message.contains("SCW_UPSTREAM_PORT"), "{}", failure.message);
        drop(other);
        is_free(address).await.expect("free");
    }
}
