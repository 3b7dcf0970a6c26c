"""What a requester's program calls by SOAP, with zeep and the WSDL alone."""

import base64
import decimal
import hashlib
import hmac
import os
import time

import zeep
import zeep.helpers
from answer import answer

URL, KEY, SECRET = os.environ["URL"], os.environ["KEY"], os.environ["SECRET"]
client = zeep.Client(URL + "/?WSDL")
QUESTION = '<ExternalQuestion xmlns="http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2006-07-14/ExternalQuestion.xsd"><ExternalURL>https://example.com/q?a=1&amp;b=2</ExternalURL><FrameHeight>400</FrameHeight></ExternalQuestion>'


class Refused(Exception):
    pass


def send(name, *requests):
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    mac = hmac.new(SECRET.encode(), ("AWSMechanicalTurkRequester" + name + at).encode(), hashlib.sha1)
    answer = client.service[name](AWSAccessKeyId=KEY, Timestamp=at, Signature=base64.b64encode(mac.digest()).decode(), Request=list(requests))
    answer = plain(zeep.helpers.serialize_object(answer, dict))
    if answer["OperationRequest"].get("Errors"):
        raise Refused(answer["OperationRequest"]["Errors"]["Error"][0])
    results = next(v for k, v in answer.items() if k != "OperationRequest")
    assert len(results) == len(requests), answer
    return results


def one(name, **request):
    result, = send(name, request)
    if result["Request"]["IsValid"] != "True":
        raise Refused(result["Request"]["Errors"]["Error"][0])
    return result


def plain(v):
    """A result without what is not there, and with words for numbers and times."""
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items() if x is not None and x != []}
    if isinstance(v, list):
        return [plain(x) for x in v]
    if isinstance(v, decimal.Decimal):
        return str(v)
    return v.strftime("%Y-%m-%dT%H:%M:%SZ") if hasattr(v, "strftime") else str(v)


def price(text):
    return {"Amount": decimal.Decimal(text), "CurrencyCode": "USD"}


def create(p, name):
    p = dict(p)
    if "Reward" in p:
        p["Reward"] = price(p["Reward"])
    if name == "CreateHIT":
        p["Question"] = QUESTION
    p["QualificationRequirement"] = [
        {"QualificationTypeId": q["Type"], "Comparator": q["Comparator"], "LocaleValue": [{"Country": c, "Subdivision": s} for c, s in q.get("Locales", [])]}
        for q in p.pop("Qualifications", [])
    ]
    return one(name, **p)


def listed(name, items, p):
    result = one(name, **p)
    return {"TotalNumResults": int(result["TotalNumResults"]), "PageNumber": int(result["PageNumber"]), "Items": result.get(items, [])}


def call(name, p):
    try:
        if name == "GetAccountBalance":
            b = one(name)["AvailableBalance"]
            return {"Amount": b["Amount"], "Formatted": b["FormattedPrice"]}
        if name in ("CreateHIT", "RegisterHITType"):
            return create(p, name)
        if name in ("SearchHITs", "GetReviewableHITs"):
            return listed(name, "HIT", p)
        if name == "GetAssignmentsForHIT":
            return listed(name, "Assignment", p)
        if name == "GetBonusPayments":
            return listed(name, "BonusPayment", p)
        if name == "GetAssignment":
            return one(name, **p)["Assignment"]
        if name == "GrantBonus":
            p = dict(p, BonusAmount=price(p["BonusAmount"]))
        return one(name, **p)
    except Refused as e:
        error = e.args[0]
        return {"caught": error["Code"], "message": error["Message"], "status": 200, "data": any(d["Key"] == "CurrentState" for d in error.get("Data", []))}


def batch(name, requests):
    """Many requests at once: of each whether it was done, and what was said."""
    return [[r["Request"]["IsValid"], r["Request"].get("Errors", {}).get("Error", [{}])[0].get("Code", "")] for r in send(name, *requests)]


answer(call=call, batch=batch)
