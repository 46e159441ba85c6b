//! Warns of commands of which Compose silently drops the end.

use super::load::Loader;
use super::short;
use crate::diagnostic::Diagnostic;
use crate::yaml::Node;

/// Warns of every command in one text that goes on behind a `;`, `&`, `|`, `<` or `>`.
pub(super) fn warn(tree: &Node, loader: &Loader<'_>) {
    let services = tree.at(&["services"]).and_then(Node::as_map);
    for service in services.into_iter().flatten() {
        let name = &service.key;
        for key in ["command", "entrypoint"] {
            let path = || format!("services.{name}.{key}");
            command(service.value.at(&[key]), path, loader);
        }
        for hook in ["post_start", "pre_stop"] {
            let hooks = service.value.at(&[hook]).and_then(Node::as_seq);
            for (index, one) in hooks.unwrap_or_default().iter().enumerate() {
                let path = || format!("services.{name}.{hook}[{index}].command");
                command(one.at(&["command"]), path, loader);
            }
        }
    }
}

fn command(node: Option<&Node>, path: impl Fn() -> String, loader: &Loader<'_>) {
    let Some(node) = node else { return };
    let Some(cut) = node.as_str().and_then(short::cut_of_command) else {
        return;
    };
    let message = format!(
        "{}: the rest after `{cut}` is not run: no shell reads it",
        path()
    );
    let found = Diagnostic::new(node.location(), message);
    loader.warn(found.hint("write [sh, -c, '…'] with the whole line in the quotes"));
}
