//! Why an image is not written into a manifest.

use crate::desired::{ServiceName, StackName};
use crate::diagnostic::Diagnostic;
use crate::record::RecordError;
use crate::source::{CommitError, ReadError, SourceError};
use crate::stacks::LoadError;
use crate::trust::Refusal;

/// Why an image is not written into a manifest.
#[derive(Debug, thiserror::Error)]
pub enum PromoteError {
    /// There are several stacks.
    #[error("which stack? there is: {}\n  hint: name it with --stack", known.join(", "))]
    WhichStack {
        /// Their names.
        known: Vec<String>,
    },
    /// No stack has this name or directory.
    #[error(
        "there is no stack \"{}\" in the state repository\n  hint: there is: {}",
        asked.escape_default(), known.join(", ")
    )]
    UnknownStack {
        /// The name.
        asked: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// From a stack to itself.
    #[error("{stack} can't be promoted to itself")]
    SameStack {
        /// Which one.
        stack: StackName,
    },
    /// The stack has no such service.
    #[error(
        "stack {stack} has no service \"{}\"\n  hint: there is: {}",
        asked.escape_default(), known.join(", ")
    )]
    UnknownService {
        /// Which stack.
        stack: StackName,
        /// The name.
        asked: String,
        /// Those that it has.
        known: Vec<String>,
    },
    /// It is not the name of an image.
    #[error("{message}")]
    BadImage {
        /// What is wrong with it.
        message: String,
    },
    /// The host's settings would hold it.
    #[error(
        "nothing is written for {stack}, because the settings of this host do not permit it:\n    {}",
        refused.join("\n    ")
    )]
    NotPermitted {
        /// Which stack.
        stack: StackName,
        /// What is not permitted, and what would permit it.
        refused: Vec<String>,
    },
    /// What is promoted is not what is known to be well.
    #[error(
        "nothing is promoted from {stack}, because it is not known to be well:\n    {}\n  hint: \
         moored plan --stack {stack} says more", found.join("\n    ")
    )]
    NotWell {
        /// Which stack.
        stack: StackName,
        /// Everything that speaks against it.
        found: Vec<String>,
    },
    /// An image has no digest.
    #[error(
        "the image of {service} in {stack} ({reference}) came from no registry, so it has no digest \
         that another stack could name\n  hint: push it, and deploy it from there"
    )]
    NoDigest {
        /// In which stack.
        stack: StackName,
        /// Of which service.
        service: ServiceName,
        /// The image as Git names it.
        reference: String,
    },
    /// There is nothing to promote.
    #[error(
        "images of neither {from} nor {to} names a service that both have\n  hint: say in the \
         moored.yaml of one of them which images a promotion writes: images: {{SERVICE: IMAGE}}"
    )]
    NothingNamed {
        /// Promoted from.
        from: StackName,
        /// Promoted to.
        to: StackName,
    },
    /// The manifest can't be edited safely.
    #[error("{0}")]
    Edit(Diagnostic),
    /// What would come of it would be refused.
    #[error("with that, {stack} can't be loaded any more, so nothing is changed:\n{source}")]
    NotLoadable {
        /// Which stack.
        stack: StackName,
        /// Why.
        source: Box<LoadError>,
    },
    /// The head of the branch is not followed.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// What Git says can't be found out.
    #[error("{0}")]
    Load(#[from] LoadError),
    /// The mirror could not be read.
    #[error("failed to read the state repository: {0}")]
    Read(#[from] ReadError),
    /// The commit could not be made.
    #[error("{0}")]
    Commit(#[from] CommitError),
    /// The commit could not be pushed.
    #[error("{0}")]
    Push(SourceError),
    /// The record could not be read.
    #[error("{0}")]
    Record(#[from] RecordError),
}
