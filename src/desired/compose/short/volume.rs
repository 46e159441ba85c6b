//! Reads the short form of a volume as compose-go does (its `format/volume.go`).

use crate::desired::compose::lexical::clean;
use crate::desired::compose::refusal::Refusal;

/// A volume in the short form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortVolume {
    /// Host path or volume name as written; `None` = an anonymous volume.
    pub source: Option<String>,
    /// Path inside the container, without `//`, `.`, `..` and a slash at the end.
    pub target: String,
    /// The options that Compose knows, in the order of the text: `ro`, `rw`, `nocopy`, `z`, `Z`
    /// and the kinds of propagation. A later one wins; Compose ignores unknown ones.
    pub options: Vec<String>,
    /// Whether Compose takes the source for a host path.
    pub is_bind: bool,
}

const OPTIONS: [&str; 11] = [
    "ro", "rw", "nocopy", "z", "Z", "rprivate", "private", "rshared", "shared", "rslave", "slave",
];

/// Reads `[SOURCE:]TARGET[:OPTIONS]`.
///
/// A single letter before a colon is a Windows drive wherever it stands, so that `d:/x` is one
/// path and `d:/x:/y` a bind of `d:/x`; a volume can't have such a name in the short form.
pub fn parse_volume(text: &str) -> Result<ShortVolume, Refusal> {
    let mut volume = ShortVolume {
        source: None,
        target: String::new(),
        options: Vec::new(),
        is_bind: false,
    };
    if text.is_empty() {
        return refused("the volume is empty");
    }
    if text.len() <= 2 {
        volume.target = clean(text);
        return Ok(volume);
    }
    let sections = sections(text);
    if sections.iter().any(String::is_empty) {
        return refused("nothing stands before or after a colon");
    }
    match sections.as_slice() {
        [target] => volume.target = clean(target),
        [source, target, options @ ..] => {
            volume.is_bind = is_host_path(source);
            volume.source = Some(source.clone());
            volume.target = clean(target);
            match options {
                [] => {}
                [options] => {
                    let known = options.split(',').filter(|name| OPTIONS.contains(name));
                    volume.options = known.map(str::to_owned).collect();
                }
                [_, _, ..] => return refused("there are too many colons"),
            }
        }
        [] => return refused("the volume is empty"),
    }
    Ok(volume)
}

fn refused(what: &str) -> Result<ShortVolume, Refusal> {
    let hint = "write SOURCE:TARGET or SOURCE:TARGET:OPTIONS, such as ./data:/data:ro";
    Err(Refusal::new(what, hint))
}

/// Splits at colons, but not behind a drive letter and not within `${…}`.
fn sections(text: &str) -> Vec<String> {
    let mut sections = Vec::new();
    let mut section = String::new();
    let mut variables = 0_usize;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '$' if characters.peek() == Some(&'{') => variables += 1,
            '}' if variables > 0 => variables -= 1,
            ':' if variables == 0 && !is_drive(&section) => {
                sections.push(std::mem::take(&mut section));
                continue;
            }
            _ => {}
        }
        section.push(character);
    }
    sections.push(section);
    sections
}

fn is_drive(section: &str) -> bool {
    let mut characters = section.chars();
    characters.next().is_some_and(char::is_alphabetic) && characters.next().is_none()
}

fn is_host_path(source: &str) -> bool {
    source.starts_with(['.', '/', '~'])
        || source.starts_with(r"\\")
        || source
            .split_once(':')
            .is_some_and(|(drive, _)| is_drive(drive))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads() {
        for (text, source, target, options, is_bind) in [
            ("/data", None, "/data", "", false),
            ("/d", None, "/d", "", false),
            ("a:", None, "a:", "", false),
            ("data:/data", Some("data"), "/data", "", false),
            ("data:/data:ro", Some("data"), "/data", "ro", false),
            (
                "data:/y:foo,nocopy,rw",
                Some("data"),
                "/y",
                "nocopy,rw",
                false,
            ),
            ("./x:/x:ro,z", Some("./x"), "/x", "ro,z", true),
            ("../up:/up/", Some("../up"), "/up", "", true),
            (".:/x", Some("."), "/x", "", true),
            ("~/h:/h:Z,rshared", Some("~/h"), "/h", "Z,rshared", true),
            ("/a/:/b//c/../d/.", Some("/a/"), "/b/d", "", true),
            (r"\\host\x:/x", Some(r"\\host\x"), "/x", "", true),
            (r"C:\x:/x", Some(r"C:\x"), "/x", "", true),
            ("C:/x:D:/y:ro", Some("C:/x"), "D:/y", "ro", true),
            ("d:/d", None, "d:/d", "", false),
            ("d:/d:nocopy", Some("d:/d"), "nocopy", "", true),
            ("é:/d:/x", Some("é:/d"), "/x", "", true),
            ("${A:-./x}:/x", Some("${A:-./x}"), "/x", "", false),
            ("data:x/..", Some("data"), ".", "", false),
            ("data:/../x", Some("data"), "/x", "", false),
        ] {
            let volume = ShortVolume {
                source: source.map(str::to_owned),
                target: target.to_owned(),
                options: options
                    .split(',')
                    .filter(|o| !o.is_empty())
                    .map(str::to_owned)
                    .collect(),
                is_bind,
            };
            assert_eq!(parse_volume(text), Ok(volume), "{text}");
        }
    }

    #[test]
    fn refuses() {
        for (text, expected) in [
            ("", "the volume is empty"),
            (":/x", "nothing stands before or after a colon"),
            ("data:", "nothing stands before or after a colon"),
            ("data::ro", "nothing stands before or after a colon"),
            ("data:/x:ro:rw", "there are too many colons"),
        ] {
            let message = parse_volume(text).unwrap_err();
            assert_eq!(message.why, expected, "{text}");
            assert!(message.hint.contains("such as ./data:/data:ro"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a-c:/.,~${}\\\\é]{0,30}") {
            let _volume = parse_volume(&text);
        }
    }
}
