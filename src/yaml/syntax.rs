//! Says how to mend a text that is not YAML.

use granit_parser::{ErrorKind, Marker, ScanError};

use super::text::count;
use crate::diagnostic::{Diagnostic, Position};

/// Makes the finding of an error of the parser.
pub(super) fn refusal(file: &str, error: &ScanError) -> Diagnostic {
    let message = format!("not valid YAML: {}", error.info());
    let place = position(error.marker());
    Diagnostic::at(file, place, message).hint(remedy(error.kind()))
}

/// Returns a place as the parser knows it.
pub(super) fn position(marker: &Marker) -> Position {
    Position {
        line: count(marker.line()),
        column: count(marker.col() + 1),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "foreign enum")]
fn remedy(kind: &ErrorKind) -> String {
    let remedy = match kind {
        ErrorKind::UnexpectedCharacter { character } if character.is_ascii_graphic() => {
            return format!("put quotes around a value that begins with `{character}`");
        }
        ErrorKind::UnexpectedCharacter { .. } => "take the character out",
        ErrorKind::UnclosedFlowCollection { open: '{' } => "close it with `}`, or write KEY: VALUE",
        ErrorKind::UnclosedFlowCollection { .. } => "close it with `]`",
        ErrorKind::MismatchedFlowCollectionEnd { .. }
        | ErrorKind::MisplacedFlowCollectionEnd
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping
        | ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator => {
            "close every `[` with `]` and every `{` with `}`, with commas between the items"
        }
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInIndentation => "indent with spaces, two for each level",
        ErrorKind::UnclosedQuotedScalar
        | ErrorKind::InvalidQuotedScalarIndent
        | ErrorKind::DocumentIndicatorInQuotedScalar
        | ErrorKind::InvalidTrailingSingleQuotedScalar
        | ErrorKind::InvalidTrailingDoubleQuotedScalar => {
            "close the quote that was opened before, and let nothing follow it"
        }
        ErrorKind::UnknownQuotedScalarEscape => {
            "write `\\\\` for a backslash, or put the text in single quotes"
        }
        ErrorKind::UnknownAnchor => {
            "define it before, with `&name` at a value, or correct the name"
        }
        ErrorKind::InvalidIndentation
        | ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::SimpleKeyExpected
        | ErrorKind::InvalidSimpleKey
        | ErrorKind::BlockSequenceEntryNotAllowed => {
            "begin all keys of a mapping in one column, and write each as KEY: VALUE"
        }
        _ => "correct this place; a quote, a bracket or a colon before it may be missing",
    };
    remedy.to_owned()
}
