//! Takes the tags `!reset` and `!override` out of a file, and lets them act on what was before.

use std::collections::BTreeSet;

use crate::yaml::{Kind, Map, Node};

/// The places of a file that take away what earlier files, or an extended service, say there.
#[derive(Clone, Default)]
pub(super) struct Tags {
    places: BTreeSet<Vec<String>>,
}

impl Tags {
    /// Takes the tags out of a file: with `!reset` the value goes too.
    pub(super) fn take(node: &mut Node) -> Self {
        let mut tags = Self::default();
        tags.collect(node, &mut Vec::new());
        tags
    }

    /// Takes away what stands at the tagged places of another tree.
    pub(super) fn apply(&self, node: &mut Node) {
        if !self.places.is_empty() {
            self.apply_at(node, &mut Vec::new());
        }
    }

    /// Takes away what stands at the tagged places of the service `name`.
    pub(super) fn apply_to_service(&self, name: &str, service: &mut Node) {
        if !self.places.is_empty() {
            self.apply_at(service, &mut vec!["services".to_owned(), name.to_owned()]);
        }
    }

    fn collect(&mut self, node: &mut Node, path: &mut Vec<String>) {
        if node.tag.take().is_some() {
            self.places.insert(path.clone());
            // What is tagged inside reaches nothing more.
            Self::default().collect(node, path);
            return;
        }
        match &mut node.kind {
            Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Str(_) => {}
            Kind::Seq(items) => {
                items.retain(|item| !is_gone(item));
                // What is tagged inside a list reaches nothing outside of it.
                let mut inside = Self::default();
                for item in items {
                    inside.collect(item, path);
                }
            }
            Kind::Map(map) => self.collect_keys(map, path),
        }
    }

    fn collect_keys(&mut self, map: &mut Map, path: &mut Vec<String>) {
        for entry in &mut *map {
            path.push(entry.key.clone());
            if is_gone(&entry.value) {
                self.places.insert(path.clone());
            } else {
                self.collect(&mut entry.value, path);
            }
            path.pop();
        }
        map.retain(|entry| !is_gone(&entry.value));
    }

    fn apply_at(&self, node: &mut Node, path: &mut Vec<String>) {
        let Kind::Map(map) = &mut node.kind else {
            return;
        };
        map.retain(|entry| {
            path.push(entry.key.clone());
            let stays = !self.places.contains(path);
            path.pop();
            stays
        });
        for entry in map {
            path.push(entry.key.clone());
            self.apply_at(&mut entry.value, path);
            path.pop();
        }
    }
}

/// Returns whether a value is only there to say `!reset`; a merge key may have brought one.
fn is_gone(node: &Node) -> bool {
    node.tag.as_deref() == Some("!reset") && node.is_null()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    fn node(text: &str) -> Node {
        parse("c.yaml", text.as_bytes()).unwrap()
    }

    #[test]
    fn a_file_loses_its_tags_and_what_it_resets() {
        for (text, stays, places) in [
            ("a: {b: !reset null, c: 1}", "a: {c: 1}", &["a.b"][..]),
            ("a: !reset {b: 1}", "{}", &["a"]),
            ("a: !override {b: 1}", "a: {b: 1}", &["a"]),
            ("a: {b: !override [1]}", "a: {b: [1]}", &["a.b"]),
            ("a: [1, !reset 2, 3]", "a: [1, 3]", &[]),
            ("a: [{b: !reset 2, c: 1}]", "a: [{c: 1}]", &[]),
            (
                "x: &x {b: 1}\na: {<<: *x, b: !reset 2}",
                "{x: {b: 1}, a: {b: 1}}",
                &["a.b"],
            ),
        ] {
            let mut node = node(text);
            let tags = Tags::take(&mut node);
            let found: Vec<String> = tags.places.iter().map(|place| place.join(".")).collect();
            assert_eq!(found, places, "{text}");
            assert!(
                node.same_value(&parse("e", stays.as_bytes()).unwrap()),
                "{text}"
            );
        }
    }

    #[test]
    fn tags_reach_what_was_before() {
        let mut over = node("services: {a: {ports: !reset [], user: !override u}}");
        let tags = Tags::take(&mut over);
        let mut before = node("services: {a: {ports: [1], user: v, image: x}, b: {ports: [1]}}");
        tags.apply(&mut before);
        let expected = "services: {a: {image: x}, b: {ports: [1]}}";
        assert!(before.same_value(&node(expected)));
        let mut service = node("{ports: [1], image: x}");
        tags.apply_to_service("a", &mut service);
        assert!(service.same_value(&node("image: x")));
    }
}
