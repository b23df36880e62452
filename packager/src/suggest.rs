//! "Did you mean": the known word that is closest to a misspelt one.

use strsim::osa_distance;

/// The candidate within a third of the word's length in edits (insert, delete, replace, swap neighbours), if any.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (osa_distance(word, candidate), candidate))
        .filter(|(edits, _)| *edits <= most)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::closest;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["shapes", "sign", "version", "constants"];
        for (word, expected) in [
            ("shape", Some("shapes")),
            ("sgin", Some("sign")),
            ("verison", Some("version")),
            ("weights", None),
            ("", None),
        ] {
            assert_eq!(closest(word, known), expected, "{word}");
        }
    }
}
