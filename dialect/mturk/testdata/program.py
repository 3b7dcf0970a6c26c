"""What a requester's program calls, with boto3, unmodified."""

import os

import boto3
from botocore.config import Config

from answer import answer

os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
client = None


def open(endpoint, key, secret):
    global client
    client = boto3.client(
        "mturk",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"mode": "standard", "max_attempts": 3}),
    )


def call(name, params):
    """Calls an operation; of an error it returns what an except clause sees."""
    name = name.replace("HIT", "Hit")
    name = "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")
    try:
        out = getattr(client, name)(**params)
    except client.exceptions.RequestError as e:
        return {"caught": "RequestError", "code": e.response.get("TurkErrorCode", ""), "message": e.response["Error"]["Message"]}
    except client.exceptions.ClientError as e:
        return {"caught": e.response["Error"]["Code"], "message": e.response["Error"]["Message"]}
    out.pop("ResponseMetadata")
    return plain(out)


def plain(v):
    """Times as seconds."""
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    if isinstance(v, list):
        return [plain(x) for x in v]
    return v.timestamp() if hasattr(v, "timestamp") else v


answer(open=open, call=call)
