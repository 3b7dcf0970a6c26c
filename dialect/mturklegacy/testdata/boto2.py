"""boto 2 itself: Debian 12 has it as python3-boto."""

import os
import urllib.parse

from answer import answer
from boto.mturk.connection import MTurkConnection


def connect(key=None, secret=None, version="2014-08-15", url=os.environ["URL"]):
    address = urllib.parse.urlsplit(url)
    c = MTurkConnection(key or os.environ["KEY"], secret or os.environ["SECRET"], is_secure=False, host=address.hostname, port=address.port)
    c.num_retries, c.APIVersion = 0, version
    return c


def balance(**how):
    result = connect(**how).get_account_balance()
    return {"status": result.status, "request_id": result.RequestId, "prices": [[p.amount, p.currency_code, repr(p)] for p in result]}


def help(**how):
    return connect(**how).get_help("GetHIT")


answer(balance=lambda how=None: balance(**(how or {})), help=lambda how=None: help(**(how or {})))
