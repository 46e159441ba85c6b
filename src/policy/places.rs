//! Judges places of the host: which directories may be mounted, and which never by the way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

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

/// How many links of one path are followed, as many as Linux does.
const MOST_LINKS: usize = 40;

/// Where places of the host lead when their links are followed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RealPaths(BTreeMap<PathBuf, PathBuf>);

impl RealPaths {
    /// Follows the links of these paths, as far as they exist.
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        let mut found = BTreeMap::new();
        for path in paths {
            let path = Path::new(path);
            for path in [path.to_owned(), clean(path)] {
                let real = follow(&path);
                found.insert(path, real);
            }
        }
        Self(found)
    }

    /// Returns where a path leads; one that was not looked up leads where it says.
    fn get<'a>(&'a self, path: &'a Path) -> &'a Path {
        self.0.get(path).map_or(path, PathBuf::as_path)
    }
}

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

/// Why a place may not be mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// It lies in no directory that may be mounted, or it is or has what is closed.
    Outside,
    /// It is or has the engine's socket.
    Socket,
}

/// A place of the host that is to be mounted.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// For which stack.
    pub(super) stack: &'a str,
    /// Its path.
    pub(super) written: &'a str,
    /// Whether it is only read.
    pub(super) read_only: bool,
    /// Whether who mounts it may have the engine's socket.
    pub(super) socket_is_granted: bool,
}

/// The directories that may be mounted, and those that are closed in them.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Places {
    roots: BTreeSet<PathBuf>,
    closed: BTreeSet<PathBuf>,
    sockets: BTreeSet<PathBuf>,
    state_dirs: BTreeSet<PathBuf>,
}

impl Places {
    pub(super) fn new(roots: &[PathBuf], state_dir: &Path, socket: Option<&Path>) -> Self {
        let both = |path: &Path| [clean(path), follow(path)];
        let all = |paths: &[&str]| -> BTreeSet<PathBuf> {
            paths
                .iter()
                .flat_map(|path| both(Path::new(path)))
                .collect()
        };
        let state_dirs: BTreeSet<PathBuf> = both(state_dir).into();
        let mut sockets = all(&SOCKETS);
        sockets.extend(socket.into_iter().flat_map(both));
        let mut closed = all(&CLOSED);
        closed.extend(state_dirs.iter().cloned());
        Self {
            roots: roots.iter().flat_map(|root| both(root)).collect(),
            closed,
            sockets,
            state_dirs,
        }
    }

    /// Judges a place as it is written, and as its links lead.
    pub(super) fn judge(&self, place: Place<'_>, real: &RealPaths) -> Option<Closed> {
        let Place {
            stack,
            written,
            read_only,
            socket_is_granted,
        } = place;
        let written = Path::new(written);
        let cleaned = clean(written);
        let all = [real.get(written), real.get(&cleaned), cleaned.as_path()];
        if socket_is_granted && self.sockets.contains(&cleaned) {
            return None;
        }
        if !socket_is_granted && all.iter().any(|path| self.has_socket(path)) {
            return Some(Closed::Socket);
        }
        let harmless = |path: &&Path| {
            let mut known = HARMLESS.iter();
            read_only && known.any(|known| path.starts_with(known))
        };
        let mut others = all.into_iter().filter(|path| !harmless(path));
        others
            .any(|path| !self.is_open(stack, path))
            .then_some(Closed::Outside)
    }

    fn has_socket(&self, path: &Path) -> bool {
        self.sockets.iter().any(|socket| socket.starts_with(path))
    }

    fn is_open(&self, stack: &str, path: &Path) -> bool {
        let own = self.own(stack);
        let roots = self.roots.iter().chain(&own);
        let mut over = roots.filter(|root| path.starts_with(root));
        over.any(|root| {
            let mut touched = self.closed.iter().filter(|closed| {
                // What a mount has in it is given away as well.
                path.starts_with(closed) || closed.starts_with(path)
            });
            root == path || touched.all(|closed| root.starts_with(closed))
        })
    }

    /// Returns the directories that we keep for a stack.
    fn own(&self, stack: &str) -> Vec<PathBuf> {
        // It becomes a part of a path.
        if stack.is_empty() || stack.contains(['/', '\\']) || stack.starts_with('.') {
            return Vec::new();
        }
        let dirs = self.state_dirs.iter();
        let own = |dir: &PathBuf| {
            let project = dir.join("stacks").join(stack).join("project");
            [project, dir.join("staging").join(stack)]
        };
        dirs.flat_map(own).collect()
    }
}

/// Takes `.` and `..` out of a path by name alone, as the engine does before it mounts.
fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => {
                cleaned.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    cleaned
}

/// Follows the links of a path as the kernel does; what does not exist is taken as it is written.
///
/// Too many links lead to `/`, which nobody may mount by the way.
fn follow(path: &Path) -> PathBuf {
    let names = |path: &Path| -> VecDeque<OsString> {
        let parts = path.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        });
        parts.collect()
    };
    let mut at = PathBuf::from("/");
    let mut ahead = names(path);
    let mut links = 0;
    while let Some(name) = ahead.pop_front() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&name);
        let Ok(target) = std::fs::read_link(&next) else {
            // No link, or nothing there.
            at = next;
            continue;
        };
        links += 1;
        if links > MOST_LINKS {
            return PathBuf::from("/");
        }
        if target.is_absolute() {
            at = PathBuf::from("/");
        }
        for name in names(&target).into_iter().rev() {
            ahead.push_front(name);
        }
    }
    at
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
        let places = Places::new(&[path("open")], &path("state"), Some(&socket));
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
            written,
            read_only: false,
            socket_is_granted: false,
        }
    }

    fn judge(places: &Places, path: &str) -> Option<Closed> {
        places.judge(place("shop", path), &RealPaths::of([path]))
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
        let places = Places::new(&[host.path("linked")], &host.path("state"), None);
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
            assert_eq!(host.judge(closed), Some(Closed::Outside), "{closed}");
        }
        let odd = Places::new(&[], &host.path("state"), None);
        let key = host.path("state/key").display().to_string();
        for stack in ["", "..", "../..", "."] {
            let judged = odd.judge(place(stack, &key), &RealPaths::default());
            assert_eq!(judged, Some(Closed::Outside), "{stack}");
        }
    }

    #[test]
    fn a_wide_root_does_not_give_away_what_is_closed() {
        let state = Path::new("/var/lib/moored");
        let wide = Places::new(&[PathBuf::from("/")], state, None);
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
        let places = Places::new(&[], Path::new("/var/lib/moored"), None);
        let granted = |written| {
            let place = Place {
                socket_is_granted: true,
                ..place("shop", written)
            };
            places.judge(place, &RealPaths::default())
        };
        assert_eq!(granted("/var/run/docker.sock"), None);
        assert_eq!(granted("/run/../run/docker.sock"), None);
        assert_eq!(granted("/var/run"), Some(Closed::Outside));
        assert_eq!(granted("/etc"), Some(Closed::Outside));
    }

    #[test]
    fn the_time_zone_may_be_read() {
        let places = Places::new(&[], Path::new("/var/lib/moored"), None);
        let judge = |read_only| {
            let place = Place {
                read_only,
                ..place("shop", "/etc/localtime")
            };
            places.judge(place, &RealPaths::default())
        };
        assert_eq!(judge(true), None);
        assert_eq!(judge(false), Some(Closed::Outside));
    }
}
