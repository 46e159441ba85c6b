//! Knows which names of a registry mean the same one.

/// Names of Docker Hub, whose logins count for each other: what references say, what Docker's file
/// says, and where the images really are.
const HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// What Docker itself calls its Hub where a login is kept.
const HUB_ADDRESS: &str = "https://index.docker.io/v1/";

/// Returns the name under which Docker keeps the login for a registry: that of the registry, but
/// for Docker Hub.
pub fn address(registry: &str) -> &str {
    if is_hub(registry) {
        HUB_ADDRESS
    } else {
        registry
    }
}

/// Returns whether a key of Docker's file is for a registry. Keys may be addresses; the host and
/// its port must be the same, and nothing else about them counts, as in Docker itself.
pub(super) fn is_for(key: &str, registry: &str) -> bool {
    let host = host(key);
    host.eq_ignore_ascii_case(registry) || (is_hub(host) && is_hub(registry))
}

fn is_hub(host: &str) -> bool {
    HUB.iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// Returns the host of an address, with its port if it has one.
fn host(key: &str) -> &str {
    let rest = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key);
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_for_its_own_host_and_port_alone() {
        for (key, registry, expected) in [
            ("r.example", "r.example", true),
            ("R.example", "r.EXAMPLE", true),
            ("https://r.example", "r.example", true),
            ("https://r.example/v1/", "r.example", true),
            ("http://r.example/v2/", "r.example", true),
            ("r.example:5000", "r.example:5000", true),
            ("r.example", "r.example:5000", false),
            ("r.example:5000", "r.example", false),
            ("r.example:5000", "r.example:5001", false),
            ("r.example", "other.r.example", false),
            ("r.example", "r.example.evil", false),
            ("evil/r.example", "r.example", false),
            ("https://evil/https://r.example", "r.example", false),
            ("r.example@evil", "r.example", false),
            ("", "r.example", false),
            ("https://", "r.example", false),
            // Docker Hub has several names; none of them is a suffix that others could have.
            ("https://index.docker.io/v1/", "docker.io", true),
            ("docker.io", "docker.io", true),
            ("registry-1.docker.io", "docker.io", true),
            ("index.docker.io", "registry-1.docker.io", true),
            ("evil.docker.io", "docker.io", false),
            ("docker.io.evil", "docker.io", false),
            ("docker.io:443", "docker.io", false),
            ("r.example", "docker.io", false),
        ] {
            assert_eq!(is_for(key, registry), expected, "{key:?} for {registry:?}");
        }
    }

    #[test]
    fn the_hub_goes_by_the_name_that_docker_gives_it() {
        assert_eq!(address("docker.io"), "https://index.docker.io/v1/");
        assert_eq!(address("registry-1.docker.io"), address("docker.io"));
        assert_eq!(address("r.example:5000"), "r.example:5000");
    }
}
