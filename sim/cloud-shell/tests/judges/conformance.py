"""One body of DynamoDB calls, made by boto3 against two servers; every difference must be known and explained.

Usage: conformance.py OURS_URL MOTO_URL
Exit codes: 0 as expected, 1 an unexplained difference or an explanation that no longer applies, 2 bad usage.
"""

import json
import re
import sys
import time

import boto3
from boto3.dynamodb.types import Binary
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError

from cases import CASES, EXPLAINED, TABLES

VOLATILE = {
    "ResponseMetadata", "CreationDateTime", "TableArn", "TableId", "StreamArn", "LatestStreamArn", "LatestStreamLabel",
    "StreamLabel", "CreationRequestDateTime", "ShardIterator", "NextShardIterator", "SequenceNumber", "eventID",
    "ApproximateCreationDateTime", "LastUpdateToPayPerRequestDateTime", "IndexArn", "LastIncreaseDateTime",
    "LastDecreaseDateTime",
}


def client(service, url):
    return boto3.client(
        service, endpoint_url=url, region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any",
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )


def plain(value):
    """A value as JSON without what differs from run to run."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in sorted(value.items()) if key not in VOLATILE}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, (bytes, bytearray, Binary)):
        return f"bytes:{bytes(value).hex()}"
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    return str(value)


def run(url, case):
    """What one server answers: the response, or the error's code and message with its details."""
    name, operation, parameters = case
    try:
        response = plain(getattr(client("dynamodb", url), operation)(**parameters))
        if "ReturnConsumedCapacity" not in parameters:
            # moto reports capacity that nobody asked for, and empty metrics with it.
            response.pop("ConsumedCapacity", None)
            if not response.get("ItemCollectionMetrics"):
                response.pop("ItemCollectionMetrics", None)
        return response
    except ClientError as error:
        outcome = {"error": error.response["Error"]["Code"], "message": error.response["Error"].get("Message", "")}
        for detail in ("CancellationReasons", "Item"):
            if detail in error.response:
                outcome[detail] = plain(error.response[detail])
        return outcome


def wait_until_reachable(dynamodb):
    for _ in range(300):
        try:
            dynamodb.list_tables()
            return
        except EndpointConnectionError:
            time.sleep(0.1)
    raise SystemExit("a server did not come up within 30 seconds")


def prepare(url):
    dynamodb = client("dynamodb", url)
    wait_until_reachable(dynamodb)
    for table in TABLES:
        dynamodb.create_table(**table)
    for table in TABLES:
        while dynamodb.describe_table(TableName=table["TableName"])["Table"]["TableStatus"] != "ACTIVE":
            time.sleep(0.05)


def sort_sets(value):
    """Sets have no order on the wire."""
    if isinstance(value, dict):
        return {
            key: sorted(inner) if key in ("SS", "NS", "BS") and isinstance(inner, list) else sort_sets(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [sort_sets(inner) for inner in value]
    return value


def main(ours_url, moto_url):
    prepare(ours_url)
    prepare(moto_url)
    wrong, agreed = [], 0
    for case in CASES:
        name = case[0]
        ours, moto = sort_sets(run(ours_url, case)), sort_sets(run(moto_url, case))
        if ours == moto:
            agreed += 1
            if name in EXPLAINED:
                wrong.append(f"{name}: explained, but both servers agree now: {json.dumps(ours)}")
            continue
        shown = f"\n    ours: {json.dumps(ours)}\n    moto: {json.dumps(moto)}"
        if name in EXPLAINED:
            who, why = EXPLAINED[name]
            print(f"{name}: {who}: {why}{shown}")
        else:
            wrong.append(f"{name}: unexplained{shown}")
    unknown = set(EXPLAINED) - {case[0] for case in CASES}
    wrong += [f"{name}: explained, but there is no such case" for name in sorted(unknown)]
    print(f"{len(CASES)} cases, {agreed} agreed, {len(EXPLAINED)} explained, {len(wrong)} wrong")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) != 3 or not all(re.match(r"https?://", url) for url in sys.argv[1:]):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(*sys.argv[1:]))
