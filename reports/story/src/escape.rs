//! Text that may stand in other languages without breaking out of its place.

use std::fmt::Write as _;

/// Text inside an element or a quoted attribute of HTML or SVG.
pub(crate) fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// JSON that may stand inside a script element: no `<` can close it, no line separator breaks it.
pub(crate) fn embedded_json(json: &str) -> String {
    let mut embedded = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a String cannot fail.
                let _ = write!(embedded, "\\u{:04x}", u32::from(character));
            }
            _ => embedded.push(character),
        }
    }
    embedded
}

/// Text inside a cell or a list of GitHub's Markdown.
pub(crate) fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '|' | '*' | '_' | '`' | '[' | ']' | '<' | '>' | '\\' | '~' | '&' => escaped.extend(['\\', character]),
            character if character.is_control() => escaped.push(' '),
            character => escaped.push(character),
        }
    }
    escaped
}

/// At most `most` characters, the last of them an ellipsis where something was cut off.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_its_place() {
        assert_eq!(html("<a b=\"'\">&"), "&lt;a b=&quot;&#39;&quot;&gt;&amp;");
        assert_eq!(embedded_json("</script>\u{2028}"), "\\u003c/script\\u003e\\u2028");
        assert_eq!(markdown("a|b\n`c`"), "a\\|b \\`c\\`");
        for (text, most, wanted) in [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("äöü", 2, "ä…"), ("", 0, "")] {
            assert_eq!(shortened(text, most), wanted);
        }
    }
}
