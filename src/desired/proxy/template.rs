//! Reads the placeholders of a configuration file, and puts in what only the host knows.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::desired::ServiceName;
use crate::diagnostic::{Diagnostic, Position};

/// A configuration file with placeholders.
///
/// `@moored.marker@` stands for the release that the configuration belongs to, and
/// `@moored.SERVICE:PORT@` for the address under which the proxy reaches a service.
/// `docs/decisions/0014-placeholders.md` says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The text as Git has it.
    pub text: Vec<u8>,
    /// The services that it names.
    pub upstreams: BTreeSet<Upstream>,
    /// Whether it has a place for the marker.
    pub has_marker: bool,
    pieces: Vec<Piece>,
}

/// A port of a service that a proxy sends requests to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Upstream {
    /// Which service.
    pub service: ServiceName,
    /// Port inside its container.
    pub port: u16,
}

/// A part of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Vec<u8>),
    Marker,
    Upstream(Upstream),
}

/// How every placeholder begins.
const OPENING: &[u8] = b"@moored.";

/// What ends one.
const CLOSING: u8 = b'@';

/// Longer than any placeholder: a service's name has at most 128 letters.
const LONGEST: usize = 160;

/// Most bytes of a wrong placeholder that are shown.
const SHOWN: usize = 60;

impl Template {
    /// Reads the text of a configuration file, which may be in any encoding that has ASCII in it.
    ///
    /// # Errors
    /// What begins with `@moored.` and is no placeholder, with its place.
    pub fn parse(file: &str, text: &[u8]) -> Result<Self, Diagnostic> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = find(rest, OPENING) {
            let (before, placeholder) = rest.split_at(at);
            let refuse = || {
                let offset = text.len() - placeholder.len();
                let before = text.get(..offset).unwrap_or_default();
                refusal(file, position_after(before), placeholder)
            };
            let (piece, after) = placeholder
                .strip_prefix(OPENING)
                .and_then(read)
                .ok_or_else(refuse)?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(piece);
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        let upstreams = pieces.iter().filter_map(Piece::upstream);
        Ok(Self {
            text: text.to_owned(),
            upstreams: upstreams.cloned().collect(),
            has_marker: pieces.contains(&Piece::Marker),
            pieces,
        })
    }

    /// Returns the text with its placeholders filled in; `address` is asked for those in
    /// [`Self::upstreams`] only.
    pub fn render(&self, marker: &str, address: &dyn Fn(&Upstream) -> String) -> Vec<u8> {
        let mut rendered = Vec::with_capacity(self.text.len());
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => rendered.extend_from_slice(text),
                Piece::Marker => rendered.extend_from_slice(marker.as_bytes()),
                Piece::Upstream(upstream) => {
                    rendered.extend_from_slice(address(upstream).as_bytes());
                }
            }
        }
        rendered
    }

    /// Returns whether it sends requests to a service.
    pub fn names(&self, service: &ServiceName) -> bool {
        self.upstreams.iter().any(|one| one.service == *service)
    }

    /// Returns where the placeholder of a service stands first.
    pub(super) fn place_of(&self, upstream: &Upstream) -> Option<Position> {
        let written = format!("@moored.{upstream}@");
        let at = find(&self.text, written.as_bytes())?;
        Some(position_after(self.text.get(..at)?))
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.service, self.port)
    }
}

impl Piece {
    fn upstream(&self) -> Option<&Upstream> {
        match self {
            Self::Upstream(upstream) => Some(upstream),
            Self::Text(_) | Self::Marker => None,
        }
    }
}

/// Reads what follows on the opening; returns it with what follows on the closing.
fn read(text: &[u8]) -> Option<(Piece, &[u8])> {
    let end = text
        .iter()
        .take(LONGEST)
        .position(|byte| *byte == CLOSING)?;
    let (inside, rest) = text.split_at(end);
    let inside = std::str::from_utf8(inside).ok()?;
    let piece = if inside == "marker" {
        Piece::Marker
    } else {
        let (service, port) = inside.split_once(':')?;
        let digits = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
        Piece::Upstream(Upstream {
            service: ServiceName::try_from(service.to_owned()).ok()?,
            port: port.parse().ok().filter(|_| digits)?,
        })
    };
    Some((piece, rest.get(1..)?))
}

fn refusal(file: &str, at: Position, found: &[u8]) -> Diagnostic {
    let line = found.split(u8::is_ascii_control).next();
    let line = line.unwrap_or_default();
    // As far as the closing, or the word where that is missing.
    let closed = line
        .iter()
        .skip(1)
        .take(LONGEST)
        .position(|byte| *byte == CLOSING);
    let end = match closed {
        Some(end) => end + 2,
        None => line.iter().position(|byte| *byte == b' ').unwrap_or(SHOWN),
    };
    let shown = line.get(..end.min(SHOWN).min(line.len()));
    let shown = String::from_utf8_lossy(shown.unwrap_or_default());
    let message = format!("\"{}\" is not a placeholder", shown.escape_default());
    Diagnostic::at(file, at, message).hint(
        "write @moored.marker@ for the id of the release, or @moored.SERVICE:PORT@ for the address \
         of a service, as in @moored.web:8080@",
    )
}

/// Returns the place behind a text; columns count characters, where it is UTF-8.
fn position_after(text: &[u8]) -> Position {
    let mut lines = text.split(|byte| *byte == b'\n');
    let line = lines.clone().count();
    let column = String::from_utf8_lossy(lines.next_back().unwrap_or_default())
        .chars()
        .count();
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Position {
        line: number(line),
        column: number(column).saturating_add(1),
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len())
        .position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rendered(text: &[u8]) -> Vec<u8> {
        let template = Template::parse("site.conf", text).unwrap();
        template.render("12-4f2a9c1", &|upstream| {
            assert!(template.upstreams.contains(upstream));
            format!("shop-{}-blue:{}", upstream.service, upstream.port)
        })
    }

    #[test]
    fn placeholders_are_filled_in_and_nothing_else_is_touched() {
        let text = b"\xff server @moored.web:80@; return 200 \"@moored.marker@\"; @moored@ \
            @moored.web:80@@moored.a_b-c.d:65535@ $a@b \r\n";
        let expected = b"\xff server shop-web-blue:80; return 200 \"12-4f2a9c1\"; @moored@ \
            shop-web-blue:80shop-a_b-c.d-blue:65535 $a@b \r\n";
        assert_eq!(rendered(text), expected);
        let template = Template::parse("site.conf", text).unwrap();
        let named: Vec<String> = template.upstreams.iter().map(Upstream::to_string).collect();
        assert_eq!(named, ["a_b-c.d:65535", "web:80"]);
        assert!(template.has_marker);
        assert!(
            !Template::parse("f", b"@moored.marker:1@")
                .unwrap()
                .has_marker
        );
    }

    #[test]
    fn what_is_no_placeholder_is_refused_with_its_place() {
        let refused = |text: &[u8]| {
            let refused = Template::parse("site.conf", text).unwrap_err();
            assert!(refused.hint.is_some());
            format!("{}: {}", refused.location, refused.message)
        };
        let long = [b"@moored.".as_slice(), &[b'a'; 200], b":1@"].concat();
        let said: Vec<String> = [
            b"a\n \xc3\xa4@moored.web@;\n".as_slice(),
            b"@moored.web:80; next @",
            b"@moored.web:80\n@",
            b"@moored.web:0@",
            b"@moored.web:080@",
            b"@moored.web:+80@",
            b"@moored.web:65536@",
            b"@moored.web:@",
            b"@moored.:80@",
            b"@moored.-web:80@",
            b"@moored.Marker@",
            b"@moored.",
            b"@moored.\xff\x1b[31m:80@",
            &long,
        ]
        .into_iter()
        .map(refused)
        .collect();
        insta::assert_snapshot!(said.join("\n"), @r#"
        site.conf:2:3: "@moored.web@" is not a placeholder
        site.conf:1:1: "@moored.web:80; next @" is not a placeholder
        site.conf:1:1: "@moored.web:80" is not a placeholder
        site.conf:1:1: "@moored.web:0@" is not a placeholder
        site.conf:1:1: "@moored.web:080@" is not a placeholder
        site.conf:1:1: "@moored.web:+80@" is not a placeholder
        site.conf:1:1: "@moored.web:65536@" is not a placeholder
        site.conf:1:1: "@moored.web:@" is not a placeholder
        site.conf:1:1: "@moored.:80@" is not a placeholder
        site.conf:1:1: "@moored.-web:80@" is not a placeholder
        site.conf:1:1: "@moored.Marker@" is not a placeholder
        site.conf:1:1: "@moored." is not a placeholder
        site.conf:1:1: "@moored.\u{fffd}" is not a placeholder
        site.conf:1:1: "@moored.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" is not a placeholder
        "#);
    }

    #[test]
    fn much_is_read_in_little_time() {
        let began = std::time::Instant::now();
        let text = b"@moored.web:80@\n".repeat(500_000);
        assert_eq!(Template::parse("f", &text).unwrap().upstreams.len(), 1);
        let refused = [text, b"@moored.x".to_vec()].concat();
        let refused = Template::parse("f", &refused).unwrap_err();
        assert_eq!(refused.location.to_string(), "f:500001:1");
        assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
    }

    proptest! {
        #[test]
        fn what_has_no_placeholder_is_left_as_it_is(text: Vec<u8>, words in "[@a-z. :0-9]{0,40}") {
            let text = [text, words.into_bytes()].concat();
            prop_assume!(find(&text, OPENING).is_none());
            prop_assert_eq!(rendered(&text), text);
        }

        #[test]
        fn no_placeholder_is_left(parts in prop::collection::vec(
            prop_oneof![
                Just("@moored.".to_owned()), Just("@".to_owned()), Just("@moored.marker@".to_owned()),
                Just("@moored.web:80@".to_owned()), "[@moored.: a-z0-9\n]{0,12}",
            ], 0..12)
        ) {
            let text = parts.concat();
            match Template::parse("f", text.as_bytes()) {
                Ok(_) => prop_assert!(find(&rendered(text.as_bytes()), OPENING).is_none()),
                Err(refused) => prop_assert!(refused.location.position.is_some()),
            }
        }

        #[test]
        fn its_parts_are_the_text(parts in prop::collection::vec(
            prop_oneof![Just("@moored.marker@".to_owned()), Just("@moored.web:80@".to_owned()), "[@a-z;\n]{0,6}"],
            0..12)
        ) {
            let text = parts.concat();
            if let Ok(template) = Template::parse("f", text.as_bytes()) {
                let same = template.render("@moored.marker@", &|one| format!("@moored.{one}@"));
                prop_assert_eq!(same, text.into_bytes());
            }
        }
    }
}
