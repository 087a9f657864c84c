//! Which build a bug report needs.

use std::path::Path;

use nexus_commands::Engine;
use serde_json::Value;

use crate::error::{At, XtaskError};

/// What must be known of a bug report before the program that reads all of it can be built.
#[derive(Debug, PartialEq, Eq)]
pub struct Origin {
    pub engine: Engine,
    /// The planted bug that was switched on, when the build carried planted bugs.
    pub planted_bug: Option<String>,
}

/// Reads the fields `engine` and, where it is there, `planted_bug`.
///
/// # Errors
/// When the file cannot be read, is not a JSON object, or a field is missing, of another type or unknown.
pub fn origin(path: &Path) -> Result<Origin, XtaskError> {
    let text = std::fs::read_to_string(path).at("read the bug report", path)?;
    let not_a_report = |reason: String| XtaskError::NotABugReport { path: path.to_owned(), reason };
    let file: Value =
        serde_json::from_str(&text).map_err(|error| not_a_report(format!("it is not whole JSON ({error})")))?;
    let fields = file.as_object().ok_or_else(|| not_a_report("it is JSON, but not an object".to_owned()))?;
    let engine = match fields.get("engine") {
        Some(Value::String(name)) => name,
        Some(other) => return Err(not_a_report(format!("its field `engine` is {other} instead of a name"))),
        None => return Err(not_a_report("it lacks the field `engine`".to_owned())),
    };
    let engine = engine.parse().map_err(|source| XtaskError::BugReportEngine { path: path.to_owned(), source })?;
    let planted_bug = match fields.get("planted_bug") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name.clone()),
        Some(other) => return Err(not_a_report(format!("its field `planted_bug` is {other} instead of a name"))),
    };
    Ok(Origin { engine, planted_bug })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn the_build_is_read_from_the_report() {
        let scratch = Scratch::new("bug-file");
        let table = [
            (r#"{"engine":"turmoil","seed":1}"#, Engine::Turmoil, None),
            (r#"{"engine":"madsim","planted_bug":null}"#, Engine::Madsim, None),
            (r#"{"engine":"madsim","planted_bug":"no-condition"}"#, Engine::Madsim, Some("no-condition".to_owned())),
        ];
        for (text, engine, planted_bug) in table {
            let path = scratch.write("bug.json", text);
            assert_eq!(origin(&path).unwrap(), Origin { engine, planted_bug }, "{text}");
        }
    }

    #[test]
    fn damaged_reports_are_refused_with_exit_2() {
        let scratch = Scratch::new("bug-file-damaged");
        let table = [
            ("", "it is not whole JSON"),
            (r#"{"engine":"turm"#, "it is not whole JSON"),
            ("[]", "not an object"),
            ("{}", "lacks the field `engine`"),
            (r#"{"engine":7}"#, "`engine` is 7"),
            (r#"{"engine":"tokio"}"#, "names an engine that is not there"),
            (r#"{"engine":"turmoil","planted_bug":true}"#, "`planted_bug` is true"),
        ];
        for (text, expected) in table {
            let error = origin(&scratch.write("bug.json", text)).unwrap_err();
            assert!(error.to_string().contains(expected), "{text}: {error}");
            assert_eq!(error.exit_code(), 2);
        }
        let missing = origin(&scratch.path("absent.json")).unwrap_err();
        assert_eq!(missing.exit_code(), 2);
        assert!(missing.to_string().contains("absent.json"), "{missing}");
    }
}
