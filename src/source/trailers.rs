//! Reads the trailers of commit messages: git-interpret-trailers(1).

/// Returns the trailers of a commit message, name and value of each, in order.
pub fn trailers(message: &str) -> Vec<(String, String)> {
    // One with a zero byte has none; Git refuses to make it.
    let Ok(found) = git2::message_trailers_strs(message) else {
        return Vec::new();
    };
    let pairs = found.iter();
    pairs
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_are_in_the_last_paragraph() {
        let message = "Promote\n\nNot-this: one\n\nApproved-by: Ada <ada@example.org>\nRef: 1\n";
        let expected = [("Approved-by", "Ada <ada@example.org>"), ("Ref", "1")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(trailers(message), expected);
        for message in [
            "",
            "Approved-by: Ada",
            "Say\n\nApproved by Ada\n",
            "a\n\nb: c\0\n",
        ] {
            assert!(trailers(message).is_empty(), "{message:?}");
        }
    }
}
