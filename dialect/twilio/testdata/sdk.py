import os

from twilio.rest import Client

from answer import answer


def balance(account_sid, user, secret):
    client = Client(user, secret, account_sid)
    client.api.base_url = os.environ["SALDO"]
    got = client.balance.fetch()
    return [got.balance, got.currency]


answer(balance=balance)
