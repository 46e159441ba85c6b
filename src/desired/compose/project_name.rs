//! Finds the name of a project.

use super::interpolate::{Variables, interpolate};
use super::lexical;
use super::load::{Loader, Request};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::yaml::Node;

/// Returns the name: the one asked for, `COMPOSE_PROJECT_NAME`, the last `name` of the files, or
/// the name of the project directory.
pub(super) fn find(
    loader: &Loader<'_>,
    request: &Request,
    paths: &[String],
    variables: &dyn Variables,
) -> Result<String, Diagnostics> {
    let set = variables.get("COMPOSE_PROJECT_NAME");
    let given = request
        .project
        .clone()
        .or(set)
        .filter(|name| !name.is_empty());
    if let Some(name) = given {
        if normal(&name) == name {
            return Ok(name);
        }
        let file = paths
            .first()
            .map(|path| loader.name(path))
            .unwrap_or_default();
        let message = format!(
            "\"{name}\" can't be the name of a project: it has lower-case letters, digits, `-` \
             and `_` only, and begins with a letter or digit"
        );
        let hint = format!("for example {}", normal(&name));
        return Err(Diagnostic::file(&file, message).hint(hint).into());
    }
    let mut written: Option<Node> = None;
    for path in paths {
        for document in loader.documents(path, None)? {
            let name = document.at(&["name"]);
            if name
                .and_then(Node::go_string)
                .is_some_and(|name| !name.is_empty())
            {
                written = name.cloned();
            }
        }
    }
    let Some(mut node) = written else {
        return from_directory(loader, paths);
    };
    let mut warnings = loader.warnings.borrow_mut();
    let file = node.file.clone();
    interpolate(&file, &mut node, variables, &mut warnings)?;
    let name = normal(&node.go_string().unwrap_or_default());
    if name.is_empty() {
        let message = "nothing is left of the project's name without what Compose takes out of it";
        let hint = "use lower-case letters, digits, `-` and `_`";
        return Err(Diagnostic::new(node.location(), message).hint(hint).into());
    }
    Ok(name)
}

/// Returns a name as Compose makes it one of a project.
pub(super) fn normal(name: &str) -> String {
    let name = name.to_lowercase();
    let kept = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    let name: String = name.chars().filter(kept).collect();
    name.trim_start_matches(['_', '-']).to_owned()
}

fn from_directory(loader: &Loader<'_>, paths: &[String]) -> Result<String, Diagnostics> {
    let name = normal(lexical::file_name(&loader.directory));
    if !name.is_empty() {
        return Ok(name);
    }
    let file = paths
        .first()
        .map(|path| loader.name(path))
        .unwrap_or_default();
    Err(Diagnostic::file(&file, "the project has no name")
        .hint("write: name: NAME, or give it with -p NAME")
        .into())
}

#[cfg(test)]
mod tests {
    use super::normal;

    #[test]
    fn names_are_made_normal() {
        for (name, expected) in [
            ("web", "web"),
            ("My App.2", "myapp2"),
            ("--_a-b_", "a-b_"),
            ("Ünï", "n"),
            ("é", ""),
        ] {
            assert_eq!(normal(name), expected, "{name}");
        }
    }
}
