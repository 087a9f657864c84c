//! Histograms against a plain sorted list, and their form in files.
#![forbid(unsafe_code)]

use nexus_reports::{EncodedLatencies, HistogramError, LONGEST_US, Latencies};
use proptest::prelude::*;

/// Half the spacing that three significant digits leave, rounded up: 1 in 1000 of the value.
fn is_close(measured_ms: f64, exact_us: u64) -> bool {
    let exact_ms = exact_us as f64 / 1_000.0;
    (measured_ms - exact_ms).abs() <= exact_ms / 1_000.0 + 1e-9
}

/// The nearest-rank percentile: the smallest latency that `percentile` per cent do not exceed.
fn naive_percentile(latencies_us: &[u64], percentile: f64) -> u64 {
    let mut sorted = latencies_us.to_vec();
    sorted.sort_unstable();
    let rank = (percentile / 100.0 * sorted.len() as f64 - 1e-9).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

fn latencies_us() -> impl Strategy<Value = Vec<u64>> {
    let magnitudes = prop_oneof![0_u64..10, 1_u64..10_000, 1_000_u64..5_000_000, 0..=LONGEST_US];
    prop::collection::vec(magnitudes, 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn percentiles_agree_with_a_sorted_list(latencies_us in latencies_us()) {
        let latencies: Latencies = latencies_us.iter().copied().collect();
        prop_assert_eq!(latencies.count(), latencies_us.len() as u64);
        for percentile in [0.0, 1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 100.0] {
            let (measured_ms, exact_us) = (latencies.percentile_ms(percentile).unwrap(), naive_percentile(&latencies_us, percentile));
            prop_assert!(is_close(measured_ms, exact_us), "p{} is {} ms, exactly {} µs", percentile, measured_ms, exact_us);
        }
        let exact_mean_ms = latencies_us.iter().sum::<u64>() as f64 / latencies_us.len() as f64 / 1_000.0;
        prop_assert!((latencies.mean_ms().unwrap() - exact_mean_ms).abs() <= exact_mean_ms / 1_000.0 + 1e-9);
    }

    #[test]
    fn merging_is_recording_it_all(first in latencies_us(), second in latencies_us()) {
        let mut merged: Latencies = first.iter().copied().collect();
        merged.merge(&second.iter().copied().collect());
        let mut other_way: Latencies = second.iter().copied().collect();
        other_way.merge(&first.iter().copied().collect());
        let at_once: Latencies = first.iter().chain(&second).copied().collect();
        prop_assert_eq!(merged.encode(), at_once.encode());
        prop_assert_eq!(other_way.encode(), at_once.encode());
        prop_assert_eq!(merged, at_once);
    }

    #[test]
    fn the_form_for_files_loses_nothing(latencies_us in latencies_us()) {
        let latencies: Latencies = latencies_us.iter().copied().collect();
        let encoded = latencies.encode();
        prop_assert_eq!(&encoded.decode(), &latencies);
        prop_assert_eq!(encoded.decode().encode(), encoded.clone());
        prop_assert_eq!(EncodedLatencies::parse(encoded.as_str()).unwrap(), encoded);
        prop_assert_eq!(Latencies::new().encode().decode().count(), 0);
    }

    #[test]
    fn the_curve_rises_to_the_longest(latencies_us in latencies_us()) {
        let latencies: Latencies = latencies_us.iter().copied().collect();
        let curve = latencies.curve(10);
        prop_assert!(curve.windows(2).all(|pair| pair[0].quantile < pair[1].quantile && pair[0].latency_ms <= pair[1].latency_ms));
        prop_assert_eq!(curve.last().map(|point| point.latency_ms), latencies.max_ms());
        prop_assert!(curve.iter().all(|point| (0.0..1.0).contains(&point.quantile)));
    }

    #[test]
    fn damage_is_an_error_and_no_panic(latencies_us in latencies_us(), place in any::<prop::sample::Index>(), byte in b'A'..=b'Z') {
        let encoded = latencies_us.iter().copied().collect::<Latencies>().encode();
        let mut text = encoded.as_str().as_bytes().to_vec();
        let place = place.index(text.len());
        text[place] = byte;
        let text = String::from_utf8(text).unwrap();
        if let Ok(read) = EncodedLatencies::parse(&text) {
            read.decode();
        }
        prop_assert!(EncodedLatencies::parse(&text[..text.len() / 2]).is_err());
    }
}

#[test]
fn an_empty_histogram_has_no_percentiles() {
    let empty = Latencies::new();
    assert_eq!((empty.count(), empty.p50_ms(), empty.max_ms(), empty.mean_ms()), (0, None, None, None));
    assert!(empty.curve(10).is_empty());
    assert_eq!(EncodedLatencies::default().decode(), empty);
}

#[test]
fn latencies_over_an_hour_count_as_one_hour() {
    let latencies: Latencies = [u64::MAX].into_iter().collect();
    assert_eq!(latencies.max_ms(), Some(3_600_000.0));
}

#[test]
fn other_texts_are_no_histograms() {
    assert!(matches!(EncodedLatencies::parse("not base64!"), Err(HistogramError::NotBase64 { .. })));
    assert!(matches!(EncodedLatencies::parse("AAAA"), Err(HistogramError::NotAHistogram { .. })));
}
