//! Matches the paths that an `include` of nginx names, by the rules of glob(3).

/// Returns whether `path` is one that `pattern` stands for.
///
/// `*` and `?` match no slash and no dot at the beginning of a name; `[…]` is a set, `[!…]` its
/// opposite. Takes time in proportion to the product of the two lengths at most.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let mut patterns = pattern.split('/');
    let mut names = path.split('/');
    loop {
        match (patterns.next(), names.next()) {
            (None, None) => return true,
            (Some(pattern), Some(name)) if name_matches(pattern, name) => {}
            (Some(_) | None, Some(_)) | (Some(_), None) => return false,
        }
    }
}

fn name_matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let Some(items) = items(pattern) else {
        return pattern == name;
    };
    let name: Vec<char> = name.chars().collect();
    // Which prefixes of the name the items so far can stand for.
    let mut reached = vec![false; name.len() + 1];
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    for item in items {
        let mut next = vec![false; reached.len()];
        let mut any = false;
        for (at, slot) in next.iter_mut().enumerate() {
            let here = reached.get(at).copied().unwrap_or(false);
            let before = at.checked_sub(1);
            *slot = match &item {
                Item::Any => {
                    any |= here;
                    any
                }
                Item::One(set) => before.is_some_and(|before| {
                    reached.get(before).copied().unwrap_or(false)
                        && name.get(before).is_some_and(|c| set.has(*c))
                }),
            };
        }
        reached = next;
    }
    reached.last().copied().unwrap_or(false)
}

enum Item {
    Any,
    One(Set),
}

enum Set {
    Every,
    Only(char),
    Ranges {
        opposite: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Set {
    fn has(&self, c: char) -> bool {
        match self {
            Self::Every => true,
            Self::Only(one) => *one == c,
            Self::Ranges { opposite, ranges } => {
                ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *opposite
            }
        }
    }
}

/// Returns the parts of a pattern; `None` = a bracket is not closed, and stands for itself.
fn items(pattern: &str) -> Option<Vec<Item>> {
    let mut items = Vec::new();
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        items.push(match c {
            '*' => Item::Any,
            '?' => Item::One(Set::Every),
            '\\' => Item::One(Set::Only(rest.next().unwrap_or('\\'))),
            '[' => {
                let inside = rest.as_str();
                let opposite = inside.starts_with(['!', '^']);
                let inside = inside.strip_prefix(['!', '^']).unwrap_or(inside);
                // A bracket that comes first is one of the set.
                let first = inside.chars().next()?;
                let end = inside.get(first.len_utf8()..)?.find(']')? + first.len_utf8();
                rest = inside.get(end + 1..)?.chars();
                let ranges = ranges(inside.get(..end)?);
                Item::One(Set::Ranges { opposite, ranges })
            }
            c => Item::One(Set::Only(c)),
        });
    }
    Some(items)
}

fn ranges(set: &str) -> Vec<(char, char)> {
    let mut ranges = Vec::new();
    let mut rest = set.chars();
    while let Some(from) = rest.next() {
        let mut ahead = rest.clone();
        match (ahead.next(), ahead.next()) {
            (Some('-'), Some(to)) => {
                ranges.push((from, to));
                rest = ahead;
            }
            _ => ranges.push((from, from)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn matches_like_glob() {
        for (pattern, path) in [
            ("/etc/nginx/conf.d/*.conf", "/etc/nginx/conf.d/a.conf"),
            ("/etc/nginx/*/*.conf", "/etc/nginx/conf.d/a.b.conf"),
            ("/e/?.conf", "/e/a.conf"),
            ("/e/[a-c0-9].conf", "/e/5.conf"),
            ("/e/[!a-c]x", "/e/dx"),
            ("/e/[]x]", "/e/]"),
            ("/e/[x", "/e/[x"),
            ("/e/a**b", "/e/ab"),
            ("/e/\\*", "/e/*"),
            ("/e/.*", "/e/.hidden"),
            ("/e/ä?", "/e/äö"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("/e/*.conf", "/e/d/a.conf"),
            ("/e/*.conf", "/e/a.conf.bak"),
            ("/e/*", "/e/.hidden"),
            ("/e/[a-c]", "/e/d"),
            ("/e/[!a-c]", "/e/b"),
            ("/e/?", "/e/"),
            ("/e/*", "/e"),
            ("/e/a", "/e/b"),
        ] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn a_pattern_full_of_stars_takes_no_time() {
        let pattern = "*a".repeat(500);
        assert!(!matches(&pattern, &"a".repeat(499)));
        assert!(matches(&pattern, &"a".repeat(500)));
    }

    proptest! {
        #[test]
        fn never_panics(pattern in "[]\\[*?a-c!^/.\\\\ä-]{0,12}", path in "[]\\[a-c/.ä-]{0,12}") {
            let _ = matches(&pattern, &path);
        }
    }
}
