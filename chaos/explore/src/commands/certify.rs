//! `certify BUG --before REV --after REV`.

use std::{env, fs, path::PathBuf};

use miette::{IntoDiagnostic, Report, WrapErr, miette};
use nexus_commands::CertifyOptions;
use nexus_reports_story::{Certificate, CertificateVerdict};

use super::{Context, replay::stem};
use crate::{
    BugReport,
    certify::{Case, Laboratory, Origin, sha256_of},
    default_jobs,
};

pub fn run(options: &CertifyOptions) -> Result<u8, Report> {
    let context = Context::from_environment();
    let report = BugReport::read(&options.file)?;
    super::check_engine(&report.engine)?;
    if let Some(bug) = &report.planted_bug {
        return Err(miette!(
            help = "certify the report of a trial without planted bugs",
            "this report is of the planted bug `{bug}`, which no revision has and none mends"
        ));
    }
    let reason = report
        .failed_for()
        .ok_or_else(|| miette!(help = "give a report in which a check broke", "this report names no broken check"))?;
    let (before, after) = (laboratory("BEFORE", &options.before)?, laboratory("AFTER", &options.after)?);
    let case = Case {
        report: &report,
        reason: &reason,
        before: &before,
        after: &after,
        neighbours: options.neighbours,
        jobs: options.jobs.unwrap_or_else(default_jobs),
        stop: &context.stop,
    };
    let bug_file = options.file.display().to_string();
    let origin = Origin {
        bug_sha256: sha256_of(&options.file).into_diagnostic()?,
        command: format!(
            "cargo xtask certify {bug_file} --before {} --after {} --neighbours {}",
            options.before, options.after, options.neighbours
        ),
        bug_file,
    };
    let certificate = case.certify(origin).into_diagnostic()?;
    let path = write(&certificate, options, &context)?;
    if options.json {
        let mut object = serde_json::to_value(&certificate).into_diagnostic()?;
        object["file"] = serde_json::json!(path);
        println!("{object}");
    } else {
        println!("{}: {}", certificate.verdict.as_str(), certificate.because);
        println!("  certificate: {}", context.shown(&path));
    }
    Ok(exit_code(certificate.verdict))
}

fn exit_code(verdict: CertificateVerdict) -> u8 {
    match verdict {
        CertificateVerdict::Certified => nexus_commands::exit::HELD,
        CertificateVerdict::OldHolds | CertificateVerdict::NewFails => nexus_commands::exit::BROKE,
        CertificateVerdict::Inconclusive => nexus_commands::exit::INCONCLUSIVE,
    }
}

/// `cargo xtask` built it and says where it is and which revision.
#[allow(clippy::disallowed_methods)] // The command line is the rim: no trial reads this environment.
fn laboratory(side: &str, asked: &str) -> Result<Laboratory, Report> {
    let variable = |name: &str| {
        env::var(format!("NEXUS_CERTIFY_{side}_{name}")).map_err(|_| {
            miette!(
                help = "start it as `cargo xtask certify`, which builds both revisions",
                "nobody said where the program of `{asked}` is"
            )
        })
    };
    Ok(Laboratory {
        program: PathBuf::from(variable("PROGRAM")?),
        asked: asked.to_owned(),
        revision: variable("REVISION")?,
    })
}

fn write(certificate: &Certificate, options: &CertifyOptions, context: &Context) -> Result<PathBuf, Report> {
    let by_default = || context.out(None).join(format!("certificate-{}.md", stem(&options.file)));
    let path = options.out.clone().unwrap_or_else(by_default);
    let is_page = path.extension().is_some_and(|extension| extension == "html" || extension == "htm");
    let text = if is_page { certificate.html() } else { certificate.markdown() };
    let cannot = || format!("cannot write the certificate `{}`", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).into_diagnostic().wrap_err_with(cannot)?;
    }
    fs::write(&path, text).into_diagnostic().wrap_err_with(cannot)?;
    Ok(path)
}
