//! What is asked for: an environment, or the content of a file.

use super::cipher::{Kind as Type, Plain};
use super::data_key::{self, DataKey, Failed};
use super::document::{self, Document, Format};
use super::identity::Identities;
use super::metadata::Metadata;
use super::{dotenv, walk};
use crate::diagnostic::{Diagnostic, Diagnostics, Position};
use crate::secret::Sensitive;
use crate::yaml::{Entry, Kind};

/// What a file brings into an environment.
pub enum Environment {
    /// The lines of an environment file (`.env`), each where it was: for the reader of such files.
    Lines(Sensitive),
    /// The values of a YAML or JSON file, to be taken as they stand.
    Values(Vec<Value>),
}

/// One variable.
pub struct Value {
    /// Its name.
    pub name: String,
    /// Its value.
    pub text: Sensitive,
    /// Where its name stands.
    pub position: Position,
}

/// Decrypts a file of variables; its name tells its form: `.env`, `.yaml`, `.yml` or `.json`.
///
/// # Errors
/// It is not encrypted, not for these keys, or not as SOPS has left it; or a variable has no text
/// for a value.
pub fn environment(
    file: &str,
    text: &[u8],
    identities: &Identities,
) -> Result<Environment, Diagnostics> {
    let format = Format::of(file)?;
    if format == Format::Whole {
        let message = "the name does not tell the form of the file";
        let hint = "its name is to end in .env, .yaml or .json";
        return Err(Diagnostic::file(file, message).hint(hint).into());
    }
    let (entries, values) = open(file, text, format, identities)?;
    if format == Format::Dotenv {
        return Ok(Environment::Lines(dotenv::print(&entries, &values)));
    }
    let mut findings = Vec::new();
    let mut found = Vec::new();
    for (entry, value) in entries.iter().zip(values) {
        match value {
            Some(plain) => found.push(Value {
                name: entry.key.clone(),
                text: as_variable(plain),
                position: entry.key_position,
            }),
            None => findings.push(no_text(file, entry)),
        }
    }
    Diagnostics::check(findings)?;
    Ok(Environment::Values(found))
}

/// Decrypts a file that is given to a container as it is: one that was encrypted as a whole
/// (`sops encrypt --input-type binary`), or an environment file.
///
/// # Errors
/// It is not encrypted, not for these keys, not as SOPS has left it, or of another form.
pub fn whole(file: &str, text: &[u8], identities: &Identities) -> Result<Sensitive, Diagnostics> {
    let format = Format::of(file)?;
    if matches!(format, Format::Yaml | Format::Json) {
        let message = "only the values in it are encrypted, and a file is wanted as a whole";
        let hint = "encrypt it as a whole, under a name that ends in .sops: \
                    sops encrypt --input-type binary FILE > FILE.sops";
        return Err(Diagnostic::file(file, message).hint(hint).into());
    }
    let (entries, values) = open(file, text, format, identities)?;
    if format == Format::Dotenv {
        return Ok(dotenv::print(&entries, &values));
    }
    let data = entries.iter().zip(values);
    let mut data = data.filter(|(entry, _)| entry.key == "data");
    match data.next() {
        Some((_, Some(plain))) if plain.kind == Type::Text => Ok(text_of(plain)),
        Some(_) | None => {
            let message = "there is no data in it: it was not encrypted as a whole";
            let hint = "sops encrypt --input-type binary FILE > FILE.sops";
            Err(Diagnostic::file(file, message).hint(hint).into())
        }
    }
}

type Opened = (Vec<Entry>, Vec<Option<Plain>>);

fn open(
    file: &str,
    text: &[u8],
    format: Format,
    identities: &Identities,
) -> Result<Opened, Diagnostics> {
    let Document { entries, raw } = document::read(file, text, format)?;
    let metadata = raw.into_metadata(file)?;
    let key = data_key(file, &metadata, identities)?;
    if entries.is_empty() {
        let message = "there is no value in it";
        let hint = "take the file out, or give it one with sops edit FILE";
        return Err(Diagnostic::file(file, message).hint(hint).into());
    }
    let values = walk::decrypt(file, &entries, &metadata, &key)?;
    Ok((entries, values))
}

/// Finds the recipient that the host has the key of.
fn data_key(
    file: &str,
    metadata: &Metadata,
    identities: &Identities,
) -> Result<DataKey, Diagnostic> {
    let mut damaged = false;
    for sealed in &metadata.age {
        match data_key::open(sealed, identities) {
            Ok(key) => return Ok(key),
            Err(Failed::NotForUs) => {}
            Err(Failed::Damaged) => damaged = true,
        }
    }
    if damaged {
        let message = "the data key can't be decrypted: what sops says about an age recipient was \
                       altered";
        let hint = "take that file of an earlier commit, or encrypt it again";
        return Err(Diagnostic::file(file, message).hint(hint));
    }
    let own = identities.recipients().join(" --add-age ");
    let hint = format!("add the host: sops rotate --in-place --add-age {own} FILE");
    let services: Vec<&str> = metadata.services.iter().copied().collect();
    let message = if !metadata.age.is_empty() {
        "it is encrypted for other age keys than the host's".to_owned()
    } else if services.is_empty() {
        "it is encrypted for nobody: sops names no recipient".to_owned()
    } else {
        format!(
            "it is encrypted for {} alone, and here age keys are the only ones",
            services.join(" and ")
        )
    };
    Err(Diagnostic::file(file, message).hint(hint))
}

/// Returns a value as it stands in an environment.
fn as_variable(plain: Plain) -> Sensitive {
    match plain.kind {
        Type::Bool => Sensitive::new(plain.text.to_ascii_lowercase()),
        Type::Text | Type::Other | Type::Comment => text_of(plain),
    }
}

fn text_of(mut plain: Plain) -> Sensitive {
    Sensitive::new(std::mem::take(&mut *plain.text))
}

fn no_text(file: &str, entry: &Entry) -> Diagnostic {
    let what = match entry.value.kind {
        Kind::Seq(_) => "a list",
        Kind::Map(_) => "a mapping",
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Str(_) => "nothing",
    };
    let name = crate::secret::escape_control(&entry.key);
    let message = format!("{name} is {what}, where a variable has one value");
    Diagnostic::at(file, entry.key_position, message).hint("write a text, in quotes if it is empty")
}
