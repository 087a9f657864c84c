"""Glue's Schema Registry by boto3: one body of calls against our server and moto, then what only a whole run shows, against
ours.

Usage: glue.py OURS_URL MOTO_URL
Exit codes: 0 as expected, 1 an unexplained difference or an explanation that no longer applies, 2 bad usage.
"""

import json
import re
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

VOLATILE = {"ResponseMetadata", "CreatedTime", "UpdatedTime", "SchemaVersionId"}
# Servers have accounts of their own, and each version an id that is drawn.
ACCOUNT = re.compile(r"(?<=[: ])(000000000000|123456789012)\b")
VERSION_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NO_VERSION = "00000000-0000-4000-8000-000000000000"

AVRO = json.dumps({"type": "record", "name": "Order", "fields": [{"name": "id", "type": "string"}]})
AVRO_2 = json.dumps({"type": "record", "name": "Order", "fields": [
    {"name": "id", "type": "string"}, {"name": "note", "type": ["null", "string"], "default": None}]})
PROTOBUF = 'syntax = "proto3"; message Order { string id = 1; }'


def schema(*optional, required=()):
    return json.dumps({
        "$schema": "http://json-schema.org/draft-07/schema#", "type": "object",
        "properties": {name: {"type": "string"} for name in ("id", *optional, *required)}, "required": ["id", *required],
    })


def order(**more):
    return {"SchemaId": {"RegistryName": "shop", "SchemaName": "Order"}, **more}


def new(name, definition, **more):
    return {
        "RegistryId": {"RegistryName": "shop"}, "SchemaName": name, "DataFormat": "JSON", "Compatibility": "BACKWARD",
        "SchemaDefinition": definition, **more,
    }


def metadata(key, value, **version):
    return {"MetadataKeyValue": {"MetadataKey": key, "MetadataValue": value}, **version}


ARN = "arn:aws:glue:us-east-1:{account}"
CASES = [
    ("create", "create_registry", {"RegistryName": "shop", "Description": "ours", "Tags": {"team": "orders"}}),
    ("create again", "create_registry", {"RegistryName": "shop"}),
    ("create plain", "create_registry", {"RegistryName": "plain_$#.-1"}),
    ("create badly", "create_registry", {"RegistryName": "a~b"}),
    ("create too long", "create_registry", {"RegistryName": "n" * 256}),
    ("describe too long", "create_registry", {"RegistryName": "long", "Description": "d" * 2049}),
    ("tag too much", "create_registry", {"RegistryName": "tags", "Tags": {str(number): "" for number in range(51)}}),
    ("get", "get_registry", {"RegistryId": {"RegistryName": "shop"}}),
    ("get by arn", "get_registry", {"RegistryId": {"RegistryArn": ARN + ":registry/shop"}}),
    ("get nothing", "get_registry", {"RegistryId": {"RegistryName": "nowhere"}}),
    ("get nothing by arn", "get_registry", {"RegistryId": {"RegistryArn": ARN + ":registry/nowhere"}}),
    ("get twice", "get_registry", {"RegistryId": {"RegistryName": "shop", "RegistryArn": ARN + ":registry/shop"}}),
    ("get by no arn", "get_registry", {"RegistryId": {"RegistryArn": "shop"}}),
    ("list", "list_registries", {}),
    ("new schema", "create_schema", new("Order", schema(), Description="an order")),
    ("new schema again", "create_schema", new("Order", schema())),
    ("new schema nowhere", "create_schema", new("Order", schema(), RegistryId={"RegistryName": "nowhere"})),
    ("new schema by default", "create_schema", {k: v for k, v in new("Lost", schema()).items() if k != "RegistryId"}),
    ("new schema of avro", "create_schema", new("Avro", AVRO, DataFormat="AVRO", Compatibility="NONE")),
    ("new schema of protobuf", "create_schema", new("Protobuf", PROTOBUF, DataFormat="PROTOBUF", Compatibility="NONE")),
    ("new schema of nothing", "create_schema", new("Nothing", schema(), DataFormat="XML")),
    ("new schema of no mode", "create_schema", new("Nothing", schema(), Compatibility="SOME")),
    ("new schema with tags", "create_schema", new("Tagged", schema(), Tags={"team": "orders"})),
    ("new schema badly named", "create_schema", new("a b", schema())),
    ("new schema that is none", "create_schema", new("Broken", "{")),
    ("new schema of a newer draft", "create_schema",
     new("Newer", json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema"}))),
    ("new schema too long", "create_schema", new("Long", json.dumps({"title": "t" * 170_000}))),
    ("new schema that is closed", "create_schema", new("Closed", schema(), Compatibility="DISABLED")),
    ("get schema", "get_schema", order()),
    ("get schema by arn", "get_schema", {"SchemaId": {"SchemaArn": ARN + ":schema/shop/Order"}}),
    ("get no schema", "get_schema", {"SchemaId": {"RegistryName": "shop", "SchemaName": "None"}}),
    ("get no schema by arn", "get_schema", {"SchemaId": {"SchemaArn": ARN + ":schema/shop/None"}}),
    ("get half a schema", "get_schema", {"SchemaId": {"SchemaName": "Order"}}),
    ("get a schema twice", "get_schema",
     {"SchemaId": {"SchemaArn": ARN + ":schema/shop/Order", "SchemaName": "Order", "RegistryName": "shop"}}),
    ("register", "register_schema_version", order(SchemaDefinition=schema("note"))),
    ("register again", "register_schema_version", order(SchemaDefinition=json.dumps(json.loads(schema("note")), indent=2))),
    ("register what breaks", "register_schema_version", order(SchemaDefinition=schema(required=["more"]))),
    ("register what is none", "register_schema_version", order(SchemaDefinition="{")),
    ("register avro", "register_schema_version",
     {"SchemaId": {"RegistryName": "shop", "SchemaName": "Avro"}, "SchemaDefinition": AVRO_2}),
    ("register to a closed one", "register_schema_version",
     {"SchemaId": {"RegistryName": "shop", "SchemaName": "Closed"}, "SchemaDefinition": schema("a")}),
    ("register nowhere", "register_schema_version",
     {"SchemaId": {"RegistryName": "shop", "SchemaName": "None"}, "SchemaDefinition": schema()}),
    ("version by id", "get_schema_version", {"SchemaVersionId": "{version}"}),
    ("version by number", "get_schema_version", order(SchemaVersionNumber={"VersionNumber": 1})),
    ("version of avro, the latest", "get_schema_version",
     {"SchemaId": {"RegistryName": "shop", "SchemaName": "Avro"}, "SchemaVersionNumber": {"LatestVersion": True}}),
    ("latest after a failure", "get_schema_version", order(SchemaVersionNumber={"LatestVersion": True})),
    ("no version", "get_schema_version", order(SchemaVersionNumber={"VersionNumber": 9})),
    ("no version by id", "get_schema_version", {"SchemaVersionId": NO_VERSION}),
    ("no id", "get_schema_version", {"SchemaVersionId": "x" * 36}),
    ("version twice", "get_schema_version", order(SchemaVersionId=NO_VERSION)),
    ("version of no number", "get_schema_version", order()),
    ("version of two numbers", "get_schema_version", order(SchemaVersionNumber={"LatestVersion": True, "VersionNumber": 1})),
    ("version of nothing", "get_schema_version", {}),
    ("by definition", "get_schema_by_definition", order(SchemaDefinition=schema("note"))),
    ("by another definition", "get_schema_by_definition", order(SchemaDefinition=schema("other"))),
    ("by a definition with spaces", "get_schema_by_definition",
     order(SchemaDefinition=json.dumps(json.loads(schema("note")), indent=2))),
    ("annotate", "put_schema_version_metadata", metadata("team", "orders", SchemaVersionId="{version}")),
    ("annotate again", "put_schema_version_metadata", metadata("team", "orders", SchemaVersionId="{version}")),
    ("annotate by number", "put_schema_version_metadata",
     metadata("team", "payments", **order(SchemaVersionNumber={"VersionNumber": 1}))),
    ("annotate badly", "put_schema_version_metadata", metadata("a b", "c", SchemaVersionId="{version}")),
    ("annotate too long", "put_schema_version_metadata", metadata("k" * 129, "c", SchemaVersionId="{version}")),
    ("annotate at length", "put_schema_version_metadata", metadata("key", "v" * 200, SchemaVersionId="{version}")),
    ("annotate nothing", "put_schema_version_metadata", metadata("a", "b", SchemaVersionId=NO_VERSION)),
    ("update a description", "update_schema", order(Description="another")),
    ("update without a version", "update_schema", order(Compatibility="NONE")),
    ("update", "update_schema", order(Compatibility="NONE", SchemaVersionNumber={"VersionNumber": 2})),
    ("schema after the updates", "get_schema", order()),
    ("delete schema", "delete_schema", order()),
    ("delete schema again", "delete_schema", order()),
    ("delete registry", "delete_registry", {"RegistryId": {"RegistryName": "shop"}}),
    ("delete registry again", "delete_registry", {"RegistryId": {"RegistryName": "shop"}}),
]

# Name of the case: who is nearer to the real service, and why.
EXPLAINED = {
    "get": ("ours", "moto leaves out Status, which the service's model has"),
    "get by arn": ("ours", "as for get"),
    "get nothing by arn": ("neither", "the words are not documented: moto names the ARN, ours the name in it"),
    "list": ("neither", "as for get; and moto lists by age, ours by name, which is not documented"),
    "new schema that is none": ("neither", "parsers say in words of their own what is wrong"),
    "new schema of a newer draft": ("ours", "drafts 04, 06 and 07 are what the guide lists; moto reads no schema"),
    "register what breaks": ("ours", "a version that breaks its mode ends in FAILURE; moto holds none to its mode"),
    "register what is none": ("neither", "as for new schema that is none"),
    "latest after a failure": ("ours", "a failed version leaves the latest as it was, as users of Terraform report"),
    "by a definition with spaces": ("ours", "definitions are made canonical before they are looked up, says the model"),
    "annotate at length": ("ours", "values have up to 256 characters, says the model"),
    "update without a version": ("ours", "a mode is set together with its checkpoint, says the model"),
    "schema after the updates": ("ours", "moto has no checkpoints, and counts the failed version"),
    "delete registry": ("ours", "moto leaves out Status, which the service's model has"),
}


def client(url):
    return boto3.client(
        "glue", endpoint_url=url, region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any",
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )


def plain(value):
    """A value as JSON without what differs from run to run."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in sorted(value.items()) if key not in VOLATILE}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, str):
        return VERSION_ID.sub("VERSION", ACCOUNT.sub("ACCOUNT", value))
    return value


def filled(value, account, version):
    """Fills in the account, and the version that was registered last."""
    if isinstance(value, dict):
        return {key: filled(inner, account, version) for key, inner in value.items()}
    if isinstance(value, str):
        return version if value == "{version}" else value.replace("{account}", account)
    return value


class Server:
    def __init__(self, url, account):
        self.glue, self.account, self.version = client(url), account, NO_VERSION

    def wait_until_reachable(self):
        for _ in range(300):
            try:
                return self.glue.list_registries()
            except Exception:
                time.sleep(0.1)
        raise SystemExit("a server did not come up within 30 seconds")

    def run(self, name, operation, parameters):
        try:
            answer = getattr(self.glue, operation)(**filled(parameters, self.account, self.version))
        except ClientError as error:
            return {"error": error.response["Error"]["Code"], "message": plain(error.response["Error"].get("Message", ""))}
        if name == "register":
            self.version = answer["SchemaVersionId"]
        return plain(answer)


def conformance(ours, moto):
    wrong, agreed = [], 0
    for name, operation, parameters in CASES:
        answers = [server.run(name, operation, parameters) for server in (ours, moto)]
        if answers[0] == answers[1]:
            agreed += 1
            if name in EXPLAINED:
                wrong.append(f"{name}: explained, but both servers agree now: {json.dumps(answers[0])}")
            continue
        shown = f"\n    ours: {json.dumps(answers[0])[:600]}\n    moto: {json.dumps(answers[1])[:600]}"
        if name in EXPLAINED:
            who, why = EXPLAINED[name]
            print(f"{name}: {who}: {why}{shown}")
        else:
            wrong.append(f"{name}: unexplained{shown}")
    wrong += [f"{name}: explained, but there is no such case" for name in sorted(set(EXPLAINED) - {c[0] for c in CASES})]
    print(f"{len(CASES)} cases, {agreed} agreed, {len(EXPLAINED)} explained, {len(wrong)} wrong")
    return wrong


def refused(call, code):
    try:
        answer = call()
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return
    raise AssertionError(f"{answer} instead of {code}")


def whole_run(glue):
    """What moto does not know of, as programs use it: modes, lists, deletions, differences, metadata, tags."""
    arn = glue.create_registry(RegistryName="whole")["RegistryArn"]
    of_registry, schema_id = {"RegistryName": "whole"}, {"RegistryName": "whole", "SchemaName": "Order"}
    glue.create_schema(RegistryId=of_registry, SchemaName="Order", DataFormat="JSON", Compatibility="FULL_ALL",
                       SchemaDefinition=schema())
    assert glue.check_schema_version_validity(DataFormat="AVRO", SchemaDefinition=AVRO)["Valid"]
    assert glue.check_schema_version_validity(DataFormat="AVRO", SchemaDefinition="{}")["Error"]
    statuses = [
        glue.register_schema_version(SchemaId=schema_id, SchemaDefinition=definition)["Status"]
        for definition in (schema("a"), schema(required=["b"]), schema("a", "c"))
    ]
    assert statuses == ["AVAILABLE", "FAILURE", "AVAILABLE"], statuses
    listed, token = [], {}
    while True:
        page = glue.list_schema_versions(SchemaId=schema_id, MaxResults=3, **token)
        listed += [(version["VersionNumber"], version["Status"]) for version in page["Schemas"]]
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert listed == [(1, "AVAILABLE"), (2, "AVAILABLE"), (3, "FAILURE"), (4, "AVAILABLE")], listed
    pages = glue.get_paginator("list_schemas").paginate(RegistryId=of_registry, PaginationConfig={"PageSize": 1})
    assert [item["SchemaName"] for page in pages for item in page["Schemas"]] == ["Order"]
    difference = glue.get_schema_versions_diff(
        SchemaId=schema_id, FirstSchemaVersionNumber={"VersionNumber": 2}, SecondSchemaVersionNumber={"LatestVersion": True},
        SchemaDiffType="SYNTAX_DIFF")["Diff"]
    assert json.loads(difference) == [{"op": "add", "path": "/properties/c", "value": {"type": "string"}}], difference
    refused(lambda: glue.delete_schema_versions(SchemaId=schema_id, Versions="1"), "InvalidInputException")
    errors = glue.delete_schema_versions(SchemaId=schema_id, Versions="3-5")["SchemaVersionErrors"]
    assert [error["VersionNumber"] for error in errors] == [5], errors
    latest = {"SchemaId": schema_id, "SchemaVersionNumber": {"LatestVersion": True}}
    assert glue.get_schema_version(**latest)["VersionNumber"] == 2
    for value in ("one", "two"):
        glue.put_schema_version_metadata(MetadataKeyValue={"MetadataKey": "k", "MetadataValue": value}, **latest)
    found = glue.query_schema_version_metadata(**latest)["MetadataInfoMap"]["k"]
    assert (found["MetadataValue"], found["OtherMetadataValueList"][0]["MetadataValue"]) == ("two", "one"), found
    glue.remove_schema_version_metadata(MetadataKeyValue={"MetadataKey": "k", "MetadataValue": "two"}, **latest)
    assert glue.query_schema_version_metadata(**latest)["MetadataInfoMap"]["k"]["MetadataValue"] == "one"
    glue.tag_resource(ResourceArn=arn, TagsToAdd={"a": "1", "b": "2"})
    glue.untag_resource(ResourceArn=arn, TagsToRemove=["a"])
    assert glue.get_tags(ResourceArn=arn)["Tags"] == {"b": "2"}
    glue.update_registry(RegistryId=of_registry, Description="all of it")
    assert glue.get_registry(RegistryId=of_registry)["Description"] == "all of it"
    glue.delete_registry(RegistryId=of_registry)
    refused(lambda: glue.get_registry(RegistryId=of_registry), "EntityNotFoundException")
    refused(lambda: glue.get_schema(SchemaId=schema_id), "EntityNotFoundException")
    refused(lambda: glue.get_tables(DatabaseName="any"), "UnknownOperationException")
    print("the schema registry as expected")


def main(ours_url, moto_url):
    ours, moto = Server(ours_url, "000000000000"), Server(moto_url, "123456789012")
    for server in (ours, moto):
        server.wait_until_reachable()
    wrong = conformance(ours, moto)
    for line in wrong:
        print(line, file=sys.stderr)
    whole_run(ours.glue)
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) != 3 or not all(re.match(r"https?://", url) for url in sys.argv[1:]):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(main(*sys.argv[1:]))
