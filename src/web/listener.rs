//! Accepts connections, within limits that nobody who connects can stretch.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::guard::Guard;
use super::router::router;
use super::settings::Settings;
use super::webhook::Hooks;
use crate::bell::Bell;
use crate::events::{Event, Events};

/// Most connections at a time; more wait to be accepted.
const MOST_CONNECTIONS: usize = 64;

/// Time for the head of a request.
const HEAD: Duration = Duration::from_secs(5);

/// Longest head of a request, in bytes.
const LARGEST_HEAD: usize = 16 * 1024;

/// Longest life of a connection, whatever happens on it: also of one whose answer nobody reads.
const CONNECTION: Duration = Duration::from_secs(30);

/// Time until an address is tried again that could not be bound.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Time until the next connection is accepted when one could not be.
const BREATH: Duration = Duration::from_millis(100);

/// The listener of the controller; it ends when it is dropped.
pub struct Web {
    hooks: Hooks,
    names: Guard,
    events: Events,
    address: Option<SocketAddr>,
    /// The one task that listens, if any.
    listening: JoinSet<()>,
}

impl Web {
    /// Makes a listener that listens nowhere. Webhooks ring `bell`.
    pub fn new(bell: Bell, events: Events) -> Self {
        Self {
            hooks: Hooks::new(bell, &events),
            names: Guard::default(),
            events,
            address: None,
            listening: JoinSet::new(),
        }
    }

    /// Listens as the settings say from now on. Where nothing has changed connections go on.
    ///
    /// An address that can't be bound is told, and tried again.
    pub async fn follow(&mut self, settings: &Settings) {
        self.hooks.set_secret(settings.secret.clone());
        self.names.set_names(settings.names.clone());
        if settings.listen == self.address {
            return;
        }
        self.listening.shutdown().await;
        self.address = settings.listen;
        let Some(address) = self.address else { return };
        if !address.ip().to_canonical().is_loopback() {
            self.events.tell(Event::ListensToOthers { address });
        }
        let router = router(self.hooks.clone(), self.names.clone());
        self.listening
            .spawn(listen(address, router, self.events.clone()));
    }
}

async fn listen(address: SocketAddr, router: Router, events: Events) {
    let listener = loop {
        match TcpListener::bind(address).await {
            Ok(listener) => break listener,
            Err(error) => {
                let error = error.to_string();
                events.tell(Event::NotListening { address, error });
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    };
    // The port is the system's choice where the settings say 0.
    let address = listener.local_addr().unwrap_or(address);
    events.tell(Event::Listening { address });
    accept(&listener, &router).await;
}

async fn accept(listener: &TcpListener, router: &Router) {
    let mut connections: JoinSet<()> = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        while connections.len() >= MOST_CONNECTIONS {
            connections.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                let service = TowerToHyperService::new(router.clone());
                connections.spawn(serve(stream, service));
            }
            // The other side is gone again, or no file descriptor is free.
            Err(_) => tokio::time::sleep(BREATH).await,
        }
    }
}

async fn serve(stream: TcpStream, service: TowerToHyperService<Router>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(LARGEST_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // Who went away or took too long is told nothing, and neither is anybody else.
    drop(tokio::time::timeout(CONNECTION, connection).await);
}
