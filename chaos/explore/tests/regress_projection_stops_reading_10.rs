//! `read-model-is-the-fold` broke in `projection-stops-reading` with seed 10 in the code before commit 25e300e mended it:
//! read-model-is-the-fold: The view of order-o-21-1 ends at version 0 although 1 is stored.
//!
//! Generated from its bug report: the trial below is data, and playing it is a pure function of it. It must hold,
//! with every one of its faults fired: a fault that no longer fires proves nothing.
#![forbid(unsafe_code)]
#![cfg(not(madsim))]

use nexus_explore::{Trial, judge, play};
use nexus_reports::Verdict;

const TRIAL: &str = r#"{
  "format_version": 2,
  "scenario": "projection-stops-reading",
  "tier": "regress",
  "engine": "turmoil",
  "seed": 10,
  "topology": {
    "command_services": 1,
    "servers": 1,
    "service_time_us": 300
  },
  "bus": {
    "routers": 1,
    "projections": 1,
    "notifiers": 1,
    "dlq_processors": 1,
    "hosting": "worker",
    "core_shards": 1,
    "table_shard_records": 0,
    "service_time_us": 100,
    "lease_duration_ms": 30000,
    "visibility_s": 30,
    "redelivery_max_s": 300,
    "dead_letter_retention_s": 1209600,
    "redrive_from_ms": 0,
    "batch_max": 0
  },
  "registry": {
    "is_asked": false,
    "fresh_ms": 300000,
    "negative_ms": 3000,
    "stale_ms": 1800000
  },
  "service": {
    "connect_timeout_ms": 500,
    "attempt_timeout_ms": 1000,
    "request_deadline_ms": 8000,
    "customer_timeout_ms": 10000
  },
  "network": {
    "latency_min_us": 200,
    "latency_max_us": 800,
    "tick_ms": 5
  },
  "phases": {
    "nominal_ms": 4000,
    "chaos_ms": 16000,
    "heal_ms": 4000,
    "drain_ms": 90000
  },
  "workload": {
    "customers": 16,
    "operations": [
      {
        "id": 0,
        "at_ms": 6,
        "customer": 4,
        "action": {
          "action": "command",
          "role": "customer",
          "idempotency_key": "key-0",
          "body": {
            "currency": "EUR",
            "customer_id": "c-4",
            "lines": [
              {
                "quantity": 5,
                "sku": "SKU-10",
                "unit_price_cents": 736
              }
            ],
            "order_id": "o-0-1",
            "type": "PlaceOrder"
          }
        }
      },
      {
        "id": 13,
        "at_ms": 6315,
        "customer": 6,
        "action": {
          "action": "command",
          "role": "payments",
          "idempotency_key": "key-13",
          "body": {
            "amount_cents": 3680,
            "order_id": "o-0-1",
            "payment_id": "p-0-1",
            "type": "ConfirmPayment"
          }
        }
      },
      {
        "id": 19,
        "at_ms": 11102,
        "customer": 6,
        "action": {
          "action": "command",
          "role": "customer",
          "idempotency_key": "key-19",
          "body": {
            "currency": "EUR",
            "customer_id": "c-6",
            "lines": [
              {
                "quantity": 1,
                "sku": "SKU-18",
                "unit_price_cents": 10136
              },
              {
                "quantity": 3,
                "sku": "SKU-14",
                "unit_price_cents": 18627
              },
              {
                "quantity": 5,
                "sku": "SKU-16",
                "unit_price_cents": 14877
              }
            ],
            "order_id": "o-21-1",
            "type": "PlaceOrder"
          }
        }
      }
    ]
  },
  "faults": [
    {
      "id": 2,
      "fault": {
        "environment": {
          "what": "partition",
          "first": "dynamodb",
          "second": "projection-1",
          "one_way": false,
          "from_ms": 4545,
          "until_ms": 9858
        }
      }
    }
  ],
  "assumptions": {
    "missing_attribute_is_not_equal": true,
    "burst_seconds": 300,
    "latency_tail_share": 0.0005,
    "stale_read_share": 0.05,
    "stale_read_max_ms": 100,
    "index_lag_p50_ms": 10.0,
    "index_lag_p99_ms": 500.0,
    "stream_lag_p50_ms": 50.0,
    "stream_lag_p99_ms": 350.0,
    "stream_lag_max_ms": 5000.0,
    "stream_torn_share": 0.3,
    "stream_torn_max_ms": 1500.0,
    "unknown_members_refused": true,
    "stream_readers_limited": true,
    "token_window_seconds": 600,
    "ttl_delay_seconds": 14400,
    "kinesis_lag_p50_ms": 30.0,
    "kinesis_lag_p99_ms": 400.0,
    "kinesis_empty_page_share": 0.02,
    "kinesis_arrival_jitter_ms": 5,
    "sqs_delivery_p50_ms": 3.0,
    "sqs_delivery_p99_ms": 60.0,
    "sqs_reorder_share": 0.01,
    "sqs_reorder_max_ms": 500.0,
    "sqs_duplicate_share": 0.0005,
    "sqs_short_poll_empty_share": 0.02,
    "sqs_stale_delete_share": 0.1,
    "sns_delivery_p50_ms": 20.0,
    "sns_delivery_p99_ms": 160.0,
    "sns_fifo_delivery_p50_ms": 30.0,
    "sns_fifo_delivery_p99_ms": 430.0,
    "sns_lambda_delivery_p50_ms": 65.0,
    "sns_lambda_delivery_p99_ms": 205.0,
    "sns_filter_lag_seconds": 15,
    "lambda_unknown_sequence_fails_batch": true,
    "lambda_async_p50_ms": 5.0,
    "lambda_async_p99_ms": 25.0,
    "glue_json_compatibility_enforced": true,
    "glue_pending_p50_ms": 300.0,
    "glue_pending_p99_ms": 4000.0
  }
}"#;

#[test]
fn read_model_is_the_fold_holds_in_projection_stops_reading_seed_10() {
    let trial: Trial = serde_json::from_str(TRIAL).expect("the trial has this revision's format");
    let output = judge(&trial, &play(&trial), false);
    assert_eq!(output.record.verdict, Verdict::Held, "{}: {:#?}", output.record.reason, output.violations);
}
