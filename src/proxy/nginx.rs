//! Reads the language of nginx: directives, blocks, and the files of an `nginx -T` dump.
//!
//! The rules are those of `ngx_conf_read_token`: a word ends at white space, `;` or `{`; quotes
//! begin only at the beginning of a word; `#` begins a comment only there. A block of Lua
//! (`OpenResty`) is passed over. Nothing is refused: what nginx would refuse it refuses itself, and
//! [`Parsed::whole`] says whether everything made sense.

use std::iter::Peekable;
use std::str::Chars;

/// Most directives that are read; the largest configurations have some ten thousand.
const MOST_DIRECTIVES: usize = 500_000;

/// Deepest block; real ones nest four or five.
const DEEPEST: usize = 64;

/// Begins the line that `nginx -T` writes before each file; a colon ends it.
const HEADER: &str = " configuration file ";

/// What a text came to.
pub(super) struct Parsed {
    /// The files of a dump; one without a path for what stands before the first header.
    pub(super) files: Vec<File>,
    /// Whether the text was within the limits and every block was closed.
    pub(super) whole: bool,
}

/// One file.
#[derive(Default)]
pub(super) struct File {
    /// Path as nginx has it; `None` = there was no header.
    pub(super) path: Option<String>,
    pub(super) directives: Vec<Directive>,
}

/// One directive.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) name: String,
    pub(super) arguments: Vec<String>,
    /// What stands in its braces.
    pub(super) block: Option<Vec<Directive>>,
}

/// Reads a configuration or a dump.
pub(super) fn parse(text: &str) -> Parsed {
    let mut lexer = Lexer::new(text);
    let mut builder = Builder::default();
    while let Some(token) = lexer.next() {
        match token {
            Token::Word(word) => builder.words.push(word),
            Token::End => builder.end(),
            Token::Open => {
                let lua = builder.words.first().is_some_and(|name| is_lua(name));
                if !builder.open() {
                    break;
                }
                if lua {
                    lexer.skip_lua();
                }
            }
            Token::Close => builder.close(),
            Token::Header(path) => builder.file(path),
        }
        if builder.directives > MOST_DIRECTIVES {
            builder.odd = true;
            break;
        }
    }
    builder.done()
}

fn is_lua(name: &str) -> bool {
    name.ends_with("_by_lua_block")
}

#[derive(Default)]
struct Builder {
    files: Vec<File>,
    current: File,
    /// Directives whose blocks are open, from the outside.
    open: Vec<Directive>,
    words: Vec<String>,
    directives: usize,
    odd: bool,
}

impl Builder {
    fn take(&mut self, block: Option<Vec<Directive>>) -> Directive {
        self.directives += 1;
        let mut words = std::mem::take(&mut self.words).into_iter();
        Directive {
            name: words.next().unwrap_or_default(),
            arguments: words.collect(),
            block,
        }
    }

    fn add(&mut self, directive: Directive) {
        let siblings = match self.open.last_mut() {
            Some(parent) => parent.block.get_or_insert_default(),
            None => &mut self.current.directives,
        };
        siblings.push(directive);
    }

    fn end(&mut self) {
        if self.words.is_empty() {
            self.odd = true;
            return;
        }
        let directive = self.take(None);
        self.add(directive);
    }

    /// Returns false when it is too deep.
    fn open(&mut self) -> bool {
        self.odd |= self.words.is_empty() || self.open.len() >= DEEPEST;
        if self.open.len() >= DEEPEST {
            return false;
        }
        let directive = self.take(Some(Vec::new()));
        self.open.push(directive);
        true
    }

    fn close(&mut self) {
        self.odd |= !self.words.is_empty();
        if !self.words.is_empty() {
            let directive = self.take(None);
            self.add(directive);
        }
        match self.open.pop() {
            Some(directive) => self.add(directive),
            None => self.odd = true,
        }
    }

    /// A comment inside a block is one of the file's own, whatever it says.
    fn file(&mut self, path: String) {
        if self.open.is_empty() && self.words.is_empty() {
            self.files.push(std::mem::take(&mut self.current));
            self.current.path = Some(path);
        }
    }

    fn done(mut self) -> Parsed {
        self.odd |= !self.open.is_empty() || !self.words.is_empty();
        self.words.clear();
        while !self.open.is_empty() {
            self.close();
        }
        self.files.push(self.current);
        let empty = |file: &File| file.path.is_none() && file.directives.is_empty();
        self.files.retain(|file| !empty(file));
        Parsed {
            files: self.files,
            whole: !self.odd,
        }
    }
}

enum Token {
    Word(String),
    End,
    Open,
    Close,
    /// The line that begins a file in a dump.
    Header(String),
}

struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    line_begins: bool,
}

impl<'a> Lexer<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text.chars().peekable(),
            line_begins: true,
        }
    }

    fn take(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        self.line_begins = c == '\n';
        Some(c)
    }

    fn next(&mut self) -> Option<Token> {
        loop {
            let first_of_line = self.line_begins;
            match self.take()? {
                ' ' | '\t' | '\r' | '\n' => {}
                ';' => return Some(Token::End),
                '{' => return Some(Token::Open),
                '}' => return Some(Token::Close),
                '#' => {
                    let comment = self.rest_of_line();
                    let path = comment
                        .strip_prefix(HEADER)
                        .and_then(|path| path.strip_suffix(':'));
                    if let (Some(path), true) = (path, first_of_line) {
                        return Some(Token::Header(path.to_owned()));
                    }
                }
                quote @ ('"' | '\'') => return Some(Token::Word(self.quoted(quote))),
                first => return Some(Token::Word(self.word(first))),
            }
        }
    }

    fn rest_of_line(&mut self) -> String {
        let mut line = String::new();
        while let Some(c) = self.take() {
            if c == '\n' {
                break;
            }
            line.push(c);
        }
        line
    }

    fn quoted(&mut self, quote: char) -> String {
        let mut word = String::new();
        while let Some(c) = self.take() {
            match c {
                '\\' => self.escape(&mut word),
                c if c == quote => break,
                c => word.push(c),
            }
        }
        word
    }

    fn word(&mut self, first: char) -> String {
        let mut word = String::new();
        let mut variable = first == '$';
        if first == '\\' {
            self.escape(&mut word);
        } else {
            word.push(first);
        }
        while let Some(c) = self.rest.peek().copied() {
            match c {
                // `${name}`
                '{' if variable => {}
                ' ' | '\t' | '\r' | '\n' | ';' | '{' => break,
                _ => {}
            }
            self.take();
            variable = c == '$';
            if c == '\\' {
                self.escape(&mut word);
            } else {
                word.push(c);
            }
        }
        word
    }

    /// Adds what follows a backslash, which stays where it means nothing.
    fn escape(&mut self, word: &mut String) {
        match self.take() {
            Some(c @ ('"' | '\'' | '\\')) => word.push(c),
            Some('t') => word.push('\t'),
            Some('r') => word.push('\r'),
            Some('n') => word.push('\n'),
            Some(c) => word.extend(['\\', c]),
            None => word.push('\\'),
        }
    }

    /// Passes over Lua up to the brace that closes the block, which is left.
    fn skip_lua(&mut self) {
        let mut depth = 0_u32;
        while let Some(c) = self.rest.peek().copied() {
            match c {
                '}' if depth == 0 => return,
                '}' => depth -= 1,
                '{' => depth += 1,
                '"' | '\'' => {
                    self.take();
                    self.skip_lua_string(c);
                    continue;
                }
                '-' => {
                    self.take();
                    if self.rest.next_if_eq(&'-').is_some() && !self.skip_lua_long() {
                        self.rest_of_line();
                    }
                    continue;
                }
                '[' => {
                    if !self.skip_lua_long() {
                        self.take();
                    }
                    continue;
                }
                _ => {}
            }
            self.take();
        }
    }

    fn skip_lua_string(&mut self, quote: char) {
        while let Some(c) = self.take() {
            match c {
                '\\' => {
                    self.take();
                }
                c if c == quote || c == '\n' => return,
                _ => {}
            }
        }
    }

    /// Passes over `[[…]]` or `[=[…]=]`, if one begins here.
    fn skip_lua_long(&mut self) -> bool {
        let mut ahead = self.rest.clone();
        if ahead.next() != Some('[') {
            return false;
        }
        let mut level = 0;
        while ahead.next_if_eq(&'=').is_some() {
            level += 1;
        }
        if ahead.next() != Some('[') {
            return false;
        }
        self.rest = ahead;
        while let Some(c) = self.take() {
            if c != ']' {
                continue;
            }
            let mut ahead = self.rest.clone();
            let marks = std::iter::from_fn(|| ahead.next_if_eq(&'=')).count();
            if marks == level && ahead.next() == Some(']') {
                self.rest = ahead;
                break;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(directives: &[Directive]) -> String {
        let one = |directive: &Directive| {
            let mut words = vec![format!("<{}>", directive.name)];
            words.extend(directive.arguments.iter().map(|word| format!("<{word}>")));
            let block = directive.block.as_ref();
            let end = block.map_or_else(|| ";".to_owned(), |block| format!("{{{}}}", shown(block)));
            words.concat() + &end
        };
        directives.iter().map(one).collect()
    }

    fn read(text: &str) -> String {
        let parsed = parse(text);
        let files: Vec<String> = parsed
            .files
            .iter()
            .map(|file| {
                let path = file.path.as_ref().map(|path| format!("{path}: "));
                path.unwrap_or_default() + &shown(&file.directives)
            })
            .collect();
        let odd = if parsed.whole { "" } else { " odd" };
        files.join(" | ") + odd
    }

    #[test]
    fn words_are_split_as_nginx_splits_them() {
        for (text, expected) in [
            ("a b;c;", "<a><b>;<c>;"),
            ("a \"b ; {\" 'c \"';", "<a><b ; {><c \">;"),
            (r#"a "b\"c" d\;e \\;"#, r#"<a><b"c><d\;e><\>;"#),
            ("a # b;\n c;", "<a><c>;"),
            ("a b#c;", "<a><b#c>;"),
            ("a ${b}c $d{e;} f;", "<a><${b}c><$d>{<e>;}<f>;"),
            ("a b'c';", "<a><b'c'>;"),
            ("server{listen 80;}", "<server>{<listen><80>;}"),
            ("a { b { c; } } d;", "<a>{<b>{<c>;}}<d>;"),
            ("", ""),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for text in ["a", "a {", "}", "a { b }", ";", "{}", "a \"b"] {
            assert!(read(text).ends_with("odd"), "{text}: {}", read(text));
        }
        let deep = "a {".repeat(100_000);
        assert!(!parse(&deep).whole);
        let many = "a;".repeat(MOST_DIRECTIVES + 1);
        assert!(!parse(&many).whole);
    }

    #[test]
    fn a_dump_is_split_into_its_files() {
        let dump = "# configuration file /e/nginx.conf:\nhttp {\n\
             # configuration file /e/fake.conf:\n include *.conf;\n}\n\n\
             # configuration file /e/a.conf:\nserver { }\n";
        assert_eq!(
            read(dump),
            "/e/nginx.conf: <http>{<include><*.conf>;} | /e/a.conf: <server>{}"
        );
        assert_eq!(read("x; # configuration file /a:\n"), "<x>;");
    }

    #[test]
    fn lua_is_passed_over() {
        let lua = "location / { content_by_lua_block {\n -- it's }\n local x = { '}' , \"{\\\"\" }\n \
             local y = [[ }}} ' ]] --[==[ } ]] ]==] }\n } listen 1;";
        assert_eq!(
            read(lua),
            "<location></>{<content_by_lua_block>{}}<listen><1>;"
        );
    }

    proptest! {
        #[test]
        fn never_panics(text in "([a-c \\\\\"'{};#$\n=\\[\\]-]|x_by_lua_block \\{|# configuration file /a:\n){0,60}") {
            drop(parse(&text));
        }

        #[test]
        fn words_come_back(words in prop::collection::vec("[^\\x00]{1,8}", 1..5)) {
            let quoted: Vec<String> = words
                .iter()
                .map(|word| format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"")))
                .collect();
            let parsed = parse(&(quoted.join(" ") + ";"));
            prop_assert!(parsed.whole);
            let directive = &parsed.files[0].directives[0];
            prop_assert_eq!(&directive.name, &words[0]);
            prop_assert_eq!(&directive.arguments[..], &words[1..]);
        }
    }
}
