//! Compatibility modes: which earlier versions a new one is held against, and in which direction.
//!
//! Only JSON schemas are judged (see [`super::reading`]); of Avro and Protocol Buffers every version whose syntax is sound
//! is let pass, which the real service does not.

use serde_json::Value;

use super::{definition::DataFormat, model::Schema, reading};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    None,
    Disabled,
    Backward,
    BackwardAll,
    Forward,
    ForwardAll,
    Full,
    FullAll,
}

impl Mode {
    const ALL: [(Mode, &'static str); 8] = [
        (Mode::None, "NONE"),
        (Mode::Disabled, "DISABLED"),
        (Mode::Backward, "BACKWARD"),
        (Mode::BackwardAll, "BACKWARD_ALL"),
        (Mode::Forward, "FORWARD"),
        (Mode::ForwardAll, "FORWARD_ALL"),
        (Mode::Full, "FULL"),
        (Mode::FullAll, "FULL_ALL"),
    ];

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(mode, _)| *mode)
    }

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(mode, _)| *mode == self).map_or("NONE", |(_, name)| name)
    }

    /// The new version must read what was written under earlier ones.
    fn reads_earlier(self) -> bool {
        matches!(self, Mode::Backward | Mode::BackwardAll | Mode::Full | Mode::FullAll)
    }

    /// Earlier versions must read what is written under the new one.
    fn is_read_by_earlier(self) -> bool {
        matches!(self, Mode::Forward | Mode::ForwardAll | Mode::Full | Mode::FullAll)
    }

    fn looks_at_all(self) -> bool {
        matches!(self, Mode::BackwardAll | Mode::ForwardAll | Mode::FullAll)
    }
}

/// Whether the version `number` of a schema goes with its earlier ones.
///
/// # Errors
/// The first place where it does not, for people.
pub fn judge(schema: &Schema, number: u64) -> Result<(), String> {
    let (DataFormat::Json, Some(new)) = (schema.format, schema.versions.get(&number)) else { return Ok(()) };
    let parse = |text: &str| serde_json::from_str::<Value>(text).map_err(|error| error.to_string());
    let new_schema = parse(&new.definition)?;
    for version in schema.earlier(number, schema.mode.looks_at_all()) {
        let earlier = parse(&version.definition)?;
        let told = |reason: String, reader: &str, writer: &str| {
            format!("{} is broken: {reader} does not read what {writer} allows: {reason}", schema.mode.name())
        };
        let (new_name, earlier_name) = (format!("version {number}"), format!("version {}", version.number));
        if schema.mode.reads_earlier() {
            reading::can_read(&new_schema, &earlier).map_err(|reason| told(reason, &new_name, &earlier_name))?;
        }
        if schema.mode.is_read_by_earlier() {
            reading::can_read(&earlier, &new_schema).map_err(|reason| told(reason, &earlier_name, &new_name))?;
        }
    }
    Ok(())
}
