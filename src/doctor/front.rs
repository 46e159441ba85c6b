//! Looks at the proxy of the host that a stack configures.

use std::path::PathBuf;

use super::stack::Stack;
use super::{Area, Check, Diagnosis, mend};
use crate::desired::proxy::ProxyPlace;
use crate::proxy::{HostProxy, ProxyError};

/// Looks whether the proxy of the host is installed, takes its configuration, and reads the files
/// that the stack has there. One in a container is the engine's.
pub(super) async fn check(stack: &Stack, found: &mut Diagnosis) {
    let Some(front) = &stack.desired.proxy else {
        return;
    };
    if front.proxy.place != ProxyPlace::Host {
        return;
    }
    let kind = front.proxy.kind;
    let host = HostProxy {
        kind,
        program: PathBuf::from(kind.program()),
        main: front.proxy.main.clone(),
    };
    let subject = format!("{kind} of the host");
    let missing = || Check::missing(Area::Stack, &subject).of(&stack.name);
    match host.files().await {
        Err(ProxyError::NotInstalled { .. }) => {
            let check = missing().found("is not installed");
            found.add(check.mended_by(format!("apt-get install {kind}")));
        }
        Err(error) => found.add(missing().found(error.to_string())),
        Ok(files) => {
            let check = Check::ok(Area::Stack, &subject).of(&stack.name);
            found.add(check.found("is installed, and its configuration is valid"));
            for path in front.configs.keys() {
                if files.includes(path) == Some(false) {
                    let subject = path.display().to_string();
                    let check = Check::missing(Area::Stack, subject).of(&stack.name);
                    let check = check.found(format!("{kind} does not read it"));
                    found.add(check.mended_by(format!(
                        "add to the http block of its main file: include {};",
                        mend::quoted(path)
                    )));
                }
            }
        }
    }
}
