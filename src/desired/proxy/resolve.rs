//! Reads the configuration of a proxy from the tree.

use std::collections::BTreeMap;

use super::checks;
use super::{DesiredProxy, Proxy, ProxyConfig, Template};
use crate::desired::findings::{Findings, Surroundings};
use crate::desired::placed::{self, Taken};
use crate::diagnostic::Diagnostic;
use crate::source::ReadError;

/// Reads the proxy that the manifest names; what is wrong goes to `findings`.
pub(in crate::desired) fn resolve(
    around: &Surroundings<'_>,
    taken: &mut Taken,
    findings: &mut Findings<'_>,
) -> Option<DesiredProxy> {
    let proxy = around.manifest.proxy.as_ref()?;
    let mut configs = BTreeMap::new();
    for (name, target) in &proxy.configs {
        match read(name, around) {
            Ok(config) => {
                configs.insert(target.clone(), config);
            }
            Err(Wrong::Named(message, hint)) => {
                findings.refuse(&proxy.path(&["configs", name]), message, hint);
            }
            Err(Wrong::Written(found)) => findings.add(found),
        }
    }
    let all = configs.len() == proxy.configs.len();
    let resolved = DesiredProxy {
        proxy: proxy.clone(),
        configs,
    };
    checks::place(&resolved, around, taken, findings);
    // A file that could not be read may be the one that has it.
    if all {
        checks::marker(&resolved, findings);
    }
    Some(resolved)
}

/// Why a file is not part of a configuration.
enum Wrong {
    /// The manifest names something else: message and hint.
    Named(String, &'static str),
    /// It has something in it that can't be.
    Written(Diagnostic),
}

fn read(name: &str, around: &Surroundings<'_>) -> Result<ProxyConfig, Wrong> {
    const COMMIT: &str = "write the path of a committed file relative to the manifest";
    let named = |message: String, hint| Wrong::Named(message, hint);
    let source = around.dir.join(name);
    let source = source.map_err(|error| named(error.to_string(), COMMIT))?;
    let text = match around.tree.read(&source) {
        Ok(text) => text,
        Err(ReadError::Missing { .. }) => {
            return Err(named(format!("{source} is not in the repository"), COMMIT));
        }
        Err(ReadError::NotAFile { .. }) => {
            let hint = "name each of its files: they are tested and compared one by one";
            return Err(named(format!("{source} is a directory"), hint));
        }
        Err(error) => return Err(named(error.to_string(), "")),
    };
    Ok(ProxyConfig {
        template: Template::parse(source.as_str(), &text).map_err(Wrong::Written)?,
        project_path: placed::below(around.compose_dir, &source),
        mode: placed::mode(around.tree, &source),
        source,
    })
}

impl Proxy {
    /// Returns a path of keys in the manifest, from what is below the program's name.
    pub(in crate::desired) fn path<'a>(&self, below: &[&'a str]) -> Vec<&'a str> {
        let kind = match self.kind {
            super::ProxyKind::Nginx => "nginx",
            super::ProxyKind::Caddy => "caddy",
        };
        [["proxy", kind].as_slice(), below].concat()
    }
}
