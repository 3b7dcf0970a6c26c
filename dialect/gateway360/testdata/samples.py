"""The calls of the manual's Python sample, and the same with requests."""

import http.client
import os
from urllib.parse import urlsplit

import requests

from answer import answer

URL = os.environ["URL"]


def manual(path, payload):
    """As the manual prints it, but that the server of a test has no TLS."""
    conn = http.client.HTTPConnection(urlsplit(URL).netloc)

    headers = {
        'content-type': "application/json",
        'accept': "application/json"
    }

    conn.request("POST", path, payload, headers)

    res = conn.getresponse()
    data = res.read()
    return {"status": res.status, "type": res.getheader("content-type"), "body": data.decode("utf-8")}


def by_requests(path, body):
    """What people write: requests makes the JSON, and the error of a status."""
    r = requests.post(URL + path, json=body, headers={"Accept": "application/json"}, timeout=10)
    r.raise_for_status()
    answer = r.json()
    if answer["status"] != "ok":
        raise RuntimeError(answer["error_id"])
    return answer["result"]


def get_with_body(path, body):
    """A public client asks for a sub-account's balance so."""
    return requests.get(URL + path, json=body, timeout=10).json()


def refused(path, body, headers):
    r = requests.post(URL + path, data=body, headers=headers, timeout=10)
    return {"status": r.status_code, "body": r.json()}


answer(manual=manual, by_requests=by_requests, get_with_body=get_with_body, refused=refused)
