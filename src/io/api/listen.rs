//! The listening socket: where it may listen, TLS, how many connections it holds and for how long.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use super::access::TokenSettings;
use super::tls::{self, TlsSettings};
use crate::limits::{HTTP_CONCURRENCY_MAX, HTTP_STREAMS_MAX};

/// Connections at once, many of which wait for their next request; beyond it new ones are not accepted.
const CONNECTIONS_MAX: usize = 2 * HTTP_CONCURRENCY_MAX + HTTP_STREAMS_MAX;
/// A connection on which nothing moves for this long is closed. Longer than the longest request.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// `[http]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// Where the control API listens, with port 0 for any free one; without tokens a loopback address.
    pub listen: SocketAddr,
    /// TLS; without it requests and tokens go in the clear.
    pub tls: Option<TlsSettings>,
    /// Who may ask; everybody who reaches the address where there are none.
    pub tokens: Vec<TokenSettings>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8088)), tls: None, tokens: Vec::new() }
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
        "http.listen is {0}, which others can reach, but there are no http.tokens: make one with `haltline token`, \
         or set http.listen to 127.0.0.1:{port}",
        port = .0.port()
    )]
    NotLoopback(SocketAddr),
    /// Certificate or key are no good.
    #[error("{0}")]
    Tls(String),
    /// The system refuses.
    #[error("cannot listen on {listen}: {error}; set http.listen to another address")]
    Refused {
        /// The address.
        listen: SocketAddr,
        /// Why.
        error: io::Error,
    },
}

/// An open socket.
pub struct Bound {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Bound {
    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

/// Opens the socket.
///
/// # Errors
/// When the address is in use, is refused by the system, or is no loopback one although there are no tokens; when
/// certificate or key are no good.
pub async fn bind(settings: &HttpSettings) -> Result<Bound, BindError> {
    let listen = settings.listen;
    let is_loopback = listen.ip().to_canonical().is_loopback();
    if !is_loopback && settings.tokens.is_empty() {
        return Err(BindError::NotLoopback(listen));
    }
    let tls = settings.tls.as_ref().map(tls::acceptor).transpose().map_err(BindError::Tls)?;
    if !is_loopback && tls.is_none() {
        tracing::warn!("the control API listens on {listen} without TLS: tokens go in the clear; set [http.tls]");
    }
    let listener = TcpListener::bind(listen).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse(listen),
        _ => BindError::Refused { listen, error },
    })?;
    Ok(Bound { listener, tls })
}

/// Serves until `shutdown`, and then until the requests under way are answered.
///
/// # Errors
/// When the socket fails.
pub async fn serve(
    bound: Bound,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let Bound { listener, tls } = bound;
    let bounded = Bounded { listener, tls, room: Arc::new(Semaphore::new(CONNECTIONS_MAX)) };
    let service = router.into_make_service_with_connect_info::<Peer>();
    axum::serve(bounded, service).with_graceful_shutdown(shutdown).await
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

impl Connected<IncomingStream<'_, Bounded>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Bounded>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// A listener that holds at most [`CONNECTIONS_MAX`] connections.
struct Bounded {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
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
        let wire = match &self.tls {
            None => Wire::Plain(stream),
            // Not awaited here: a client that never says hello must not keep others out.
            Some(tls) => Wire::Greeting(Box::new(tls.accept(stream))),
        };
        (Connection { wire, idle: Box::pin(sleep(IDLE_MAX)), _permit: permit }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// What bytes go over.
enum Wire {
    Plain(TcpStream),
    /// The TLS handshake is under way.
    Greeting(Box<Accept<TcpStream>>),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    /// Brings a handshake to its end.
    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Self::Greeting(accept) = self {
            let stream = ready!(Pin::new(accept.as_mut()).poll(context))?;
            *self = Self::Tls(Box::new(stream));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_open(context))?;
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, into),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(context, into),
            Self::Greeting(_) => Poll::Pending,
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        ready!(self.poll_open(context))?;
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(context, bytes),
            Self::Greeting(_) => Poll::Pending,
        }
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(context),
            // Nothing was written yet.
            Self::Greeting(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
            Self::Greeting(_) => Poll::Ready(Ok(())),
        }
    }
}

/// A connection that ends when nothing moves on it.
struct Connection {
    wire: Wire,
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
        let moved = self.wire.poll_read(context, into);
        self.watch(context, moved)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let moved = self.wire.poll_write(context, &[io::IoSlice::new(bytes)]);
        self.watch(context, moved)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let moved = self.wire.poll_write(context, bytes);
        self.watch(context, moved)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(listen: &str) -> HttpSettings {
        HttpSettings { listen: listen.parse().expect("an address"), ..HttpSettings::default() }
    }

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
                "http.listen is 0.0.0.0:8088, which others can reach, but there are no http.tokens: make one with `haltline token`, or set http.listen to 127.0.0.1:8088".to_owned(),
            ),
            ("[::]:1".to_owned(), "http.listen is [::]:1, which others can reach, but there are no http.tokens: make one with `haltline token`, or set http.listen to 127.0.0.1:1".to_owned()),
        ];
        for (listen, message) in rows {
            let error = bind(&at(&listen)).await.err().expect(&listen);
            assert_eq!(error.to_string(), message);
        }
        assert!(bind(&at(&taken.expect("bound").to_string())).await.is_ok());
        assert!(bind(&at("[::ffff:127.0.0.1]:0")).await.is_ok() || !cfg!(target_os = "linux"));
    }

    #[test]
    fn settings_have_a_default_and_know_no_other_key() {
        let read = |text: &str| toml::from_str::<HttpSettings>(text).map_err(|error| error.message().to_owned());
        assert_eq!(read("").map(|s| s.listen.to_string()), Ok("127.0.0.1:8088".to_owned()));
        assert_eq!(read("listen = \"[::1]:1\"").map(|s| s.listen.to_string()), Ok("[::1]:1".to_owned()));
        assert!(read("listn = \"127.0.0.1:1\"").expect_err("misspelt").contains("unknown field `listn`"));
    }
}
