//! Does a crate's root forbid unsafe code? The workspace's lints only deny it, which an `allow` could lift.

/// Whether `source`, a crate's root, holds `#![forbid(unsafe_code)]` among the attributes at its head. Text that merely
/// mentions it, in a comment or further down, does not count.
pub fn forbids_unsafe_code(source: &str) -> bool {
    let mut rest = source;
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix("#![") {
            let Some((attribute, behind)) = split_at_closing_bracket(after) else { return false };
            if is_the_one(attribute) {
                return true;
            }
            rest = behind;
        } else if rest.starts_with("//") || rest.starts_with("#!/") {
            rest = rest.split_once('\n').map_or("", |(_, behind)| behind);
        } else if let Some(after) = rest.strip_prefix("/*") {
            rest = after_block_comment(after);
        } else {
            return false;
        }
    }
}

fn is_the_one(attribute: &str) -> bool {
    let lints = attribute.trim().strip_prefix("forbid").map(str::trim).and_then(|rest| rest.strip_prefix('('));
    lints
        .and_then(|rest| rest.strip_suffix(')'))
        .is_some_and(|lints| lints.split(',').any(|lint| lint.trim() == "unsafe_code"))
}

fn split_at_closing_bracket(text: &str) -> Option<(&str, &str)> {
    let mut depth = 1_u32;
    for (position, character) in text.char_indices() {
        match character {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&text[..position], &text[position + 1..]));
        }
    }
    None
}

/// Block comments nest.
fn after_block_comment(text: &str) -> &str {
    let mut depth = 1_u32;
    let mut rest = text;
    while depth > 0 {
        let (open, close) = (rest.find("/*"), rest.find("*/"));
        let Some(close) = close else { return "" };
        match open {
            Some(open) if open < close => {
                depth += 1;
                rest = &rest[open + 2..];
            }
            _ => {
                depth -= 1;
                rest = &rest[close + 2..];
            }
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_attribute_itself_counts() {
        let table = [
            ("#![forbid(unsafe_code)]\nfn main() {}", true),
            ("//! A crate.\n\n#![forbid(unsafe_code)]\n", true),
            ("#![doc = \"a [b]\"]\n#![forbid(missing_docs, unsafe_code)]", true),
            ("/* one /* two */ */ #![ forbid ( unsafe_code ) ]", true),
            ("#!/usr/bin/env run\n#![forbid(unsafe_code)]", true),
            ("", false),
            ("fn main() {}", false),
            ("#![deny(unsafe_code)]", false),
            ("#![forbid(unsafe_op_in_unsafe_fn)]", false),
            ("// #![forbid(unsafe_code)]\nfn main() {}", false),
            ("/* #![forbid(unsafe_code)] */", false),
            ("/* never closed #![forbid(unsafe_code)]", false),
            ("fn main() {}\n#![forbid(unsafe_code)]", false),
            ("const A: &str = \"#![forbid(unsafe_code)]\";", false),
            ("#![forbid(unsafe_code)", false),
        ];
        for (source, expected) in table {
            assert_eq!(forbids_unsafe_code(source), expected, "{source:?}");
        }
    }
}
