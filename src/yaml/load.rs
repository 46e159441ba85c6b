//! Turns the parser's events into a document that may still share nodes through anchors.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle};

use super::expand::expand;
use super::scalar::{self, Resolved};
use super::syntax::{self, position};
use crate::diagnostic::{Diagnostic, Diagnostics, Position};
use crate::yaml::text::{MAX_BYTES, decode};
use crate::yaml::{Kind, Node, Style, Written};

/// Values once aliases are expanded; the largest real file has some ten thousand.
const MAX_NODES: usize = 250_000;
/// Collections inside each other once aliases are expanded.
const MAX_DEPTH: usize = 128;

/// Reads a file of one YAML document; an empty one is [`Kind::Null`].
///
/// Refuses what [`parse_documents`] refuses, and a second document.
pub fn parse(file: &str, text: &[u8]) -> Result<Node, Diagnostics> {
    let mut documents = parse_documents(file, text)?.into_iter();
    let Some((_, node)) = documents.next() else {
        return Ok(Node::new(
            &file.into(),
            Position { line: 1, column: 1 },
            Kind::Null,
        ));
    };
    match documents.next() {
        None => Ok(node),
        Some((start, _)) => {
            let message = "a second YAML document begins here";
            Err(Diagnostic::at(file, start, message)
                .hint("put it into a file of its own")
                .into())
        }
    }
}

/// Reads all YAML documents of a file, each with the place where it begins; Compose merges them
/// as if they were files.
///
/// Refuses what Compose refuses (duplicate keys, keys that are not strings, dates) and what
/// would cost too much: the real Compose has no guard against aliases that multiply.
/// The messages name keys but never values, which may be secret.
pub fn parse_documents(file: &str, text: &[u8]) -> Result<Vec<(Position, Node)>, Diagnostics> {
    let mut loader = Loader::new(file);
    if let Err(fatal) = loader.run(decode(file, text)?) {
        loader.findings.push(fatal);
        return Err(Diagnostics(loader.findings));
    }
    let mut findings = loader.findings;
    let name: Arc<str> = file.into();
    let documents = loader
        .documents
        .iter()
        .map(|(start, root)| {
            let node = match root {
                Some(root) => expand(&name, root, &mut findings),
                None => Node::new(&name, *start, Kind::Null),
            };
            (*start, node)
        })
        .collect();
    if findings.is_empty() {
        Ok(documents)
    } else {
        Err(Diagnostics(findings))
    }
}

/// Returns the first key that stands twice in its mapping, as far as the file can be read.
pub fn duplicate_key(file: &str, text: &[u8]) -> Option<Diagnostic> {
    let mut loader = Loader::new(file);
    drop(loader.run(decode(file, text).ok()?));
    loader.duplicate
}

/// A node of the document as written: an alias is one more owner of what it names.
pub(super) struct Raw {
    pub(super) position: Position,
    /// `!reset` or `!override`.
    pub(super) tag: Option<String>,
    pub(super) body: Body,
    /// Collections inside each other, itself included.
    height: usize,
    /// Values, itself included, with aliases expanded.
    nodes: usize,
    /// Bytes of scalars and keys, with aliases expanded.
    bytes: usize,
}

/// What a [`Raw`] node is.
pub(super) enum Body {
    Scalar { value: Resolved, written: Written },
    Seq(Vec<Rc<Raw>>),
    Map(RawMap),
}

/// A mapping as written.
pub(super) struct RawMap {
    /// Own keys, in order.
    pub(super) entries: Vec<(String, Position, Rc<Raw>)>,
    /// The mappings under `<<`; the first one that has a key gives its value.
    pub(super) merged: Vec<Rc<Raw>>,
}

struct Loader<'a> {
    file: &'a str,
    /// Where each document begins, and its root.
    documents: Vec<(Position, Option<Rc<Raw>>)>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Rc<Raw>>,
    nodes: usize,
    bytes: usize,
    findings: Vec<Diagnostic>,
    /// The first of them that is about a key that stands twice.
    duplicate: Option<Diagnostic>,
}

/// A collection whose end has not come yet.
struct Open {
    position: Position,
    tag: Option<String>,
    anchor: usize,
    nodes_before: usize,
    bytes_before: usize,
    is_map: bool,
    /// Items, or keys and values in turn, each with the place where it stands.
    children: Vec<(Position, Rc<Raw>)>,
}

type Step = Result<(), Diagnostic>;

impl<'a> Loader<'a> {
    fn new(file: &'a str) -> Self {
        Self {
            file,
            documents: Vec::new(),
            open: Vec::new(),
            anchors: BTreeMap::new(),
            nodes: 0,
            bytes: 0,
            findings: Vec::new(),
            duplicate: None,
        }
    }

    /// Reads a text to its end, or to what makes reading on senseless.
    fn run(&mut self, text: &str) -> Step {
        // A run of comments costs nothing when the parser doesn't buffer them.
        let options = granit_parser::options! { emit_comments: false };
        for item in Parser::new_from_str_with_options(text, options) {
            match item {
                Ok((event, span)) => self.event(event, position(&span.start))?,
                Err(error) => {
                    if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) {
                        return Err(self.too_deep(position(error.marker())));
                    }
                    return Err(syntax::refusal(self.file, &error));
                }
            }
        }
        Ok(())
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "foreign enum")]
    fn event(&mut self, event: Event<'_>, position: Position) -> Step {
        match event {
            Event::DocumentStart(..) => {
                self.documents.push((position, None));
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let tag = self.tag(tag.as_deref(), position);
                let written = Written {
                    text: text.into_owned(),
                    style: match style {
                        ScalarStyle::Plain => Style::Plain,
                        ScalarStyle::SingleQuoted
                        | ScalarStyle::DoubleQuoted
                        | ScalarStyle::Literal
                        | ScalarStyle::Folded => Style::Quoted,
                    },
                };
                self.scalar(position, anchor, tag, written)
            }
            Event::SequenceStart(_, anchor, tag) => {
                let tag = self.tag(tag.as_deref(), position);
                self.start(position, anchor, tag, false)
            }
            Event::MappingStart(_, anchor, tag) => {
                let tag = self.tag(tag.as_deref(), position);
                self.start(position, anchor, tag, true)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.end();
                Ok(())
            }
            Event::Alias(anchor) => self.alias(position, anchor),
            _ => Ok(()),
        }
    }

    fn scalar(&mut self, position: Position, anchor: usize, tag: Tag, written: Written) -> Step {
        self.spend(position, 1, written.text.len())?;
        let (value, tag) = match tag {
            Tag::Compose(tag) => {
                // Go leaves the text of a scalar with a tag of its own as it is.
                (Resolved::Value(Kind::Str(written.text.clone())), Some(tag))
            }
            Tag::None if written.style == Style::Plain => (scalar::plain(&written.text), None),
            Tag::None => (Resolved::Value(Kind::Str(written.text.clone())), None),
            Tag::Core(kind) => (self.typed(position, kind, &written), None),
        };
        let bytes = written.text.len();
        let raw = Raw {
            position,
            tag,
            body: Body::Scalar { value, written },
            height: 0,
            nodes: 1,
            bytes,
        };
        self.add(position, anchor, Rc::new(raw));
        Ok(())
    }

    /// Returns the value of a scalar with a tag such as `!!str`.
    fn typed(&mut self, position: Position, kind: CoreTag, written: &Written) -> Resolved {
        let text = || Kind::Str(written.text.clone());
        let value = match kind {
            CoreTag::Str => return Resolved::Value(text()),
            CoreTag::Bool | CoreTag::Int | CoreTag::Float | CoreTag::Null => {
                scalar::untimed(&written.text)
            }
            CoreTag::Seq | CoreTag::Map => text(),
        };
        match (kind, value) {
            (CoreTag::Bool, value @ Kind::Bool(_))
            | (CoreTag::Int, value @ Kind::Int(_))
            | (CoreTag::Float, value @ Kind::Float(_))
            | (CoreTag::Null, value @ Kind::Null) => Resolved::Value(value),
            (CoreTag::Float, Kind::Int(value)) => {
                #[expect(clippy::cast_precision_loss, reason = "what the tag asks for")]
                let value = value as f64;
                Resolved::Value(Kind::Float(value))
            }
            (kind, value) => {
                let message = format!("the value is not what the tag {} says", kind.name());
                self.find(
                    position,
                    message,
                    "remove the tag, or write a value that fits it",
                );
                Resolved::Value(value)
            }
        }
    }

    fn start(&mut self, position: Position, anchor: usize, tag: Tag, is_map: bool) -> Step {
        let (nodes_before, bytes_before) = (self.nodes, self.bytes);
        self.spend(position, 1, 0)?;
        if self.open.len() >= MAX_DEPTH {
            return Err(self.too_deep(position));
        }
        let tag = match tag {
            Tag::None => None,
            Tag::Compose(tag) => Some(tag),
            Tag::Core(CoreTag::Map) if is_map => None,
            Tag::Core(CoreTag::Seq) if !is_map => None,
            Tag::Core(kind) => {
                let message = format!("the value is not what the tag {} says", kind.name());
                self.find(position, message, "remove the tag");
                None
            }
        };
        self.open.push(Open {
            position,
            tag,
            anchor,
            nodes_before,
            bytes_before,
            is_map,
            children: Vec::new(),
        });
        Ok(())
    }

    fn end(&mut self) {
        let Some(open) = self.open.pop() else {
            return;
        };
        let deepest = open.children.iter().map(|(_, child)| child.height).max();
        let body = if open.is_map {
            self.mapping(open.children)
        } else {
            Body::Seq(open.children.into_iter().map(|(_, child)| child).collect())
        };
        let raw = Raw {
            position: open.position,
            tag: open.tag,
            body,
            height: 1 + deepest.unwrap_or(0),
            nodes: self.nodes - open.nodes_before,
            bytes: self.bytes - open.bytes_before,
        };
        self.add(open.position, open.anchor, Rc::new(raw));
    }

    fn alias(&mut self, position: Position, anchor: usize) -> Step {
        let Some(target) = self.anchors.get(&anchor).cloned() else {
            // The parser knows the name, so its value is still being read.
            let message = "the alias stands inside the value that it names";
            return Err(Diagnostic::at(self.file, position, message)
                .hint("remove the alias: a value can't contain itself"));
        };
        self.spend(position, target.nodes, target.bytes)?;
        if self.open.len() + target.height > MAX_DEPTH {
            return Err(self.too_deep(position));
        }
        self.add(position, 0, target);
        Ok(())
    }

    fn add(&mut self, position: Position, anchor: usize, raw: Rc<Raw>) {
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&raw));
        }
        if let Some(open) = self.open.last_mut() {
            open.children.push((position, raw));
        } else if let Some((_, root)) = self.documents.last_mut() {
            *root = Some(raw);
        }
    }

    /// Sorts the keys and values of a mapping, and finds what is wrong with its keys.
    fn mapping(&mut self, children: Vec<(Position, Rc<Raw>)>) -> Body {
        let mut entries = Vec::with_capacity(children.len() / 2);
        let mut merged = Vec::new();
        let mut seen: BTreeMap<String, Position> = BTreeMap::new();
        let mut children = children.into_iter();
        while let (Some((at, key)), Some((_, value))) = (children.next(), children.next()) {
            let Body::Scalar {
                value: kind,
                written,
            } = &key.body
            else {
                self.not_a_string(at);
                continue;
            };
            if let Some(first) = seen.insert(written.text.clone(), at) {
                let message = format!(
                    "key \"{}\" is already defined in line {}",
                    written.text, first.line
                );
                self.find(
                    at,
                    message,
                    "remove one of the two, or put both values under one key",
                );
                self.duplicate = self
                    .duplicate
                    .take()
                    .or_else(|| self.findings.last().cloned());
                continue;
            }
            if written.text == "<<" && written.style == Style::Plain && key.tag.is_none() {
                self.merge(at, &value, &mut merged);
                continue;
            }
            match kind {
                Resolved::Value(Kind::Str(name)) => entries.push((name.clone(), at, value)),
                Resolved::Value(_) | Resolved::Time => self.not_a_string(at),
            }
        }
        Body::Map(RawMap { entries, merged })
    }

    /// Takes the value of a merge key apart: one mapping, or a list of them.
    fn merge(&mut self, at: Position, value: &Rc<Raw>, merged: &mut Vec<Rc<Raw>>) {
        let is_map = |raw: &Rc<Raw>| matches!(raw.body, Body::Map(_));
        match &value.body {
            Body::Map(_) => merged.push(Rc::clone(value)),
            Body::Seq(items) if items.iter().all(is_map) => merged.extend(items.iter().cloned()),
            Body::Seq(_) | Body::Scalar { .. } => {
                let message = "`<<` takes a mapping or a list of mappings";
                self.find(
                    at,
                    message,
                    "write `<<: *name` with the anchor of a mapping",
                );
            }
        }
    }

    /// Counts what a node costs, against the budgets.
    fn spend(&mut self, position: Position, nodes: usize, bytes: usize) -> Step {
        self.nodes = self.nodes.saturating_add(nodes);
        self.bytes = self.bytes.saturating_add(bytes);
        let limit = if self.nodes > MAX_NODES {
            format!("{MAX_NODES} values")
        } else if self.bytes > MAX_BYTES {
            format!("{} MiB of text", MAX_BYTES >> 20)
        } else {
            return Ok(());
        };
        let message = format!("the file grows beyond {limit} when its aliases are expanded");
        Err(Diagnostic::at(self.file, position, message)
            .hint("use fewer aliases of aliases, or split the file"))
    }

    fn too_deep(&self, position: Position) -> Diagnostic {
        let message = format!("more than {MAX_DEPTH} collections inside each other");
        Diagnostic::at(self.file, position, message).hint("nest fewer lists and mappings")
    }

    fn not_a_string(&mut self, position: Position) {
        let message = "non-string key: a key must be a string";
        self.find(position, message, "put quotes around the key");
    }

    fn find(&mut self, position: Position, message: impl Into<String>, hint: &str) {
        let finding = Diagnostic::at(self.file, position, message).hint(hint);
        self.findings.push(finding);
    }

    /// Sorts a tag; one that nobody knows is a finding.
    fn tag(&mut self, tag: Option<&granit_parser::Tag>, position: Position) -> Tag {
        let Some(tag) = tag else {
            return Tag::None;
        };
        let name = format!("{}{}", tag.handle(), tag.suffix());
        match name.strip_prefix("tag:yaml.org,2002:") {
            Some("str") => return Tag::Core(CoreTag::Str),
            Some("bool") => return Tag::Core(CoreTag::Bool),
            Some("int") => return Tag::Core(CoreTag::Int),
            Some("float") => return Tag::Core(CoreTag::Float),
            Some("null") => return Tag::Core(CoreTag::Null),
            Some("seq") => return Tag::Core(CoreTag::Seq),
            Some("map") => return Tag::Core(CoreTag::Map),
            // Says of `<<` what it is anyway.
            Some("merge") => return Tag::None,
            Some(_) | None => {}
        }
        match name.as_str() {
            "!" => Tag::None,
            "!reset" | "!override" => Tag::Compose(name),
            _ => {
                let message = format!("unknown tag {}", tag.original());
                let hint = "remove the tag; Compose knows `!reset` and `!override`";
                self.find(position, message, hint);
                Tag::None
            }
        }
    }
}

/// The tag of a node.
enum Tag {
    None,
    /// A type of YAML itself, such as `!!str`.
    Core(CoreTag),
    /// `!reset` or `!override`.
    Compose(String),
}

/// The types of YAML that a tag can ask for.
#[derive(Clone, Copy)]
enum CoreTag {
    Str,
    Bool,
    Int,
    Float,
    Null,
    Seq,
    Map,
}

impl CoreTag {
    fn name(self) -> &'static str {
        match self {
            Self::Str => "!!str",
            Self::Bool => "!!bool",
            Self::Int => "!!int",
            Self::Float => "!!float",
            Self::Null => "!!null",
            Self::Seq => "!!seq",
            Self::Map => "!!map",
        }
    }
}
