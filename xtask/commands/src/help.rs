//! How help looks: colours, examples, commands grouped by purpose.

use std::fmt::Write as _;

use clap::builder::{
    StyledStr, Styles,
    styling::{AnsiColor, Effects, Style},
};

const HEADING: Style = AnsiColor::Yellow.on_default().effects(Effects::BOLD);
const WORD: Style = AnsiColor::Cyan.on_default().effects(Effects::BOLD);
const DIMMED: Style = Style::new().effects(Effects::DIMMED);

pub(crate) const STYLES: Styles = Styles::styled()
    .header(HEADING)
    .usage(HEADING)
    .literal(WORD)
    .placeholder(AnsiColor::Cyan.on_default())
    .error(AnsiColor::Red.on_default().effects(Effects::BOLD))
    .valid(AnsiColor::Green.on_default())
    .invalid(AnsiColor::Red.on_default());

/// The commands by purpose, in the order in which a newcomer meets them.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Simulate", &["sim", "chaos", "replay", "shrink", "certify"]),
    ("Measure", &["bench", "report"]),
    ("Serve", &["cloud"]),
    ("Deploy", &["deploy"]),
    ("Keep the house", &["test", "schema", "policy", "hooks"]),
];

const EXIT_CODES: [(&str, &str); 6] = [
    ("0", "every property held"),
    ("1", "a property broke, a check failed"),
    ("2", "the command line or an input file cannot be used"),
    ("3", "the same trial gave another trace"),
    ("4", "too little happened to judge"),
    ("101", "the program could not be built"),
];

/// A section of examples: each command, and what it is for.
pub(crate) fn examples(lines: &[(&str, &str)]) -> StyledStr {
    let mut text = format!("{HEADING}Examples:{HEADING:#}\n");
    for (command, purpose) in lines {
        let _ = writeln!(text, "  {WORD}{command}{WORD:#}\n      {DIMMED}{purpose}{DIMMED:#}");
    }
    StyledStr::from(text.trim_end().to_owned())
}

/// Replaces the flat list of commands with groups. What each command is for is read from its definition, so the two
/// cannot drift apart.
pub(crate) fn group_commands(command: clap::Command) -> clap::Command {
    let mut text = String::new();
    for (title, names) in GROUPS {
        let _ = writeln!(text, "{HEADING}{title}:{HEADING:#}");
        for name in names {
            let about = command.find_subcommand(name).and_then(|found| found.get_about().cloned()).unwrap_or_default();
            let _ = writeln!(text, "  {WORD}{name:<8}{WORD:#} {about}");
        }
        text.push('\n');
    }
    let _ = writeln!(text, "{HEADING}Exit codes:{HEADING:#}");
    for (code, meaning) in EXIT_CODES {
        let _ = writeln!(text, "  {WORD}{code:<8}{WORD:#} {meaning}");
    }
    let _ = write!(text, "\nEach command tells more: {WORD}cargo xtask sim --help{WORD:#}");
    command.help_template("{about-with-newline}\n{usage-heading} {usage}{after-help}").after_help(StyledStr::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_exactly_one_group() {
        let command = crate::xtask_command();
        let mut grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let mut defined: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        grouped.sort_unstable();
        defined.sort_unstable();
        assert_eq!(grouped, defined);
    }

    #[test]
    fn help_names_every_command_with_its_purpose() {
        let mut command = crate::xtask_command();
        let text = command.render_long_help().to_string();
        for subcommand in crate::xtask_command().get_subcommands() {
            let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.is_empty(), "{} says what it is for", subcommand.get_name());
            assert!(text.contains(&about), "{text}\nlacks {about}");
        }
    }

    #[test]
    fn every_command_shows_examples() {
        fn look(command: &clap::Command) {
            let nested: Vec<_> = command.get_subcommands().collect();
            if nested.is_empty() {
                let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(text.contains("Examples:"), "{} has no examples", command.get_name());
            }
            nested.into_iter().for_each(look);
        }
        look(&crate::xtask_command());
    }
}
