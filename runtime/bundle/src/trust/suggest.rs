//! Finds the known word that somebody probably meant.

use alloc::vec::Vec;

/// Words further apart than this are not taken for one another.
const MAX_EDITS: usize = 2;
/// Longer words are not compared: the work is the product of the two lengths.
const MAX_WORD_BYTES: usize = 64;

/// The word in `known` that is nearest to `found`, if it is near.
pub(super) fn nearest<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let comparable = |word: &str| word.len() <= MAX_WORD_BYTES && found.len() <= MAX_WORD_BYTES;
    known
        .into_iter()
        .filter(|word| comparable(word))
        .map(|word| (edits(found, word), word))
        // A short word is near to everything: at least half of it must be right.
        .filter(|(edits, word)| *edits <= MAX_EDITS.min(word.len() / 2))
        .min()
        .map(|(_, word)| word)
}

/// Levenshtein distance in characters: insertions, deletions and substitutions.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    // `row` holds, before the loop's n-th turn, the distances of the first n characters of `from` to all prefixes of
    // `to`.
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, left) in from.chars().enumerate() {
        let mut diagonal = index;
        let mut before = index.saturating_add(1);
        let mut next = Vec::with_capacity(row.len());
        next.push(before);
        for (right, above) in to.iter().zip(row.iter().skip(1)) {
            let substituted = diagonal.saturating_add(usize::from(left != *right));
            before = substituted.min(above.saturating_add(1)).min(before.saturating_add(1));
            next.push(before);
            diagonal = *above;
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_suggested_and_a_far_one_is_not() {
        let known = ["expires", "roles", "keys", "minimum_version", "pem"];
        let cases = [
            ("expire", Some("expires")),
            ("expirs", Some("expires")),
            ("rules", Some("roles")),
            ("key", Some("keys")),
            ("minimum-version", Some("minimum_version")),
            ("pen", Some("pem")),
            ("threshold", None),
            ("", None),
            ("xyz", None),
            ("keys of a name that is much too long to be meant for any of the known words", None),
        ];
        for (found, meant) in cases {
            assert_eq!(nearest(found, known), meant, "{found}");
        }
    }

    #[test]
    fn hostile_words_cost_nothing() {
        let long = "a".repeat(1 << 20);
        assert_eq!(nearest(&long, [long.as_str(), "a"]), None);
    }

    #[test]
    fn distances() {
        for (from, to, expected) in
            [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("é", "e", 1)]
        {
            assert_eq!(edits(from, to), expected, "{from} {to}");
        }
    }
}
