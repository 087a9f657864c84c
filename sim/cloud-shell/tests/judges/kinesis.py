"""Kinesis by boto3: one body of calls against our server and moto, then what only a whole run shows, against ours.

Usage: kinesis.py OURS_URL MOTO_URL
Exit codes: 0 as expected, 1 an unexplained difference or an explanation that no longer applies, 2 bad usage.
"""

import json
import re
import sys
import time
from datetime import datetime, timedelta, timezone

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

VOLATILE = {
    "ResponseMetadata", "StreamCreationTimestamp", "SequenceNumber", "StartingSequenceNumber", "EndingSequenceNumber",
    "ApproximateArrivalTimestamp", "ShardIterator", "NextShardIterator", "NextToken", "ConsumerCreationTimestamp",
    "ConsumerARN", "MillisBehindLatest",
}
# Servers have accounts of their own.
ACCOUNT = re.compile(r"(?<=[: ])(000000000000|123456789012)\b")
SPLIT_AT = str(2**126)


def put(name, key, data, **more):
    return (name, "put_record", {"StreamName": "one", "PartitionKey": key, "Data": data, **more})


def entries(*pairs):
    return [{"PartitionKey": key, "Data": data} for key, data in pairs]


CASES = [
    ("create", "create_stream", {"StreamName": "one", "ShardCount": 2}),
    ("create again", "create_stream", {"StreamName": "one", "ShardCount": 2}),
    ("create another", "create_stream", {"StreamName": "two", "ShardCount": 3}),
    ("create on demand", "create_stream", {"StreamName": "free", "StreamModeDetails": {"StreamMode": "ON_DEMAND"}}),
    ("list streams", "list_streams", {}),
    ("describe", "describe_stream", {"StreamName": "two"}),
    ("describe a part", "describe_stream", {"StreamName": "two", "Limit": 2}),
    ("summary", "describe_stream_summary", {"StreamName": "free"}),
    ("describe nothing", "describe_stream", {"StreamName": "nowhere"}),
    ("list shards", "list_shards", {"StreamName": "two"}),
    ("list shards of nothing", "list_shards", {"StreamName": "nowhere"}),
    put("put a", "a", b"first"),
    put("put b", "b", b"second"),
    put("put by hash", "b", b"third", ExplicitHashKey="0"),
    put("put bytes", "b", bytes(range(256))),
    ("put nowhere", "put_record", {"StreamName": "nowhere", "PartitionKey": "a", "Data": b"x"}),
    ("put many", "put_records", {"StreamName": "one", "Records": entries(("a", b"1"), ("b", b"2"), ("c", b"3"), ("d", b""))}),
    ("put too many", "put_records", {"StreamName": "one", "Records": entries(*[("a", b"x")] * 501)}),
    ("put too much", "put_records", {"StreamName": "one", "Records": entries(("a", b"x" * (1024 * 1024 + 1)))}),
    ("put by arn", "put_records", {"StreamARN": "arn:aws:kinesis:us-east-1:{account}:stream/one", "Records": entries(("e", b"5"))}),
    ("iterator of no shard", "get_shard_iterator",
     {"StreamName": "one", "ShardId": "shardId-000000000009", "ShardIteratorType": "LATEST"}),
    ("iterator of no stream", "get_shard_iterator",
     {"StreamName": "nowhere", "ShardId": "shardId-000000000000", "ShardIteratorType": "LATEST"}),
    ("keep too short", "increase_stream_retention_period", {"StreamName": "one", "RetentionPeriodHours": 23}),
    ("keep too long", "increase_stream_retention_period", {"StreamName": "one", "RetentionPeriodHours": 8761}),
    ("keep longer", "increase_stream_retention_period", {"StreamName": "one", "RetentionPeriodHours": 48}),
    ("keep shorter by the wrong name", "increase_stream_retention_period", {"StreamName": "one", "RetentionPeriodHours": 30}),
    ("keep longer by the wrong name", "decrease_stream_retention_period", {"StreamName": "one", "RetentionPeriodHours": 50}),
    ("keep shorter", "decrease_stream_retention_period", {"StreamName": "one", "RetentionPeriodHours": 24}),
    ("tag", "add_tags_to_stream", {"StreamName": "one", "Tags": {"a": "1", "b": "2"}}),
    ("untag", "remove_tags_from_stream", {"StreamName": "one", "TagKeys": ["a"]}),
    ("tags", "list_tags_for_stream", {"StreamName": "one"}),
    ("split no shard", "split_shard",
     {"StreamName": "one", "ShardToSplit": "shardId-000000000009", "NewStartingHashKey": SPLIT_AT}),
    ("split outside", "split_shard",
     {"StreamName": "one", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": str(2**127 + 1)}),
    ("split", "split_shard",
     {"StreamName": "one", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": SPLIT_AT}),
    ("shards after the split", "list_shards", {"StreamName": "one"}),
    ("split again", "split_shard",
     {"StreamName": "one", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": SPLIT_AT}),
    ("merge what does not touch", "merge_shards",
     {"StreamName": "two", "ShardToMerge": "shardId-000000000000", "AdjacentShardToMerge": "shardId-000000000002"}),
    ("merge", "merge_shards",
     {"StreamName": "two", "ShardToMerge": "shardId-000000000000", "AdjacentShardToMerge": "shardId-000000000001"}),
    ("shards after the merge", "list_shards", {"StreamName": "two"}),
    ("scale what scales itself", "update_shard_count",
     {"StreamName": "free", "TargetShardCount": 5, "ScalingType": "UNIFORM_SCALING"}),
    ("register", "register_stream_consumer",
     {"StreamARN": "arn:aws:kinesis:us-east-1:{account}:stream/one", "ConsumerName": "projection"}),
    ("consumers", "list_stream_consumers", {"StreamARN": "arn:aws:kinesis:us-east-1:{account}:stream/one"}),
    ("describe no consumer", "describe_stream_consumer",
     {"StreamARN": "arn:aws:kinesis:us-east-1:{account}:stream/one", "ConsumerName": "nobody"}),
    ("deregister", "deregister_stream_consumer",
     {"StreamARN": "arn:aws:kinesis:us-east-1:{account}:stream/one", "ConsumerName": "projection"}),
    ("delete", "delete_stream", {"StreamName": "two"}),
    ("delete nothing", "delete_stream", {"StreamName": "nowhere"}),
]

# Name of the case: who is nearer to the real service, and why.
EXPLAINED = {
    "create again": ("ours", "moto's whole message is the stream's name"),
    "list streams": ("ours", "the service lists by name, moto by age"),
    "describe": ("ours", "moto leaves StreamModeDetails out, which the service has shown since there are modes"),
    "describe a part": ("ours", "as for describe"),
    "summary": ("ours", "moto leaves out ConsumerCount and MaxRecordSizeInKiB"),
    "iterator of no stream": ("ours", "the service names the shard that it looked for, in public tests against it"),
    "split outside": ("neither", "the service's message is not documented; moto tells one less than the ending key"),
    "merge what does not touch": ("ours", "moto's whole message is the shard's name"),
    "register": ("ours", "a consumer is CREATING first; moto's is ACTIVE at once"),
}


def client(url):
    return boto3.client(
        "kinesis", endpoint_url=url, region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any",
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )


def plain(value):
    """A value as JSON without what differs from run to run."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in sorted(value.items()) if key not in VOLATILE}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, bytes):
        return f"bytes:{value.hex()}"
    if isinstance(value, str):
        return ACCOUNT.sub("ACCOUNT", value)
    return value if isinstance(value, (int, float, bool)) or value is None else str(value)


def run(kinesis, account, case):
    _, operation, parameters = case
    parameters = with_account(parameters, account)
    try:
        return plain(getattr(kinesis, operation)(**parameters))
    except ClientError as error:
        return {"error": error.response["Error"]["Code"], "message": plain(error.response["Error"].get("Message", ""))}


def with_account(value, account):
    """Fills in the account without touching bytes."""
    if isinstance(value, dict):
        return {key: with_account(inner, account) for key, inner in value.items()}
    return value.replace("{account}", account) if isinstance(value, str) else value


def conformance(ours, moto):
    wrong, agreed = [], 0
    for case in CASES:
        name = case[0]
        answers = [run(ours, "000000000000", case), run(moto, "123456789012", case)]
        if answers[0] == answers[1]:
            agreed += 1
            if name in EXPLAINED:
                wrong.append(f"{name}: explained, but both servers agree now: {json.dumps(answers[0])}")
            continue
        shown = f"\n    ours: {json.dumps(answers[0])}\n    moto: {json.dumps(answers[1])}"
        if name in EXPLAINED:
            who, why = EXPLAINED[name]
            print(f"{name}: {who}: {why}{shown}")
        else:
            wrong.append(f"{name}: unexplained{shown}")
    wrong += [f"{name}: explained, but there is no such case" for name in sorted(set(EXPLAINED) - {c[0] for c in CASES})]
    print(f"{len(CASES)} cases, {agreed} agreed, {len(EXPLAINED)} explained, {len(wrong)} wrong")
    return wrong


def read_shard(kinesis, stream, shard, **start):
    start = start or {"ShardIteratorType": "TRIM_HORIZON"}
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, **start)["ShardIterator"]
    records = []
    while iterator:
        page = kinesis.get_records(ShardIterator=iterator, Limit=7)
        records += page["Records"]
        iterator = page.get("NextShardIterator") if page["Records"] or page["MillisBehindLatest"] else None
    return records, page.get("ChildShards", [])


def whole_run(kinesis):
    """Writers, readers, waiters, paginators and resharding, as programs use them."""
    kinesis.create_stream(StreamName="whole", ShardCount=2)
    kinesis.get_waiter("stream_exists").wait(StreamName="whole", WaiterConfig={"Delay": 1})
    before = datetime.now(timezone.utc) - timedelta(seconds=1)
    sent = {}
    for batch in range(4):
        pairs = [(f"key-{number % 9}", f"{batch}-{number}".encode()) for number in range(50)]
        answer = kinesis.put_records(StreamName="whole", Records=entries(*pairs))
        assert answer["FailedRecordCount"] == 0, answer
        for (key, data), result in zip(pairs, answer["Records"]):
            sent.setdefault(key, []).append((result["SequenceNumber"], data))
    found = {}
    first = kinesis.list_shards(StreamName="whole", MaxResults=1)
    rest = kinesis.list_shards(NextToken=first["NextToken"], MaxResults=1)
    shards = [shard["ShardId"] for shard in first["Shards"] + rest["Shards"]]
    assert len(shards) == 2 and "NextToken" not in rest, shards
    try:
        # boto3's own paginator repeats the name beside the token, which the service refuses (botocore issue 2009).
        list(kinesis.get_paginator("list_shards").paginate(StreamName="whole", PaginationConfig={"PageSize": 1}))
        raise AssertionError("a token was taken beside a name")
    except ClientError as error:
        assert error.response["Error"]["Message"] == "NextToken and StreamName cannot be provided together.", error
    for shard in shards:
        for record in read_shard(kinesis, "whole", shard)[0]:
            found.setdefault(record["PartitionKey"], []).append((record["SequenceNumber"], record["Data"]))
            assert abs((record["ApproximateArrivalTimestamp"] - before).total_seconds()) < 60
    assert found == sent
    for start in ({"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": before},
                  {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": sent["key-0"][0][0]}):
        shard = next(shard for shard in shards if any(
            record["PartitionKey"] == "key-0" for record in read_shard(kinesis, "whole", shard)[0]))
        assert read_shard(kinesis, "whole", shard, **start)[0]
    kinesis.update_shard_count(StreamName="whole", TargetShardCount=3, ScalingType="UNIFORM_SCALING")
    while kinesis.describe_stream_summary(StreamName="whole")["StreamDescriptionSummary"]["StreamStatus"] != "ACTIVE":
        time.sleep(0.05)
    lineage = {shard["ShardId"]: shard for shard in kinesis.list_shards(StreamName="whole")["Shards"]}
    children = read_shard(kinesis, "whole", shards[0])[1]
    assert len(children) == 2 and all(lineage[child["ShardId"]]["ParentShardId"] == shards[0] for child in children)
    latest = kinesis.list_shards(StreamName="whole", ShardFilter={"Type": "AT_LATEST"})["Shards"]
    assert len(latest) == 3, latest
    kinesis.delete_stream(StreamName="whole")
    kinesis.get_waiter("stream_not_exists").wait(StreamName="whole", WaiterConfig={"Delay": 1})
    print("writers and readers of kinesis as expected")


def main(ours_url, moto_url):
    ours, moto = client(ours_url), client(moto_url)
    for server in (ours, moto):
        for _ in range(300):
            try:
                server.list_streams()
                break
            except Exception:
                time.sleep(0.1)
        else:
            raise SystemExit("a server did not come up within 30 seconds")
    wrong = conformance(ours, moto)
    for line in wrong:
        print(line, file=sys.stderr)
    whole_run(ours)
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) != 3 or not all(re.match(r"https?://", url) for url in sys.argv[1:]):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(*sys.argv[1:]))
