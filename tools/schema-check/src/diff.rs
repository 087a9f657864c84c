//! `schema diff`: may one schema follow another?

use nexus_commands::{SchemaDiffOptions, exit};
use nexus_governance_compatibility::judge;
use serde_json::json;

use crate::{error::ToolError, files, options};

pub fn run(arguments: &SchemaDiffOptions) -> Result<u8, ToolError> {
    let old = files::read_schema(&arguments.old)?;
    let new = files::read_schema(&arguments.new)?;
    let report = judge(&new, &[old], &options(arguments.mode, arguments.lenient));
    match arguments.json {
        true => anstream::println!("{}", json!(report)),
        false => anstream::println!("{report}"),
    }
    Ok(if report.compatible { exit::HELD } else { exit::BROKE })
}
