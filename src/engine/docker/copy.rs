//! Copies files into a container: configs and secrets that no file of the host holds.

use std::collections::BTreeMap;
use std::io;

use bollard::query_parameters::UploadToContainerOptionsBuilder;

use super::connection::{CALL_LIMIT, Docker};
use crate::clock::{Clock as _, SystemClock};
use crate::engine::EngineError;
use crate::engine::model::CopiedFile;

impl Docker {
    /// Writes files into a container; see [`crate::engine::WriteEngine::copy_into`].
    ///
    /// Compose has the engine set the owner by the container's user (`copyUIDGID`) as soon as an
    /// owner is asked for, which then is not who was asked for; here it is.
    pub(super) async fn put(
        &self,
        id: &str,
        files: &BTreeMap<String, CopiedFile>,
    ) -> Result<(), EngineError> {
        let verb = "copy files into";
        let (client, id) = self.reach(verb, id).await?;
        let archive = archive(files).map_err(|failure| EngineError::Refused {
            doing: format!("{verb} container {id}"),
            cause: failure.to_string(),
        })?;
        let options = UploadToContainerOptionsBuilder::default().path("/").build();
        let body = bollard::body_full(archive.into());
        let request = client.upload_to_container(id, Some(options), body);
        self.on_container(verb, id, CALL_LIMIT, request).await
    }
}

fn archive(files: &BTreeMap<String, CopiedFile>) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (target, file) in files {
        let path = target.trim_start_matches('/');
        let is_odd = |part: &str| matches!(part, "" | "." | "..");
        if path.split('/').any(is_odd) || path.contains('\0') {
            let problem = format!("{target:?} is no path of a file in a container");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        let content = file.content.expose().as_bytes();
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(content.len()).unwrap_or(u64::MAX));
        header.set_uid(file.uid);
        header.set_gid(file.gid);
        header.set_mode(file.mode);
        header.set_mtime(u64::try_from(SystemClock.now().as_second()).unwrap_or_default());
        archive.append_data(&mut header, path, content)?;
    }
    archive.into_inner()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::secret::Sensitive;

    fn file(content: &str) -> CopiedFile {
        CopiedFile {
            content: Sensitive::new(content),
            uid: 7,
            gid: 8,
            mode: 0o440,
        }
    }

    #[test]
    fn files_keep_owner_and_mode() {
        let long = format!("/{}/{}", "d".repeat(90), "f".repeat(90));
        let files = [("/run/secrets/a", "x"), (&*long, "")];
        let files = files.map(|(target, content)| (target.to_owned(), file(content)));
        let packed = archive(&files.into()).unwrap();
        let mut seen = Vec::new();
        for entry in tar::Archive::new(packed.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            let header = entry.header();
            let (uid, gid) = (header.uid().unwrap(), header.gid().unwrap());
            assert_eq!((uid, gid, header.mode().unwrap()), (7, 8, 0o440));
            assert!(header.mtime().unwrap() > 0);
            seen.push((entry.path().unwrap().display().to_string(), content));
        }
        let expected = [
            (long.trim_start_matches('/').to_owned(), String::new()),
            ("run/secrets/a".to_owned(), "x".to_owned()),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn paths_stay_in_the_container() {
        for bad in ["", "/", "/a/../b", "/a//b", "/a/", "/./a", "/a\0b"] {
            let files = [(bad.to_owned(), file("x"))];
            assert!(archive(&files.into()).is_err(), "{bad:?}");
        }
    }
}
