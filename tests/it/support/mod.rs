//! What tests against a real engine share. Read this page; the rest is detail.
//!
//! **Needs** a Docker engine at [`docker_cli::ENDPOINT`] with the `docker` CLI, a static busybox
//! at `/bin/busybox` (Debian: `busybox-static`) and, for pulls, `docker-registry` (Debian: the
//! package of the same name). A test that misses one of them fails and says which.
//!
//! | piece | what it gives |
//! |---|---|
//! | [`docker_cli::docker`] | runs the CLI and returns what it printed; panics with its error |
//! | [`docker_cli::try_docker`] | the same, with the error as a value |
//! | [`docker_cli::Sandbox`] | names that nobody else uses, images, and the clean-up |
//! | [`docker_cli::eventually`] | waits for something to become true, instead of sleeping |
//! | [`registry::Registry`] | a registry of its own on a free port; push to it, stop it |
//! | [`registry_gate::Gate`] | a gate in front of it that wants a login, or limits, and remembers who asked how |
//! | [`private_engine::PrivateEngine`] | an engine of its own, to be restarted |
//! | [`second_engine::SecondEngine`] | one on the machine's own network, to be killed |
//! | [`vehicles::Vehicle`] | an example system on a host of its own: nginx, `SQLite`, `PostgreSQL` |
//! | [`arsvent::Arsvent`] | an example system with staging and production behind an nginx of the host |
//! | [`own_images::OwnImages`] | the images of such a system, on the engine or at a registry |
//! | [`load::Load`] | requests over several connections while something happens: failures, the longest gap |
//! | [`host_proxy::HostNginx`], [`host_proxy::HostCaddy`] | a real proxy on the host, on ports and in a directory of its own |
//! | [`http::Prober`], [`http::Writer`] | look every 50 ms, write without a gap, while something happens |
//!
//! **Every object of the engine belongs to a sandbox.** Make one first in a test and take every
//! name from it:
//!
//! ```ignore
//! let sandbox = Sandbox::new("plan");
//! let image = sandbox.image("app", &["CMD [\"sleep\", \"600\"]"]);
//! let web = sandbox.name("web"); // mooredtest-plan-4711-0-web
//! docker(&["run", "-d", "--name", &web, &image]);
//! ```
//!
//! When it is dropped, also after a panic, all containers, networks, volumes (those without a
//! name, too, as long as a container of the sandbox still has them; else tell
//! [`docker_cli::Sandbox::own_volume`]) and images with its prefix are removed, whoever made them. A killed run leaves its objects behind; they all begin with
//! `mooredtest-`.
//!
//! **The CLI is the outside eye.** Where a test asks whether our reading of the engine is right,
//! make the thing with the CLI and read it with ours, or the other way round: a test that writes
//! and reads with our own code can't see that both are wrong in the same way.
//!
//! Images are one static busybox with its applets in `/bin`, so that `sh`, `sleep`, `httpd`, `nc`
//! and `wget` are there. They come from no registry: tests work without a network.

pub(crate) mod arsvent;
pub(crate) mod bench;
pub(crate) mod by_hand;
pub(crate) mod cuts;
pub(crate) mod docker_cli;
pub(crate) mod fake_engine;
pub(crate) mod foreign;
pub(crate) mod gate;
pub(crate) mod git_http;
pub(crate) mod hooks;
pub(crate) mod host_proxy;
pub(crate) mod http;
pub(crate) mod load;
pub(crate) mod loopback;
pub(crate) mod newer_engine;
pub(crate) mod origin;
pub(crate) mod own_images;
pub(crate) mod private_engine;
pub(crate) mod receiver;
pub(crate) mod registry;
pub(crate) mod registry_gate;
pub(crate) mod second_engine;
pub(crate) mod signing;
pub(crate) mod sshd;
pub(crate) mod town;
pub(crate) mod vehicles;
pub(crate) mod webhook;

/// Writes a file the short way.
pub(crate) fn put(path: impl AsRef<std::path::Path>, bytes: impl AsRef<[u8]>) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).unwrap();
    file.write_all(bytes.as_ref()).unwrap();
}
