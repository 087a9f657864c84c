//! What `nexus provision` does with schemas.

use nexus_governance::{RegistrySettings, SchemaObstacle, provision_schemas, registered_schema_name};
use nexus_ports::{SchemaCompatibility, SchemaTraits, SchemaVersionStatus as Status};
use nexus_ports_testing::{Judgement, RegistryFate as Fate, RegistryOperation as Op};
use nexus_schemas::SchemaDocument;

use crate::Bench;

const FIRST: SchemaDocument = SchemaDocument { event_type: "A", version: 1, text: "{\"a\":1}" };
const SECOND: SchemaDocument = SchemaDocument { event_type: "A", version: 2, text: "{\"a\":2}" };
const OTHER: SchemaDocument = SchemaDocument { event_type: "B", version: 1, text: "{\"b\":1}" };
const ALL: [SchemaDocument; 3] = [OTHER, SECOND, FIRST];

fn bench() -> Bench {
    Bench::with(RegistrySettings::patient())
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_made_and_what_is_there_is_left() {
    let bench = bench();
    bench.registry.judge(Judgement::GoodAfter { reads: 2 });
    let first = provision_schemas(&bench.client, &ALL).await;
    assert_eq!(first.obstacles, []);
    let told: Vec<_> =
        first.provisioned.iter().map(|made| (made.event_type.as_str(), made.version, made.created)).collect();
    assert_eq!(told, [("A", 1, true), ("A", 2, true), ("B", 1, true)]);
    let standing = bench.registry.standing();
    assert_eq!(standing["A"], [Status::Available, Status::Available]);
    assert_eq!(standing["B"], [Status::Available]);

    let again = provision_schemas(&bench.client, &ALL).await;
    assert_eq!(again.obstacles, []);
    assert!(again.provisioned.iter().all(|made| !made.created));
    assert_eq!(bench.registry.standing(), standing);
    assert_eq!(bench.calls(Op::CreateSchema), 2, "the second time nothing is written");
    assert_eq!(bench.calls(Op::Register), 1);
    // A schema that is there lacks only its newest version.
    let bench = self::bench();
    provision_schemas(&bench.client, &[FIRST]).await;
    let raised = provision_schemas(&bench.client, &ALL).await;
    let created: Vec<_> = raised.provisioned.iter().map(|made| made.created).collect();
    assert_eq!(created, [false, true, true]);
}

#[tokio::test(start_paused = true)]
async fn the_whole_catalogue_is_provisioned() {
    let bench = bench();
    let provisioning = provision_schemas(&bench.client, nexus_schemas::all()).await;
    assert_eq!(provisioning.obstacles, []);
    assert_eq!(provisioning.provisioned.len(), nexus_schemas::all().len());
    for made in &provisioning.provisioned {
        assert_eq!(made.schema, registered_schema_name(&made.event_type, made.version));
    }
    assert_eq!(bench.registry.standing()["OrderPlaced.v2"], [Status::Available]);
}

#[tokio::test(start_paused = true)]
async fn an_obstacle_in_one_schema_leaves_the_others_alone() {
    let bench = bench();
    bench.registry.put("A", FIRST.text, Status::Available);
    bench.registry.put("A", SECOND.text, Status::Failure);
    let provisioning = provision_schemas(&bench.client, &ALL).await;
    let told: Vec<_> = provisioning.provisioned.iter().map(|made| (made.event_type.as_str(), made.version)).collect();
    assert_eq!(told, [("A", 1), ("B", 1)]);
    assert_eq!(provisioning.obstacles.len(), 1);
    insta::assert_snapshot!("failed-version", provisioning.obstacles[0].to_string());
}

#[tokio::test(start_paused = true)]
async fn whatever_stands_in_the_way_is_told() {
    let different = |bench: &Bench, data_format: &str, compatibility: Option<SchemaCompatibility>| {
        bench.registry.put("A", FIRST.text, Status::Available);
        bench.registry.set_traits("A", SchemaTraits { data_format: data_format.to_owned(), compatibility });
    };
    type Prepare<'a> = &'a dyn Fn(&Bench);
    let cases: [(&str, Prepare<'_>); 8] = [
        ("another-mode", &|bench| different(bench, "JSON", Some(SchemaCompatibility::None))),
        ("an-unknown-mode", &|bench| different(bench, "JSON", None)),
        ("another-format", &|bench| different(bench, "AVRO", Some(SchemaCompatibility::Backward))),
        ("pending-for-ever", &|bench| bench.registry.judge(Judgement::Never)),
        ("refused-later", &|bench| bench.registry.judge(Judgement::BadAfter { reads: 3 })),
        ("not-permitted", &|bench| bench.registry.stay(Some(Fate::Rejected))),
        ("schema-not-readable", &|bench| bench.registry.script([Fate::Answered, Fate::Rejected])),
        ("schema-not-writable", &|bench| bench.registry.script([Fate::Answered, Fate::Answered, Fate::Rejected])),
    ];
    for (name, prepare) in cases {
        let bench = bench();
        prepare(&bench);
        let provisioning = provision_schemas(&bench.client, &[FIRST]).await;
        assert_eq!(provisioning.provisioned, [], "{name}");
        let [obstacle] = provisioning.obstacles.as_slice() else { panic!("{name}: {:?}", provisioning.obstacles) };
        insta::assert_snapshot!(name, obstacle.to_string());
    }
}

/// Lost answers, throttles and races: whatever happens on the way, the end is the same, and nothing is there twice.
#[tokio::test(start_paused = true)]
async fn what_went_wrong_on_the_way_does_not_show_in_the_end() {
    for fate in [Fate::AnswerLost, Fate::RequestLost, Fate::Throttled, Fate::NotSent, Fate::Contended, Fate::Hangs] {
        for disturbed in 0..12 {
            let bench = bench();
            bench.registry.script(std::iter::repeat_n(Fate::Answered, disturbed));
            bench.registry.script([fate]);
            let provisioning = provision_schemas(&bench.client, &ALL).await;
            assert_eq!(provisioning.obstacles, [], "{fate:?} {disturbed}");
            let numbers: Vec<_> = bench.registry.standing().values().map(Vec::len).collect();
            assert_eq!(numbers, [2, 1], "{fate:?} {disturbed}");
        }
    }
    let bench = bench();
    bench.registry.stay(Some(Fate::Hangs));
    let provisioning = provision_schemas(&bench.client, &ALL).await;
    assert!(matches!(provisioning.obstacles.as_slice(), [SchemaObstacle::Registry { .. }]));
    assert_eq!(bench.registry.calls().len(), 5, "five attempts, then no more");
}
