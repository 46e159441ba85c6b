//! Finds the release to go back to when nobody names one.

/// Which release to go back to, by its index among the past ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// This one.
    Release(usize),
    /// Git wants this earlier one already.
    Already(usize),
    /// There is none before the one that Git wants.
    NoneEarlier,
    /// What the last release was can't be known any more.
    Unknown,
}

/// Chooses among `past`, what Git said at each release, oldest first; none where that can't be
/// read any more. `wanted` is what Git says now, and `held` that it was tried and failed.
///
/// Releases are taken as a stack of cards: going back to an earlier one takes away those above it,
/// because somebody went back from them for a reason. Asking twice so goes back twice, and never
/// forward to what was bad.
pub(super) fn choose<C: PartialEq>(past: &[Option<C>], wanted: Option<&C>, held: bool) -> Choice {
    let mut cards: Vec<(usize, &C)> = Vec::new();
    for (index, content) in past.iter().enumerate() {
        let Some(content) = content else { continue };
        if let Some(known) = cards.iter().position(|(_, card)| *card == content) {
            cards.truncate(known);
        }
        cards.push((index, content));
    }
    let Some((&(top, _), below)) = cards.split_last() else {
        return Choice::Unknown;
    };
    if top + 1 != past.len() {
        return Choice::Unknown;
    }
    let at = cards.iter().position(|(_, card)| Some(*card) == wanted);
    match at {
        // Git has what runs, and what runs is bad.
        Some(at) if at == below.len() => {
            (below.last()).map_or(Choice::NoneEarlier, |(index, _)| Choice::Release(*index))
        }
        // Git went back already, and the host did not follow it yet.
        Some(at) if !held => cards
            .get(at)
            .map_or(Choice::NoneEarlier, |(index, _)| Choice::Already(*index)),
        // Git is ahead of what runs, or could not be put in place.
        Some(_) | None => Choice::Release(top),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each letter is what Git said at a release; `?` can't be read any more.
    fn chosen(past: &str, wanted: char, held: bool) -> Choice {
        let past: Vec<Option<char>> = past.chars().map(|c| (c != '?').then_some(c)).collect();
        choose(&past, Some(&wanted), held)
    }

    #[test]
    fn what_runs_is_bad() {
        assert_eq!(chosen("ab", 'b', false), Choice::Release(0));
        assert_eq!(chosen("aabb", 'b', false), Choice::Release(1));
        // The same attempt failed later, at the same content: a file of the host went bad.
        assert_eq!(chosen("ab", 'b', true), Choice::Release(0));
    }

    #[test]
    fn what_git_wants_failed_or_was_not_tried() {
        assert_eq!(chosen("ab", 'c', true), Choice::Release(1));
        assert_eq!(chosen("ab", 'c', false), Choice::Release(1));
        assert_eq!(chosen("a", 'c', true), Choice::Release(0));
    }

    #[test]
    fn asking_twice_never_goes_forward() {
        // b → a, and the pass has not run.
        assert_eq!(chosen("ab", 'a', false), Choice::Already(0));
        // It has run: nothing is before a.
        assert_eq!(chosen("aba", 'a', false), Choice::NoneEarlier);
        assert_eq!(chosen("abcb", 'b', false), Choice::Release(0));
        // c is what somebody went back from; Git wants it again.
        assert_eq!(chosen("abcb", 'c', false), Choice::Release(3));
        // Forward again on purpose, and back again.
        assert_eq!(chosen("abab", 'b', false), Choice::Release(2));
    }

    #[test]
    fn going_back_failed() {
        // c is bad, Git went back to b, b does not come up any more: c runs.
        assert_eq!(chosen("abc", 'b', true), Choice::Release(2));
    }

    #[test]
    fn what_can_not_be_read_is_left_out() {
        assert_eq!(chosen("a?b", 'b', false), Choice::Release(0));
        assert_eq!(chosen("?b", 'b', false), Choice::NoneEarlier);
        assert_eq!(chosen("a?", 'b', false), Choice::Unknown);
        assert_eq!(choose::<char>(&[], None, false), Choice::Unknown);
        assert_eq!(choose(&[Some('a')], None, false), Choice::Release(0));
    }
}
