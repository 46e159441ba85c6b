//! Judges files of the host that Moored itself reads and writes because a manifest names them, and
//! the host's own proxy, which acts on what it is given as root.

use std::path::Path;

use super::places::{Closed, Place, Purpose};
use super::refusal::{OWN, Refusal, Setting};
use super::{Policy, RealPaths};
use crate::permits::Touch;

impl Policy {
    /// Returns why a file or directory of the host may not be touched for a stack, if it may not;
    /// `key` is that of the manifest which names it.
    pub fn file(
        &self,
        stack: &str,
        key: &'static str,
        (path, touch): (&Path, Touch),
        real: &RealPaths,
    ) -> Option<Refusal> {
        let place = Place {
            stack,
            written: path,
            read_only: touch == Touch::Read,
            purpose: match touch {
                Touch::Read | Touch::Write | Touch::BackUp => Purpose::File,
                Touch::Configure => Purpose::ProxyFile,
            },
        };
        let (closed, real) = self.places.judge(place, real)?;
        let shown = path.display();
        let what = match closed {
            Closed::Outside if real == path => format!("{shown} of the host"),
            Closed::Outside => format!("{shown} of the host, which is {}", real.display()),
            Closed::Socket => format!("{shown} is or has the engine's socket"),
            Closed::Own => format!("{shown} {OWN}"),
        };
        let root = match touch {
            Touch::Read | Touch::Write | Touch::Configure => real.parent().unwrap_or(&real),
            Touch::BackUp => &real,
        };
        let setting = match closed {
            Closed::Outside => {
                let roots = format!("[{}]", root.display());
                Some(Setting::new("file_roots", &roots))
            }
            Closed::Socket | Closed::Own => None,
        };
        Some(Refusal { key, what, setting })
    }

    /// Returns why a stack may not have an end, if it may not.
    pub fn expiry(&self, stack: &str) -> Option<Refusal> {
        let granted = self.permits.expires.covers(stack, None);
        (!granted).then(|| Refusal {
            key: "expires",
            what: "an end, at which its containers are removed".to_owned(),
            setting: Some(Setting::new("expires", &format!("[{stack}]"))),
        })
    }

    /// Returns why a stack may not configure the proxy of the host itself, if it may not.
    pub fn host_proxy(&self, stack: &str) -> Option<Refusal> {
        let granted = self.permits.host_proxy.covers(stack, None);
        (!granted).then(|| Refusal {
            key: "proxy",
            what: "the proxy of the host itself".to_owned(),
            setting: Some(Setting::new("host_proxy", &format!("[{stack}]"))),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::OwnFile;
    use crate::permits::Permits;

    fn policy(settings: &str) -> Policy {
        let permits: Permits = serde_yaml::from_str(settings).unwrap();
        let own = [
            OwnFile::secret(Path::new("/etc/moored")),
            OwnFile::secret(Path::new("/opt/moored/config.yaml")),
            OwnFile::trusted(Path::new("/opt/moored/allowed_signers")),
        ];
        Policy::new(&permits, Path::new("/var/lib/moored"), "unix:///run/e.sock").keeping(&own)
    }

    fn refused(settings: &str, path: &str, touch: Touch) -> Option<String> {
        let place = (Path::new(path), touch);
        let policy = policy(settings);
        let refusal = policy.file("shop", "files", place, &RealPaths::of([path]));
        refusal.map(|refusal| refusal.to_string())
    }

    #[test]
    fn what_lies_where_a_stack_may_mount_may_be_named() {
        for path in [
            "/opt/shop/site.conf",
            "/srv/shop/MAINTENANCE_ON",
            "/data/backups",
            "/var/lib/moored/stacks/shop/project/site.conf",
        ] {
            for touch in [Touch::Read, Touch::Write, Touch::Configure, Touch::BackUp] {
                assert_eq!(refused("{}", path, touch), None, "{path}");
            }
        }
        assert_eq!(refused("{}", "/etc/timezone", Touch::Read), None);
    }

    #[test]
    fn each_is_refused_and_its_setting_permits_it() {
        for (path, touch, root) in [
            ("/etc/cron.d/x", Touch::Write, "/etc/cron.d"),
            ("/etc/cron.d/x", Touch::Configure, "/etc/cron.d"),
            ("/root/.ssh/authorized_keys", Touch::Write, "/root/.ssh"),
            (
                "/etc/nginx/conf.d/x.conf",
                Touch::Write,
                "/etc/nginx/conf.d",
            ),
            ("/etc/timezone", Touch::Write, "/etc"),
            ("/etc/shop/shop.env", Touch::Read, "/etc/shop"),
            ("/etc/shadow", Touch::Read, "/etc"),
            ("/usr/bin/x", Touch::Write, "/usr/bin"),
            ("/var/ada/shop.db", Touch::BackUp, "/var/ada/shop.db"),
            ("/var/backups/shop", Touch::BackUp, "/var/backups/shop"),
        ] {
            let said = refused("{}", path, touch).unwrap();
            let setting = format!("{{file_roots: [{root}]}}");
            let expected = format!("files: {path} of the host (permitted by policy: {setting})");
            assert_eq!(said, expected);
            assert_eq!(refused(&setting, path, touch), None, "{path}");
            // It is a root of files, and no container mounts it.
            assert!(refused("{bind_roots: []}", path, touch).is_some());
        }
    }

    #[test]
    fn a_wide_root_gives_neither_the_system_away_nor_what_is_moored_s_own() {
        let wide = "{file_roots: [/], bind_roots: [/]}";
        assert_eq!(refused(wide, "/somewhere/x", Touch::Write), None);
        for path in ["/etc/cron.d/x", "/proc/sys/kernel/core_pattern", "/root/x"] {
            let said = refused(wide, path, Touch::Write).unwrap();
            assert!(said.contains("file_roots: [/"), "{said}");
        }
        let own = "{file_roots: [/, /etc/moored, /opt/moored, /var/lib/moored]}";
        for path in [
            "/etc/moored/new",
            "/opt/moored/config.yaml",
            "/opt/moored",
            "/opt/../opt/moored/./config.yaml",
            "/var/lib/moored/key",
            "/var/lib/moored/stacks/other/project/x",
            "/var/lib/moored/staging/shop/x",
        ] {
            for touch in [Touch::Read, Touch::Write, Touch::Configure, Touch::BackUp] {
                let said = refused(own, path, touch).unwrap();
                assert!(said.ends_with("(no setting permits it)"), "{said}");
            }
        }
        // Everybody may see whom we believe.
        let signers = "/opt/moored/allowed_signers";
        assert_eq!(refused("{}", signers, Touch::Read), None);
        assert!(refused("{}", signers, Touch::Write).is_some());
        assert!(refused("{}", "/run/e.sock", Touch::Write).is_some());
    }

    #[test]
    fn the_links_to_what_is_moored_s_own_are_so_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(path("real")).unwrap();
        std::os::unix::fs::symlink("real", path("current")).unwrap();
        std::os::unix::fs::symlink("current/config.yaml", path("link")).unwrap();
        let permits = Permits {
            file_roots: vec![dir.path().to_owned()],
            ..Permits::default()
        };
        let policy = Policy::new(&permits, Path::new("/state"), "")
            .keeping(&[OwnFile::secret(&path("link"))]);
        let refused = |path: PathBuf| {
            let real = RealPaths::of(path.to_str());
            policy
                .file("shop", "files", (&path, Touch::Write), &real)
                .is_some()
        };
        for own in ["link", "current", "real/config.yaml", "current/config.yaml"] {
            assert!(refused(path(own)), "{own}");
        }
        assert!(!refused(path("real/other")) && !refused(path("other")));
    }

    #[test]
    fn the_proxy_of_the_host_needs_a_grant_and_then_has_its_directories() {
        let said = policy("{}").host_proxy("shop").unwrap().to_string();
        assert!(said.contains("(permitted by policy: {host_proxy: [shop]})"));
        assert_eq!(policy("{host_proxy: [shop]}").host_proxy("shop"), None);
        assert!(policy("{host_proxy: [shop]}").host_proxy("blog").is_some());
        for path in ["/etc/nginx/conf.d/x.conf", "/etc/caddy/Caddyfile"] {
            assert_eq!(refused("{}", path, Touch::Configure), None);
        }
    }
}
