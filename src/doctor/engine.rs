//! Looks for the Docker Engine.

use std::path::Path;

use rustix::fs::Access;

use super::{Area, Check, Diagnosis, mend};
use crate::config;
use crate::host::View;

/// Where the engine's own program is, if it is installed.
const INSTALLED: [&str; 3] = [
    "/usr/bin/dockerd",
    "/usr/sbin/dockerd",
    "/usr/local/bin/dockerd",
];

/// Looks whether the engine answers; returns whether it does.
pub(super) async fn check(view: &View, found: &mut Diagnosis) -> bool {
    let endpoint = &view.config.engine;
    let spoken = async {
        let info = view.engine.info().await?;
        Ok::<_, crate::engine::EngineError>((info.version, view.engine.api_version().await?))
    };
    match spoken.await {
        Ok((version, api)) => {
            let check = Check::ok(Area::Engine, endpoint);
            found.add(check.found(format!("Docker Engine {version}, API {api}")));
            true
        }
        Err(error) => {
            let missing = Check::missing(Area::Engine, endpoint);
            found.add(match endpoint.strip_prefix("unix://").map(Path::new) {
                Some(socket) => of_socket(missing, socket, &error.to_string()),
                None => missing.found(error.to_string()),
            });
            false
        }
    }
}

fn of_socket(missing: Check, socket: &Path, error: &str) -> Check {
    if !socket.exists() {
        let is_installed = INSTALLED.iter().any(|program| Path::new(program).exists());
        return if is_installed {
            let check = missing.found("there is no such socket: the engine does not run");
            check.mended_by("systemctl start docker")
        } else {
            let check = missing.found("there is no such socket: no engine is installed");
            check.mended_by("apt-get install docker.io")
        };
    }
    if rustix::fs::access(socket, Access::READ_OK | Access::WRITE_OK).is_err() {
        let who = config::person().unwrap_or_else(|| "USER".to_owned());
        let who = shell_words::quote(&who).into_owned();
        let check = missing.found("this user may not use it");
        return check.mended_by(format!(
            "usermod -aG docker {who}   # as root; then log in again"
        ));
    }
    let check = missing.found(error);
    check.mended_by(format!(
        "journalctl -u docker -n 50   # {} is there, and nobody answers",
        mend::quoted(socket)
    ))
}
