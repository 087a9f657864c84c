//! What is remembered, what is attempted, what is waited for.

use std::time::Duration;

use nexus_governance::{NotAvailable, RegistrySettings};
use nexus_ports::{
    SchemaCompatibility, SchemaDraft, SchemaRefused, SchemaRegistry, SchemaVersionStatus as Status, WriteFailure,
};
use nexus_ports_testing::{Judgement, RegistryFate as Fate, RegistryOperation as Op};

use crate::{Bench, definition};

#[tokio::test(start_paused = true)]
async fn available_is_remembered_for_minutes_and_all_else_for_seconds() {
    for (status, seconds) in [
        (Some(Status::Available), 300),
        (Some(Status::Pending), 3),
        (Some(Status::Failure), 3),
        (Some(Status::Deleting), 3),
        (None, 3),
    ] {
        let bench = Bench::default();
        if let Some(status) = status {
            bench.registry.put("OrderShipped", "{}", status);
        }
        for _ in 0..3 {
            let found = bench.client.find(&definition()).await.unwrap();
            assert_eq!(found.map(|found| found.status), status);
        }
        assert_eq!(bench.client.is_known_available(&definition()), status == Some(Status::Available));
        assert_eq!(bench.calls(Op::ByDefinition), 1, "{status:?}");
        bench.pass_s(seconds - 1).await;
        bench.client.find(&definition()).await.unwrap();
        assert_eq!(bench.calls(Op::ByDefinition), 1, "{status:?}");
        bench.pass_s(1).await;
        assert!(!bench.client.is_known_available(&definition()), "{status:?}");
        bench.client.find(&definition()).await.unwrap();
        assert_eq!(bench.calls(Op::ByDefinition), 2, "{status:?}");
        assert_eq!(bench.test.running_tasks(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn versions_are_found_by_id_and_listed_in_order() {
    let bench = Bench::default();
    bench.registry.page_by(2);
    assert_eq!(bench.client.versions("S").await, Ok(None));
    for (definition, status) in [("1", Status::Available), ("2", Status::Failure), ("3", Status::Available)] {
        bench.registry.put("S", definition, status);
    }
    let listed = bench.client.versions("S").await.unwrap().unwrap();
    assert_eq!(listed.iter().map(|version| version.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(bench.calls(Op::List), 3, "one for no schema, two pages");
    for (id, text) in [("S/1", Some("1")), ("S/2", Some("2")), ("S/9", None)] {
        for _ in 0..2 {
            let found = bench.client.version(id).await.unwrap();
            assert_eq!(found.map(|found| found.definition).as_deref(), text, "{id}");
        }
    }
    assert_eq!(bench.calls(Op::ById), 3);
    bench.pass_s(3).await;
    bench.client.version("S/1").await.unwrap();
    assert_eq!(bench.calls(Op::ById), 3, "good for minutes");
    bench.client.version("S/2").await.unwrap();
    assert_eq!(bench.calls(Op::ById), 4, "FAILURE for seconds");
}

#[tokio::test(start_paused = true)]
async fn a_look_up_gets_three_attempts_and_a_rejection_one() {
    for (fate, attempts, metric) in [
        (Fate::Throttled, 3, "throttled"),
        (Fate::NotSent, 3, "not-sent"),
        (Fate::RequestLost, 3, "no-answer"),
        (Fate::Hangs, 3, "no-answer"),
        (Fate::Rejected, 1, "rejected"),
    ] {
        let bench = Bench::default();
        bench.registry.put("OrderShipped", "{}", Status::Available);
        bench.registry.stay(Some(fate));
        let begun = bench.test.platform.monotonic();
        let refused = bench.client.find(&definition()).await.unwrap_err();
        assert!(refused.to_string().contains("the schema registry gives no answer"), "{refused}");
        let took = bench.test.platform.monotonic().since(begun);
        assert!(took <= Duration::from_millis(3_300), "{fate:?}: {took:?}");
        assert_eq!(bench.calls(Op::ByDefinition), attempts, "{fate:?}");
        assert_eq!(bench.metrics.count(&format!("SchemaRegistryFailures {metric}")), attempts, "{fate:?}");
        // A pause in which nobody asks; then it is up again.
        assert_eq!(bench.client.find(&definition()).await, Err(refused), "{fate:?}");
        assert_eq!(bench.calls(Op::ByDefinition), attempts, "{fate:?}");
        bench.registry.stay(None);
        bench.pass_s(2).await;
        assert!(bench.client.find(&definition()).await.unwrap().is_some(), "{fate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_bad_moment_is_attempted_again() {
    let bench = Bench::default();
    bench.registry.put("OrderShipped", "{}", Status::Available);
    bench.registry.script([Fate::Throttled, Fate::Hangs]);
    assert!(bench.client.find(&definition()).await.unwrap().is_some());
    assert_eq!(bench.calls(Op::ByDefinition), 3);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_bridged_for_a_bounded_time_and_shows() {
    let bench = Bench::default();
    bench.registry.put("OrderShipped", "{}", Status::Available);
    bench.client.find(&definition()).await.unwrap();
    bench.registry.stay(Some(Fate::NotSent));
    bench.pass_s(300).await;
    for used in 1..=20 {
        let found = bench.client.find(&definition()).await.unwrap();
        assert_eq!(found.map(|found| found.status), Some(Status::Available));
        assert_eq!(bench.metrics.count("SchemaRegistryStaleUses OrderShipped"), used);
        assert!(!bench.client.is_known_available(&definition()));
    }
    assert_eq!(bench.calls(Op::ByDefinition), 1 + 3, "one look-up in the pause after a failure");
    bench.pass_s(1_800).await;
    bench.client.find(&definition()).await.unwrap_err();
    // And a registry that says no is believed at once.
    let bench = Bench::default();
    bench.registry.put("OrderShipped", "{}", Status::Available);
    bench.client.find(&definition()).await.unwrap();
    bench.registry.remove("OrderShipped");
    bench.pass_s(300).await;
    assert_eq!(bench.client.find(&definition()).await, Ok(None));
}

/// Hard bug: a version is remembered as good because registering it was answered with success.
#[tokio::test(start_paused = true)]
async fn a_registration_is_no_proof() {
    let bench = Bench::default();
    bench.registry.put("OrderShipped", "older", Status::Available);
    assert_eq!(bench.client.find(&definition()).await, Ok(None));
    bench.registry.judge(Judgement::BadAfter { reads: 1 });
    let registered = bench.client.register(&definition()).await.unwrap();
    assert_eq!((registered.number, registered.status), (2, Status::Pending));
    // That it was not registered is forgotten at once.
    let found = bench.client.find(&definition()).await.unwrap().unwrap();
    assert_eq!((found.id, found.status), (registered.id.clone(), Status::Pending));
    assert!(!bench.client.is_known_available(&definition()));
    let judged = bench.client.wait_until_available(&definition()).await.unwrap_err();
    let NotAvailable::Judged { schema, id, status } = judged else { panic!("{judged}") };
    assert_eq!((schema.as_str(), id, status), ("OrderShipped", registered.id, Status::Failure));
    // The same text once more gives the same version, as bad as it was.
    assert_eq!(bench.client.register(&definition()).await.unwrap().status, Status::Failure);
    bench.pass_s(3).await;
    assert_eq!(bench.client.find(&definition()).await.unwrap().map(|found| found.status), Some(Status::Failure));
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_before_a_registration_is_not_remembered_after_it() {
    let bench = Bench::default();
    bench.registry.put("OrderShipped", "older", Status::Available);
    bench.registry.script([Fate::AnsweredAfter(Duration::from_millis(900))]);
    let definition = definition();
    let (earlier, ()) = tokio::join!(bench.client.find(&definition), async {
        bench.client.register(&definition).await.unwrap();
        assert!(bench.client.find(&definition).await.unwrap().is_some(), "it does not wait for the earlier one");
    });
    assert!(earlier.is_ok());
    assert!(bench.client.is_known_available(&definition));
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_well_or_after_ten_looks() {
    let bench = Bench::default();
    bench.registry.put("OrderShipped", "older", Status::Available);
    bench.registry.judge(Judgement::GoodAfter { reads: 3 });
    bench.client.register(&definition()).await.unwrap();
    let begun = bench.test.platform.monotonic();
    // A look without an answer is a look, too.
    bench.registry.script([Fate::Answered, Fate::Rejected]);
    assert_eq!(bench.client.wait_until_available(&definition()).await.as_deref(), Ok("OrderShipped/2"));
    assert_eq!(bench.test.platform.monotonic().since(begun), Duration::from_secs(12));
    assert!(bench.client.is_known_available(&definition()), "and that is remembered");

    for (judgement, expected) in [(Some(Judgement::Never), "PENDING"), (None, "not registered")] {
        let bench = Bench::default();
        bench.registry.put("OrderShipped", "older", Status::Available);
        if let Some(judgement) = judgement {
            bench.registry.judge(judgement);
            bench.client.register(&definition()).await.unwrap();
        }
        let begun = bench.test.platform.monotonic();
        let error = bench.client.wait_until_available(&definition()).await.unwrap_err();
        assert!(matches!(error, NotAvailable::NotInTime { .. }) && error.to_string().contains(expected), "{error}");
        assert_eq!(bench.calls(Op::ByDefinition), 10);
        assert_eq!(bench.test.platform.monotonic().since(begun), Duration::from_secs(27));
        assert!(!bench.client.is_known_available(&definition()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_registration_whose_answer_was_lost_is_repeated_and_one_refused_is_not() {
    let bench = Bench::default();
    bench.registry.put("OrderShipped", "older", Status::Available);
    bench.registry.script([Fate::AnswerLost, Fate::Contended]);
    let registered = bench.client.register(&definition()).await.unwrap();
    assert_eq!((registered.number, bench.calls(Op::Register)), (2, 3));
    assert_eq!(bench.registry.standing()["OrderShipped"].len(), 2, "registered once");

    let bench = Bench::with(RegistrySettings::patient());
    let refused = bench.client.register(&definition()).await;
    assert_eq!(refused, Err(WriteFailure::Refused(SchemaRefused::NoSuchSchema)));
    assert_eq!(bench.calls(Op::Register), 1);
    bench.registry.stay(Some(Fate::RequestLost));
    assert!(matches!(bench.client.register(&definition()).await, Err(WriteFailure::Unknown(_))));
    assert_eq!(bench.calls(Op::Register), 1 + 5);
}

/// The port's memory itself, where the client does not show it.
#[tokio::test(start_paused = true)]
async fn versions_are_numbered_within_their_schema() {
    let bench = Bench::default();
    let registry = &bench.registry;
    let draft = |schema: &str| SchemaDraft {
        schema: schema.to_owned(),
        compatibility: SchemaCompatibility::Backward,
        definition: "1".to_owned(),
    };
    let refused = registry.create_schema(&draft("S")).await;
    assert_eq!(refused, Err(WriteFailure::Refused(SchemaRefused::NoSuchSchema)), "there is no registry");
    registry.create_registry().await.unwrap();
    assert_eq!(registry.create_schema(&draft("S")).await.unwrap().number, 1);
    assert_eq!(registry.register_version("S", "2").await.unwrap().number, 2);
    assert_eq!(registry.version_by_number("S", 2).await.unwrap().unwrap().definition, "2");
    for number in [0, 3] {
        assert_eq!(registry.version_by_number("S", number).await, Ok(None));
    }
    assert!(matches!(
        registry.create_schema(&draft("S")).await,
        Err(WriteFailure::Refused(SchemaRefused::AlreadyThere))
    ));
}
