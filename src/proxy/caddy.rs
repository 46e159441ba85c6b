//! Reads the language of Caddy: the words of a Caddyfile, and its JSON.

use serde_json::Value;

/// Most words of a Caddyfile that are read.
const MOST_WORDS: usize = 500_000;

/// Returns the lines of a Caddyfile, each as its words.
///
/// By the rules of <https://caddyserver.com/docs/caddyfile/concepts>: quotes and backticks begin
/// only at the beginning of a word, `#` begins a comment only there, a backslash at the end of a
/// line continues it. A text in a heredoc is passed over.
pub(super) fn lines(text: &str) -> Vec<Vec<String>> {
    let mut lines = Vec::new();
    let mut line: Vec<String> = Vec::new();
    let mut words = 0;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\n' => {
                let heredoc = line
                    .last()
                    .and_then(|word| heredoc(word).map(str::to_owned));
                if let Some(mark) = heredoc {
                    pass_heredoc(&mut rest, &mark);
                }
                lines.push(std::mem::take(&mut line));
            }
            '\\' if rest.next_if_eq(&'\n').is_some() => {}
            c if c.is_whitespace() => {}
            '#' => while rest.next_if(|c| *c != '\n').is_some() {},
            _ => {
                words += 1;
                if words > MOST_WORDS {
                    break;
                }
                line.push(word(c, &mut rest));
            }
        }
    }
    lines.push(line);
    lines.retain(|line| !line.is_empty());
    lines
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn word(first: char, rest: &mut Rest<'_>) -> String {
    let mut word = String::new();
    match first {
        '`' => {
            word.extend(rest.by_ref().take_while(|c| *c != '`'));
        }
        '"' => {
            while let Some(c) = rest.next() {
                match c {
                    '"' => break,
                    '\\' => match rest.next_if_eq(&'"') {
                        Some(quote) => word.push(quote),
                        None => word.push('\\'),
                    },
                    c => word.push(c),
                }
            }
        }
        first => {
            word.push(first);
            while let Some(c) = rest.next_if(|c| !c.is_whitespace()) {
                word.push(c);
            }
        }
    }
    word
}

fn heredoc(word: &str) -> Option<&str> {
    let mark = word.strip_prefix("<<")?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (!mark.is_empty() && mark.chars().all(plain)).then_some(mark)
}

fn pass_heredoc(rest: &mut Rest<'_>, mark: &str) {
    while rest.peek().is_some() {
        let line: String = rest.by_ref().take_while(|c| *c != '\n').collect();
        if line.trim_start().starts_with(mark) {
            return;
        }
    }
}

/// Returns the configuration in what `caddy adapt` wrote, with log lines around it.
pub(super) fn find_json(dump: &str) -> Option<Value> {
    let mut found = None;
    let mut at = 0;
    while let Some(rest) = dump.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.trim_start().starts_with('{') {
            let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
            if let Some(Ok(value)) = values.next() {
                if !is_log_line(&value) {
                    found = Some(value);
                }
                at += values.byte_offset().max(1);
                continue;
            }
        }
        at += rest.find('\n').map_or(rest.len(), |end| end + 1);
    }
    found
}

fn is_log_line(value: &Value) -> bool {
    value.get("level").is_some() && value.get("msg").is_some()
}

/// Most pairs of listener and name; a list of routes multiplies with a list of listeners.
const MOST_PAIRS: usize = 50_000;

/// Returns the pairs of listener and name of a configuration; `None` = there are too many.
pub(super) fn pairs(config: &Value) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let servers = config
        .pointer("/apps/http/servers")
        .and_then(Value::as_object);
    for server in servers.into_iter().flat_map(|servers| servers.values()) {
        let mut names = Vec::new();
        let routes = server.get("routes").and_then(Value::as_array);
        for route in routes.into_iter().flatten() {
            let before = names.len();
            hosts(route, &mut names)?;
            if names.len() == before || !has_host(route) {
                names.push(ANY.to_owned());
            }
        }
        if names.is_empty() {
            names.push(ANY.to_owned());
        }
        let listeners = server.get("listen").and_then(Value::as_array);
        for listener in listeners.into_iter().flatten().filter_map(Value::as_str) {
            for name in &names {
                pairs.push((listen(listener), name.clone()));
            }
            if pairs.len() > MOST_PAIRS {
                return None;
            }
        }
    }
    Some(pairs)
}

/// The name of what answers for every name.
const ANY: &str = "_";

fn matched(route: &Value) -> impl Iterator<Item = &str> {
    let sets = route.get("match").and_then(Value::as_array);
    sets.into_iter()
        .flatten()
        .filter_map(|set| set.get("host").and_then(Value::as_array))
        .flatten()
        .filter_map(Value::as_str)
}

fn has_host(route: &Value) -> bool {
    matched(route).next().is_some()
}

/// Adds the names that a route and those inside it answer for. The parser of the JSON has
/// bounded how deep they nest.
fn hosts(route: &Value, names: &mut Vec<String>) -> Option<()> {
    names.extend(matched(route).map(str::to_lowercase));
    if names.len() > MOST_PAIRS {
        return None;
    }
    let inner = route.get("handle").and_then(Value::as_array);
    for one in inner.into_iter().flatten() {
        let routes = one.get("routes").and_then(Value::as_array);
        for route in routes.into_iter().flatten() {
            hosts(route, names)?;
        }
    }
    Some(())
}

fn listen(address: &str) -> String {
    let address = address.strip_prefix("tcp/").unwrap_or(address);
    address.strip_prefix(':').unwrap_or(address).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_split_as_caddy_splits_them() {
        let text = "shop.example {\n\t# tls a b\n tls \"/a b.pem\" `/k\"ey` # end\n respond \\\n x#y\n}\n\
             respond <<EOF\n tls /x /y\n EOF\n}";
        let expected: [&[&str]; 6] = [
            &["shop.example", "{"],
            &["tls", "/a b.pem", "/k\"ey"],
            &["respond", "x#y"],
            &["}"],
            &["respond", "<<EOF"],
            &["}"],
        ];
        assert_eq!(lines(text), expected);
    }

    #[test]
    fn the_configuration_is_found_among_log_lines() {
        let dump = "2026/11/21 10:00:00.1\tINFO\tusing {x}\n{\"level\":\"info\",\"msg\":\"a\"}\n\
             {\"apps\":{\"a\":1}}\n{\"level\":\"warn\",\"msg\":\"b\"}\nValid configuration\n";
        assert_eq!(find_json(dump).unwrap().to_string(), "{\"apps\":{\"a\":1}}");
        let pretty = "{\n  \"apps\": {\n    \"a\": 1\n  }\n}\n";
        assert!(find_json(pretty).unwrap().get("apps").is_some());
        assert_eq!(find_json("{\"apps\": "), None);
        assert_eq!(find_json(""), None);
    }

    #[test]
    fn a_deep_or_broken_text_is_no_configuration() {
        assert_eq!(find_json(&"{\"a\":".repeat(100_000)), None);
        assert_eq!(find_json(&"{\n".repeat(20_000)), None);
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a{}\"`\\\\\n #<EOF:ä\\[\\],-]{0,60}") {
            drop(lines(&text));
            drop(find_json(&text));
        }
    }
}
