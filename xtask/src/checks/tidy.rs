//! What no file of the repository may hold: a path of someone's machine, a marker of unfinished work, a merge left open.

/// Words for work left undone. Written in halves, since this file is searched too.
const MARKERS: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

/// Where people's own folders begin.
const HOMES: [&str; 3] = [concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/ro", "ot/")];

const CONFLICTS: [&str; 2] = [concat!("<<<<", "<<< "), concat!(">>>>", ">>> ")];

/// Every place in `text` that breaks a rule: its line, counted from 1, and what is wrong there. `root` is the work tree's
/// own path on this machine.
pub fn places(text: &str, root: &str) -> Vec<(usize, String)> {
    let lines = text.lines().zip(1..);
    lines.filter_map(|(line, number)| complaint(line, root).map(|complaint| (number, complaint))).collect()
}

fn complaint(line: &str, root: &str) -> Option<String> {
    if CONFLICTS.iter().any(|marker| line.starts_with(marker)) {
        return Some("a merge conflict is left open".to_owned());
    }
    if let Some(marker) = MARKERS.iter().find(|marker| has_word(line, marker)) {
        return Some(format!("{marker} marks unfinished work: finish it, or describe what is missing"));
    }
    let machine = HOMES.iter().copied().find(|home| names_path(line, home, |next| next.is_alphanumeric()));
    // A short root, such as a container's `/src`, says nothing about a machine.
    let is_telling = root.matches('/').count() >= 2;
    let own = (is_telling && names_path(line, root, |next| next == '/')).then_some(root);
    machine.or(own).map(|path| format!("{path} is a path of one machine"))
}

/// Whether `word` stands in `line` by itself, not inside another word.
fn has_word(line: &str, word: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    line.match_indices(word).any(|(start, _)| {
        let (before, after) = (&line[..start], &line[start + word.len()..]);
        !before.chars().next_back().is_some_and(is_part) && !after.chars().next().is_some_and(is_part)
    })
}

/// Whether an absolute path beginning with `prefix` stands in `line`; inside a longer path or a URL it is something else.
fn names_path(line: &str, prefix: &str, follows: fn(char) -> bool) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || "._-~/$})".contains(character);
    line.match_indices(prefix).any(|(start, _)| {
        let (before, after) = (&line[..start], &line[start + prefix.len()..]);
        !before.chars().next_back().is_some_and(is_part) && after.chars().next().is_some_and(follows)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_can_be_broken_and_kept() {
        let [todo, fixme] = MARKERS;
        let [home, users, root_home] = HOMES;
        let [ours, theirs] = CONFLICTS;
        let table = [
            (format!("// {todo}: later"), true),
            (todo.to_owned(), true),
            (format!("/* {fixme} */"), true),
            (format!("let {todo}_LIST = 1;"), false),
            (format!("MAS{todo}N"), false),
            ("a todo list in the domain".to_owned(), false),
            (format!("path = \"{home}someone/nexus\""), true),
            (format!("see {users}someone/notes"), true),
            (format!("`{root_home}.cargo`"), false),
            (format!("`{root_home}work`"), true),
            (format!("https://example.com{home}page"), false),
            (format!("$PREFIX{home}page"), false),
            (format!("${{PREFIX}}{home}page"), false),
            (home.to_owned(), false),
            (format!("{ours}HEAD"), true),
            (format!("{theirs}branch"), true),
            (format!("text {ours}"), false),
            ("in /srv/nexus/system/domain".to_owned(), true),
            ("in /srv/nexus".to_owned(), false),
            ("in /mnt/srv/nexus/system".to_owned(), false),
        ];
        for (line, broken) in table {
            assert_eq!(!places(&line, "/srv/nexus").is_empty(), broken, "{line}");
        }
    }

    #[test]
    fn places_are_counted_from_the_first_line() {
        let text = format!("fine\n// {}\nfine\n{}x\n", MARKERS[0], HOMES[0]);
        let lines: Vec<usize> = places(&text, "/").into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, [2, 4]);
    }

    #[test]
    fn a_short_root_is_not_searched_for() {
        assert_eq!(places("open(\"/src/main.rs\")", "/src"), []);
    }
}
