"""Lambda of boto3: its errors beside moto's, and functions hosted by this program. Usage: functions.py OURS_URL MOTO_URL"""

import json
import sys
import threading
import time
import urllib.error
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError

OPTIONS = {"region_name": "us-east-1", "aws_access_key_id": "any", "aws_secret_access_key": "any"}
ONE_TRY = Config(retries={"total_max_attempts": 1}, parameter_validation=False, read_timeout=120)
ROLE = {"Version": "2012-10-17", "Statement": []}
MISSING = "00000000-0000-4000-8000-000000000000"

# name, operation, parameters: what each server answers is compared by its error code, or by success.
CASES = [
    ("get missing", "get_function", {"FunctionName": "missing"}),
    ("configuration of missing", "get_function_configuration", {"FunctionName": "missing"}),
    ("delete missing", "delete_function", {"FunctionName": "missing"}),
    ("invoke missing", "invoke", {"FunctionName": "missing"}),
    ("get", "get_function", {"FunctionName": "hosted"}),
    ("get by arn", "get_function", {"FunctionName": "arn:aws:lambda:us-east-1:123456789012:function:hosted"}),
    ("concurrency", "put_function_concurrency", {"FunctionName": "hosted", "ReservedConcurrentExecutions": 5}),
    ("read concurrency", "get_function_concurrency", {"FunctionName": "hosted"}),
    ("no concurrency", "delete_function_concurrency", {"FunctionName": "hosted"}),
    ("list", "list_functions", {}),
    ("mapping missing", "get_event_source_mapping", {"UUID": MISSING}),
    ("delete mapping missing", "delete_event_source_mapping", {"UUID": MISSING}),
    ("update mapping missing", "update_event_source_mapping", {"UUID": MISSING, "BatchSize": 5}),
    ("list mappings", "list_event_source_mappings", {"FunctionName": "hosted"}),
    ("map a missing function", "create_event_source_mapping",
     {"FunctionName": "missing", "EventSourceArn": "arn:aws:sqs:us-east-1:123456789012:q"}),
    ("map a large batch without window", "create_event_source_mapping",
     {"FunctionName": "hosted", "EventSourceArn": "arn:aws:sqs:us-east-1:123456789012:q", "BatchSize": 11}),
]

# Differences that are right: name -> why ours stands.
EXPLAINED = {
    "map a large batch without window": "moto looks for the queue before the size of batches",
    "update mapping missing": "moto succeeds; the service's model lists ResourceNotFoundException",
    "delete mapping missing": "moto succeeds; the service's model lists ResourceNotFoundException",
}


def client(service, url):
    return boto3.client(service, endpoint_url=url, config=ONE_TRY, **OPTIONS)


def create(url):
    role = "arn:aws:iam::123456789012:role/lambda"
    return client("lambda", url).create_function(
        FunctionName="hosted", Runtime="python3.12", Role=role, Handler="h.h", Code={"ZipFile": b"UEsFBg"}, Timeout=2)


def wait_until_reachable(url):
    for _ in range(300):
        try:
            client("lambda", url).list_functions()
            return
        except EndpointConnectionError:
            time.sleep(0.1)
    raise SystemExit("a server did not come up within 30 seconds")


def outcome(url, operation, parameters):
    try:
        getattr(client("lambda", url), operation)(**parameters)
        return "success"
    except ClientError as error:
        return error.response["Error"]["Code"]


def compare(ours_url, moto_url):
    client("iam", moto_url).create_role(RoleName="lambda", AssumeRolePolicyDocument=json.dumps(ROLE))
    create(moto_url)
    wrong, differing = 0, []
    for name, operation, parameters in CASES:
        ours, moto = outcome(ours_url, operation, parameters), outcome(moto_url, operation, parameters)
        if ours != moto:
            differing.append(name)
            explained = name in EXPLAINED
            wrong += not explained
            print(f"{'explained' if explained else 'WRONG'}: {name}: ours {ours}, moto {moto}")
    return wrong, differing


class Runtime(threading.Thread):
    """A runtime client as execution environments have one: asks, works, answers, for ever."""

    def __init__(self, url, handler):
        super().__init__(daemon=True)
        self.base = f"{url}/functions/hosted/2018-06-01/runtime"
        self.handler = handler

    def run(self):
        while True:
            with urllib.request.urlopen(f"{self.base}/invocation/next", timeout=120) as response:
                request_id = response.headers["Lambda-Runtime-Aws-Request-Id"]
                assert int(response.headers["Lambda-Runtime-Deadline-Ms"]) > time.time() * 1000
                event = json.loads(response.read())
            try:
                end, answer = "response", self.handler(event)
            except ValueError as error:
                end, answer = "error", {"errorType": "ValueError", "errorMessage": str(error)}
            body = json.dumps(answer).encode()
            request = urllib.request.Request(f"{self.base}/invocation/{request_id}/{end}", data=body, method="POST")
            try:
                urllib.request.urlopen(request, timeout=10).close()
            except urllib.error.HTTPError as refused:
                assert refused.code == 400, refused


def host(url):
    batches = []

    def handler(event):
        if "Records" in event:
            batches.append(event["Records"])
            return {"batchItemFailures": []}
        if event.get("fail"):
            raise ValueError("on purpose")
        if event.get("sleep"):
            time.sleep(event["sleep"])
        return {"echo": event}

    functions = client("lambda", url)
    Runtime(url, handler).start()
    answer = functions.invoke(FunctionName="hosted", Payload=json.dumps({"n": 1}))
    assert answer["StatusCode"] == 200 and "FunctionError" not in answer, answer
    assert json.loads(answer["Payload"].read()) == {"echo": {"n": 1}}
    failed = functions.invoke(FunctionName="hosted", Payload=json.dumps({"fail": True}))
    assert failed["FunctionError"] == "Unhandled"
    assert json.loads(failed["Payload"].read())["errorType"] == "ValueError"
    late = functions.invoke(FunctionName="hosted", Payload=json.dumps({"sleep": 3}))
    assert "timed out after 2.00 seconds" in json.loads(late["Payload"].read())["errorMessage"]
    accepted = functions.invoke(FunctionName="hosted", InvocationType="Event", Payload=b"{}")
    assert accepted["StatusCode"] == 202
    return batches


def follow_a_table(url, batches):
    dynamodb, functions = client("dynamodb", url), client("lambda", url)
    table = dynamodb.create_table(
        TableName="followed", BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})["TableDescription"]
    dynamodb.get_waiter("table_exists").wait(TableName="followed")
    settings = {"EventSourceArn": table["LatestStreamArn"], "FunctionName": "hosted"}
    mapping = functions.create_event_source_mapping(
        StartingPosition="TRIM_HORIZON", BatchSize=4, FunctionResponseTypes=["ReportBatchItemFailures"], **settings)
    assert mapping["State"] == "Creating", mapping
    try:
        functions.create_event_source_mapping(StartingPosition="LATEST", **settings)
        raise AssertionError("a second mapping was taken")
    except functions.exceptions.ResourceConflictException as error:
        assert mapping["UUID"] in str(error), error
    for number in range(20):
        dynamodb.put_item(TableName="followed", Item={"pk": {"S": f"k{number}"}})
    wanted = {f"k{number}" for number in range(20)}
    for _ in range(200):
        seen = {record["dynamodb"]["Keys"]["pk"]["S"] for batch in batches for record in batch}
        if seen == wanted:
            break
        time.sleep(0.1)
    assert seen == wanted, wanted - seen
    assert all(1 <= len(batch) <= 4 for batch in batches), [len(batch) for batch in batches]
    described = functions.get_event_source_mapping(UUID=mapping["UUID"])
    assert (described["State"], described["LastProcessingResult"]) == ("Enabled", "OK"), described
    functions.delete_event_source_mapping(UUID=mapping["UUID"])


def main(ours_url, moto_url):
    wait_until_reachable(ours_url)
    wait_until_reachable(moto_url)
    created = create(ours_url)
    assert created["State"] == "Active" and created["Timeout"] == 2, created
    try:
        create(ours_url)
        raise AssertionError("created twice")
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ResourceConflictException", error
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 409
    wrong, differing = compare(ours_url, moto_url)
    unused = set(EXPLAINED) - set(differing)
    assert not unused, f"explanations that no longer apply: {sorted(unused)}"
    batches = host(ours_url)
    follow_a_table(ours_url, batches)
    print(f"{len(CASES)} cases, {len(differing)} explained, {wrong} wrong; functions as expected")
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    raise SystemExit(main(sys.argv[1], sys.argv[2]))
