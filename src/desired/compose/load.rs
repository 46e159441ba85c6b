//! Loads the Compose files of a project into one canonical tree, in the order of compose-go.
//!
//! Each document of each file: values of variables, `extends`, `!reset` and `!override`,
//! `include`, merge with what was before, one of each entry. Then, for the whole: paths, names,
//! implied networks and dependencies, profiles, consistency, environment, and what nobody uses
//! goes. Source of the order: `loader/loader.go` of compose-go 2.9.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::extends::{self, Bases};
use super::files::Files;
use super::interpolate::{Variables, interpolate};
use super::tags::Tags;
use super::{
    canonical, consistency, cut, include, lexical, normalize, omit, overlay, paths, profiles,
    project_name, resolve, schema, shape, unicity, validate,
};
use crate::diagnostic::{Diagnostic, Diagnostics, Position};
use crate::yaml::{self, Kind, Map, Node};

/// Values that all files together may bring in, extended and included ones each time they are
/// used; the largest real project has some ten thousand.
const MAX_WORK: usize = 1_000_000;
/// Bytes of text that count as much as a value: so many of them are 64 MiB in all.
const TEXT_OF_A_VALUE: usize = 64;
/// Files that are read, each time they are used.
const MAX_FILES: usize = 2_000;

/// What to load.
pub struct Request {
    /// The Compose files, later ones over earlier ones; absolute.
    pub files: Vec<PathBuf>,
    /// Where relative paths of the first file stand; absolute.
    pub project_directory: PathBuf,
    /// Name of the project; without one `COMPOSE_PROJECT_NAME`, the `name` of the files and the
    /// project directory are asked.
    pub project: Option<String>,
    /// Profiles that are active; without one `COMPOSE_PROFILES` is asked.
    pub profiles: Vec<String>,
    /// Images of services, over what the files say; a service that they do not have stays so.
    pub images: BTreeMap<String, String>,
    /// What `~` stands for at the beginning of a path.
    pub home: Option<PathBuf>,
}

/// A project as its files say it.
pub struct Model {
    /// The whole project in canonical form, with every `$` as it is meant.
    ///
    /// A value that came out of an environment file has that file as its [`Node::file`].
    pub tree: Node,
    /// Services that the files have and no active profile does.
    pub inactive: BTreeSet<String>,
    /// Values of the environment files, by the name that [`Node::file`] has of them; of services
    /// whose own environment wins too.
    pub env_files: BTreeMap<String, Vec<(String, String)>>,
    /// Values of secrets that a variable holds, by their key under `secrets`.
    pub secrets: BTreeMap<String, String>,
    /// What is not wrong and still worth saying.
    pub warnings: Vec<Diagnostic>,
}

/// Loads a project.
///
/// # Errors
/// What is wrong with it, each finding with its place.
pub fn load(
    request: &Request,
    variables: &dyn Variables,
    files: &dyn Files,
) -> Result<Model, Diagnostics> {
    let model = load_all(request, variables, files);
    model.map_err(|Diagnostics(mut findings)| {
        findings.sort();
        findings.dedup();
        Diagnostics(findings)
    })
}

fn load_all(
    request: &Request,
    variables: &dyn Variables,
    files: &dyn Files,
) -> Result<Model, Diagnostics> {
    let loader = Loader {
        files,
        home: request.home.as_deref(),
        directory: text_of(&request.project_directory),
        work: Cell::new(0),
        read: Cell::new(0),
        env_files: RefCell::default(),
        warnings: RefCell::new(Vec::new()),
    };
    let paths: Vec<String> = request.files.iter().map(|path| text_of(path)).collect();
    let Some(first) = paths.first() else {
        let found = Diagnostic::file("", "no Compose file is given");
        return Err(found.hint("name one, such as compose.yaml").into());
    };
    let project = project_name::find(&loader, request, &paths, variables)?;
    let named = |name: &str| match name {
        "COMPOSE_PROJECT_NAME" => Some(project.clone()),
        _ => variables.get(name),
    };
    let scope = Scope {
        variables: &named,
        root: loader.directory.clone(),
        base: loader.directory.clone(),
        chain: Vec::new(),
        bases: Bases::default(),
    };
    let sources: Vec<Source<'_>> = paths.iter().map(|path| (path.clone(), None)).collect();
    let mut tree = loader.model(&sources, &scope)?;
    if tree.as_map().is_none_or(Map::is_empty) {
        let name = files.name(Path::new(first));
        return Err(Diagnostic::file(&name, "the Compose file is empty")
            .hint("add at least: services: {}")
            .into());
    }
    add_services(&mut tree);
    set_images(&mut tree, &request.images);
    normalize::normalize(&mut tree, &project, &named)?;
    // Values of services that no profile has are read too. What is only said and never printed
    // has to be there for the checks.
    found_by(|findings| shape::shape(&mut tree.clone(), findings))?;
    let chosen = profiles::chosen(&request.profiles, &named);
    let disabled = profiles::select(&mut tree, &chosen);
    consistency::check(&mut tree, &disabled)?;
    cut::warn(&tree, &loader);
    resolve::services(&mut tree, &scope, &loader)?;
    profiles::drop_unused(&mut tree);
    let secrets = resolve::take_secrets(&mut tree);
    found_by(|findings| shape::shape(&mut tree, findings))?;
    let mut warnings = loader.warnings.into_inner();
    warnings.sort();
    warnings.dedup();
    Ok(Model {
        tree,
        inactive: disabled.into_keys().collect(),
        env_files: loader.env_files.into_inner(),
        secrets,
        warnings,
    })
}

/// The path of a file, and the value that names it, where one does.
pub(super) type Source<'a> = (String, Option<&'a Node>);

/// What is the same for all files of a project.
pub(super) struct Loader<'a> {
    pub(super) files: &'a dyn Files,
    pub(super) home: Option<&'a Path>,
    /// The project directory.
    pub(super) directory: String,
    work: Cell<usize>,
    read: Cell<usize>,
    /// Values of the environment files that were read.
    pub(super) env_files: RefCell<BTreeMap<String, Vec<(String, String)>>>,
    pub(super) warnings: RefCell<Vec<Diagnostic>>,
}

/// What is the same for the files of the project itself, or for those of one `include`.
pub(super) struct Scope<'a> {
    pub(super) variables: &'a dyn Variables,
    /// Where `extends` and `include` look for files; absolute.
    pub(super) root: String,
    /// What relative paths are joined to; below the project directory when it is relative.
    pub(super) base: String,
    /// The files that include one another, down to these.
    pub(super) chain: Vec<String>,
    /// Files that were extended already.
    pub(super) bases: Bases,
}

/// Variables over others, which win.
pub(super) struct Layered<'a> {
    pub(super) under: &'a dyn Variables,
    pub(super) values: BTreeMap<String, String>,
}

impl Variables for Layered<'_> {
    fn get(&self, name: &str) -> Option<String> {
        self.under
            .get(name)
            .or_else(|| self.values.get(name).cloned())
    }
}

impl Loader<'_> {
    /// Loads files over one another, with defaults and with paths below the scope's base.
    pub(super) fn model(
        &self,
        sources: &[Source<'_>],
        scope: &Scope<'_>,
    ) -> Result<Node, Diagnostics> {
        let first = sources.first().map(|(path, _)| self.name(path));
        let mut tree = empty(&first.unwrap_or_default());
        for source in sources {
            self.project_file(source, scope, &mut tree)?;
        }
        canonical::defaults(&mut tree);
        validate::check(&mut tree)?;
        paths::resolve(&mut tree, &scope.base, self.home)?;
        resolve::variables_of_lists(&mut tree, scope.variables);
        Ok(tree)
    }

    /// Puts a file of the project over what was before.
    fn project_file(
        &self,
        (path, at): &Source<'_>,
        scope: &Scope<'_>,
        tree: &mut Node,
    ) -> Result<(), Diagnostics> {
        for mut node in self.documents(path, *at)? {
            let tags = self.prepare(path, &mut node, scope)?;
            extends::apply(self, &mut node, path, &tags, scope)?;
            tags.apply(tree);
            include::apply(self, &mut node, path, scope)?;
            overlay::file(tree, node)?;
            unicity::enforce(tree)?;
            found_by(|findings| schema::check(tree, findings))?;
            self.drop_version(tree);
            found_by(|findings| canonical::canonical(tree, findings))?;
            omit::empty(tree);
            unicity::enforce(tree)?;
        }
        Ok(())
    }

    /// Reads a file that is only extended: nothing of it is checked, because what comes of it
    /// will be.
    pub(super) fn base_file(
        &self,
        path: &str,
        scope: &Scope<'_>,
        at: &Node,
    ) -> Result<(Node, Tags), Diagnostics> {
        let mut tree = empty(&self.name(path));
        let mut last = Tags::default();
        for mut node in self.documents(path, Some(at))? {
            let tags = self.prepare(path, &mut node, scope)?;
            tags.apply(&mut tree);
            overlay::file(&mut tree, node)?;
            unicity::enforce(&mut tree)?;
            found_by(|findings| canonical::canonical(&mut tree, findings))?;
            omit::empty(&mut tree);
            unicity::enforce(&mut tree)?;
            last = tags;
        }
        Ok((tree, last))
    }

    /// Takes the tags out of a document and puts the values of variables in.
    fn prepare(&self, path: &str, node: &mut Node, scope: &Scope<'_>) -> Result<Tags, Diagnostics> {
        self.spend(node)?;
        if node.as_map().is_none() {
            let message = format!("a Compose file must be a mapping, not {}", node.kind_name());
            let hint = "write keys such as: services: {}";
            return Err(Diagnostic::new(node.location(), message).hint(hint).into());
        }
        let tags = Tags::take(node);
        let mut warnings = self.warnings.borrow_mut();
        interpolate(&self.name(path), node, scope.variables, &mut warnings)?;
        Ok(tags)
    }

    /// Reads the YAML documents of a file; `at` is the value that names it.
    pub(super) fn documents(
        &self,
        path: &str,
        at: Option<&Node>,
    ) -> Result<Vec<Node>, Diagnostics> {
        let name = self.name(path);
        let text = self.read_document(path, at)?.ok_or_else(|| {
            let found = match at {
                Some(at) => {
                    Diagnostic::new(at.location(), format!("the file {name} does not exist"))
                }
                None => Diagnostic::file(&name, "the file does not exist"),
            };
            found.hint("create it, or correct its path")
        })?;
        let documents = yaml::parse_documents(&name, &text)?;
        Ok(documents.into_iter().map(|(_, node)| node).collect())
    }

    /// Reads a file; `at` is the value that names it.
    pub(super) fn read(
        &self,
        path: &str,
        at: Option<&Node>,
    ) -> Result<Option<Vec<u8>>, Diagnostic> {
        self.read_by(path, at, |path| self.files.read(path))
    }

    /// Reads a file that says what the project is; `at` is the value that names it.
    pub(super) fn read_document(
        &self,
        path: &str,
        at: Option<&Node>,
    ) -> Result<Option<Vec<u8>>, Diagnostic> {
        self.read_by(path, at, |path| self.files.read_document(path))
    }

    fn read_by(
        &self,
        path: &str,
        at: Option<&Node>,
        read: impl FnOnce(&Path) -> Result<Option<Vec<u8>>, String>,
    ) -> Result<Option<Vec<u8>>, Diagnostic> {
        self.read.set(self.read.get() + 1);
        let refuse = |message: String| match at {
            Some(at) => Diagnostic::new(at.location(), message),
            None => Diagnostic::file(&self.name(path), message),
        };
        if self.read.get() > MAX_FILES {
            let found = refuse(format!("more than {MAX_FILES} files are read"));
            return Err(found.hint("extend and include fewer files"));
        }
        let path = self.absolute(path);
        read(Path::new(&path)).map_err(|why| {
            refuse(format!(
                "the file {} can't be read: {why}",
                self.name(&path)
            ))
            .hint("name a file that can be read, or correct its path and permissions")
        })
    }

    /// Counts what a tree costs, against the budget of all files.
    pub(super) fn spend(&self, node: &Node) -> Result<(), Diagnostic> {
        self.work.set(self.work.get().saturating_add(size(node)));
        if self.work.get() > MAX_WORK {
            let message = format!("the files bring in more than {MAX_WORK} values");
            let hint = "extend and include fewer files, or smaller ones";
            return Err(Diagnostic::new(node.location(), message).hint(hint));
        }
        Ok(())
    }

    pub(super) fn warn(&self, warning: Diagnostic) {
        self.warnings.borrow_mut().push(warning);
    }

    /// Returns what a file is called in findings.
    pub(super) fn name(&self, path: &str) -> String {
        self.files.name(Path::new(&self.absolute(path)))
    }

    /// Returns a path below the project directory, if it is not absolute.
    pub(super) fn absolute(&self, path: &str) -> String {
        lexical::absolute(&self.directory, path)
    }

    fn drop_version(&self, tree: &mut Node) {
        let Kind::Map(top) = &mut tree.kind else {
            return;
        };
        if let Some(version) = top.remove("version") {
            let file = &version.value.file;
            let message = "`version` is obsolete and means nothing";
            self.warn(Diagnostic::at(file, version.key_position, message).hint("take it out"));
        }
    }
}

/// Puts images over what the files say.
fn set_images(tree: &mut Node, images: &BTreeMap<String, String>) {
    let services = tree.as_map_mut().and_then(|top| top.get_mut("services"));
    let Some(services) = services.and_then(Node::as_map_mut) else {
        return;
    };
    for (name, image) in images {
        let Some(service) = services.get_mut(name) else {
            continue;
        };
        let (file, position) = (Arc::clone(&service.file), service.position);
        if let Some(service) = service.as_map_mut() {
            let old = service.get("image").map(|node| node.position);
            let position = old.unwrap_or(position);
            let image = Node::new(&file, position, Kind::Str(image.clone()));
            service.insert("image", position, image);
        }
    }
}

/// A project without services has none, and says so.
fn add_services(tree: &mut Node) {
    let none = Node::new(&tree.file, tree.position, Kind::Map(Map::default()));
    if let Kind::Map(top) = &mut tree.kind
        && !top.contains_key("services")
    {
        top.insert("services", none.position, none);
    }
}

/// Returns an error of what a check finds.
fn found_by(check: impl FnOnce(&mut Vec<Diagnostic>)) -> Result<(), Diagnostics> {
    let mut findings = Vec::new();
    check(&mut findings);
    Diagnostics::check(findings)
}

fn empty(file: &str) -> Node {
    let position = Position { line: 1, column: 1 };
    Node::new(&file.into(), position, Kind::Map(Map::default()))
}

/// Returns how much a value counts: 1, and its text for each [`TEXT_OF_A_VALUE`] bytes.
fn size(node: &Node) -> usize {
    1 + match &node.kind {
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) => 0,
        Kind::Str(text) => text.len() / TEXT_OF_A_VALUE,
        Kind::Seq(items) => items.iter().map(size).sum(),
        Kind::Map(map) => map.iter().map(|entry| size(&entry.value)).sum(),
    }
}

fn text_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
