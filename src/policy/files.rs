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
