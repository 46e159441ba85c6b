//! Writes images into a manifest: one that a person names, or those that run well in another stack.
//!
//! [`bump()`] and [`promote()`] return a [`Done`]. Modules: `target` finds the manifest, `edit` writes
//! one line of it, `evidence` says what is known of the stack that is promoted from, `error`.
//! Why it is done like this: `docs/decisions/0023-promotion.md`.

mod edit;
mod error;
mod evidence;
mod target;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::desired::{DesiredState, ServiceName, StackName};
use crate::engine::reference::Reference;
use crate::host::{self, View};
use crate::lock::Lock;
use crate::pass::Looked;
use crate::source::{self, Changes, Push, RepoPath, Revision, SourceError, Tree};
use crate::stacks::{self, LoadError, Published};
pub use error::PromoteError;
pub use evidence::Evidence;
use target::Target;

/// Who asks, and what for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Whether the commit may be pushed.
    pub push: bool,
    /// Who asks.
    pub by: Option<String>,
}

/// What came of it.
#[derive(Debug)]
pub struct Done {
    /// Which stack.
    pub stack: StackName,
    /// Its manifest.
    pub path: RepoPath,
    /// The branch that it is on.
    pub branch: String,
    /// What changes, by service.
    pub images: BTreeMap<ServiceName, ImageChange>,
    /// What is known of the stack that they come from.
    pub evidence: Option<Evidence>,
    /// The message of the commit.
    pub message: String,
    /// How.
    pub way: Way,
}

/// An image before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImageChange {
    /// What it was.
    pub before: String,
    /// What it is to be.
    pub after: String,
}

/// How an image comes into Git.
#[derive(Debug)]
pub enum Way {
    /// Git says so already.
    Already,
    /// By this commit.
    Pushed(Revision),
    /// A commit would say so; it was not to be pushed.
    NotPushed,
    /// A commit would say so; the remote refused it.
    Refused(SourceError),
}

/// Writes an image of a service into the manifest of a stack, which may be left out where there is
/// one.
///
/// # Errors
/// There is no such stack or service, the manifest can't be edited safely, or Git can't be asked.
pub async fn bump(
    view: &View,
    stack: Option<&str>,
    (service, image): (&str, &str),
    ask: &Ask,
) -> Result<Done, PromoteError> {
    Reference::parse(image).map_err(|message| PromoteError::BadImage { message })?;
    let mirror = stacks::lock_mirror(view).await?;
    let target = target::find(view, stack, &mirror).await?;
    let work = Work {
        view,
        ask,
        here: loaded(view, &target, &target.head)?,
        target,
    };
    let name = ServiceName::try_from(service.to_owned()).ok();
    let name = name.filter(|name| work.here.services.contains_key(name));
    let Some(name) = name else {
        return Err(work.unknown_service(service));
    };
    let wanted = [(name, image.to_owned())].into();
    let images = work.changes(wanted);
    let subject = format!(
        "Bump {service} of {} to {image}",
        work.target.manifest.stack
    );
    work.commit(&subject, images, None, &mirror).await
}

/// Writes the images that run well in a stack, which was looked at, into the manifest of another.
///
/// # Errors
/// What is promoted is not known to be well, there is no such stack, the manifest can't be edited
/// safely, or Git can't be asked.
pub async fn promote(
    view: &View,
    from: &Looked,
    to: &str,
    ask: &Ask,
) -> Result<Done, PromoteError> {
    let evidence = evidence::of(view, from)?;
    let mirror = stacks::lock_mirror(view).await?;
    let target = target::find(view, Some(to), &mirror).await?;
    if target.manifest.stack == evidence.stack {
        let stack = evidence.stack;
        return Err(PromoteError::SameStack { stack });
    }
    let work = Work {
        view,
        ask,
        here: loaded(view, &target, &target.head)?,
        target,
    };
    let images = work.changes(work.promoted(&evidence, from)?);
    let (stack, release) = (&evidence.stack, &evidence.release);
    let subject = format!(
        "Promote {stack} {release} to {}",
        work.target.manifest.stack
    );
    work.commit(&subject, images, Some(evidence), &mirror).await
}

/// Loads what a commit says of the stack of a manifest.
fn loaded(view: &View, target: &Target, commit: &Revision) -> Result<DesiredState, PromoteError> {
    let stack = target.manifest.stack.clone();
    let unloadable = |source: LoadError| PromoteError::NotLoadable {
        stack,
        source: Box::new(source),
    };
    let found = stacks::at_revision(view, commit, &target.dir)?;
    let desired = found.desired.map_err(unloadable)?;
    view.redactor.learn(desired.secrets.iter().cloned());
    Ok(desired)
}

/// Returns an image by its digest, with the tag that it was asked for by: for people, and only where
/// the digest is of the same repository.
fn pinned(written: Reference, known: Reference) -> Reference {
    if !written.is_of_repository(&known) {
        return known;
    }
    Reference {
        digest: known.digest,
        ..written
    }
}

/// One bump or promotion at work.
struct Work<'a> {
    view: &'a View,
    ask: &'a Ask,
    /// What Git says of the stack now.
    here: DesiredState,
    target: Target,
}

impl Work<'_> {
    fn unknown_service(&self, asked: &str) -> PromoteError {
        PromoteError::UnknownService {
            stack: self.here.stack.clone(),
            asked: asked.to_owned(),
            known: self.here.services.keys().map(ToString::to_string).collect(),
        }
    }

    /// Returns the images that a promotion writes: of the services that `images` of either manifest
    /// names and both stacks have.
    fn promoted(
        &self,
        evidence: &Evidence,
        from: &Looked,
    ) -> Result<BTreeMap<ServiceName, String>, PromoteError> {
        let revision = &from.desired.commit.revision;
        let theirs = target::manifest_at(self.view, revision, &evidence.stack)?;
        let theirs = theirs.map(|manifest| manifest.images).unwrap_or_default();
        let named = theirs.keys().chain(self.target.manifest.images.keys());
        let mut wanted = BTreeMap::new();
        for name in named.filter(|name| self.here.services.contains_key(name)) {
            let Some(image) = evidence.images.get(name) else {
                continue;
            };
            let reference = &image.reference;
            let known = image.digest.as_deref().map(Reference::parse);
            let (Ok(written), Some(Ok(known))) = (Reference::parse(reference), known) else {
                return Err(PromoteError::NoDigest {
                    stack: evidence.stack.clone(),
                    service: name.clone(),
                    reference: reference.clone(),
                });
            };
            wanted.insert(name.clone(), pinned(written, known).to_string());
        }
        if wanted.is_empty() {
            return Err(PromoteError::NothingNamed {
                from: evidence.stack.clone(),
                to: self.here.stack.clone(),
            });
        }
        Ok(wanted)
    }

    /// Returns those images that differ from what Git says.
    fn changes(&self, wanted: BTreeMap<ServiceName, String>) -> BTreeMap<ServiceName, ImageChange> {
        let now = |name: &ServiceName| {
            let in_manifest = self.target.manifest.images.get(name).cloned();
            let of_service = || {
                self.here
                    .services
                    .get(name)
                    .map(|one| one.spec.image.clone())
            };
            in_manifest.or_else(of_service).unwrap_or_default()
        };
        let changes = wanted.into_iter().map(|(name, after)| {
            let before = now(&name);
            (name, ImageChange { before, after })
        });
        changes.filter(|(_, one)| one.before != one.after).collect()
    }

    async fn commit(
        self,
        subject: &str,
        images: BTreeMap<ServiceName, ImageChange>,
        evidence: Option<Evidence>,
        mirror: &Lock,
    ) -> Result<Done, PromoteError> {
        self.permitted(&images)?;
        let message = self.message(subject, &images, evidence.as_ref());
        let way = if images.is_empty() {
            Way::Already
        } else {
            self.publish(&images, &message, mirror).await?
        };
        Ok(Done {
            stack: self.here.stack,
            path: self.target.path,
            branch: self.target.branch,
            images,
            evidence,
            message,
            way,
        })
    }

    /// Refuses images that would be held on this host.
    fn permitted(&self, images: &BTreeMap<ServiceName, ImageChange>) -> Result<(), PromoteError> {
        let policy = self.view.policy();
        let refused = images.iter().flat_map(|(service, image)| {
            let refusals = policy.image("images", &image.after).into_iter();
            refusals.map(move |refusal| format!("{service}: {refusal}"))
        });
        let refused: Vec<String> = refused.collect();
        if refused.is_empty() {
            return Ok(());
        }
        let stack = self.here.stack.clone();
        Err(PromoteError::NotPermitted { stack, refused })
    }

    async fn publish(
        &self,
        images: &BTreeMap<ServiceName, ImageChange>,
        message: &str,
        mirror: &Lock,
    ) -> Result<Way, PromoteError> {
        let Target {
            branch, head, path, ..
        } = &self.target;
        let mut text = self.target.text.clone();
        for (service, image) in images {
            text = edit::set_image(path.as_str(), &text, service, &image.after)
                .map_err(PromoteError::Edit)?;
        }
        let (view, place) = (self.view, self.view.mirror());
        let before = Tree::at_commit(&place, head)?.stored(path)?;
        let blob = source::write_file(&place, text.as_bytes(), before)?;
        let changes: Changes = [(path.clone(), Some(blob))].into();
        let text = stacks::commit_text(view, message.to_owned());
        let commit = source::commit_on(&place, head, &changes, &text)?;
        // What would be refused is not pushed.
        loaded(view, &self.target, &commit)?;
        let push = Push {
            parent: head.clone(),
            commit,
        };
        let published = stacks::publish(view, branch, &push, self.ask.push, mirror).await;
        Ok(match published.map_err(PromoteError::Push)? {
            Published::Pushed => Way::Pushed(push.commit),
            Published::NotPushed => Way::NotPushed,
            Published::Refused(error) => Way::Refused(error),
        })
    }

    fn message(
        &self,
        subject: &str,
        images: &BTreeMap<ServiceName, ImageChange>,
        evidence: Option<&Evidence>,
    ) -> String {
        let mut text = format!("{subject}\n");
        for (service, image) in images {
            text = format!(
                "{text}\n{service}: {}\n  was {}\n",
                image.after, image.before
            );
        }
        let services: Vec<&ServiceName> = images.keys().collect();
        if let Some(evidence) = evidence {
            text = format!("{text}\n{}", evidence.text(&services));
        }
        let by = self.ask.by.as_deref().unwrap_or("somebody");
        let command = if evidence.is_some() {
            "promote"
        } else {
            "bump"
        };
        format!(
            "{text}\nRun by {by} on {}, by moored {command}.\n",
            host::name()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_by_its_digest_and_keeps_its_tag() {
        const DIGEST: &str =
            "sha256:9f31c2e09f31c2e09f31c2e09f31c2e09f31c2e09f31c2e09f31c2e09f31c2e0";
        for (written, known, expected) in [
            ("nginx:1.29", "nginx", "nginx:1.29"),
            ("nginx", "docker.io/library/nginx", "nginx"),
            (
                "r.example:5000/a/b:v1",
                "r.example:5000/a/b",
                "r.example:5000/a/b:v1",
            ),
            // The same image was pushed elsewhere too, where its digest may be another one.
            ("r.example/a:v1", "other.example/a", "other.example/a"),
        ] {
            let known = Reference::parse(&format!("{known}@{DIGEST}")).unwrap();
            let pinned = pinned(Reference::parse(written).unwrap(), known);
            assert_eq!(pinned.to_string(), format!("{expected}@{DIGEST}"));
        }
        let old = format!("nginx:1.29@{}", DIGEST.replace('9', "8"));
        let known = Reference::parse(&format!("nginx@{DIGEST}")).unwrap();
        let pinned = pinned(Reference::parse(&old).unwrap(), known);
        assert_eq!(pinned.to_string(), format!("nginx:1.29@{DIGEST}"));
    }
}
