//! Label files: a JSON array of strings, or one label a line.

use super::ContentError;

/// Most labels of one list.
pub const LABELS: usize = 1 << 20;

/// Reads a list of labels. `what` names the file in errors.
///
/// A file whose first character is `[` is a JSON array of strings. Any other is text with one label a line; only the
/// end of each line is taken off, since a label may be a space.
///
/// # Errors
/// [`ContentError::Malformed`]: neither of the two, or empty. [`ContentError::TooLarge`]: more than `LABELS`.
pub fn read_labels(what: &str, bytes: &[u8]) -> Result<Vec<String>, ContentError> {
    let text = std::str::from_utf8(bytes).map_err(|e| ContentError::malformed(what, "label", e))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let labels: Vec<String> = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).map_err(|e| ContentError::malformed(what, "label", e))?
    } else {
        text.lines().map(str::to_owned).collect()
    };
    match labels.len() {
        0 => Err(ContentError::malformed(what, "label", "it holds no label")),
        count if count > LABELS => Err(ContentError::TooLarge {
            what: what.to_owned(),
            size: count as u64,
            limit: LABELS as u64,
            unit: "labels",
        }),
        _ => Ok(labels),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_nothing_else() {
        let cases: &[(&str, Option<&[&str]>)] = &[
            (r#"["cat", "dog", " "]"#, Some(&["cat", "dog", " "])),
            ("cat\ndog\n \n", Some(&["cat", "dog", " "])),
            ("cat\r\ndog", Some(&["cat", "dog"])),
            ("\u{feff}cat\n", Some(&["cat"])),
            ("", None),
            ("[1, 2]", None),
            ("[\"cat\"", None),
            ("[]", None),
        ];
        for (text, expected) in cases {
            let labels = read_labels("labels", text.as_bytes()).ok();
            assert_eq!(labels, expected.map(|list| list.iter().map(|s| s.to_string()).collect()), "{text:?}");
        }
        assert!(read_labels("labels", &[0xff, 0xfe]).is_err());
    }
}
