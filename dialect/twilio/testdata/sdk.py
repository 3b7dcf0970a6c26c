import os

from twilio.base import values
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from answer import answer


def connect(who):
    client = Client(who["user"], who["secret"], who["account"])
    client.api.base_url = os.environ["SALDO"]
    return client


def given(value):
    return value if value else values.unset


def account_(a):
    return {"sid": a.sid, "owner": a.owner_account_sid, "name": a.friendly_name, "status": a.status, "token": a.auth_token,
            "created": a.date_created.isoformat(), "balance": a.subresource_uris["balance"]}


def record_(r):
    return {"category": r.category, "count": r.count, "usage": r.usage, "unit": r.usage_unit, "price": str(r.price),
            "priceUnit": r.price_unit, "start": str(r.start_date)[:10], "end": str(r.end_date)[:10]}


def trigger_(t):
    return {"sid": t.sid, "value": t.trigger_value, "current": t.current_value, "by": t.trigger_by, "category": t.usage_category,
            "name": t.friendly_name, "recurring": t.recurring, "url": t.callback_url, "fired": t.date_fired is not None}


def key_(k):
    return {"sid": k.sid, "name": k.friendly_name, "secret": getattr(k, "secret", None)}


LISTS = {"AllTime": "all_time", "Daily": "daily", "Monthly": "monthly", "Yearly": "yearly", "Today": "today",
         "Yesterday": "yesterday", "ThisMonth": "this_month", "LastMonth": "last_month"}


def balance(account_sid, user, secret):
    got = connect({"account": account_sid, "user": user, "secret": secret}).balance.fetch()
    return [got.balance, got.currency]


def create_account(who, name):
    return account_(connect(who).api.accounts.create(friendly_name=name))


def fetch_account(who, sid):
    return account_(connect(who).api.accounts(sid).fetch())


def update_account(who, sid, name, status):
    return account_(connect(who).api.accounts(sid).update(friendly_name=given(name), status=given(status)))


def list_accounts(who, name, status, page_size):
    return [account_(a) for a in connect(who).api.accounts.list(friendly_name=given(name), status=given(status), page_size=page_size)]


def usage(who, kind, category, page_size):
    records = connect(who).usage.records
    if kind:
        records = getattr(records, LISTS[kind])
    return [record_(r) for r in records.list(category=given(category), page_size=page_size)]


def create_trigger(who, category, by, value, recurring, url):
    return trigger_(connect(who).usage.triggers.create(usage_category=category, trigger_by=by, trigger_value=value,
                                                       callback_url=url, recurring=given(recurring), friendly_name="first"))


answer(
    balance=balance, createAccount=create_account, fetchAccount=fetch_account, updateAccount=update_account,
    listAccounts=list_accounts, usage=usage, createTrigger=create_trigger,
    createKey=lambda who, name: key_(connect(who).new_keys.create(friendly_name=name)),
    fetchKey=lambda who, sid: key_(connect(who).keys(sid).fetch()),
    updateKey=lambda who, sid, name: key_(connect(who).keys(sid).update(friendly_name=name)),
    deleteKey=lambda who, sid: connect(who).keys(sid).delete(),
    listKeys=lambda who: [key_(k) for k in connect(who).keys.list()],
    fetchTrigger=lambda who, sid: trigger_(connect(who).usage.triggers(sid).fetch()),
    updateTrigger=lambda who, sid, name: trigger_(connect(who).usage.triggers(sid).update(friendly_name=name)),
    deleteTrigger=lambda who, sid: connect(who).usage.triggers(sid).delete(),
    listTriggers=lambda who, recurring: [trigger_(t) for t in connect(who).usage.triggers.list(recurring=given(recurring))],
    validate=lambda token, url, params, signature: RequestValidator(token).validate(url, params, signature),
)
