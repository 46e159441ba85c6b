//! Judges places of the host: which directories may be mounted, and which never by the way.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::links::{RealPaths, clean, follow, trail};
use crate::engine::model::{ContainerSpec, MountSource, Volume};

/// What lies in a directory that may be mounted is closed nevertheless, unless a directory that
/// may be mounted lies in it: whoever has one of these has the host.
const CLOSED: [&str; 19] = [
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib64",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/docker",
    "/var/lib/dpkg",
    "/var/lib/systemd",
    "/var/run",
    "/var/spool/cron",
];

/// Sockets through which whoever has one has all containers.
const SOCKETS: [&str; 7] = [
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/docker.sock",
    "/run/podman/podman.sock",
    "/var/run/containerd/containerd.sock",
    "/var/run/docker.sock",
    "/var/run/podman/podman.sock",
];

/// What tells nobody anything, and ordinary stacks mount to read it.
const HARMLESS: [&str; 6] = [
    "/etc/localtime",
    "/etc/pki/ca-trust/extracted",
    "/etc/ssl/certs",
    "/etc/timezone",
    "/usr/share/ca-certificates",
    "/usr/share/zoneinfo",
];

/// Where the proxies of the host have their configuration, as their packages make it.
const OF_PROXIES: [&str; 2] = ["/etc/caddy", "/etc/nginx"];

/// Returns the places of the host that a container mounts.
pub fn sources_of(spec: &ContainerSpec) -> impl Iterator<Item = &str> {
    spec.mounts
        .values()
        .filter_map(|mount| match &mount.source {
            MountSource::Bind { path, .. } => Some(path.as_str()),
            MountSource::Volume(_)
            | MountSource::Anonymous(_)
            | MountSource::Tmpfs
            | MountSource::TmpfsMount
            | MountSource::Image(_)
            | MountSource::Other(_) => None,
        })
}

/// Returns the place of the host that a volume may mount.
pub fn device_of(volume: &Volume) -> Option<&str> {
    let device = volume.options.get("device").map(String::as_str);
    device.filter(|device| device.starts_with('/'))
}

/// Why a place may not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// It lies in no directory that may be had, or it is or has what is closed.
    Outside,
    /// It is or has the engine's socket.
    Socket,
    /// It is or has what is Moored's own, and no setting opens it.
    Own,
}

/// A place of the host that a stack wants.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// For which stack.
    pub(super) stack: &'a str,
    /// Its path.
    pub(super) written: &'a Path,
    /// Whether it is only read.
    pub(super) read_only: bool,
    /// What for.
    pub(super) purpose: Purpose,
}

/// What a place of the host is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A container mounts it.
    Mount {
        /// Whether it may have the engine's socket.
        socket_is_granted: bool,
    },
    /// A manifest names it.
    File,
    /// A manifest names it as configuration of the host's own proxy.
    ProxyFile,
}

/// The directories that may be had, and those that are closed in them.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Places {
    roots: BTreeSet<PathBuf>,
    /// Further ones where manifests may name files.
    file_roots: BTreeSet<PathBuf>,
    closed: BTreeSet<PathBuf>,
    sockets: BTreeSet<PathBuf>,
    state_dirs: BTreeSet<PathBuf>,
    /// What no root opens for writing.
    kept: BTreeSet<PathBuf>,
    /// What no root opens at all.
    secret: BTreeSet<PathBuf>,
}

impl Places {
    pub(super) fn new(
        roots: &[PathBuf],
        file_roots: &[PathBuf],
        state_dir: &Path,
        socket: Option<&Path>,
    ) -> Self {
        let mut sockets = all(&SOCKETS);
        sockets.extend(socket.into_iter().flat_map(both));
        let state_dirs: BTreeSet<PathBuf> = both(state_dir).into();
        Self {
            roots: roots.iter().flat_map(|root| both(root)).collect(),
            file_roots: file_roots.iter().flat_map(|root| both(root)).collect(),
            closed: all(&CLOSED),
            sockets,
            kept: BTreeSet::new(),
            secret: state_dirs.clone(),
            state_dirs,
        }
    }

    /// Closes a file of ours, and the links that lead there, whatever the roots are.
    pub(super) fn keep(&mut self, path: &Path, is_secret: bool) {
        let closed = if is_secret {
            &mut self.secret
        } else {
            &mut self.kept
        };
        closed.insert(clean(path));
        closed.extend(trail(path));
    }

    /// Judges a place as it is written, and as its links lead; returns which of these is closed.
    pub(super) fn judge(&self, place: Place<'_>, real: &RealPaths) -> Option<(Closed, PathBuf)> {
        let cleaned = clean(place.written);
        let all = [
            cleaned.as_path(),
            real.get(place.written),
            real.get(&cleaned),
        ];
        let socket_is_granted = matches!(
            place.purpose,
            Purpose::Mount {
                socket_is_granted: true
            }
        );
        if socket_is_granted && self.sockets.contains(&cleaned) {
            return None;
        }
        let own = self.own(place);
        let roots = self.roots(place.purpose, &own);
        let closed = |path: &Path| {
            if !socket_is_granted && self.has_socket(path) {
                return Some(Closed::Socket);
            }
            // Who has the socket has the host, and so all of ours as well: it may be looked at.
            let is_looked_at = socket_is_granted && place.read_only;
            if !is_looked_at && self.is_kept(place, path, &own) {
                return Some(Closed::Own);
            }
            let mut harmless = HARMLESS.iter();
            let is_harmless = place.read_only && harmless.any(|known| path.starts_with(known));
            let is_open = is_harmless || self.is_open(&roots, path);
            (!is_open).then_some(Closed::Outside)
        };
        let mut all = all.into_iter();
        all.find_map(|path| Some((closed(path)?, path.to_owned())))
    }

    fn has_socket(&self, path: &Path) -> bool {
        self.sockets.iter().any(|socket| socket.starts_with(path))
    }

    /// Returns whether a path is, has or lies in what no root opens.
    fn is_kept(&self, place: Place<'_>, path: &Path, own: &[PathBuf]) -> bool {
        let written = self.kept.iter().filter(|_| !place.read_only);
        let mut kept = self.secret.iter().chain(written);
        let is_own = own.iter().any(|own| path.starts_with(own));
        !is_own && kept.any(|kept| path.starts_with(kept) || kept.starts_with(path))
    }

    fn is_open(&self, roots: &[&Path], path: &Path) -> bool {
        let mut over = roots.iter().filter(|root| path.starts_with(root));
        over.any(|root| {
            let mut touched = self.closed.iter().filter(|closed| {
                // What a mount has in it is given away as well.
                path.starts_with(closed) || closed.starts_with(path)
            });
            *root == path || touched.all(|closed| root.starts_with(closed))
        })
    }

    /// Returns the directories that are open for a purpose; `own` are the stack's.
    fn roots<'p>(&'p self, purpose: Purpose, own: &'p [PathBuf]) -> Vec<&'p Path> {
        let mounts = self.roots.iter().chain(own).map(PathBuf::as_path);
        let files = self.file_roots.iter().map(PathBuf::as_path);
        let proxies = OF_PROXIES.iter().map(Path::new);
        match purpose {
            Purpose::Mount { .. } => mounts.collect(),
            Purpose::File => mounts.chain(files).collect(),
            Purpose::ProxyFile => mounts.chain(files).chain(proxies).collect(),
        }
    }

    /// Returns the directories that we keep for the stack which wants a place.
    fn own(&self, place: Place<'_>) -> Vec<PathBuf> {
        let stack = place.stack;
        // It becomes a part of a path.
        if stack.is_empty() || stack.contains(['/', '\\']) || stack.starts_with('.') {
            return Vec::new();
        }
        let mut own = Vec::new();
        for dir in &self.state_dirs {
            own.push(dir.join("stacks").join(stack).join("project"));
            // Copies of what is tested are ours to write.
            if matches!(place.purpose, Purpose::Mount { .. }) {
                own.push(dir.join("staging").join(stack));
            }
        }
        own
    }
}

/// Returns a path as it is written, and as its links lead.
fn both(path: &Path) -> [PathBuf; 2] {
    [clean(path), follow(path)]
}

fn all(paths: &[&str]) -> BTreeSet<PathBuf> {
    paths
        .iter()
        .flat_map(|path| both(Path::new(path)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Host {
        dir: tempfile::TempDir,
        places: Places,
    }

    /// A host with `open` and `state`, of which the first may be mounted.
    fn host() -> Host {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["open/data", "state/stacks/shop/project", "secret"] {
            std::fs::create_dir_all(path(name)).unwrap();
        }
        let socket = path("open/run/engine.sock");
        let places = Places::new(&[path("open")], &[], &path("state"), Some(&socket));
        Host { dir, places }
    }

    impl Host {
        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn judge(&self, name: &str) -> Option<Closed> {
            let path = self.path(name).display().to_string();
            judge(&self.places, &path)
        }
    }

    fn place<'a>(stack: &'a str, written: &'a str) -> Place<'a> {
        Place {
            stack,
            written: Path::new(written),
            read_only: false,
            purpose: Purpose::Mount {
                socket_is_granted: false,
            },
        }
    }

    fn judge(places: &Places, path: &str) -> Option<Closed> {
        closed(places, place("shop", path), &RealPaths::of([path]))
    }

    fn closed(places: &Places, place: Place<'_>, real: &RealPaths) -> Option<Closed> {
        places.judge(place, real).map(|(closed, _)| closed)
    }

    #[test]
    fn what_lies_below_a_root_may_be_mounted() {
        let host = host();
        for open in [
            "open",
            "open/data",
            "open/not/there",
            "open/data/../x",
            "open/./data",
        ] {
            // The root itself has the socket in it.
            let expected = (open == "open").then_some(Closed::Socket);
            assert_eq!(host.judge(open), expected, "{open}");
        }
        for closed in [
            "secret",
            "opened",
            "open/../secret",
            "state",
            "",
            "open/data/../../secret",
        ] {
            assert!(host.judge(closed).is_some(), "{closed}");
        }
    }

    #[test]
    fn links_are_followed() {
        let host = host();
        let link = |from: &str, to: &Path| symlink(to, host.path(from)).unwrap();
        link("open/out", &host.path("secret"));
        link("open/up", Path::new("../secret"));
        link("open/gone", &host.path("secret/not/there"));
        link("open/in", Path::new("data"));
        link("open/loop", Path::new("loop"));
        link("in", &host.path("open"));
        for closed in ["open/out", "open/out/x", "open/up", "open/gone"] {
            assert_eq!(host.judge(closed), Some(Closed::Outside), "{closed}");
        }
        assert!(host.judge("open/loop/x").is_some());
        // A way in from outside can be turned elsewhere by whoever owns the outside.
        assert_eq!(host.judge("in/data"), Some(Closed::Outside));
        assert_eq!(host.judge("open/in/x"), None);
        // By name it stays inside, and the kernel leaves by the link first.
        assert_eq!(host.judge("open/out/../data"), Some(Closed::Outside));
    }

    #[test]
    fn a_root_that_is_a_link_is_one() {
        let host = host();
        symlink(host.path("secret"), host.path("linked")).unwrap();
        let places = Places::new(&[host.path("linked")], &[], &host.path("state"), None);
        let path = host.path("linked/x").display().to_string();
        assert_eq!(judge(&places, &path), None);
    }

    #[test]
    fn the_state_directory_is_closed_but_for_what_is_the_stacks_own() {
        let host = host();
        assert_eq!(host.judge("state/stacks/shop/project"), None);
        assert_eq!(host.judge("state/stacks/shop/project/deep/file"), None);
        assert_eq!(host.judge("state/staging/shop/0"), None);
        for closed in [
            "state/key",
            "state/stacks",
            "state/stacks/other/project",
            "state/stacks/shop",
        ] {
            assert_eq!(host.judge(closed), Some(Closed::Own), "{closed}");
        }
        let odd = Places::new(&[], &[], &host.path("state"), None);
        let key = host.path("state/key").display().to_string();
        for stack in ["", "..", "../..", "."] {
            let judged = closed(&odd, place(stack, &key), &RealPaths::default());
            assert_eq!(judged, Some(Closed::Own), "{stack}");
        }
    }

    #[test]
    fn a_wide_root_does_not_give_away_what_is_closed() {
        let state = Path::new("/var/lib/moored");
        let wide = Places::new(&[PathBuf::from("/")], &[], state, None);
        for closed in [
            "/etc",
            "/etc/cron.d",
            "/var",
            "/var/lib",
            "/proc/1",
            "/var/lib/moored/key",
        ] {
            assert!(judge(&wide, closed).is_some(), "{closed}");
        }
        assert_eq!(judge(&wide, "/somewhere"), None);
        // Its own words are meant.
        let exact = Places::new(
            &[PathBuf::from("/etc/nginx"), PathBuf::from("/proc")],
            &[],
            state,
            None,
        );
        assert_eq!(judge(&exact, "/etc/nginx/conf.d"), None);
        assert_eq!(judge(&exact, "/proc"), None);
        assert!(judge(&exact, "/etc/shadow").is_some());
        for socket in [
            "/var/run/docker.sock",
            "/run/docker.sock",
            "/run",
            "/var/run",
            "/",
        ] {
            assert_eq!(judge(&wide, socket), Some(Closed::Socket), "{socket}");
        }
    }

    #[test]
    fn the_socket_can_be_granted_and_nothing_else_with_it() {
        let places = Places::new(&[], &[], Path::new("/var/lib/moored"), None);
        let granted = |written| {
            let place = Place {
                purpose: Purpose::Mount {
                    socket_is_granted: true,
                },
                ..place("shop", written)
            };
            closed(&places, place, &RealPaths::default())
        };
        assert_eq!(granted("/var/run/docker.sock"), None);
        assert_eq!(granted("/run/../run/docker.sock"), None);
        assert_eq!(granted("/var/run"), Some(Closed::Outside));
        assert_eq!(granted("/var"), Some(Closed::Own));
        assert_eq!(granted("/etc"), Some(Closed::Outside));
    }

    #[test]
    fn who_has_the_socket_may_look_at_the_whole_host() {
        let state = Path::new("/var/lib/moored");
        let wide = Places::new(&[PathBuf::from("/")], &[], state, None);
        let judge = |socket_is_granted, read_only| {
            let place = Place {
                read_only,
                purpose: Purpose::Mount { socket_is_granted },
                ..place("shop", "/")
            };
            closed(&wide, place, &RealPaths::default())
        };
        assert_eq!(judge(true, true), None);
        assert_eq!(judge(true, false), Some(Closed::Own));
        assert_eq!(judge(false, true), Some(Closed::Socket));
    }

    #[test]
    fn the_time_zone_may_be_read() {
        let places = Places::new(&[], &[], Path::new("/var/lib/moored"), None);
        let judge = |read_only| {
            let place = Place {
                read_only,
                ..place("shop", "/etc/localtime")
            };
            closed(&places, place, &RealPaths::default())
        };
        assert_eq!(judge(true), None);
        assert_eq!(judge(false), Some(Closed::Outside));
    }
}
