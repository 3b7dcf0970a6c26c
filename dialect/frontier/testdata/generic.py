"""Debian's grpcio without generated code: messages are bytes, written and read
by hand."""

import base64
import os
import struct

import grpc

from answer import answer

channel = grpc.insecure_channel(os.environ["ADDRESS"])
balance = channel.unary_unary("/raystack.frontier.v1beta1.FrontierService/GetBillingBalance")
health = channel.unary_unary("/grpc.health.v1.Health/Check")


class RpcError(Exception):
    """grpc.RpcError, with what its users ask it for."""

    def __init__(self, e):
        super().__init__(e.details())
        self.code = e.code().name
        self.number = e.code().value[0]
        self.is_rpc_error = isinstance(e, grpc.RpcError)


def varint(b, at):
    n = shift = 0
    while True:
        n |= (b[at] & 127) << shift
        shift += 7
        at += 1
        if b[at - 1] < 128:
            return n, at


def fields(b):
    out, at = {}, 0
    while at < len(b):
        tag, at = varint(b, at)
        n, at = varint(b, at)
        if tag & 7 == 2:
            out[tag >> 3], at = b[at : at + n], at + n
        else:
            out[tag >> 3] = n
    return out


def call(method, message, metadata, timeout):
    try:
        return method(message, metadata=metadata, timeout=timeout)
    except grpc.RpcError as e:
        raise RpcError(e) from e


def read(id, client, secret, timeout=10):
    text = id.encode()
    metadata = []
    if client:
        metadata = [("authorization", "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode())]
    shown = fields(fields(call(balance, b"\x0a" + bytes([len(text)]) + text, metadata, timeout))[1])
    amount = shown.get(1, 0)
    return {"amount": str(amount - (1 << 64) if amount >> 63 else amount), "currency": shown[2].decode()}


def method(name, service="FrontierService"):
    rpc = channel.unary_unary(f"/raystack.frontier.v1beta1.{service}/{name}")
    return lambda who, *message: call(rpc, encode(*message), [("authorization", who)] if who else [], 10)


def plain(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def encode(*members):
    """A message of pairs: a field's number and its text, bytes or whole number."""
    out = b""
    for number, value in members:
        if isinstance(value, int):
            out += plain(number << 3) + plain(value & (1 << 64) - 1)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += plain(number << 3 | 2) + plain(len(value)) + value
    return out


def decode(b):
    """The fields of a message, in order."""
    at = 0
    while at < len(b):
        tag, at = varint(b, at)
        if tag & 7 == 1:
            yield tag >> 3, struct.unpack("<d", b[at : at + 8])[0]
            at += 8
        elif tag & 7 == 2:
            n, at = varint(b, at)
            yield tag >> 3, b[at : at + n]
            at += n
        else:
            n, at = varint(b, at)
            yield tag >> 3, n


def metadata_of(b):
    """A google.protobuf.Struct of texts and numbers."""
    out = {}
    for _, entry in decode(b):
        entry = dict(decode(entry))
        ((_, value),) = decode(entry[2])
        out[entry[1].decode()] = value.decode() if isinstance(value, bytes) else value
    return out


def usage(org, billing, usages, who):
    batch = [(1, org), (2, billing)]
    for u in usages:
        meta = b"".join(encode((1, encode((1, k), (2, encode((3, v)))))) for k, v in u["metadata"].items())
        batch.append((3, encode((1, u["id"]), (3, u["source"]), (4, u["description"]), (6, int(u["amount"])), (7, u["user_id"]), (20, meta))))
    return dict(decode(method("CreateBillingUsage")(who, *batch)))


def revert(org, billing, usage_id, amount, who):
    return dict(decode(method("RevertBillingUsage", "AdminService")(who, (1, org), (3, billing), (4, usage_id), (5, int(amount)))))


def transaction(b):
    t = dict(decode(b))
    text = lambda n: t.get(n, b"").decode()
    return {"id": text(1), "source": text(3), "amount": str(t.get(4, 0)), "type": text(5), "description": text(6),
            "user_id": text(7), "metadata": metadata_of(t[20])}


def transactions(org, billing, who):
    return [transaction(t) for _, t in decode(method("ListBillingTransactions")(who, (1, org), (2, billing)))]


def debited(org, billing, who):
    return str(fields(fields(method("TotalDebitedTransactions")(who, (1, org), (2, billing)))[1]).get(1, 0))


def entitled(org, amount, who):
    return bool(dict(decode(method("CheckCreditEntitlement")(who, (1, org), (2, int(amount))))).get(1, 0))


def balance_of(org, billing, who):
    return str(fields(fields(method("GetBillingBalance")(who, (1, billing)))[1]).get(1, 0))


answer(read=read, health=lambda: fields(call(health, b"", [], 10)).get(1), usage=usage, revert=revert,
       transactions=transactions, debited=debited, entitled=entitled, balance=balance_of)
