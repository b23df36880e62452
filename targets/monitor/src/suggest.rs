//! "Did you mean": the closest of the words that would have been right.

/// The closest word, if one is close.
pub fn closest<'a>(wrong: &str, right: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    right
        .map(|word| (strsim::damerau_levenshtein(wrong, word), word))
        .filter(|(distance, word)| *distance <= 1 + word.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Advice for a message of serde's that names the wrong word and then the right ones, each in backticks.
pub fn in_message(message: &str) -> Option<String> {
    let mut words = message.split('`').skip(1).step_by(2);
    let wrong = words.next()?;
    closest(wrong, words).map(|word| format!("did you mean `{word}`?"))
}
