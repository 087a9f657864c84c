use nexus_ports::{NotSent, Rejected, Throttled, UnknownOutcome};

use super::*;
use crate::lease_table::tests::at;

const PACE: ReadPace = ReadPace {
    poll_every: Duration::from_millis(250),
    read_spacing: Duration::from_millis(100),
    retention: Duration::from_secs(86_400),
    backoff: Backoff { first: Duration::from_millis(100), max: Duration::from_secs(5) },
};
const WALL: UnixTime = UnixTime(Duration::from_secs(1_000_000));

fn at_ms(milliseconds: u64) -> Monotonic {
    Monotonic(Duration::from_millis(milliseconds))
}

fn number(value: u64) -> SequenceNumber {
    SequenceNumber::try_from(value.to_string()).unwrap()
}

fn after(value: u64) -> ShardProgress {
    ShardProgress::After(number(value))
}

fn record(value: u64) -> FeedRecord {
    FeedRecord {
        sequence_number: number(value),
        partition_key: "order-1".to_owned(),
        body: Vec::new(),
        arrived_at_ms: Some(WALL.as_millis()),
    }
}

fn cursor(name: &str) -> FeedCursor {
    FeedCursor(name.to_owned())
}

fn page(values: &[u64], next: Option<&str>) -> FeedPage {
    FeedPage { records: values.iter().copied().map(record).collect(), next: next.map(cursor), behind_ms: None }
}

fn handled(durable_through: Option<u64>) -> Handled {
    let durable_through = durable_through.map(number);
    Handled { durable_through, memory: "m".to_owned(), call_again_after: None, accepts_more: true }
}

fn reader(progress: ShardProgress) -> ShardReader {
    ShardReader::new("a", PACE, progress, Bookmark::default(), at(0))
}

/// Opened, at second 0.
fn opened(progress: ShardProgress) -> ShardReader {
    let mut reader = reader(progress);
    reader.on_open(Ok(cursor("c0")), at(0), WALL, 0.5);
    reader
}

/// Opened, and these records were read at second 0 and handed on.
fn given(values: &[u64], next: Option<&str>) -> ShardReader {
    let mut reader = opened(ShardProgress::Untouched);
    reader.on_page(Ok(page(values, next)), at(0), WALL, at(0), 0.5);
    if !values.is_empty() {
        assert_eq!(reader.step(at(0)), WorkStep::Handle);
        assert_eq!(reader.begin_handle().len(), values.len());
    }
    reader
}

#[test]
fn reading_begins_after_what_is_durable() {
    for (progress, wanted) in [
        (ShardProgress::Untouched, WorkStep::Open(FeedStart::Oldest)),
        (after(7), WorkStep::Open(FeedStart::After(number(7)))),
        (ShardProgress::Finished, WorkStep::Finish),
    ] {
        assert_eq!(reader(progress.clone()).step(at(0)), wanted, "{progress:?}");
    }
}

#[test]
fn an_empty_page_is_not_the_end_and_is_followed_by_a_pause() {
    let reader = given(&[], Some("c1"));
    assert_eq!(reader.step(at(0)), WorkStep::WaitUntil(at_ms(250)));
    assert_eq!(reader.step(at_ms(250)), WorkStep::Read(cursor("c1")));
}

#[test]
fn after_records_only_the_spacing_is_waited_for() {
    let mut reader = given(&[10, 20], Some("c1"));
    reader.on_handled(handled(Some(20)), at_ms(30));
    assert_eq!(reader.step(at_ms(30)), WorkStep::WaitUntil(at_ms(100)));
    assert_eq!(reader.step(at_ms(100)), WorkStep::Read(cursor("c1")));
}

#[test]
fn the_shard_is_finished_when_everything_is_durable_and_not_before() {
    let mut reader = given(&[10, 20], None);
    reader.on_handled(handled(Some(10)), at(0));
    assert_eq!(reader.step(at(0)), WorkStep::WaitUntil(at_ms(250)), "20 is kept back");
    assert_eq!(reader.step(at_ms(250)), WorkStep::Handle);
    assert!(reader.begin_handle().is_empty());
    reader.on_handled(handled(Some(20)), at_ms(300));
    assert_eq!(reader.step(at_ms(300)), WorkStep::Finish);
    assert_eq!(given(&[], None).step(at(0)), WorkStep::Finish, "a shard without records");
}

#[test]
fn records_kept_back_when_an_empty_page_ends_the_shard_are_still_called_for() {
    let mut reader = given(&[10], Some("c1"));
    reader.on_handled(handled(None), at(0));
    reader.on_page(Ok(page(&[], None)), at(1), WALL, at(1), 0.5);
    assert_eq!(reader.step(at(1)), WorkStep::WaitUntil(at_ms(1_250)));
    assert_eq!(reader.step(at_ms(1_250)), WorkStep::Handle);
}

#[test]
fn a_handler_that_takes_no_more_is_called_again_and_not_read_for() {
    for (call_again_after, due_ms) in [(Some(Duration::from_millis(40)), 40), (None, 250)] {
        let mut reader = given(&[10], Some("c1"));
        reader.on_handled(Handled { accepts_more: false, call_again_after, ..handled(None) }, at(0));
        assert_eq!(reader.step(at(0)), WorkStep::WaitUntil(at_ms(due_ms)));
        assert_eq!(reader.step(at_ms(due_ms)), WorkStep::Handle);
        assert!(reader.begin_handle().is_empty());
        reader.on_handled(handled(Some(10)), at(1));
        assert_eq!(reader.step(at(1)), WorkStep::Read(cursor("c1")));
    }
}

#[test]
fn an_expired_cursor_is_opened_after_the_last_record_that_was_read() {
    let mut reader = given(&[10, 20], Some("c1"));
    reader.on_handled(handled(None), at(0));
    reader.on_page(Err(FeedFailure::CursorExpired), at(1), WALL, at(1), 0.9);
    assert_eq!(reader.step(at(1)), WorkStep::Open(FeedStart::After(number(20))), "neither 0 nor the checkpoint");
    let mut untouched = opened(ShardProgress::Untouched);
    untouched.on_page(Err(FeedFailure::CursorExpired), at(1), WALL, at(1), 0.9);
    assert_eq!(untouched.step(at(1)), WorkStep::Open(FeedStart::Oldest));
}

#[test]
fn failures_are_waited_out_longer_and_longer_and_forgotten_after_a_page() {
    let failures: [fn() -> FeedFailure; 4] = [
        || FeedFailure::Throttled(Throttled { code: String::new() }),
        || FeedFailure::NotSent(NotSent { reason: String::new() }),
        || FeedFailure::Rejected(Rejected { code: String::new(), message: String::new() }),
        || FeedFailure::NoAnswer(UnknownOutcome { reason: String::new() }),
    ];
    for failure in failures {
        let mut reader = opened(ShardProgress::Untouched);
        for pause_ms in [50, 100, 200, 400] {
            reader.on_page(Err(failure()), at(1), WALL, at(1), 0.5);
            assert_eq!(reader.step(at(1)), WorkStep::WaitUntil(at_ms(1_000 + pause_ms)));
        }
        reader.on_page(Ok(page(&[], Some("c1"))), at(2), WALL, at(2), 0.5);
        reader.on_page(Err(failure()), at(3), WALL, at(3), 0.5);
        assert_eq!(reader.step(at(3)), WorkStep::WaitUntil(at_ms(3_050)));
    }
}

#[test]
fn progress_never_goes_back_nor_beyond_what_was_given() {
    let mut reader = given(&[10, 20], Some("c1"));
    for (claimed, wanted) in [(20, 20), (10, 20), (30, 20)] {
        reader.on_handled(handled(Some(claimed)), at(0));
        assert_eq!(reader.durable().0, &after(wanted), "claimed {claimed}");
    }
}

#[test]
fn a_trimmed_position_is_reported_until_repaired_and_then_read_from_the_oldest() {
    let mut reader = reader(after(5));
    reader.on_open(Err(FeedFailure::Trimmed), at(0), WALL, 0.5);
    assert_eq!(reader.step(at(0)), WorkStep::ReportGap(after(5)));
    reader.on_gap_reported(false, WALL, at(0), 0.5);
    assert_eq!(reader.step(at(0)), WorkStep::WaitUntil(at_ms(50)));
    assert_eq!(reader.step(at_ms(50)), WorkStep::ReportGap(after(5)));
    reader.on_gap_reported(true, WALL, at(1), 0.5);
    assert_eq!(reader.step(at(1)), WorkStep::Open(FeedStart::Oldest));
    assert_eq!(reader.durable().0, &after(5), "nothing is durable by repair alone");
}

#[test]
fn after_a_gap_the_handler_gets_no_record_twice() {
    let mut reader = given(&[10, 20], Some("c1"));
    reader.on_handled(handled(Some(10)), at(0));
    reader.on_page(Err(FeedFailure::Trimmed), at(1), WALL, at(1), 0.0);
    reader.on_gap_reported(true, WALL, at(1), 0.5);
    assert_eq!(reader.step(at(1)), WorkStep::Open(FeedStart::Oldest));
    reader.on_open(Ok(cursor("c2")), at(1), WALL, 0.5);
    assert_eq!(reader.on_page(Ok(page(&[20, 30], Some("c3"))), at(1), WALL, at(1), 0.5), 1);
    assert_eq!(reader.begin_handle(), [record(30)]);
}

#[test]
fn a_jump_longer_than_the_retention_is_a_gap_even_if_the_feed_says_nothing() {
    let fresh = |before_ms: u64| Bookmark { fresh_at_ms: Some(WALL.as_millis() - before_ms), memory: String::new() };
    for (before_ms, is_gap) in [(86_400_000, true), (86_399_999, false)] {
        // By our own clock, when opening.
        let mut reader = ShardReader::new("a", PACE, after(5), fresh(before_ms), at(0));
        reader.on_open(Ok(cursor("c0")), at(0), WALL, 0.5);
        assert_eq!(matches!(reader.step(at(0)), WorkStep::ReportGap(_)), is_gap, "opened {before_ms} ms later");
        // By the feed's clock, when our own is behind.
        let mut reader = ShardReader::new("a", PACE, after(5), fresh(before_ms), at(0));
        reader.on_open(Ok(cursor("c0")), at(0), UnixTime(Duration::ZERO), 0.5);
        reader.on_page(Ok(page(&[10], Some("c1"))), at(0), WALL, at(0), 0.5);
        let wanted = if is_gap { WorkStep::ReportGap(after(5)) } else { WorkStep::Handle };
        assert_eq!(reader.step(at(0)), wanted, "arrived {before_ms} ms later");
        if is_gap {
            assert!(reader.begin_handle().is_empty(), "what follows the gap waits");
            reader.on_gap_reported(false, WALL, at(0), 0.5);
            assert_eq!(reader.step(at(0)), WorkStep::WaitUntil(at_ms(50)));
            reader.on_gap_reported(true, WALL, at(0), 0.5);
            assert_eq!(reader.step(at(0)), WorkStep::Handle);
            assert_eq!(reader.begin_handle(), [record(10)]);
        }
    }
}

#[test]
fn a_position_stays_fresh_while_there_is_nothing_to_read() {
    let mut reader = given(&[10], Some("c1"));
    reader.on_handled(handled(Some(10)), at(0));
    let later = UnixTime(WALL.0 + Duration::from_secs(90_000));
    let tip = |behind_ms| Ok(FeedPage { behind_ms, ..page(&[], Some("c2")) });
    reader.on_page(tip(None), at(1), later, at(1), 0.5);
    assert_eq!(reader.durable().1.fresh_at_ms, Some(WALL.as_millis()), "an empty page alone is not the tip");
    reader.on_page(tip(Some(0)), at(2), later, at(2), 0.5);
    assert_eq!(reader.durable().1.fresh_at_ms, Some(later.as_millis()));
}

#[test]
fn a_shard_that_is_gone_is_a_gap_and_then_finished() {
    let not_found = || FeedFailure::NotFound { what: "shard a".to_owned() };
    let listed = |id: &str| FeedShard { id: id.to_owned(), parents: Vec::new(), is_closed: false };
    let mut reader = reader(after(5));
    reader.on_open(Err(not_found()), at(0), WALL, 0.0);
    assert_eq!(reader.step(at(0)), WorkStep::LookForShard);
    reader.on_listing(Err(not_found()), at(0), 0.0);
    assert_eq!(reader.step(at(0)), WorkStep::LookForShard, "a feed that is not found proves nothing");
    reader.on_listing(Ok(vec![listed("a")]), at(0), 0.0);
    assert_eq!(reader.step(at(0)), WorkStep::Open(FeedStart::After(number(5))), "it is there after all");
    for absence in 0..3 {
        let now = at(absence);
        assert_eq!(reader.step(now), WorkStep::Open(FeedStart::After(number(5))), "absence {absence}");
        reader.on_open(Err(not_found()), now, WALL, 0.0);
        assert_eq!(reader.step(now), WorkStep::LookForShard);
        reader.on_listing(Ok(vec![listed("b")]), now, 0.0);
    }
    assert_eq!(reader.step(at(2)), WorkStep::ReportGap(after(5)));
    reader.on_gap_reported(true, WALL, at(2), 0.0);
    assert_eq!(reader.step(at(2)), WorkStep::Finish);
}

#[test]
fn a_new_handler_begins_after_what_is_durable() {
    let mut reader = given(&[10, 20, 30], Some("c1"));
    reader.on_handled(handled(Some(10)), at(0));
    reader.on_handler_gone(at(1), 0.5);
    assert_eq!(reader.step(at(1)), WorkStep::WaitUntil(at_ms(1_050)));
    assert_eq!(reader.step(at_ms(1_050)), WorkStep::Open(FeedStart::After(number(10))));
    assert_eq!(
        reader.durable(),
        (&after(10), &Bookmark { fresh_at_ms: Some(WALL.as_millis()), memory: "m".to_owned() })
    );
    reader.on_handler_gone(at(2), 0.5);
    assert_eq!(reader.step(at(2)), WorkStep::WaitUntil(at_ms(2_100)), "the second pause is longer");
}
