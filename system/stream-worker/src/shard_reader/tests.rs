use nexus_ports::{NotSent, Rejected, Throttled, UnknownOutcome};
use proptest::prelude::*;

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

/// What the feed, the handler or the listener does next in the property below.
#[derive(Clone, Copy, Debug)]
enum Turn {
    /// A page of this many records.
    Page(usize),
    CursorExpired,
    Trimmed,
    Throttled,
    /// The handler makes all durable but this many.
    Handled {
        keeps_back: usize,
        accepts_more: bool,
    },
    Panicked,
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        4 => (0usize..4).prop_map(Turn::Page),
        1 => Just(Turn::CursorExpired),
        1 => Just(Turn::Trimmed),
        1 => Just(Turn::Throttled),
        4 => (0usize..3, any::<bool>()).prop_map(|(keeps_back, accepts_more)| Turn::Handled { keeps_back, accepts_more }),
        1 => Just(Turn::Panicked),
    ]
}

/// A shard of `total` records, numbered from 1, and a handler.
struct Model {
    total: usize,
    /// The next record that the open cursor gives.
    cursor_at: usize,
    /// Records that the present handler was given and has not made durable.
    held: Vec<SequenceNumber>,
    durable: usize,
}

impl Model {
    /// Carries out one step, as the turn has it where the turn fits it, else smoothly.
    fn carry_out(
        &mut self,
        reader: &mut ShardReader,
        step: WorkStep,
        turn: Turn,
        now: Monotonic,
    ) -> Result<(), TestCaseError> {
        match step {
            WorkStep::Open(FeedStart::Oldest) => {
                self.cursor_at = 1;
                reader.on_open(Ok(cursor("c")), now, WALL, 0.5);
            }
            WorkStep::Open(FeedStart::After(number)) => {
                self.cursor_at = number.as_str().parse::<usize>().unwrap() + 1;
                reader.on_open(Ok(cursor("c")), now, WALL, 0.5);
            }
            WorkStep::Read(_) => {
                let failure = match turn {
                    Turn::CursorExpired => Some(FeedFailure::CursorExpired),
                    Turn::Trimmed => Some(FeedFailure::Trimmed),
                    Turn::Throttled => Some(FeedFailure::Throttled(Throttled { code: String::new() })),
                    _ => None,
                };
                let count = if let Turn::Page(count) = turn { count } else { 1 };
                let end = (self.cursor_at + count).min(self.total + 1);
                let values: Vec<u64> = (self.cursor_at..end).map(|value| value as u64).collect();
                let answer = failure.map_or_else(|| Ok(page(&values, (end <= self.total).then_some("c"))), Err);
                if answer.is_ok() {
                    self.cursor_at = end;
                }
                reader.on_page(answer, now, WALL, now, 0.5);
            }
            WorkStep::Handle if matches!(turn, Turn::Panicked) => {
                reader.begin_handle();
                self.held.clear();
                reader.on_handler_gone(now, 0.5);
            }
            WorkStep::Handle => self.handle(reader, turn, now)?,
            WorkStep::ReportGap(_) => reader.on_gap_reported(!matches!(turn, Turn::Throttled), WALL, now, 0.5),
            WorkStep::LookForShard => prop_assert!(false, "the shard was never missing"),
            WorkStep::WaitUntil(_) | WorkStep::Finish => {}
        }
        Ok(())
    }

    fn handle(&mut self, reader: &mut ShardReader, turn: Turn, now: Monotonic) -> Result<(), TestCaseError> {
        let records = reader.begin_handle();
        for record in records {
            let expected = self.held.last().map_or(self.durable, |last| last.as_str().parse().unwrap()) + 1;
            prop_assert_eq!(
                &record.sequence_number,
                &number(expected as u64),
                "each handler gets each record once, in order"
            );
            self.held.push(record.sequence_number);
        }
        let (keeps_back, accepts_more) = match turn {
            Turn::Handled { keeps_back, accepts_more } => (keeps_back, accepts_more),
            _ => (0, true),
        };
        let count = self.held.len().saturating_sub(keeps_back);
        let through = self.held.drain(..count).next_back();
        if let Some(through) = &through {
            self.durable = through.as_str().parse().unwrap();
        }
        let answer = Handled {
            durable_through: through,
            memory: self.durable.to_string(),
            call_again_after: None,
            accepts_more,
        };
        reader.on_handled(answer, now);
        Ok(())
    }
}

proptest! {
    /// Whatever the feed and the handler do: no record is skipped or given twice to one handler, progress is what the
    /// handler made durable and comes with its memory, no step is due again at once for ever, and the shard is finished
    /// exactly when everything is durable.
    #[test]
    fn any_feed_is_read_to_its_end(total in 0usize..12, turns in proptest::collection::vec(turn(), 0..80)) {
        let mut reader = reader(ShardProgress::Untouched);
        let mut model = Model { total, cursor_at: 1, held: Vec::new(), durable: 0 };
        let mut now = at(0);
        let mut turns = turns.into_iter().chain(std::iter::repeat(Turn::Page(3)));
        for _ in 0..400 {
            let step = reader.step(now);
            if step == WorkStep::Finish {
                break;
            }
            if let WorkStep::WaitUntil(until) = step {
                prop_assert!(until > now, "a wait that is over already");
                now = until;
                continue;
            }
            model.carry_out(&mut reader, step, turns.next().unwrap(), now)?;
            let wanted = if model.durable == 0 { ShardProgress::Untouched } else { after(model.durable as u64) };
            prop_assert_eq!(reader.durable().0, &wanted);
            if model.durable > 0 {
                prop_assert_eq!(&reader.durable().1.memory, &model.durable.to_string());
            }
        }
        prop_assert_eq!(reader.step(now), WorkStep::Finish);
        prop_assert_eq!(model.durable, total);
    }
}

#[test]
fn a_slow_feed_is_given_more_time_until_it_answers() {
    let mut reader = opened(ShardProgress::Untouched);
    let mut found_ms = Vec::new();
    for attempt in 1..6 {
        let patience = reader.read_patience(Duration::from_millis(300), Duration::from_secs(2));
        found_ms.push(patience.as_millis());
        let late = FeedFailure::NoAnswer(UnknownOutcome { reason: "late".to_owned() });
        reader.on_page(Err(late), at(attempt), WALL, at(attempt), 0.5);
    }
    assert_eq!(found_ms, [300, 600, 1_200, 2_000, 2_000]);
    reader.on_page(Ok(page(&[], Some("c2"))), at(9), WALL, at(9), 0.0);
    assert_eq!(reader.read_patience(Duration::from_millis(300), Duration::from_secs(2)).as_millis(), 300);
}
