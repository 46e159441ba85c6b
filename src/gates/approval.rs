//! Reads who may approve what is new.

use std::path::PathBuf;

use serde::Deserialize;

/// Who may approve what is new in a stack, and how.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Fields")]
pub struct ApprovalRule {
    /// Principals of the file of allowed signers; never empty.
    pub signers: Vec<String>,
    /// The trailer that says it.
    pub trailer: String,
    /// The file of allowed signers; `None` = that of the stack's `verify`.
    pub allowed_signers: Option<PathBuf>,
}

/// The form in the settings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    signers: Vec<String>,
    #[serde(default = "approved_by")]
    trailer: String,
    allowed_signers: Option<PathBuf>,
}

fn approved_by() -> String {
    "Approved-by".to_owned()
}

impl TryFrom<Fields> for ApprovalRule {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let Fields {
            signers,
            trailer,
            allowed_signers,
        } = fields;
        if signers.is_empty() {
            return Err("signers is empty, so nobody could ever approve".to_owned());
        }
        // As git-interpret-trailers(1) has it.
        let letter = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if trailer.is_empty() || !trailer.chars().all(letter) {
            let trailer = trailer.escape_default();
            return Err(format!(
                "\"{trailer}\" is not the name of a trailer such as Approved-by"
            ));
        }
        if let Some(path) = allowed_signers.as_ref().filter(|path| !path.is_absolute()) {
            return Err(format!(
                "allowed_signers must be an absolute path, not {}",
                path.display()
            ));
        }
        Ok(Self {
            signers,
            trailer,
            allowed_signers,
        })
    }
}
