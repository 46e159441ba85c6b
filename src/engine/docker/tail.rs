//! Keeps the end of a text of any length.

/// The last bytes of what was pushed.
pub(super) struct Tail {
    limit: usize,
    kept: Vec<u8>,
    cut: bool,
}

impl Tail {
    /// Begins an empty one that keeps so many bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            kept: Vec::new(),
            cut: false,
        }
    }

    /// Appends, and forgets what has become too old. Keeps at most twice the limit meanwhile, so
    /// that not every call moves all bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let fresh = bytes.get(bytes.len().saturating_sub(self.limit)..);
        let fresh = fresh.unwrap_or_default();
        self.cut |= fresh.len() < bytes.len();
        if self.cut && fresh.len() == self.limit {
            self.kept.clear();
        }
        self.kept.extend_from_slice(fresh);
        if self.kept.len() > self.limit.saturating_mul(2) {
            self.shorten();
        }
    }

    /// Returns whether something was too old to be kept.
    pub(super) fn is_cut(&self) -> bool {
        self.cut || self.kept.len() > self.limit
    }

    /// Returns the end as text, from the start of a line where there is one. What is no UTF-8 is
    /// replaced.
    pub(super) fn into_text(mut self) -> String {
        self.shorten();
        let mut text = self.kept.as_slice();
        if self.cut {
            // The break before may be just what was cut off last; then a whole line is lost,
            // which nobody misses at the start of a tail.
            let line = text.iter().position(|byte| *byte == b'\n');
            let rest = line.and_then(|end| text.get(end + 1..));
            match rest.filter(|rest| !rest.is_empty()) {
                Some(rest) => text = rest,
                None => text = after_broken_char(text),
            }
        }
        String::from_utf8_lossy(text).into_owned()
    }

    fn shorten(&mut self) {
        let too_many = self.kept.len().saturating_sub(self.limit);
        self.cut |= too_many > 0;
        drop(self.kept.drain(..too_many));
    }
}

/// Skips the rest of a UTF-8 character whose start was cut off.
fn after_broken_char(text: &[u8]) -> &[u8] {
    let continues = |byte: &&u8| (0x80..0xC0).contains(*byte);
    let broken = text.iter().take(3).take_while(continues).count();
    text.get(broken..).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(limit: usize, parts: &[&str]) -> (String, bool) {
        let mut tail = Tail::new(limit);
        for part in parts {
            tail.push(part.as_bytes());
            assert!(tail.kept.len() <= 2 * limit + part.len().min(limit));
        }
        let cut = tail.is_cut();
        (tail.into_text(), cut)
    }

    #[test]
    fn what_fits_is_kept_whole() {
        assert_eq!(tail(8, &[]), (String::new(), false));
        assert_eq!(
            tail(8, &["ab\n", "cd\nef"]),
            ("ab\ncd\nef".to_owned(), false)
        );
    }

    #[test]
    fn a_tail_begins_with_a_line_where_there_is_one() {
        assert_eq!(tail(8, &["abc\n", "def\n", "ghi\n"]).0, "ghi\n");
        assert_eq!(tail(8, &["abcdef\nghij\nk"]), ("ghij\nk".to_owned(), true));
        assert_eq!(tail(4, &["abcdef", "gh"]), ("efgh".to_owned(), true));
        assert_eq!(tail(4, &["abcdefg\n"]), ("efg\n".to_owned(), true));
    }

    #[test]
    fn a_character_is_not_cut_in_two() {
        assert_eq!(tail(4, &["ab€c"]).0, "€c");
        assert_eq!(tail(3, &["ab€c"]).0, "c");
        let mut bad = Tail::new(9);
        bad.push(b"a\xFFb");
        assert_eq!(bad.into_text(), "a\u{FFFD}b");
    }

    #[test]
    fn any_number_of_small_parts_in_bounded_memory() {
        let mut tail = Tail::new(16);
        for n in 0..10_000 {
            tail.push(format!("{n}\n").as_bytes());
            assert!(tail.kept.capacity() <= 128);
        }
        assert_eq!(tail.into_text(), "9997\n9998\n9999\n");
    }
}
