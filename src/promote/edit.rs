//! Writes one image into the text of a manifest, and believes nobody that it changed nothing else.

use std::str::FromStr;
use std::sync::Arc;

use yaml_edit::YamlFile;

use crate::desired::{ServiceName, manifest};
use crate::diagnostic::{Diagnostic, Position};
use crate::yaml::{self, Kind, Map, Node};

/// The key that images are under.
const IMAGES: &str = "images";

/// Returns the text of a manifest with the image of a service in it: one line differs, or is new.
///
/// # Errors
/// It can't be done without changing more, or without guessing; the finding says what to write by
/// hand.
pub(super) fn set_image(
    file: &str,
    text: &str,
    service: &ServiceName,
    image: &str,
) -> Result<String, Diagnostic> {
    let edit = Edit {
        file,
        text,
        service: service.as_str(),
        image,
    };
    let before = edit.parse(text)?;
    let edited = match edit.place(&before)? {
        Place::None => edit.appended(),
        Place::Under(images) => edit.in_place(images)?,
    };
    edit.verify(before, &edited)?;
    let read = manifest::parse(file, edited.as_bytes())?;
    if read.images.get(service).map(String::as_str) != Some(image) {
        return Err(edit.refused(None, "the image would not be read as it was written"));
    }
    Ok(edited)
}

/// Where the images of a manifest are.
enum Place {
    /// It has none.
    None,
    /// Below the key at this place.
    Under(Position),
}

struct Edit<'a> {
    file: &'a str,
    text: &'a str,
    service: &'a str,
    image: &'a str,
}

impl Edit<'_> {
    fn parse(&self, text: &str) -> Result<Node, Diagnostic> {
        yaml::parse(self.file, text.as_bytes()).map_err(|found| {
            let first = found.0.into_iter().next();
            first.unwrap_or_else(|| self.refused(None, "it can't be read"))
        })
    }

    fn refused(&self, at: Option<Position>, why: &str) -> Diagnostic {
        let message = format!("can't be edited without harm: {why}; nothing is changed");
        let found = match at {
            Some(position) => Diagnostic::at(self.file, position, message),
            None => Diagnostic::file(self.file, message),
        };
        found.hint(format!(
            "write it by hand, in {IMAGES}: {}: {}",
            self.service, self.image
        ))
    }

    /// Finds the images, and refuses them in a form in which a line is not one image.
    fn place(&self, before: &Node) -> Result<Place, Diagnostic> {
        let root = before.as_map().filter(|root| !root.is_empty());
        let Some(root) = root else {
            return Err(self.refused(None, "it is not a mapping"));
        };
        let Some(at) = root.key_position(IMAGES) else {
            return match self.char_at(before.position) {
                Some('{') => Err(self.refused(Some(before.position), "it is written in braces")),
                Some(_) | None => Ok(Place::None),
            };
        };
        if !is_end(self.value_at(at, IMAGES)) {
            let why = "images is not written as one line for each image";
            return Err(self.refused(Some(at), why));
        }
        let images = root.get(IMAGES).and_then(Node::as_map);
        let Some(images) = images else {
            return Err(self.refused(Some(at), "images has nothing below it"));
        };
        if let Some(key) = images.key_position(self.service) {
            let value = self.value_at(key, self.service);
            let is_odd = value.starts_with(['&', '*', '!', '|', '>', '{', '[', '?']);
            if is_odd || is_end(value) || key.line <= at.line {
                let why = "the image is not written as text behind its key";
                return Err(self.refused(Some(key), why));
            }
        }
        Ok(Place::Under(at))
    }

    /// Returns what stands behind a key and its colon in the same line; where the key is not
    /// written as itself, something that is no value.
    fn value_at(&self, key: Position, name: &str) -> &str {
        let line = self.line(key.line).unwrap_or_default();
        let column = usize::try_from(key.column).unwrap_or_default();
        let from = line.char_indices().nth(column.saturating_sub(1));
        let rest = from.and_then(|(at, _)| line.get(at..)).unwrap_or_default();
        let forms = [name.to_owned(), format!("\"{name}\""), format!("'{name}'")];
        let behind = forms
            .iter()
            .find_map(|form| rest.strip_prefix(form.as_str()));
        let value = behind.and_then(|rest| rest.trim_start().strip_prefix(':'));
        value.unwrap_or("?").trim()
    }

    fn line(&self, number: u32) -> Option<&str> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.text.lines().nth(index)
    }

    fn char_at(&self, place: Position) -> Option<char> {
        let column = usize::try_from(place.column).ok()?.checked_sub(1)?;
        self.line(place.line)?.chars().nth(column)
    }

    fn appended(&self) -> String {
        let gap = if self.text.ends_with('\n') { "" } else { "\n" };
        let (text, service, image) = (self.text, self.service, self.image);
        format!("{text}{gap}{IMAGES}:\n  {service}: {image}\n")
    }

    fn in_place(&self, at: Position) -> Result<String, Diagnostic> {
        let file = YamlFile::from_str(self.text)
            .map_err(|error| self.refused(Some(at), &error.to_string()))?;
        let images = file.document().and_then(|one| one.get_mapping(IMAGES));
        let images = images.ok_or_else(|| self.refused(Some(at), "images can't be found"))?;
        images.set(self.service, self.image);
        Ok(file.to_string())
    }

    /// Refuses a text that differs from what was there in more than the image.
    fn verify(&self, before: Node, edited: &str) -> Result<(), Diagnostic> {
        let Ok(after) = self.parse(edited) else {
            return Err(self.refused(None, "it could not be read any more"));
        };
        if !self.wanted(before).same_value(&after) {
            return Err(self.refused(None, "something else would change with it"));
        }
        if !is_one_change(self.text, edited) {
            return Err(self.refused(None, "other lines would be written anew"));
        }
        Ok(())
    }

    /// Returns the tree as it is to be.
    fn wanted(&self, mut tree: Node) -> Node {
        let (file, nowhere) = (Arc::clone(&tree.file), Position::default());
        let image = Node::new(&file, nowhere, Kind::Str(self.image.to_owned()));
        if let Some(root) = tree.as_map_mut() {
            if !root.contains_key(IMAGES) {
                let none = Node::new(&file, nowhere, Kind::Map(Map::default()));
                root.insert(IMAGES, nowhere, none);
            }
            if let Some(images) = root.get_mut(IMAGES).and_then(Node::as_map_mut) {
                images.insert(self.service, nowhere, image);
            }
        }
        tree
    }
}

/// Returns whether nothing is left of a line but a comment.
fn is_end(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('#')
}

/// Returns whether two texts differ in the value of one line, or by lines that are new at one place.
fn is_one_change(before: &str, after: &str) -> bool {
    /// `images:`, the image, and what comes of a last line that had no end.
    const MOST_NEW: usize = 3;
    let mut old: Vec<&str> = before.split('\n').collect();
    let mut new: Vec<&str> = after.split('\n').collect();
    while let (Some(one), Some(other)) = (old.last(), new.last())
        && one == other
    {
        old.pop();
        new.pop();
    }
    let same = old.iter().zip(&new).take_while(|(one, other)| one == other);
    let same = same.count();
    let (old, new) = (old.get(same..), new.get(same..));
    match (old.unwrap_or_default(), new.unwrap_or_default()) {
        ([], added) => added.len() <= MOST_NEW,
        ([one], [other]) => around(one) == around(other),
        _ => false,
    }
}

/// Returns what stands around the value of a line: up to the colon, and the comment.
fn around(line: &str) -> (&str, &str) {
    let (key, value) = line.split_once(':').unwrap_or((line, ""));
    let comment = value.find(" #").and_then(|at| value.get(at..));
    let end = if line.ends_with('\r') { "\r" } else { "" };
    (key, comment.unwrap_or(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &str = "127.0.0.1:5000/shop/web:v2@sha256:\
        9f31c2e09f31c2e09f31c2e09f31c2e09f31c2e09f31c2e09f31c2e09f31c2e0";

    fn set(text: &str) -> Result<String, Diagnostic> {
        let web = ServiceName::try_from("web".to_owned()).unwrap();
        set_image("production/moored.yaml", text, &web, IMAGE)
    }

    #[test]
    fn one_line_changes_and_everything_else_stays() {
        for text in [
            "stack: a\nimages:\n  web: IMG\n",
            "# why\n\nstack: a   # ours\nimages: # promoted\n  # the site\n  web: IMG  # bump me\n\n\n  \
             worker: old:v1\n# end\nprune: true\n",
            "stack: a\nimages:\n    \"other\": 'x:v1'\n    web: IMG\n    z: y:v1",
            "---\nstack: a\nimages:\n  web: IMG\n",
            "stack: a\r\nimages:\r\n  web: IMG\r\n",
            "stack: a\nimages:\n  web: IMG\nvariables: &v {A: '1'}\n",
        ] {
            let before = text.replace("IMG", "registry.example/web:v1");
            assert_eq!(set(&before).unwrap(), text.replace("IMG", IMAGE), "{text}");
            // Again changes nothing.
            let after = text.replace("IMG", IMAGE);
            assert_eq!(set(&after).unwrap(), after);
        }
    }

    #[test]
    fn an_image_in_quotes_is_changed_too() {
        for quote in ['"', '\''] {
            let before =
                format!("stack: a\nimages:\n  web: {quote}web:v1{quote} # c\nprune: true\n");
            let after = set(&before).unwrap();
            assert!(after.starts_with("stack: a\nimages:\n  web: "), "{after}");
            assert!(after.ends_with(" # c\nprune: true\n"), "{after}");
            assert!(after.contains(IMAGE), "{after}");
        }
    }

    #[test]
    fn an_image_that_was_not_there_is_added() {
        let text = "stack: a\nimages:\n  other: x:v1 # c\n# d\nprune: true\n";
        let after = set(text).unwrap();
        let without: Vec<&str> = after.lines().filter(|line| !line.contains(IMAGE)).collect();
        assert_eq!(without, text.lines().collect::<Vec<_>>());
        let expected = format!("stack: a\nimages:\n  web: {IMAGE}\n");
        assert_eq!(set("stack: a\n").unwrap(), expected);
        assert_eq!(set("stack: a").unwrap(), expected);
    }

    #[test]
    fn what_can_not_be_edited_safely_says_what_to_write() {
        insta::assert_snapshot!(set("stack: a\nimages: {web: x:v1}\n").unwrap_err(), @"
        production/moored.yaml:2:1: can't be edited without harm: images is not written as one line for each image; nothing is changed
          hint: write it by hand, in images: web: 127.0.0.1:5000/shop/web:v2@sha256:9f31c2e09f31c2e09f31c2e09f31c2e09f31c2e09f31c2e09f31c2e09f31c2e0
        ");
        for (text, word) in [
            ("{stack: a}\n", "in braces"),
            (
                "stack: a\nimages: &i\n  web: x:v1\n",
                "one line for each image",
            ),
            (
                "stack: a\nimages:\n  web: &w x:v1\n",
                "as text behind its key",
            ),
            (
                "stack: a\nimages:\n  other: &w x:v1\n  web: *w\n",
                "as text behind its key",
            ),
            (
                "stack: a\nimages:\n  web: >-\n    x:v1\n",
                "as text behind its key",
            ),
            (
                "stack: a\nimages:\n  web:\n    x:v1\n",
                "as text behind its key",
            ),
            (
                "stack: a\nimages:\n  ? web\n  : x:v1\n",
                "as text behind its key",
            ),
            ("stack: a\nimages:\n", "nothing below it"),
            ("", "it is not a mapping"),
            ("- a\n", "it is not a mapping"),
        ] {
            let refused = set(text).unwrap_err();
            assert!(refused.message.contains(word), "{text}: {refused}");
            let hint = refused.hint.unwrap_or_default();
            assert!(hint.contains(&format!("web: {IMAGE}")), "{text}: {hint}");
        }
        // Not ours to mend.
        assert!(set("stack: a\nstack: b\n").is_err());
        assert!(set("a: [\n").is_err());
    }

    #[test]
    fn a_merged_image_is_not_changed_where_it_was_defined() {
        let text = "stack: a\nx-images: &x\n  web: x:v1\nimages:\n  <<: *x\n";
        let refused = set(text);
        assert!(refused.is_err(), "{refused:?}");
    }

    #[test]
    fn more_than_one_change_is_told() {
        for (before, after, one) in [
            ("a: 1\nb: 2\n", "a: 1\nb: 3\n", true),
            ("a: 1 # c\n", "a: 2 # c\n", true),
            ("a: 1 # c\n", "a: 2\n", false),
            ("a: 1\r\n", "a: 2\n", false),
            ("a: 1\nb: 2\n", "a: 2\nb: 3\n", false),
            ("a: 1\n", "b: 1\n", false),
            ("a: 1\nb: 2\n", "a: 1\n", false),
            ("a: 1\n", "a: 1\nb: 2\n", true),
            ("a: 1\n", "a: 1\nb: 2\nc: 3\nd: 4\ne: 5\n", false),
            ("a: 1\n", "a: 1\n", true),
        ] {
            assert_eq!(is_one_change(before, after), one, "{before:?} {after:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics_and_never_changes_more(
            text in "stack: a\n(images:( #c)?\n)?((  |    )?(web|x|'web'|\\? web|<<|-): ?(&a |\\*a|\\{|'|\\||>)?[a-z:]{0,4}( # c)?\r?\n){0,5}",
        ) {
            if let Ok(edited) = set(&text) {
                proptest::prop_assert!(is_one_change(&text, &edited));
            }
        }
    }
}
