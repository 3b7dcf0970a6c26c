"""What a requester's program calls, with boto 2 itself, unmodified."""

import os
import urllib.parse

from answer import answer
from boto.mturk.connection import HIT, MTurkConnection, MTurkRequestError
from boto.mturk.price import Price
from boto.mturk.qualification import LocaleRequirement, Qualifications, Requirement
from boto.mturk.question import ExternalQuestion

address = urllib.parse.urlsplit(os.environ["URL"])
c = MTurkConnection(os.environ["KEY"], os.environ["SECRET"], is_secure=False, host=address.hostname, port=address.port)
c.num_retries = 0


def kind(p):
    """The arguments that a type of HITs has."""
    out = dict(title=p["Title"], description=p["Description"], reward=Price(float(p["Reward"])), duration=p["AssignmentDurationInSeconds"], keywords=p.get("Keywords", ""))
    if "AutoApprovalDelayInSeconds" in p:
        out["approval_delay"] = p["AutoApprovalDelayInSeconds"]
    return out


def requirements(p):
    q = Qualifications()
    for r in p.get("Qualifications", []):
        q.add(LocaleRequirement(r["Comparator"], [tuple(x) for x in r["Locales"]]) if "Locales" in r else Requirement(r["Type"], r["Comparator"]))
    return q


def register(p):
    return {"HITTypeId": c.register_hit_type(qual_req=requirements(p), **kind(p))[0].HITTypeId}


def create(p):
    how = dict(hit_type=p["HITTypeId"]) if "HITTypeId" in p else dict(qualifications=requirements(p), **kind(p))
    if "ResponseGroup" in p:
        how["response_groups"] = p["ResponseGroup"]
    result = c.create_hit(question=ExternalQuestion("https://example.com/q?a=1&b=2", 400), lifetime=p["LifetimeInSeconds"],
                          max_assignments=p.get("MaxAssignments", 1), annotation=p.get("RequesterAnnotation"), **how)
    assert result.status
    return shown(result[0])


def shown(element):
    """What boto made attributes of. A Price it takes apart."""
    return {k: v for k, v in vars(element).items() if isinstance(v, str)}


def work(p):
    found = c.get_assignments(p["HITId"], status=p.get("AssignmentStatus"), page_size=100)
    return {"TotalNumResults": int(found.TotalNumResults), "Items": [dict(shown(a), Answers=[[f.qid, f.fields] for s in a.answers for f in s]) for a in found]}


def hits(found):
    return {"TotalNumResults": int(found.TotalNumResults), "PageNumber": int(found.PageNumber), "Items": [shown(h) for h in found]}


def bonuses(p):
    found = c._process_request("GetBonusPayments", dict(p), [("BonusPayment", HIT)])
    return {"TotalNumResults": int(found.TotalNumResults), "Items": [shown(b) for b in found]}


def done(result):
    assert result.status
    return {}


calls = {
    "GetAccountBalance": lambda p: {"Amount": "%.2f" % c.get_account_balance()[0].amount, "Formatted": repr(c.get_account_balance()[0])},
    "RegisterHITType": register,
    "CreateHIT": create,
    "ExtendHIT": lambda p: done(c.extend_hit(p["HITId"], p.get("MaxAssignmentsIncrement"), p.get("ExpirationIncrementInSeconds"))),
    "ForceExpireHIT": lambda p: done(c.expire_hit(p["HITId"])),
    "DisableHIT": lambda p: done(c.disable_hit(p["HITId"])),
    "DisposeHIT": lambda p: done(c.dispose_hit(p["HITId"])),
    "ChangeHITTypeOfHIT": lambda p: done(c.change_hit_type_of_hit(p["HITId"], p["HITTypeId"])),
    "SetHITAsReviewing": lambda p: done(c.set_reviewing(p["HITId"], p.get("Revert"))),
    "GetHIT": lambda p: shown(c.get_hit(p["HITId"], p.get("ResponseGroup"))[0]),
    "SearchHITs": lambda p: hits(c.search_hits(page_size=p.get("PageSize", 10), page_number=p.get("PageNumber", 1))),
    "GetReviewableHITs": lambda p: hits(c.get_reviewable_hits(status=p.get("Status", "Reviewable"))),
    "GetAssignment": lambda p: shown(c.get_assignment(p["AssignmentId"])[0]),
    "GetAssignmentsForHIT": work,
    "ApproveAssignment": lambda p: done(c.approve_assignment(p["AssignmentId"], p.get("RequesterFeedback"))),
    "ApproveRejectedAssignment": lambda p: done(c.approve_rejected_assignment(p["AssignmentId"], p.get("RequesterFeedback"))),
    "RejectAssignment": lambda p: done(c.reject_assignment(p["AssignmentId"], p.get("RequesterFeedback"))),
    "GrantBonus": lambda p: done(c.grant_bonus(p["WorkerId"], p["AssignmentId"], Price(float(p["BonusAmount"])), p["Reason"])),
    "GetBonusPayments": bonuses,
}


def call(name, params):
    """Calls an operation; of an error it returns what an except clause sees."""
    try:
        return calls[name](params)
    except MTurkRequestError as e:
        return {"caught": e.error_code, "message": e.error_message, "status": e.status, "data": "<Key>CurrentState</Key><Value>" in e.body}


answer(call=call)
