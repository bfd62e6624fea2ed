//! The listening socket: where it may listen, how many connections it holds and for how long.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

use crate::limits::HTTP_CONCURRENCY_MAX;

/// Connections at once, many of which wait for their next request; beyond it new ones are not accepted.
const CONNECTIONS_MAX: usize = 2 * HTTP_CONCURRENCY_MAX;
/// A connection on which nothing moves for this long is closed. Longer than the longest request.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// `[http]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// Where the control API listens; a loopback address, with port 0 for any free one.
    pub listen: SocketAddr,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8088)) }
    }
}

/// Why the control API cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Someone else listens there.
    #[error("cannot listen on {0}: the port is in use; stop the other process or set http.listen to another address")]
    InUse(SocketAddr),
    /// Whoever reaches the address may halt and resume, so nobody else may reach it.
    #[error(
        "http.listen is {0}, but this version has no tokens yet and listens on loopback only: set it to 127.0.0.1:{port}",
        port = .0.port()
    )]
    NotLoopback(SocketAddr),
    /// The system refuses.
    #[error("cannot listen on {listen}: {error}; set http.listen to another address")]
    Refused {
        /// The address.
        listen: SocketAddr,
        /// Why.
        error: io::Error,
    },
}

/// Opens the socket.
///
/// # Errors
/// When the address is not a loopback one, is in use, or is refused by the system.
pub async fn bind(listen: SocketAddr) -> Result<TcpListener, BindError> {
    if !listen.ip().to_canonical().is_loopback() {
        return Err(BindError::NotLoopback(listen));
    }
    TcpListener::bind(listen).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse(listen),
        _ => BindError::Refused { listen, error },
    })
}

/// Serves until `shutdown`, and then until the requests under way are answered.
///
/// # Errors
/// When the socket fails.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let bounded = Bounded { listener, room: Arc::new(Semaphore::new(CONNECTIONS_MAX)) };
    axum::serve(bounded, router).with_graceful_shutdown(shutdown).await
}

/// A listener that holds at most [`CONNECTIONS_MAX`] connections.
struct Bounded {
    listener: TcpListener,
    room: Arc<Semaphore>,
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // Never closed, so there is always a permit in the end.
        let permit = self.room.clone().acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Answers of the gate are small and awaited.
        let _ = stream.set_nodelay(true);
        (Connection { stream, idle: Box::pin(sleep(IDLE_MAX)), _permit: permit }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends when nothing moves on it.
struct Connection {
    stream: TcpStream,
    idle: Pin<Box<Sleep>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Connection {
    /// Puts the end off when something moved; ends when nothing did for too long.
    fn watch<T>(&mut self, context: &mut Context<'_>, moved: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if moved.is_ready() {
            self.idle.as_mut().reset(Instant::now() + IDLE_MAX);
            return moved;
        }
        self.idle.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let moved = Pin::new(&mut self.stream).poll_read(context, into);
        self.watch(context, moved)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, moved)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let moved = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.watch(context, moved)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_that_cannot_be_used_say_what_to_do() {
        let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr();
        let kept = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let in_use = kept.local_addr().expect("bound");
        let rows = [
            (
                in_use.to_string(),
                format!("cannot listen on {in_use}: the port is in use; stop the other process or set http.listen to another address"),
            ),
            (
                "0.0.0.0:8088".to_owned(),
                "http.listen is 0.0.0.0:8088, but this version has no tokens yet and listens on loopback only: set it to 127.0.0.1:8088".to_owned(),
            ),
            ("[::]:1".to_owned(), "http.listen is [::]:1, but this version has no tokens yet and listens on loopback only: set it to 127.0.0.1:1".to_owned()),
        ];
        for (listen, message) in rows {
            let error = bind(listen.parse().expect("an address")).await.expect_err(&listen);
            assert_eq!(error.to_string(), message);
        }
        assert!(bind(taken.expect("bound")).await.is_ok());
        assert!(bind("[::ffff:127.0.0.1]:0".parse().expect("an address")).await.is_ok() || !cfg!(target_os = "linux"));
    }

    #[test]
    fn settings_have_a_default_and_know_no_other_key() {
        let read = |text: &str| toml::from_str::<HttpSettings>(text).map_err(|error| error.message().to_owned());
        assert_eq!(read("").map(|s| s.listen.to_string()), Ok("127.0.0.1:8088".to_owned()));
        assert_eq!(read("listen = \"[::1]:1\"").map(|s| s.listen.to_string()), Ok("[::1]:1".to_owned()));
        assert!(read("listn = \"127.0.0.1:1\"").expect_err("misspelt").contains("unknown field `listn`"));
    }
}
