//! Places that look like secrets. What is found is shown masked: a report of secrets must not spread them.

use serde::Serialize;

use crate::{error::CheckError, worktree::WorkTree};

#[derive(Clone, Debug, Serialize)]
pub struct Suspect {
    /// `aws-access-key-id`, `private-key`, `service-token` or `assigned-literal`.
    pub kind: String,
    /// The name that it is assigned to; empty where there is none.
    pub name: String,
    /// Its first four characters and its length.
    pub masked: String,
    /// Whether it says of itself that it is an example.
    pub says_example: bool,
    pub file: String,
    pub line: usize,
}

/// Larger files are data, not source.
const BYTES_MAX: usize = 1_000_000;

pub(super) fn gather(tree: &WorkTree) -> Result<Vec<Suspect>, CheckError> {
    let mut found = Vec::new();
    let files = tree.files().filter(|file| !file.ends_with("Cargo.lock"));
    for file in files {
        let bytes = tree.read_bytes(file)?;
        if bytes.len() > BYTES_MAX {
            continue;
        }
        // What is not text holds no secret that this could read.
        let Ok(text) = std::str::from_utf8(&bytes) else { continue };
        for (index, line) in text.lines().enumerate() {
            found.extend(suspects_in(line).into_iter().map(|secret| secret.at(file, index + 1)));
        }
    }
    Ok(found)
}

struct Secret<'text> {
    kind: &'static str,
    name: String,
    text: &'text str,
}

impl Secret<'_> {
    fn at(&self, file: &str, line: usize) -> Suspect {
        let shown: String = self.text.chars().take(4).collect();
        let lower = self.text.to_ascii_lowercase();
        Suspect {
            kind: self.kind.to_owned(),
            name: self.name.clone(),
            masked: format!("{shown}… ({} characters)", self.text.chars().count()),
            says_example: ["example", "test", "dummy", "fake", "changeme"].iter().any(|word| lower.contains(word)),
            file: file.to_owned(),
            line,
        }
    }
}

fn suspects_in(line: &str) -> Vec<Secret<'_>> {
    let mut found: Vec<Secret> = words(line).filter_map(known_form).collect();
    // In two parts, so that these lines are no find of their own.
    let is_header = line.contains("-----BEGIN ");
    if is_header && line.contains("PRIVATE KEY-----") {
        found.push(Secret { kind: "private-key", name: String::new(), text: "PRIVATE KEY" });
    }
    found.extend(assigned_literal(line));
    found
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
}

/// Tokens whose form alone says what they are.
fn known_form(word: &str) -> Option<Secret<'_>> {
    let secret = |kind| Some(Secret { kind, name: String::new(), text: word });
    let upper_or_digit = |text: &str| text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    if word.len() == 20 && (word.starts_with("AKIA") || word.starts_with("ASIA")) && upper_or_digit(word) {
        return secret("aws-access-key-id");
    }
    const PREFIXES: [(&str, usize); 5] =
        [("ghp_", 40), ("gho_", 40), ("ghs_", 40), ("github_pat_", 60), ("glpat_", 20)];
    let is_token = PREFIXES.iter().any(|(prefix, least)| word.starts_with(prefix) && word.len() >= *least);
    if is_token { secret("service-token") } else { None }
}

/// `name = "value"` or `Name: value`, where the name says that the value is secret and the value is written out.
fn assigned_literal(line: &str) -> Option<Secret<'_>> {
    assigned_at(line, ':').or_else(|| assigned_at(line, '='))
}

fn assigned_at(line: &str, sign: char) -> Option<Secret<'_>> {
    let (left, right) = line.split_once(sign)?;
    if left.contains('(') {
        return None;
    }
    // Of `let password: String` the name comes before the type.
    let left = left.split(':').next().unwrap_or(left);
    let name = left.trim().trim_start_matches("- ").trim_matches('"').rsplit([' ', '.', '{', ',']).next()?;
    let name = name.to_ascii_lowercase();
    let flat: String = name.chars().filter(|character| character.is_ascii_alphanumeric()).collect();
    const NAMES: [&str; 8] =
        ["password", "passwd", "secret", "secretkey", "secretaccesskey", "apikey", "accesstoken", "privatekey"];
    if !NAMES.iter().any(|known| flat.ends_with(known)) {
        return None;
    }
    let right = right.trim().trim_start_matches('=').trim().trim_end_matches([',', ';']);
    let quoted = right.strip_prefix('"').and_then(|rest| rest.split('"').next());
    let value = quoted.or_else(|| is_bare_value(right).then_some(right))?;
    let has_digit_or_mark = value.chars().any(|character| !character.is_ascii_alphabetic());
    let is_reference = value.starts_with(['$', '{', '<', '/', '&']) || value.contains("::") || value.contains(' ');
    (value.len() >= 8 && has_digit_or_mark && !is_reference).then_some(Secret {
        kind: "assigned-literal",
        name,
        text: value,
    })
}

/// As YAML and environment files have it: no quotes, no call, no path of code.
fn is_bare_value(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+/=_-!#%^*".contains(c))
        && text.chars().any(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written in parts, so that this file is not a find of its own.
    fn key_id() -> String {
        format!("AK{}", "IAQ7M3XW9RTLB2K5ZD")
    }

    #[test]
    fn secrets_are_known_by_form_and_by_name() {
        let table = [
            (format!("let id = \"{}\";", key_id()), vec!["aws-access-key-id"]),
            (format!("token: gh{}", "p_0123456789abcdefghijklmnopqrstuvwxyzAB"), vec!["service-token"]),
            (format!("-----BEGIN RSA {} KEY-----", "PRIVATE"), vec!["private-key"]),
            (format!("const {}: &str = \"hunter2hunter2\";", "PASSWORD"), vec!["assigned-literal"]),
            (format!("let {}: String = \"hunter2hunter2\".into();", "api_key"), vec!["assigned-literal"]),
            (format!("let {} = \"hunter2hunter2\";", "password"), vec!["assigned-literal"]),
            (format!("  Db{}: hunter2hunter2", "Password"), vec!["assigned-literal"]),
            (format!("aws_{}=9f8e7d6c5b4a", "secret_access_key"), vec!["assigned-literal"]),
            (format!("  Db{}: {{ Ref: DbParameter }}", "Password"), vec![]),
            (format!("let {} = settings.password();", "password"), vec![]),
            (format!("{} = \"${{PASSWORD_1}}\"", "password"), vec![]),
            ("the password: a word of eight letters".to_owned(), vec![]),
            ("AKIA".to_owned(), vec![]),
        ];
        for (line, expected) in table {
            let kinds: Vec<_> = suspects_in(&line).iter().map(|secret| secret.kind).collect();
            assert_eq!(kinds, expected, "{line}");
        }
    }

    #[test]
    fn what_is_found_is_shown_masked() {
        let line = key_id();
        let suspect = suspects_in(&line)[0].at("a.rs", 3);
        assert_eq!((suspect.masked.as_str(), suspect.line), ("AKIA… (20 characters)", 3));
        assert!(!suspect.says_example);
        let example = format!("AK{}", "IAIOSFODNN7EXAMPLE");
        assert!(suspects_in(&example)[0].at("a.rs", 1).says_example);
    }
}
