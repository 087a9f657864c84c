//! By what a laboratory is told which of its planted bugs or mutants to have.

/// Names the one bug of a trial's process: a planted bug's name, [`MUTANT`] and a number, or [`REACHED`] and a file. The patches
/// of `chaos/bugs` ask for it by this name.
pub const VARIABLE: &str = "NEXUS_PLANTED_BUG";

/// What the name of a mutant begins with, its number behind it.
pub const MUTANT: &str = "mutant-";

/// With a file's path behind it: no mutant is on, and the numbers of those whose switch is passed go into that file.
pub const REACHED: &str = "reached:";

/// Says to a laboratory with mutants where the list of them is.
pub const MUTANTS_VARIABLE: &str = "NEXUS_MUTANTS";
