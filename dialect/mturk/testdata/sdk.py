"""Reads balances with boto3, unmodified."""

import os

import boto3
from botocore.config import Config

from answer import answer

os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
client = None


def open(endpoint, key, secret, **options):
    global client
    client = boto3.client(
        "mturk",
        endpoint_url=endpoint,
        region_name=options.get("region", "us-east-1"),
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=options.get("token"),
        config=Config(retries={"mode": options.get("mode", "standard"), "max_attempts": 1}),
    )


def reopen(endpoint, key, secret, options):
    open(endpoint, key, secret, **options)


def balance():
    return client.get_account_balance()


def caught(call):
    """What a user's except clause sees."""
    try:
        getattr(client, call)()
    except client.exceptions.RequestError as e:
        return {"caught": "RequestError", **e.response}
    except client.exceptions.ServiceFault as e:
        return {"caught": "ServiceFault", **e.response}
    except client.exceptions.ClientError as e:
        return {"caught": "ClientError", **e.response}


answer(open=open, reopen=reopen, balance=balance, caught=caught)
