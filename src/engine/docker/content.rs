//! Reads a file of a container.
//!
//! The engine's archive call answers for any container, but not with what a running one sees: it
//! mounts the container's file system anew, and every bind again from its path on the host, and
//! no tmpfs (moby 20.10, `daemon/archive.go`). A bind keeps the file or directory that was there
//! when the container was started, whatever has been renamed to its path since. So where a running
//! container has a bind or a tmpfs, its own `head` reads the file; it is in every image with a
//! shell.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, DownloadFromContainerOptionsBuilder,
};
use futures_util::StreamExt as _;
use tokio::io::AsyncWrite;

use super::connection::{self, CALL_LIMIT, Docker};
use super::read::{present, short};
use super::{error, exec};
use crate::engine::model::{Container, ContainerState, Exec, MountSource};
use crate::engine::{EngineError, ReadEngine as _};
use crate::secret::Sensitive;

/// Bytes of an archive before the content of its first file: names and attributes.
const HEADERS: usize = 16 * 1024;

/// Links that are followed from one file to another. The engine resolves each of them to its end,
/// so one is enough unless somebody changes them meanwhile.
const HOPS: usize = 4;

impl Docker {
    /// Returns the content of a file; see [`crate::engine::ReadEngine::read_file`].
    pub(super) async fn content(
        &self,
        id: &str,
        path: &str,
        at_most_bytes: usize,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        if !path.starts_with('/') || path.contains('\0') {
            let doing = format!("read {path:?} in container {}", short(id));
            return Err(refused(
                &doing,
                "the path of a file in a container begins with /",
            ));
        }
        let Some(container) = self.container(id).await? else {
            return Ok(None);
        };
        let wanted = Wanted {
            docker: self,
            doing: format!("read {path} in container {}", container.name),
            container: &container,
            at_most_bytes,
        };
        if !has_views_of_its_own(&container) {
            return wanted.archived(path).await;
        }
        match wanted.inside(path).await {
            // It has ended meanwhile.
            Err(failure) if error::says_not_running(&failure) => wanted.archived(path).await,
            Err(failure) if exec::says_not_run(&failure) && !is_mounted(&container, path) => {
                wanted.archived(path).await
            }
            Err(failure) if exec::says_not_run(&failure) => Err(wanted.refused(
                "it is mounted from the host, and without the program `head` in the container \
                 there is no way to tell what the container sees of it",
            )),
            answer => answer,
        }
    }
}

/// Returns whether a running container may see other files than the engine's archive shows.
fn has_views_of_its_own(container: &Container) -> bool {
    let mut mounts = container.spec.mounts.values();
    let runs = matches!(
        container.state,
        ContainerState::Running | ContainerState::Paused
    );
    runs && mounts.any(|mount| is_view(&mount.source))
}

/// Returns whether a path is in one of those mounts.
fn is_mounted(container: &Container, path: &str) -> bool {
    let mut mounts = container.spec.mounts.iter();
    mounts.any(|(target, mount)| is_view(&mount.source) && Path::new(path).starts_with(target))
}

/// The directory of a volume stays where it is.
fn is_view(source: &MountSource) -> bool {
    match source {
        MountSource::Bind { .. }
        | MountSource::Tmpfs
        | MountSource::TmpfsMount
        | MountSource::Image(_)
        | MountSource::Other(_) => true,
        MountSource::Volume(_) | MountSource::Anonymous(_) => false,
    }
}

/// A file to read.
struct Wanted<'a> {
    docker: &'a Docker,
    doing: String,
    container: &'a Container,
    at_most_bytes: usize,
}

impl Wanted<'_> {
    /// Lets the container's own `head` read it: as root, as the program that got the file does
    /// before it gives its rights away, and in the language of [`MISSING`].
    async fn inside(&self, path: &str) -> Result<Option<Vec<u8>>, EngineError> {
        let enough = self.at_most_bytes.saturating_add(1);
        let command = ["head", &format!("-c{enough}"), path].map(str::to_owned);
        let exec = Exec {
            command: &command,
            env: &BTreeMap::from([("LC_ALL".to_owned(), Sensitive::new("C"))]),
            user: Some("0"),
            working_dir: None,
            privileged: false,
        };
        let mut output = AtMost {
            room: enough,
            bytes: Vec::new(),
        };
        let run = self
            .docker
            .run_inside(&self.container.id, &exec, None, &mut output);
        let Ok(ended) = tokio::time::timeout(CALL_LIMIT, run).await else {
            return Err(EngineError::TimedOut {
                doing: self.doing.clone(),
                limit: CALL_LIMIT,
            });
        };
        let ended = ended.map_err(|failure| error::renamed(failure, self.doing.clone()))?;
        if ended.code == 0 {
            return self.whole(output.bytes).map(Some);
        }
        if MISSING.iter().any(|words| ended.errors.contains(words)) {
            return Ok(None);
        }
        let said = ended.errors.split_whitespace().collect::<Vec<_>>();
        let said = said.join(" ");
        // The second is what busybox says of a directory.
        let of_directory = ["Is a directory", "Input/output error"];
        if of_directory.iter().any(|words| said.contains(words)) {
            return Err(self.refused(&format!("it is a directory, or can't be read: {said}")));
        }
        let cause = format!("`head` in the container ended with {}: {said}", ended.code);
        Err(self.refused(&cause))
    }

    async fn archived(&self, path: &str) -> Result<Option<Vec<u8>>, EngineError> {
        let mut path = path.to_owned();
        for _ in 0..HOPS {
            let Some(archive) = self.archive(&path).await? else {
                return Ok(None);
            };
            match self.first_file(&archive)? {
                Entry::File(content) => return Ok(Some(content)),
                Entry::Link => match self.end_of_link(&path).await? {
                    Some(end) => path = end,
                    None => return Ok(None),
                },
            }
        }
        Err(self.refused("too many links lead on from it"))
    }

    /// Returns the beginning of the archive of what is at a path: enough for the file.
    async fn archive(&self, path: &str) -> Result<Option<Vec<u8>>, EngineError> {
        let client = self.docker.client(&self.doing).await?;
        let id = connection::in_path(&self.doing, &self.container.id)?;
        let options = DownloadFromContainerOptionsBuilder::default()
            .path(path)
            .build();
        let mut chunks = Box::pin(client.download_from_container(id, Some(options)));
        let room = self.at_most_bytes.saturating_add(HEADERS);
        let request = async {
            let mut archive = Vec::new();
            while archive.len() < room
                && let Some(chunk) = chunks.next().await
            {
                let chunk = chunk?;
                let fits = room.saturating_sub(archive.len());
                archive.extend(chunk.iter().take(fits));
            }
            Ok(archive)
        };
        there(self.docker.call(&self.doing, CALL_LIMIT, request).await)
    }

    /// Returns where a link leads: the engine follows all links that it meets, inside the
    /// container, as far as there is something.
    async fn end_of_link(&self, path: &str) -> Result<Option<String>, EngineError> {
        let client = self.docker.client(&self.doing).await?;
        let id = connection::in_path(&self.doing, &self.container.id)?;
        let options = ContainerArchiveInfoOptionsBuilder::default()
            .path(path)
            .build();
        let request = client.get_container_archive_info(id, Some(options));
        let shown = there(self.docker.call(&self.doing, CALL_LIMIT, request).await)?;
        Ok(shown.map(|shown| shown.link_target))
    }

    /// Reads the first entry of an archive that may be cut off behind the file.
    fn first_file(&self, archive: &[u8]) -> Result<Entry, EngineError> {
        let broken = |failure: io::Error| self.docker.broke(&self.doing, &failure.to_string());
        let mut archive = tar::Archive::new(archive);
        let mut entries = archive.entries().map_err(broken)?;
        let Some(entry) = entries.next() else {
            let cause = "the connection ended before the file did";
            return Err(self.docker.broke(&self.doing, cause));
        };
        let entry = entry.map_err(broken)?;
        let kind = entry.header().entry_type();
        if kind.is_symlink() {
            return Ok(Entry::Link);
        }
        if kind.is_dir() {
            return Err(self.refused("it is a directory"));
        }
        if !kind.is_file() && !kind.is_contiguous() {
            return Err(self.refused("it is no regular file"));
        }
        let size = entry.size();
        if usize::try_from(size).map_or(true, |size| size > self.at_most_bytes) {
            return Err(self.too_much());
        }
        let mut content = Vec::new();
        entry.take(size).read_to_end(&mut content).map_err(broken)?;
        if u64::try_from(content.len()).is_ok_and(|read| read == size) {
            return Ok(Entry::File(content));
        }
        let cause = "the connection ended before the file did";
        Err(self.docker.broke(&self.doing, cause))
    }

    fn whole(&self, content: Vec<u8>) -> Result<Vec<u8>, EngineError> {
        if content.len() > self.at_most_bytes {
            return Err(self.too_much());
        }
        Ok(content)
    }

    fn too_much(&self) -> EngineError {
        self.refused(&format!("it has more than {} bytes", self.at_most_bytes))
    }

    fn refused(&self, cause: &str) -> EngineError {
        refused(&self.doing, cause)
    }
}

/// What stands first in an archive.
enum Entry {
    File(Vec<u8>),
    Link,
}

/// What is said where there is no such file: nothing of the name, or a file in the place of a
/// directory on the way.
const MISSING: [&str; 2] = ["No such file or directory", "Not a directory"];

/// Returns `None` for a file that does not exist, or whose container is gone.
fn there<T>(answer: Result<T, EngineError>) -> Result<Option<T>, EngineError> {
    match answer {
        Err(EngineError::Refused { cause, .. }) if cause.contains("not a directory") => Ok(None),
        answer => present(answer),
    }
}

fn refused(doing: &str, cause: &str) -> EngineError {
    EngineError::Refused {
        doing: doing.to_owned(),
        cause: cause.to_owned(),
    }
}

/// Takes so many bytes, and fails then.
struct AtMost {
    room: usize,
    bytes: Vec<u8>,
}

impl AsyncWrite for AtMost {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let fits = self.room.saturating_sub(self.bytes.len()).min(bytes.len());
        self.bytes.extend(bytes.iter().take(fits));
        // Nothing taken is what the writer fails by.
        Poll::Ready(Ok(fits))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
