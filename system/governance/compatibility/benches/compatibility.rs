//! What a comparison costs: an event schema against its next version, and a recursive one.
#![forbid(unsafe_code)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use nexus_governance_compatibility::{Mode, Options, Schema, judge};
use serde_json::{Value, json};

fn order(quantity_max: u32, with_note: bool) -> Value {
    let mut schema = json!({
        "type": "object",
        "required": ["order_id", "lines"],
        "additionalProperties": false,
        "properties": {
            "order_id": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
            "lines": {
                "type": "array", "minItems": 1, "maxItems": 50,
                "items": {
                    "type": "object", "required": ["sku", "quantity"], "additionalProperties": false,
                    "properties": {
                        "sku": {"type": "string", "pattern": "^[A-Z0-9][A-Z0-9-]{0,39}$"},
                        "quantity": {"type": "integer", "minimum": 1, "maximum": quantity_max},
                    },
                },
            },
        },
    });
    if with_note {
        schema["properties"]["note"] = json!({"type": "string", "maxLength": 200});
    }
    schema
}

fn tree(leaf: &str) -> Value {
    json!({
        "type": "object", "required": ["value"], "additionalProperties": false,
        "properties": {"value": {"type": leaf}, "children": {"type": "array", "items": {"$ref": "#"}}},
    })
}

fn compatibility(criterion: &mut Criterion) {
    let table = [
        ("compatible", order(999, false), order(999, true)),
        ("incompatible", order(999, false), order(99, false)),
        ("recursive", tree("integer"), tree("number")),
    ];
    let mut group = criterion.benchmark_group("judge");
    for (name, old, new) in table {
        let (old, new) = (Schema::new(old).unwrap(), Schema::new(new).unwrap());
        let options = Options::new(Mode::Full);
        group.bench_function(name, |bencher| bencher.iter(|| judge(black_box(&new), &[black_box(&old)], &options)));
    }
    group.finish();
    criterion.bench_function("read an event schema", |bencher| {
        let text = order(999, true).to_string();
        bencher.iter(|| Schema::parse(black_box(&text)));
    });
}

criterion_group!(benches, compatibility);
criterion_main!(benches);
