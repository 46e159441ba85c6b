//! Puts services over the ones that they extend, in the same file or in another one.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::load::{Loader, Scope};
use super::tags::Tags;
use super::{lexical, overlay, paths};
use crate::diagnostic::{Diagnostic, Diagnostics, suggestion};
use crate::yaml::{Kind, Map, Node};

/// Services that extend one another; each level costs stack.
const MAX_CHAIN: usize = 100;
/// Names that a person still reads in one line.
const MAX_NAMES: usize = 10;
const SERVICES: &str = "write at least: services: {}";

/// Files that were extended already, by their path.
#[derive(Default)]
pub(super) struct Bases(RefCell<BTreeMap<String, Rc<Base>>>);

struct Base {
    services: Map,
    tags: Tags,
}

/// The file whose services are looked at.
#[derive(Clone, Copy)]
struct Here<'a> {
    path: &'a str,
    tags: &'a Tags,
}

/// What `extends` names.
struct Reference<'a> {
    service: &'a str,
    /// The file, and the value that names it.
    file: Option<(&'a str, &'a Node)>,
    at: &'a Node,
}

/// Resolves `extends` of all services of a file.
pub(super) fn apply(
    loader: &Loader<'_>,
    file: &mut Node,
    path: &str,
    tags: &Tags,
    scope: &Scope<'_>,
) -> Result<(), Diagnostics> {
    let Kind::Map(top) = &mut file.kind else {
        return Ok(());
    };
    let Some(services) = top.get_mut("services") else {
        return Ok(());
    };
    let location = services.location();
    let kind_name = services.kind_name();
    let Kind::Map(services) = &mut services.kind else {
        let message = format!("services must be a mapping, not {kind_name}");
        return Err(Diagnostic::new(location, message).hint(SERVICES).into());
    };
    let here = Here { path, tags };
    let names: Vec<String> = services.iter().map(|entry| entry.key.clone()).collect();
    let extension = Extension { loader, scope };
    for name in names {
        let Some(service) = services.get(&name).filter(|service| !service.is_null()) else {
            continue;
        };
        let Some(map) = service.as_map() else {
            return Err(not_a_mapping(&name, service).into());
        };
        if map.contains_key("extends") {
            extension.service(&name, services, here, &mut Vec::new())?;
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Extension<'a> {
    loader: &'a Loader<'a>,
    scope: &'a Scope<'a>,
}

impl Extension<'_> {
    /// Returns a service with everything that it extends, and puts it in its place; `None` for
    /// one that says nothing. `trail` has the services that led here, with their files.
    fn service(
        self,
        name: &str,
        services: &mut Map,
        here: Here<'_>,
        trail: &mut Vec<(String, String)>,
    ) -> Result<Option<Node>, Diagnostics> {
        let Some(service) = services.get(name).filter(|service| !service.is_null()) else {
            return Ok(None);
        };
        let Some(map) = service.as_map() else {
            return Err(not_a_mapping(name, service).into());
        };
        let service = service.clone();
        let Some(extends) = map.get("extends").cloned() else {
            return Ok(Some(service));
        };
        let reference = reference(name, &extends)?;
        enter(name, here.path, reference.at, trail)?;
        let base = self.base(name, &reference, services, here, trail)?;
        trail.pop();
        let Some(mut base) = base else {
            return Ok(Some(service));
        };
        self.loader.spend(&base)?;
        here.tags.apply_to_service(name, &mut base);
        let mut merged = overlay::service(name, base, service)?;
        if let Kind::Map(map) = &mut merged.kind {
            map.remove("extends");
        }
        if let Some(place) = services.get_mut(name) {
            *place = merged.clone();
        }
        Ok(Some(merged))
    }

    fn base(
        self,
        name: &str,
        reference: &Reference<'_>,
        services: &mut Map,
        here: Here<'_>,
        trail: &mut Vec<(String, String)>,
    ) -> Result<Option<Node>, Diagnostics> {
        let Some((path, at)) = reference.file else {
            if !services.contains_key(reference.service) {
                return Err(no_service(name, reference, here.path, self.loader, services).into());
            }
            return self.service(reference.service, services, here, trail);
        };
        let absolute = lexical::absolute(&self.scope.root, path);
        let base = self.file(path, &absolute, at)?;
        if !base.services.contains_key(reference.service) {
            return Err(no_service(name, reference, &absolute, self.loader, &base.services).into());
        }
        let mut services = base.services.clone();
        for entry in &services {
            self.loader.spend(&entry.value)?;
        }
        let there = Here {
            path: &absolute,
            tags: &base.tags,
        };
        self.service(reference.service, &mut services, there, trail)
    }

    /// Reads a file with services to extend; its relative paths are made to begin at its folder.
    fn file(self, path: &str, absolute: &str, at: &Node) -> Result<Rc<Base>, Diagnostics> {
        if let Some(base) = self.scope.bases.0.borrow().get(absolute) {
            return Ok(Rc::clone(base));
        }
        if let Some(kind) = remote(path) {
            let message = format!("{kind} can't be extended: {path}");
            let hint = "commit the file beside the others, and extend that";
            return Err(Diagnostic::new(at.location(), message).hint(hint).into());
        }
        let (mut tree, tags) = self.loader.base_file(absolute, self.scope, at)?;
        let folder = folder(self.loader, &self.scope.root, path);
        paths::resolve(&mut tree, &folder, self.loader.home)?;
        let Some(services) = tree.as_map().and_then(|top| top.get("services")) else {
            let message = format!("the file {} has no services", self.loader.name(absolute));
            let found = Diagnostic::new(at.location(), message);
            return Err(found.hint("name the file that has the service").into());
        };
        let Some(services) = services.as_map() else {
            let message = format!("services must be a mapping, not {}", services.kind_name());
            let found = Diagnostic::new(services.location(), message);
            return Err(found.hint(SERVICES).into());
        };
        let base = Rc::new(Base {
            services: services.clone(),
            tags,
        });
        let mut bases = self.scope.bases.0.borrow_mut();
        bases.insert(absolute.to_owned(), Rc::clone(&base));
        Ok(base)
    }
}

/// Returns where a file or folder below `root` stands, seen from `root`.
pub(super) fn folder(loader: &Loader<'_>, root: &str, path: &str) -> String {
    let absolute = lexical::absolute(root, path);
    let folder = if loader.files.is_dir(std::path::Path::new(&absolute)) {
        absolute
    } else {
        lexical::absolute(root, &lexical::parent(path))
    };
    lexical::relative(&lexical::clean(root), &lexical::clean(&folder))
}

/// Returns what a path is that stands on another machine.
pub(super) fn remote(path: &str) -> Option<&'static str> {
    let is_git = [
        "git://",
        "ssh://",
        "git@",
        "http://",
        "https://",
        "github.com/",
    ]
    .iter()
    .any(|prefix| path.starts_with(prefix));
    if is_git {
        Some("a Git repository")
    } else {
        path.starts_with("oci://").then_some("an OCI artifact")
    }
}

fn reference<'a>(name: &str, extends: &'a Node) -> Result<Reference<'a>, Diagnostic> {
    let refuse = |at: &Node, message: String| {
        Diagnostic::new(at.location(), message)
            .hint("write: extends: {service: NAME, file: OTHER.yaml}")
    };
    let map = match &extends.kind {
        Kind::Str(service) => {
            return Ok(Reference {
                service,
                file: None,
                at: extends,
            });
        }
        Kind::Map(map) => map,
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Seq(_) => {
            let message = format!(
                "services.{name}.extends must be a name or a mapping, not {}",
                extends.kind_name()
            );
            return Err(refuse(extends, message));
        }
    };
    let Some(service) = map.get("service").and_then(Node::as_str) else {
        let message = format!("services.{name}.extends.service is required");
        return Err(refuse(extends, message));
    };
    let file = match map.get("file").filter(|file| !file.is_null()) {
        None => None,
        Some(file) => {
            let Some(path) = file.as_str() else {
                let message = format!(
                    "services.{name}.extends.file must be a string, not {}",
                    file.kind_name()
                );
                return Err(refuse(file, message));
            };
            Some((path, file))
        }
    };
    Ok(Reference {
        service,
        file,
        at: extends,
    })
}

fn enter(
    name: &str,
    path: &str,
    at: &Node,
    trail: &mut Vec<(String, String)>,
) -> Result<(), Diagnostic> {
    let step = (path.to_owned(), name.to_owned());
    if trail.contains(&step) {
        let names = trail.iter().skip_while(|one| **one != step);
        let names: Vec<&str> = names.map(|(_, name)| name.as_str()).collect();
        let message = format!(
            "services extend one another in a circle: {} → {name}",
            names.join(" → ")
        );
        let hint = "take one of these extends out";
        return Err(Diagnostic::new(at.location(), message).hint(hint));
    }
    if trail.len() >= MAX_CHAIN {
        let message = format!("more than {MAX_CHAIN} services extend one another");
        let hint = "extend a service that is nearer to the first one";
        return Err(Diagnostic::new(at.location(), message).hint(hint));
    }
    trail.push(step);
    Ok(())
}

fn no_service(
    name: &str,
    reference: &Reference<'_>,
    path: &str,
    loader: &Loader<'_>,
    services: &Map,
) -> Diagnostic {
    let message = format!(
        "service {name} extends service {}, which {} does not have",
        reference.service,
        loader.name(path)
    );
    let found = Diagnostic::new(reference.at.location(), message);
    let names = services.iter().map(|entry| entry.key.as_str());
    let names: Vec<&str> = names.filter(|one| *one != name).collect();
    let hint = suggestion(reference.service, names.iter().copied());
    found.hint(hint.unwrap_or_else(|| choice(&names)))
}

/// Returns what to write where none of some services was named.
fn choice(names: &[&str]) -> String {
    match names {
        [] => "add the service there, or name another file".to_owned(),
        [one] => format!("write {one}, or add the service there"),
        [first, ..] if names.len() > MAX_NAMES => {
            format!("name one of its {} services, such as {first}", names.len())
        }
        [most @ .., last] => format!("name one of its services: {} or {last}", most.join(", ")),
    }
}

fn not_a_mapping(name: &str, service: &Node) -> Diagnostic {
    let message = format!(
        "services.{name} must be a mapping, not {}",
        service.kind_name()
    );
    let hint = format!("write a mapping, such as {name}: {{image: nginx:1.27}}");
    Diagnostic::new(service.location(), message).hint(hint)
}
