//! `replay FILE`.

use miette::{IntoDiagnostic, Report, miette};
use nexus_commands::ReplayOptions;

use super::Context;
use crate::{BugReport, Replayed, default_jobs, replay};

pub fn run(options: &ReplayOptions) -> Result<u8, Report> {
    let context = Context::from_environment();
    let report = BugReport::read(&options.file)?;
    super::check_engine(&report.engine)?;
    let replayed = replay(&report, &context.revision, default_jobs(), &context.stop)
        .ok_or_else(|| miette!("stopped before the replay was over"))?;
    if options.json {
        println!("{}", serde_json::to_string(&replayed).into_diagnostic()?);
    } else {
        print(&report, &replayed, &context);
    }
    Ok(replayed.exit_code())
}

fn print(report: &BugReport, replayed: &Replayed, context: &Context) {
    println!("{} seed {} on {}: {}", report.scenario, report.seed, report.engine, report.reason);
    match replayed {
        Replayed::Reproduced { trace_hash } => {
            println!("reproduced: same revision, same trace {trace_hash}");
            for violation in &report.violations {
                println!("  {}: {}", violation.checker, violation.what);
            }
        }
        Replayed::Diverged { line_number, recorded, replayed } => {
            println!("DIVERGED at step {line_number} although the revision is the same:");
            println!("  recorded: {recorded}\n  replayed: {replayed}");
        }
        Replayed::StillBroken { seed, broken, same_faults_fired } => {
            let faults =
                if *same_faults_fired { "the same addressed faults fired" } else { "not all recorded faults fired" };
            println!(
                "still broken at revision {} (world seed {seed}; {faults}): {}",
                context.revision,
                broken.join(", ")
            );
        }
        Replayed::Fixed { neighbours } => {
            println!(
                "fixed at revision {}: the same addressed faults fired and it held, as did {neighbours} neighbouring seeds",
                context.revision
            );
        }
        Replayed::Inconclusive { missing_faults } => {
            println!(
                "inconclusive at revision {}: nothing broke, but these recorded faults did not fire:",
                context.revision
            );
            for fault in missing_faults {
                println!("  {fault}");
            }
        }
    }
}
