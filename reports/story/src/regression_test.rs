//! A Rust test that plays the trial again, generated: it compiles as it is in `chaos/explore/tests`.

use serde::{Deserialize, Serialize};

use crate::model::Facts;

/// A file for `chaos/explore/tests`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegressionTest {
    pub file_name: String,
    pub source: String,
}

/// Writes the test. `check` is the one that broke, `trial_json` the trial as data.
pub fn regression_test(facts: &Facts, check: &str, trial_json: &str) -> RegressionTest {
    let name = format!("{}_holds_in_{}_seed_{}", identifier(check), identifier(&facts.scenario), facts.seed);
    let engine = if facts.engine == "madsim" { "madsim" } else { "not(madsim)" };
    let fence = fence_for(trial_json);
    let source = format!(
        "//! `{check}` broke in `{scenario}` with seed {seed} at revision `{revision}`:\n\
         //! {reason}\n\
         //!\n\
         //! Generated from its bug report: the trial below is data, and playing it is a pure function of it. It must hold,\n\
         //! with every one of its faults fired: a fault that no longer fires proves nothing.\n\
         #![forbid(unsafe_code)]\n\
         #![cfg({engine})]\n\
         \n\
         use nexus_explore::{{Trial, judge, play}};\n\
         use nexus_reports::Verdict;\n\
         \n\
         const TRIAL: &str = r{fence}\"{trial_json}\"{fence};\n\
         \n\
         #[test]\n\
         fn {name}() {{\n    \
             let trial: Trial = serde_json::from_str(TRIAL).expect(\"the trial has this revision's format\");\n    \
             let output = judge(&trial, &play(&trial), false);\n    \
             assert_eq!(output.record.verdict, Verdict::Held, \"{{}}: {{:#?}}\", output.record.reason, output.violations);\n\
         }}\n",
        scenario = one_line(&facts.scenario),
        seed = facts.seed,
        revision = one_line(&facts.revision),
        reason = one_line(&facts.reason),
    );
    RegressionTest { file_name: format!("regress_{}_{}.rs", identifier(&facts.scenario), facts.seed), source }
}

/// Letters, digits and underscores only.
fn identifier(text: &str) -> String {
    text.chars().map(|one| if one.is_ascii_alphanumeric() { one.to_ascii_lowercase() } else { '_' }).collect()
}

fn one_line(text: &str) -> String {
    text.chars().map(|one| if one.is_control() { ' ' } else { one }).collect()
}

/// As many number signs as no quotation mark of the text is followed by.
fn fence_for(text: &str) -> String {
    let mut fence = String::from("#");
    while text.contains(&format!("\"{fence}")) {
        fence.push('#');
    }
    fence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_the_raw_string() {
        for (text, wanted) in [("{}", "#"), ("\"#", "##"), ("\"#\"##", "###")] {
            assert_eq!(fence_for(text), wanted, "{text}");
        }
        assert_eq!(identifier("bus-puts/x.toml"), "bus_puts_x_toml");
    }
}
