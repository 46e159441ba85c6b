//! Commands that mend what is missing, as a person pastes them.

use std::path::Path;

use url::Url;

/// Where Docker keeps logins in the home of whoever logs in.
const USUAL_LOGINS: &str = ".docker/config.json";

/// Returns a path as a shell takes it.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    shell_words::quote(&text).into_owned()
}

/// Makes a directory, and those above it.
pub(super) fn make(dir: &Path) -> String {
    format!("mkdir -p {}", quoted(dir))
}

/// Takes a file away from everybody but its owner.
pub(super) fn keep(file: &Path) -> String {
    format!("chmod 600 {}", quoted(file))
}

/// Lets nobody but the owner write a file.
pub(super) fn protect(file: &Path) -> String {
    format!("chmod go-w {}", quoted(file))
}

/// Puts a file of secrets in its place: a copy of an example, or an empty one. The example of a
/// stack that has several such files is of none alone: a copy of it would have the others' names in
/// it, without their values.
pub(super) fn install(example: Option<&str>, is_only: bool, file: &Path) -> String {
    let file = quoted(file);
    match example {
        Some(example) if is_only => {
            format!("install -D -m 600 {} {file}", shell_words::quote(example))
        }
        Some(example) => {
            format!("install -D -m 600 /dev/null {file}   # {example} has the names")
        }
        None => format!("install -D -m 600 /dev/null {file}"),
    }
}

/// Logs in to a registry; the login goes to the `file` of the settings where Docker can write that.
pub(super) fn log_in(registry: &str, file: Option<&Path>) -> String {
    let file = file.filter(|file| file.ends_with("config.json") && !file.ends_with(USUAL_LOGINS));
    let config = file.and_then(Path::parent).map(quoted);
    let config = config.map(|dir| format!("--config {dir} "));
    let config = config.unwrap_or_default();
    if registry == "docker.io" {
        format!("docker {config}login")
    } else {
        format!("docker {config}login {registry}")
    }
}

/// Asks an ssh server for its keys.
pub(super) fn scan(repository: &str, known_hosts: &Path) -> String {
    let url = Url::parse(repository).ok();
    let host = url.as_ref().and_then(Url::host_str);
    let port = url.as_ref().and_then(Url::port);
    let port = port.map(|port| format!("-p {port} ")).unwrap_or_default();
    format!(
        "ssh-keyscan {port}{} >> {}   # then compare the fingerprint with the server's",
        host.unwrap_or("HOST"),
        quoted(known_hosts)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_pasted() {
        let path = Path::new("/opt/my app/.env");
        assert_eq!(make(path), "mkdir -p '/opt/my app/.env'");
        assert_eq!(
            install(Some(".env.example"), true, path),
            "install -D -m 600 .env.example '/opt/my app/.env'"
        );
        assert_eq!(
            install(Some(".env.example"), false, path),
            "install -D -m 600 /dev/null '/opt/my app/.env'   # .env.example has the names"
        );
        let known = Path::new("/etc/moored/known_hosts");
        let scanned = scan("ssh://git@git.example.org:2222/ops/state.git", known);
        assert!(
            scanned.starts_with("ssh-keyscan -p 2222 git.example.org >> /etc/moored/known_hosts "),
            "{scanned}"
        );
        assert_eq!(log_in("docker.io", None), "docker login");
        let usual = Path::new("/root/.docker/config.json");
        let own = Path::new("/etc/moored/docker/config.json");
        let other = Path::new("/etc/moored/logins.json");
        for (file, said) in [
            (usual, "docker login r.example:5000"),
            (
                own,
                "docker --config /etc/moored/docker login r.example:5000",
            ),
            (other, "docker login r.example:5000"),
        ] {
            assert_eq!(log_in("r.example:5000", Some(file)), said);
        }
    }
}
