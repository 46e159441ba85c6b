//! Commands that mend what is missing, as a person pastes them.

use std::path::Path;

use url::Url;

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

/// Puts a file of secrets in its place: a copy of an example, or an empty one.
pub(super) fn install(example: Option<&str>, file: &Path) -> String {
    let from = example.unwrap_or("/dev/null");
    let from = shell_words::quote(from);
    format!("install -D -m 600 {from} {}", quoted(file))
}

/// Logs in to a registry.
pub(super) fn log_in(registry: &str) -> String {
    if registry == "docker.io" {
        "docker login".to_owned()
    } else {
        format!("docker login {registry}")
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
            install(Some(".env.example"), path),
            "install -D -m 600 .env.example '/opt/my app/.env'"
        );
        let known = Path::new("/etc/moored/known_hosts");
        let scanned = scan("ssh://git@git.example.org:2222/ops/state.git", known);
        assert!(
            scanned.starts_with("ssh-keyscan -p 2222 git.example.org >> /etc/moored/known_hosts "),
            "{scanned}"
        );
        assert_eq!(log_in("docker.io"), "docker login");
        assert_eq!(log_in("r.example:5000"), "docker login r.example:5000");
    }
}
