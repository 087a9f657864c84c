//! Schemas and documents drawn at random try to refute verdicts.
#![forbid(unsafe_code)]

mod generated;

use generated::{document, pair, schema};
use nexus_governance_compatibility::{Mode, Options, Schema, Side, Subsumption, Verdict, judge, subsumed};
use proptest::{collection::vec, prelude::*};
use serde_json::Value;

fn usable(document: &Value) -> Schema {
    Schema::new(document.clone()).unwrap_or_else(|error| panic!("{document}: {error}"))
}

fn backward() -> Options {
    Options { effort: 4_000, ..Options::new(Mode::Backward).without_house_rule() }
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(1_500))]

    #[test]
    fn no_document_refutes_a_verdict((old, new) in pair(), documents in vec(document(), 60)) {
        let (old, new) = (usable(&old), usable(&new));
        let report = judge(&new, std::slice::from_ref(&old), &backward());
        for document in &documents {
            if report.compatible && old.accepts(document) {
                prop_assert!(new.accepts(document), "{document} is read no longer, yet the verdict is compatible");
            }
        }
        for finding in &report.findings {
            if let Some(example) = &finding.counterexample {
                prop_assert_eq!(example.accepted_by, Side::Old);
                prop_assert!(old.accepts(&example.document) && !new.accepts(&example.document), "{}", finding);
            }
            prop_assert_eq!(finding.verdict == Verdict::Incompatible, finding.counterexample.is_some());
        }
    }

    #[test]
    fn a_schema_follows_itself(schema in prop_oneof![schema().boxed(), generated::recursive_schema().boxed()]) {
        let schema = usable(&schema);
        let report = judge(&schema, std::slice::from_ref(&schema), &Options::new(Mode::Full));
        prop_assert_ne!(report.verdict, Verdict::Incompatible, "{}", report);
    }

    #[test]
    fn lenient_is_never_stricter((old, new) in pair()) {
        let (old, new) = (usable(&old), usable(&new));
        let strict = judge(&new, std::slice::from_ref(&old), &backward());
        let lenient = judge(&new, std::slice::from_ref(&old), &backward().lenient());
        if lenient.verdict == Verdict::Incompatible {
            prop_assert_ne!(strict.verdict, Verdict::Compatible, "{}", lenient);
        }
    }

    #[test]
    fn the_modes_agree_with_subsumption((old, new) in pair()) {
        let (old, new) = (usable(&old), usable(&new));
        let (reads_old, read_by_old) = (subsumed(&old, &new, 4_000), subsumed(&new, &old, 4_000));
        let full = judge(&new, std::slice::from_ref(&old), &Options { mode: Mode::Full, ..backward() });
        let both_hold = reads_old == Subsumption::Holds && read_by_old == Subsumption::Holds;
        prop_assert_eq!(full.compatible, both_hold, "{}", full);
    }
}
