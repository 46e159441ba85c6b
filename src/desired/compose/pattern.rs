//! Knows places in a Compose tree: the keys from the root, and patterns for them.

use crate::yaml::{Kind, Node};

/// What a visitor wants of the value that it was shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// To see what is inside.
    Inside,
    /// To go on behind it.
    Past,
}

/// Returns whether a path of keys fits a pattern: keys between dots, where `*` is any key or item.
pub(super) fn fits(path: &[String], pattern: &str) -> bool {
    let mut keys = path.iter();
    pattern
        .split('.')
        .all(|part| keys.next().is_some_and(|key| part == "*" || part == key))
        && keys.next().is_none()
}

/// Shows every value with its path to `visitor`, the outer ones first.
pub(super) fn visit(node: &mut Node, visitor: &mut dyn FnMut(&[String], &mut Node) -> Step) {
    visit_at(&mut Vec::new(), node, visitor);
}

fn visit_at(
    path: &mut Vec<String>,
    node: &mut Node,
    visitor: &mut dyn FnMut(&[String], &mut Node) -> Step,
) {
    if visitor(path, node) == Step::Past {
        return;
    }
    match &mut node.kind {
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Str(_) => {}
        Kind::Seq(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                path.push(self::item(index));
                visit_at(path, item, visitor);
                path.pop();
            }
        }
        Kind::Map(map) => {
            for entry in map {
                path.push(entry.key.clone());
                visit_at(path, &mut entry.value, visitor);
                path.pop();
            }
        }
    }
}

/// Returns what stands in a path for an item of a list, counted from 0.
pub(super) fn item(index: usize) -> String {
    format!("[{index}]")
}

/// Returns a path as people write it: `services.web.ports[0]`.
pub(super) fn display(path: &[String]) -> String {
    path.join(".").replace(".[", "[")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    #[test]
    fn patterns_fit_whole_paths() {
        for (path, pattern, expected) in [
            ("services web dns", "services.*.dns", true),
            ("services a.b dns", "services.*.dns", true),
            ("services web ports [0]", "services.*.ports.*", true),
            ("services web", "services.*.dns", false),
            ("services web dns x", "services.*.dns", false),
            ("x-services web dns", "services.*.dns", false),
        ] {
            let path: Vec<String> = path.split(' ').map(str::to_owned).collect();
            assert_eq!(fits(&path, pattern), expected, "{path:?} {pattern}");
        }
    }

    #[test]
    fn a_visitor_sees_what_it_asks_for() {
        let mut node = parse("c.yaml", b"a: {b: [{c: 1}, 2]}\nd: {e: 3}").unwrap();
        let mut seen = Vec::new();
        visit(&mut node, &mut |path, _| {
            seen.push(display(path));
            if fits(path, "d") {
                Step::Past
            } else {
                Step::Inside
            }
        });
        assert_eq!(seen, ["", "a", "a.b", "a.b[0]", "a.b[0].c", "a.b[1]", "d"]);
    }
}
