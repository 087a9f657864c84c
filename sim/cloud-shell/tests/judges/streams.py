"""Streams, paginators, waiters and parallel writers of boto3 against our server. Usage: streams.py URL"""

import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import boto3

OPTIONS = {"region_name": "us-east-1", "aws_access_key_id": "any", "aws_secret_access_key": "any"}


def read_stream(url, arn):
    streams = boto3.client("dynamodbstreams", endpoint_url=url, **OPTIONS)
    records = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        while iterator:
            page = streams.get_records(ShardIterator=iterator, Limit=10)
            records += page["Records"]
            iterator = page.get("NextShardIterator") if page["Records"] else None
    return records


def main(url):
    resource = boto3.resource("dynamodb", endpoint_url=url, **OPTIONS)
    client = resource.meta.client
    table = resource.create_table(
        TableName="streamed", BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )
    table.wait_until_exists()
    with table.batch_writer() as batch:
        for number in range(60):
            batch.put_item(Item={"pk": f"k{number}", "n": Decimal(number) / 4})

    def increment(_):
        client.update_item(TableName="streamed", Key={"pk": "k0"}, UpdateExpression="ADD hits :one",
                           ExpressionAttributeValues={":one": 1})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(increment, range(100)))
    assert table.get_item(Key={"pk": "k0"}, ConsistentRead=True)["Item"]["hits"] == 100

    pages = list(client.get_paginator("scan").paginate(TableName="streamed", PaginationConfig={"PageSize": 7}))
    assert sum(page["Count"] for page in pages) == 60 and len(pages) == 9, len(pages)

    records = read_stream(url, table.latest_stream_arn)
    assert len(records) == 160, len(records)
    hits = [int(record["dynamodb"]["NewImage"]["hits"]["N"]) for record in records
            if record["dynamodb"]["Keys"]["pk"]["S"] == "k0" and record["eventName"] == "MODIFY"]
    assert hits == list(range(1, 101)), hits
    table.delete()
    table.wait_until_not_exists()
    print("streams and pages as expected")


if __name__ == "__main__":
    main(sys.argv[1])
