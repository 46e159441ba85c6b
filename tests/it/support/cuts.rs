//! A way to the engine that can be cut: a socket of its own that passes everything on, until it is
//! told to close what is open. It lets new connections through at once.

use std::os::unix::net::UnixListener as Bound;
use std::path::PathBuf;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// The socket. Needs a tokio runtime for as long as it is used.
pub(crate) struct Cuts {
    socket: PathBuf,
    cut: watch::Sender<u32>,
    _dir: tempfile::TempDir,
}

impl Cuts {
    /// Opens the way to an engine at `unix://…`.
    pub(crate) fn new(engine: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("engine.sock");
        let bound = Bound::bind(&socket).unwrap();
        bound.set_nonblocking(true).unwrap();
        let listener = UnixListener::from_std(bound).unwrap();
        let engine = engine.strip_prefix("unix://").unwrap().to_owned();
        let (cut, watched) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass_on(client, engine.clone(), watched.clone()));
            }
        });
        Self {
            socket,
            cut,
            _dir: dir,
        }
    }

    /// Where it listens.
    pub(crate) fn endpoint(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Closes all connections that are open now.
    pub(crate) fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }
}

async fn pass_on(mut client: UnixStream, engine: String, mut cut: watch::Receiver<u32>) {
    cut.mark_unchanged();
    let Ok(mut engine) = UnixStream::connect(engine).await else {
        return;
    };
    tokio::select! {
        _ended = tokio::io::copy_bidirectional(&mut client, &mut engine) => {}
        _cut = cut.changed() => {}
    }
}
