//! Splits an expression into tokens that remember where they stood.

/// What a token is; its text is the span of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A literal name, a function or a keyword.
    Word,
    /// `#name`
    NamePlaceholder,
    /// `:value`
    ValuePlaceholder,
    Digits,
    Symbol,
    /// Something that no expression contains.
    Unknown,
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
}

/// All tokens, the last of kind [`Kind::End`]. Never fails: what is unknown becomes a token that no rule accepts.
pub fn tokens(source: &str) -> Vec<Token> {
    let bytes = source.as_bytes();
    let mut tokens = Vec::with_capacity(source.len() / 3 + 1);
    let mut start = 0;
    while start < bytes.len() {
        if bytes[start].is_ascii_whitespace() {
            start += 1;
            continue;
        }
        let (kind, length) = token_at(source, start);
        tokens.push(Token { kind, start, end: start + length });
        start += length;
    }
    tokens.push(Token { kind: Kind::End, start: bytes.len(), end: bytes.len() });
    tokens
}

fn token_at(source: &str, start: usize) -> (Kind, usize) {
    let bytes = &source.as_bytes()[start..];
    let run =
        |from: usize, accept: fn(u8) -> bool| from + bytes[from..].iter().take_while(|byte| accept(**byte)).count();
    let name_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    match bytes[0] {
        b'a'..=b'z' | b'A'..=b'Z' => (Kind::Word, run(1, name_byte)),
        b'0'..=b'9' => (Kind::Digits, run(1, |byte| byte.is_ascii_digit())),
        b'#' | b':' => match run(1, name_byte) {
            1 => (Kind::Unknown, 1),
            length if bytes[0] == b'#' => (Kind::NamePlaceholder, length),
            length => (Kind::ValuePlaceholder, length),
        },
        b'<' if matches!(bytes.get(1), Some(b'=' | b'>')) => (Kind::Symbol, 2),
        b'>' if bytes.get(1) == Some(&b'=') => (Kind::Symbol, 2),
        b'=' | b'<' | b'>' | b'(' | b')' | b'[' | b']' | b',' | b'.' | b'+' | b'-' => (Kind::Symbol, 1),
        _ => (Kind::Unknown, source[start..].chars().next().map_or(1, char::len_utf8)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_expressions() {
        let source = "a.#b[12]<>:c AND(é>=d)";
        let texts: Vec<(Kind, &str)> =
            tokens(source).into_iter().map(|token| (token.kind, &source[token.start..token.end])).collect();
        use Kind::{Digits, End, NamePlaceholder, Symbol, Unknown, ValuePlaceholder, Word};
        assert_eq!(
            texts,
            [
                (Word, "a"),
                (Symbol, "."),
                (NamePlaceholder, "#b"),
                (Symbol, "["),
                (Digits, "12"),
                (Symbol, "]"),
                (Symbol, "<>"),
                (ValuePlaceholder, ":c"),
                (Word, "AND"),
                (Symbol, "("),
                (Unknown, "é"),
                (Symbol, ">="),
                (Word, "d"),
                (Symbol, ")"),
                (End, ""),
            ]
        );
    }
}
