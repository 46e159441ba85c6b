//! Puts the values of variables into a Compose file.

use std::collections::BTreeSet;

use super::refusal::Refusal;
use super::template::{Substituted, TemplateError, substitute};
use super::{casts, pattern};
use crate::diagnostic::{Diagnostic, Diagnostics, Position};
use crate::yaml::text::MAX_BYTES;
use crate::yaml::{Kind, Node};

/// Where the values of variables come from.
pub trait Variables {
    /// Returns the value of a variable, or `None` when it is not set.
    fn get(&self, name: &str) -> Option<String>;
}

impl<F: Fn(&str) -> Option<String>> Variables for F {
    fn get(&self, name: &str) -> Option<String> {
        self(name)
    }
}

/// Puts the values of `variables` into every string of a tree, but never into a key.
///
/// Then a string where Compose expects an integer, a number or a boolean gets that type, as
/// compose-go does in the same step (`casts` has the list); strings in other places stay strings,
/// and whoever gives them a type must accept text for a number. What a value brings in is not
/// looked at again, and `$$` becomes `$` once.
/// An unset variable is a warning; every string that can't be put together is an error.
pub fn interpolate(
    file: &str,
    node: &mut Node,
    variables: &dyn Variables,
    warnings: &mut Vec<Diagnostic>,
) -> Result<(), Diagnostics> {
    let mut run = Run {
        file,
        variables,
        budget: MAX_BYTES,
        path: Vec::new(),
        errors: BTreeSet::new(),
        miscast: BTreeSet::new(),
        warnings: BTreeSet::new(),
    };
    run.node(node);
    warnings.extend(run.warnings);
    if run.errors.is_empty() {
        Ok(())
    } else {
        Err(Diagnostics(run.errors.into_iter().collect()))
    }
}

struct Run<'a> {
    file: &'a str,
    variables: &'a dyn Variables,
    budget: usize,
    /// Keys from the root, and items of lists.
    path: Vec<String>,
    /// Sets, because a value behind an anchor comes by more than once.
    errors: BTreeSet<Diagnostic>,
    /// Where a text is not of its type.
    miscast: BTreeSet<Position>,
    warnings: BTreeSet<Diagnostic>,
}

impl Run<'_> {
    fn node(&mut self, node: &mut Node) {
        match &mut node.kind {
            Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) => {}
            Kind::Str(text) => {
                if text.contains('$') {
                    let Some(value) = self.text(node.position, text) else {
                        return;
                    };
                    *text = value;
                }
                if let Some(cast) = casts::expected(&self.path) {
                    match cast.apply(text) {
                        Ok(kind) => {
                            self.warn_of_word(node.position, &kind, text);
                            node.kind = kind;
                        }
                        Err(refusal) => self.miscast(node.position, refusal),
                    }
                }
            }
            Kind::Seq(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.path.push(pattern::item(index));
                    self.node(item);
                    self.path.pop();
                }
            }
            Kind::Map(map) => {
                for entry in map {
                    self.path.push(entry.key.clone());
                    self.node(&mut entry.value);
                    self.path.pop();
                }
            }
        }
    }

    /// Notes a text that is not of its type; a value behind an anchor only the first time.
    fn miscast(&mut self, position: Position, refusal: Refusal) {
        if self.miscast.insert(position) {
            let message = format!("{}: {}", pattern::display(&self.path), refusal.why);
            let finding = self.finding(position, message).hint(refusal.hint);
            self.errors.insert(finding);
        }
    }

    /// Returns a text with the values of its variables, or nothing when that failed.
    fn text(&mut self, position: Position, template: &str) -> Option<String> {
        let lookup = |name: &str| self.variables.get(name);
        let Substituted { text, unset } = substitute(template, &lookup, self.budget);
        for name in unset {
            let message = format!("the variable \"{name}\" is not set and counts as empty");
            let finding = Diagnostic::at(self.file, position, message)
                .hint(format!("set it, or write a default: ${{{name}:-default}}"));
            self.warnings.insert(finding);
        }
        match text {
            Ok(text) => {
                self.budget = self.budget.saturating_sub(text.len());
                Some(text)
            }
            Err(errors) => {
                let findings = errors.into_iter().map(|error| self.error(position, &error));
                let findings: Vec<_> = findings.collect();
                self.errors.extend(findings);
                None
            }
        }
    }

    fn error(&self, position: Position, error: &TemplateError) -> Diagnostic {
        let finding = self.finding(position, error.to_string());
        match error {
            TemplateError::Invalid => finding.hint("write `$$` for a `$` that is no variable"),
            TemplateError::Required { name, .. } => finding.hint(format!("set {name}")),
            TemplateError::TooDeep => {
                finding.hint("nest fewer `${…:-…}`; one default is mostly enough")
            }
            TemplateError::TooLong => finding.hint("use shorter values"),
        }
    }

    fn warn_of_word(&mut self, position: Position, kind: &Kind, text: &str) {
        let Kind::Bool(value) = kind else {
            return;
        };
        if !text.eq_ignore_ascii_case(if *value { "true" } else { "false" }) {
            let message = format!("the word is read as the boolean {value}");
            let finding = self
                .finding(position, message)
                .hint(format!("write {value}"));
            self.warnings.insert(finding);
        }
    }

    fn finding(&self, position: Position, message: impl Into<String>) -> Diagnostic {
        Diagnostic::at(self.file, position, message)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::yaml;

    fn variable(name: &str) -> Option<String> {
        match name {
            "TAG" => Some("v1".to_owned()),
            "N" => Some("3".to_owned()),
            "RAW" => Some("$TAG".to_owned()),
            _ => None,
        }
    }

    type Lines = Vec<String>;

    fn run(text: &str) -> (Node, Result<(), Lines>, Lines) {
        let mut node = yaml::parse("f.yaml", text.as_bytes()).unwrap();
        let mut warnings = Vec::new();
        let result = interpolate("f.yaml", &mut node, &variable, &mut warnings);
        let lines = |found: Vec<Diagnostic>| {
            let line = |one: Diagnostic| format!("{}: {}", one.location, one.message);
            found.into_iter().map(line).collect::<Lines>()
        };
        (
            node,
            result.map_err(|errors| lines(errors.0)),
            lines(warnings),
        )
    }

    #[test]
    fn values_change_and_keys_do_not() {
        let (node, result, warnings) =
            run("services: {$TAG: {image: 'app:$TAG', command: [$RAW, '$$TAG', 5]}}");
        assert_eq!(result, Ok(()));
        assert!(warnings.is_empty());
        let at = |path: &[&str]| node.at(path).and_then(Node::go_string);
        let service = |key| at(&["services", "$TAG", key]);
        assert_eq!(service("image").as_deref(), Some("app:v1"));
        let command = |index| at(&["services", "$TAG", "command", index]);
        assert_eq!(command("0").as_deref(), Some("$TAG"));
        assert_eq!(command("1").as_deref(), Some("$TAG"));
        assert_eq!(command("2").as_deref(), Some("5"));
    }

    #[test]
    fn strings_get_the_type_of_their_place() {
        let (node, result, warnings) = run("services: {a: {cpus: '0.5', scale: $N, tty: yes, \
             ports: [{target: '${P:-80}'}], environment: {N: $N}}}");
        assert_eq!(result, Ok(()));
        let kind = |path: &[&str]| node.at(&[&["services", "a"], path].concat()).unwrap();
        assert!(matches!(kind(&["cpus"]).kind, Kind::Float(0.5)));
        assert!(matches!(kind(&["scale"]).kind, Kind::Int(3)));
        assert!(matches!(kind(&["tty"]).kind, Kind::Bool(true)));
        assert!(matches!(
            kind(&["ports", "0", "target"]).kind,
            Kind::Int(80)
        ));
        assert_eq!(kind(&["environment", "N"]).as_str(), Some("3"));
        assert_eq!(
            warnings,
            ["f.yaml:1:45: the word is read as the boolean true"]
        );
    }

    #[test]
    fn all_errors_are_told_with_their_place() {
        let (_, result, warnings) = run(
            "a: ${X:?please}\nb: [x, '${}']\nc: $UNSET\nservices: {s: {scale: $UNSET, tty: maybe}}",
        );
        assert_eq!(
            result.unwrap_err(),
            [
                "f.yaml:1:4: the variable \"X\" must be set: please",
                "f.yaml:2:8: invalid variable: `${` needs a name, one of `:-` `-` `:+` `+` `:?` \
                 `?`, and a `}`",
                "f.yaml:4:23: services.s.scale: not an integer, but an empty text",
                "f.yaml:4:36: services.s.tty: neither true nor false",
            ]
        );
        assert_eq!(
            warnings,
            [
                "f.yaml:3:4: the variable \"UNSET\" is not set and counts as empty",
                "f.yaml:4:23: the variable \"UNSET\" is not set and counts as empty",
            ]
        );
    }

    #[test]
    fn an_anchored_value_is_told_once() {
        let (_, result, warnings) = run("a: &a ['${X?}', $U]\nb: *a\nc: *a\n");
        assert_eq!(result.unwrap_err().len(), 1);
        assert_eq!(warnings.len(), 1);
    }

    #[test]
    fn values_can_not_multiply_without_end() {
        let mut node = yaml::parse("f.yaml", b"a: [$X, $X, $X]").unwrap();
        let long = |_: &str| Some("x".repeat(3 << 20));
        let errors = interpolate("f.yaml", &mut node, &long, &mut Vec::new()).unwrap_err();
        assert!(errors.to_string().contains("too long"), "{errors}");
    }

    proptest! {
        #[test]
        fn never_panics(texts in proptest::collection::vec("[$${}A-Z:?+\\-é\\n ]{0,30}", 0..5)) {
            let items = texts.into_iter().map(|text| {
                Node::new(&"f.yaml".into(), Position::default(), Kind::Str(text))
            });
            let mut node = Node::new(&"f.yaml".into(), Position::default(), Kind::Seq(items.collect()));
            let _result = interpolate("f.yaml", &mut node, &variable, &mut Vec::new());
        }
    }
}
