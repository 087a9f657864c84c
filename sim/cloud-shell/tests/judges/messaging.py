"""One body of SQS and SNS calls, made by boto3 against two servers; every difference must be known and explained.

Usage: messaging.py OURS_URL MOTO_URL
Exit codes: 0 as expected, 1 an unexplained difference or an explanation that no longer applies, 2 bad usage.
"""

import json
import re
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError

OPTIONS = {"region_name": "us-east-1", "aws_access_key_id": "any", "aws_secret_access_key": "any"}

VOLATILE = {
    "ResponseMetadata", "MessageId", "ReceiptHandle", "SenderId", "SentTimestamp", "ApproximateFirstReceiveTimestamp",
    "SequenceNumber", "CreatedTimestamp", "LastModifiedTimestamp", "SubscriptionArn", "TaskHandle", "StartedTimestamp",
    "Timestamp", "Signature", "SigningCertURL", "UnsubscribeURL", "NextToken", "Policy", "EffectiveDeliveryPolicy",
    "Message",
}


def attribute(text, data_type="String"):
    return {"DataType": data_type, "StringValue": text}


def queue(name):
    return lambda seen: f"{seen['url']}/{seen['account']}/{name}"


def queue_arn(name):
    return lambda seen: f"arn:aws:sqs:us-east-1:{seen['account']}:{name}"


def topic_arn(name):
    return lambda seen: f"arn:aws:sns:us-east-1:{seen['account']}:{name}"


def handle(case, index=0):
    """The receipt handle of a message that an earlier case received."""
    return lambda seen: seen[case]["Messages"][index]["ReceiptHandle"]


def redrive(name, count):
    return lambda seen: json.dumps({"deadLetterTargetArn": queue_arn(name)(seen), "maxReceiveCount": count})


def entries(*bodies, **more):
    return [{"Id": f"e{index}", "MessageBody": body, **more} for index, body in enumerate(bodies)]


FIFO = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
ALL = {"AttributeNames": ["All"], "MessageAttributeNames": ["All"], "MaxNumberOfMessages": 10}


def sqs(name, operation, **parameters):
    return (name, "sqs", operation, parameters)


def sns(name, operation, **parameters):
    return (name, "sns", operation, parameters)


CASES = [
    # Queues
    sqs("create", "create_queue", QueueName="q"),
    sqs("create again", "create_queue", QueueName="q"),
    sqs("create otherwise", "create_queue", QueueName="q", Attributes={"DelaySeconds": "5"}),
    sqs("create badly named", "create_queue", QueueName="a b"),
    sqs("create without fifo suffix", "create_queue", QueueName="x", Attributes={"FifoQueue": "true"}),
    sqs("create fifo", "create_queue", QueueName="q.fifo", Attributes=FIFO),
    sqs("create dead", "create_queue", QueueName="dead"),
    sqs("create redriven", "create_queue", QueueName="redriven",
        Attributes={"RedrivePolicy": redrive("dead", 1), "VisibilityTimeout": "0"}),
    sqs("get url", "get_queue_url", QueueName="q"),
    sqs("get url of none", "get_queue_url", QueueName="none"),
    sqs("list", "list_queues"),
    sqs("list by prefix", "list_queues", QueueNamePrefix="q"),
    sqs("list none", "list_queues", QueueNamePrefix="zzz"),
    sqs("create with bad attribute", "create_queue", QueueName="x", Attributes={"Colour": "red"}),
    sqs("create scrap", "create_queue", QueueName="scrap"),
    sqs("attributes", "get_queue_attributes", QueueUrl=queue("q"), AttributeNames=["VisibilityTimeout", "QueueArn"]),
    sqs("attributes of fifo", "get_queue_attributes", QueueUrl=queue("q.fifo"),
        AttributeNames=["FifoQueue", "ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit"]),
    sqs("redrive policy", "get_queue_attributes", QueueUrl=queue("redriven"), AttributeNames=["RedrivePolicy"]),
    sqs("unknown attribute", "get_queue_attributes", QueueUrl=queue("q"), AttributeNames=["Colour"]),
    sqs("set attribute", "set_queue_attributes", QueueUrl=queue("q"), Attributes={"VisibilityTimeout": "60"}),
    sqs("see attribute", "get_queue_attributes", QueueUrl=queue("q"), AttributeNames=["VisibilityTimeout"]),
    sqs("tag", "tag_queue", QueueUrl=queue("q"), Tags={"team": "orders", "cost": "1"}),
    sqs("untag", "untag_queue", QueueUrl=queue("q"), TagKeys=["cost"]),
    sqs("tags", "list_queue_tags", QueueUrl=queue("q")),
    sqs("dead letter sources", "list_dead_letter_source_queues", QueueUrl=queue("dead")),
    # Messages
    sqs("send", "send_message", QueueUrl=queue("q"), MessageBody="hello",
        MessageAttributes={"kind": attribute("greeting"), "n": attribute("7", "Number"),
                           "raw": {"DataType": "Binary", "BinaryValue": b"\x00\x01"}}),
    sqs("receive", "receive_message", QueueUrl=queue("q"), **ALL),
    sqs("receive hidden", "receive_message", QueueUrl=queue("q")),
    sqs("show", "change_message_visibility", QueueUrl=queue("q"), ReceiptHandle=handle("receive"), VisibilityTimeout=0),
    sqs("receive again", "receive_message", QueueUrl=queue("q"), **ALL),
    sqs("delete", "delete_message", QueueUrl=queue("q"), ReceiptHandle=handle("receive again")),
    sqs("delete again", "delete_message", QueueUrl=queue("q"), ReceiptHandle=handle("receive again")),
    sqs("delete nonsense", "delete_message", QueueUrl=queue("q"), ReceiptHandle="nonsense"),
    sqs("receive nothing", "receive_message", QueueUrl=queue("q")),
    sqs("send to none", "send_message", QueueUrl=queue("none"), MessageBody="m"),
    sqs("send nothing", "send_message", QueueUrl=queue("scrap"), MessageBody=""),
    sqs("send control character", "send_message", QueueUrl=queue("scrap"), MessageBody="\x01"),
    sqs("send too much", "send_message", QueueUrl=queue("q"), MessageBody="x" * 1_048_577),
    sqs("send too late", "send_message", QueueUrl=queue("q"), MessageBody="m", DelaySeconds=901),
    sqs("send bad attribute", "send_message", QueueUrl=queue("q"), MessageBody="m",
        MessageAttributes={"kind": attribute("x", "Text")}),
    sqs("receive too many", "receive_message", QueueUrl=queue("q"), MaxNumberOfMessages=11),
    sqs("receive too long", "receive_message", QueueUrl=queue("q"), WaitTimeSeconds=21),
    sqs("batch", "send_message_batch", QueueUrl=queue("q"), Entries=entries("a", "b", "c")),
    sqs("receive batch", "receive_message", QueueUrl=queue("q"), **ALL),
    sqs("delete batch", "delete_message_batch", QueueUrl=queue("q"), Entries=[
        {"Id": "good", "ReceiptHandle": handle("receive batch", 0)}, {"Id": "bad", "ReceiptHandle": "nonsense"}]),
    sqs("change batch", "change_message_visibility_batch", QueueUrl=queue("q"), Entries=[
        {"Id": "good", "ReceiptHandle": handle("receive batch", 1), "VisibilityTimeout": 5}]),
    sqs("empty batch", "send_message_batch", QueueUrl=queue("q"), Entries=[]),
    sqs("large batch", "send_message_batch", QueueUrl=queue("q"), Entries=entries(*"abcdefghijk")),
    sqs("batch with the same ids", "send_message_batch", QueueUrl=queue("q"), Entries=entries("a") * 2),
    sqs("batch with a bad id", "send_message_batch", QueueUrl=queue("q"), Entries=[{"Id": "a b", "MessageBody": "m"}]),
    sqs("purge", "purge_queue", QueueUrl=queue("q")),
    sqs("receive purged", "receive_message", QueueUrl=queue("q")),
    # FIFO
    sqs("fifo without group", "send_message", QueueUrl=queue("q.fifo"), MessageBody="m"),
    sqs("fifo delayed", "send_message", QueueUrl=queue("q.fifo"), MessageBody="m", MessageGroupId="a", DelaySeconds=5),
    sqs("fifo batch", "send_message_batch", QueueUrl=queue("q.fifo"),
        Entries=entries("a1", "a2", MessageGroupId="a")),
    sqs("fifo duplicate", "send_message", QueueUrl=queue("q.fifo"), MessageBody="a1", MessageGroupId="a"),
    sqs("fifo other group", "send_message", QueueUrl=queue("q.fifo"), MessageBody="b1", MessageGroupId="b"),
    sqs("fifo receive one", "receive_message", QueueUrl=queue("q.fifo"), AttributeNames=["All"]),
    sqs("fifo receive others", "receive_message", QueueUrl=queue("q.fifo"), **ALL),
    sqs("fifo delete", "delete_message", QueueUrl=queue("q.fifo"), ReceiptHandle=handle("fifo receive one")),
    # Dead letters
    sqs("redriven send", "send_message", QueueUrl=queue("redriven"), MessageBody="m"),
    sqs("redriven once", "receive_message", QueueUrl=queue("redriven")),
    sqs("redriven twice", "receive_message", QueueUrl=queue("redriven")),
    sqs("dead received", "receive_message", QueueUrl=queue("dead")),
    sqs("move from no dead letter queue", "start_message_move_task", SourceArn=queue_arn("q")),
    sqs("move from none", "start_message_move_task", SourceArn=queue_arn("none")),
    # Topics
    sns("create topic", "create_topic", Name="t"),
    sns("create topic again", "create_topic", Name="t"),
    sns("create topic badly named", "create_topic", Name="a b"),
    sns("create fifo topic", "create_topic", Name="t.fifo", Attributes={"FifoTopic": "true"}),
    sns("list topics", "list_topics"),
    sns("set topic attribute", "set_topic_attributes", TopicArn=topic_arn("t"), AttributeName="DisplayName",
        AttributeValue="Shown"),
    sns("no such topic", "get_topic_attributes", TopicArn=topic_arn("none")),
    sns("tag topic", "tag_resource", ResourceArn=topic_arn("t"), Tags=[{"Key": "team", "Value": "orders"}]),
    sns("tags of topic", "list_tags_for_resource", ResourceArn=topic_arn("t")),
    sqs("create raw", "create_queue", QueueName="raw"),
    sqs("create enveloped", "create_queue", QueueName="enveloped"),
    sns("subscribe raw", "subscribe", TopicArn=topic_arn("t"), Protocol="sqs", Endpoint=queue_arn("raw"),
        Attributes={"RawMessageDelivery": "true"}),
    sns("subscribe filtered", "subscribe", TopicArn=topic_arn("t"), Protocol="sqs", Endpoint=queue_arn("enveloped"),
        Attributes={"FilterPolicy": json.dumps({"kind": [{"prefix": "cart"}]})}),
    sns("subscribe to none", "subscribe", TopicArn=topic_arn("none"), Protocol="sqs", Endpoint=queue_arn("raw")),
    sns("subscribe fifo to standard", "subscribe", TopicArn=topic_arn("t"), Protocol="sqs", Endpoint=queue_arn("q.fifo")),
    sns("subscriptions", "list_subscriptions_by_topic", TopicArn=topic_arn("t")),
    sns("publish", "publish", TopicArn=topic_arn("t"), Message="a & <b> é", Subject="News",
        MessageAttributes={"kind": attribute("cart-abandoned")}),
    sns("publish unwanted", "publish", TopicArn=topic_arn("t"), Message="order",
        MessageAttributes={"kind": attribute("order")}),
    sns("publish nowhere", "publish", TopicArn=topic_arn("none"), Message="m"),
    sns("create scrap topic", "create_topic", Name="scrap"),
    sns("publish nothing", "publish", TopicArn=topic_arn("scrap"), Message=""),
    sns("publish batch", "publish_batch", TopicArn=topic_arn("t"), PublishBatchRequestEntries=[
        {"Id": "a", "Message": "batched", "MessageAttributes": {"kind": attribute("other")}}]),
    sns("publish large batch", "publish_batch", TopicArn=topic_arn("t"),
        PublishBatchRequestEntries=[{"Id": f"e{n}", "Message": "m"} for n in range(11)]),
    sqs("raw delivered", "receive_message", QueueUrl=queue("raw"), WaitTimeSeconds=2, **ALL),
    sqs("enveloped delivered", "receive_message", QueueUrl=queue("enveloped"), WaitTimeSeconds=2, **ALL),
    sns("publish to fifo without group", "publish", TopicArn=topic_arn("t.fifo"), Message="m"),
    sns("delete topic", "delete_topic", TopicArn=topic_arn("t")),
    sqs("delete queue", "delete_queue", QueueUrl=queue("raw")),
    sqs("receive from deleted", "receive_message", QueueUrl=queue("raw")),
]

EXPLAINED = {
    "create with bad attribute": ("moto", "takes any attribute; the service knows which there are"),
    "send nothing": ("moto", "takes an empty body; the service wants at least one character"),
    "send control character": ("moto", "takes any character; the service refuses what XML cannot hold"),
    "move from no dead letter queue": ("moto", "has no move tasks"),
    "move from none": ("moto", "has no move tasks"),
    "publish nothing": ("moto", "takes an empty message; the service refuses it"),
    "enveloped delivered": ("moto", "says signature version 2; a topic signs by version 1 unless told otherwise"),
    "publish to fifo without group": ("moto", "says MissingParameter; the service says InvalidParameter"),
}


def client(service, url):
    return boto3.client(
        service, endpoint_url=url, config=Config(retries={"total_max_attempts": 1}, parameter_validation=False), **OPTIONS)


def resolved(value, seen):
    if callable(value):
        return value(seen)
    if isinstance(value, dict):
        return {name: resolved(inner, seen) for name, inner in value.items()}
    if isinstance(value, list):
        return [resolved(inner, seen) for inner in value]
    return value


def plain(value, seen):
    """A value as JSON without what differs from run to run and from server to server."""
    if isinstance(value, dict):
        # A batch without failures may say so or not.
        shown = {key: inner for key, inner in sorted(value.items()) if (key, inner) != ("Failed", [])}
        return {key: plain(inner, seen) for key, inner in shown.items() if key not in VOLATILE}
    if isinstance(value, list):
        return sorted((plain(inner, seen) for inner in value), key=json.dumps)
    if isinstance(value, bytes):
        return f"bytes:{value.hex()}"
    if isinstance(value, str):
        if value.startswith("{") and '"Type"' in value:
            return plain(json.loads(value) | {"Text": json.loads(value).get("Message")}, seen)
        if value.startswith("{"):
            return plain(json.loads(value), seen)
        return value.replace(seen["account"], "ACCOUNT").replace(seen["url"], "URL")
    return value


def run(url, account):
    """What one server answers to each case: the response, or the error's codes."""
    seen, answers = {"url": url, "account": account}, {}
    clients = {service: client(service, url) for service in ("sqs", "sns")}
    for name, service, operation, parameters in CASES:
        if name.endswith("delivered"):
            # Deliveries are no part of the publishing call.
            time.sleep(0.3)
        try:
            response = getattr(clients[service], operation)(**resolved(parameters, seen))
            seen[name] = response
            answers[name] = plain(response, seen)
            if operation == "receive_message":
                for message in answers[name].get("Messages", []):
                    if isinstance(message.get("Body"), dict):
                        # The envelope holds what differs from run to run, and so does its checksum.
                        message.pop("MD5OfBody")
        except ClientError as error:
            details = error.response["Error"]
            answers[name] = {"error": details["Code"], "status": error.response["ResponseMetadata"]["HTTPStatusCode"]}
        except (KeyError, IndexError) as error:
            answers[name] = {"impossible": f"an earlier answer lacks {error}"}
    return answers


def wait_until_reachable(url):
    for _ in range(300):
        try:
            client("sqs", url).list_queues()
            return
        except EndpointConnectionError:
            time.sleep(0.1)
    raise SystemExit("a server did not come up within 30 seconds")


def main(ours_url, moto_url):
    wait_until_reachable(ours_url)
    wait_until_reachable(moto_url)
    ours, moto = run(ours_url, "000000000000"), run(moto_url, "123456789012")
    wrong, agreed = [], 0
    for name, *_ in CASES:
        shown = f"\n    ours: {json.dumps(ours[name])}\n    moto: {json.dumps(moto[name])}"
        if ours[name] == moto[name]:
            agreed += 1
            if name in EXPLAINED:
                wrong.append(f"{name}: explained, but both servers agree now: {json.dumps(ours[name])}")
        elif name in EXPLAINED:
            who, why = EXPLAINED[name]
            print(f"{name}: {who}: {why}{shown}")
        else:
            wrong.append(f"{name}: unexplained{shown}")
    wrong += [f"{name}: explained, but there is no such case" for name in sorted(set(EXPLAINED) - set(ours))]
    print(f"{len(CASES)} cases, {agreed} agreed, {len(EXPLAINED)} explained, {len(wrong)} wrong")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) != 3 or not all(re.match(r"https?://", url) for url in sys.argv[1:]):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(*sys.argv[1:]))
