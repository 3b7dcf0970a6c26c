"""What older clients of the requester API send and read, by urllib alone: few of
them run on systems of today. Each follows its client's source."""

import base64
import hashlib
import hmac
import os
import time
import urllib.error
import urllib.parse
import urllib.request
import xml.dom.minidom
import xml.sax

from answer import answer

URL, KEY, SECRET = os.environ["URL"], os.environ["KEY"], os.environ["SECRET"]
SERVICE = "AWSMechanicalTurkRequester"


class MTurkRequestError(Exception):
    def __init__(self, status, body):
        super().__init__(body)
        self.status, self.body, self.error_code, self.error_message, self.request_id = status, body, None, None, None
        try:
            tree = xml.dom.minidom.parseString(body)
        except Exception:
            return
        for name, field in ("Code", "error_code"), ("Message", "error_message"), ("RequestID", "request_id"):
            found = tree.getElementsByTagName(name)
            if found and found[0].firstChild:
                setattr(self, field, found[0].firstChild.data)


def send(url, data=None, headers={}):
    request = urllib.request.Request(url, data, headers)
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.read(), response.headers
    except urllib.error.HTTPError as e:
        return e.code, e.read(), e.headers


def hmac_sha1(secret, text):
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()


class ResultSet(xml.sax.ContentHandler):
    """boto.resultset with the markers of get_account_balance: a Price for each."""

    def __init__(self):
        self.prices, self.fields, self.price, self.text = {}, {}, None, ""

    def startElement(self, name, attrs):
        self.text = ""
        if name in ("AvailableBalance", "OnHoldBalance"):
            self.price = self.prices.setdefault(name, {"currency_code": "USD", "formatted_price": ""})

    def characters(self, content):
        self.text += content

    def endElement(self, name):
        if name in ("AvailableBalance", "OnHoldBalance"):
            self.price = None
        elif self.price is None:
            self.fields[name] = self.text
        elif name == "Amount":
            self.price["amount"] = float(self.text)
        elif name == "CurrencyCode":
            self.price["currency_code"] = self.text
        elif name == "FormattedPrice":
            self.price["formatted_price"] = self.text


def boto(version="2014-08-15", secret=SECRET, key=KEY, operation="GetAccountBalance", skew=0, more={}):
    """MTurkConnection.get_account_balance of boto 2: SignatureVersion 1, POST."""
    params = {"Operation": operation, "Version": version, "AWSAccessKeyId": key, "SignatureVersion": "1"}
    params["Timestamp"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + skew))
    params.update(more)
    mac, pairs = hmac.new(secret.encode(), digestmod=hashlib.sha1), []
    for name in sorted(params, key=str.lower):
        mac.update(name.encode())
        mac.update(params[name].encode())
        pairs.append(name + "=" + urllib.parse.quote(params[name].encode()))
    body = "&".join(pairs) + "&Signature=" + urllib.parse.quote_plus(base64.b64encode(mac.digest()).decode())
    status, reply, _ = send(URL + "/", body.encode(), {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"})
    if b"<Errors>" in reply:
        raise MTurkRequestError(status, reply.decode())
    result = ResultSet()
    xml.sax.parseString(reply, result)
    return {"is_valid": result.fields["IsValid"] == "True", "request_id": result.fields["RequestId"], **result.prices}


def get(path="/", version="2014-08-15", secret=SECRET):
    """A GET with the documented signature, as MTurkR and the PHP clients send it."""
    timestamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    query = {"Service": SERVICE, "AWSAccessKeyId": KEY, "Version": version, "Operation": "GetAccountBalance", "Timestamp": timestamp}
    query["Signature"] = hmac_sha1(secret, SERVICE + "GetAccountBalance" + timestamp)
    status, reply, _ = send(URL + path + "?" + urllib.parse.urlencode(query))
    if b"<Errors>" in reply:
        raise MTurkRequestError(status, reply.decode())
    tree = xml.dom.minidom.parseString(reply)
    return {name: tree.getElementsByTagName(name)[0].firstChild.data for name in ("IsValid", "Amount", "CurrencyCode", "FormattedPrice")}


def rturk(offset="+02:00"):
    """RTurk::Requester.request: a form to a URL that has Service already, local time with its offset."""
    hours = int(offset[:3])
    params = {"Operation": "GetAccountBalance", "Service": SERVICE, "AWSAccessKeyId": KEY, "Version": "2012-03-25"}
    params["Timestamp"] = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + hours * 3600)) + offset
    params["Signature"] = hmac_sha1(SECRET, SERVICE + params["Operation"] + params["Timestamp"])
    status, reply, _ = send(URL + "/?Service=" + SERVICE, urllib.parse.urlencode(params).encode())
    tree = xml.dom.minidom.parseString(reply)
    if tree.getElementsByTagName("IsValid")[0].firstChild.data.strip() != "True":
        raise MTurkRequestError(status, reply.decode())
    return float(tree.getElementsByTagName("AvailableBalance")[0].getElementsByTagName("Amount")[0].firstChild.data)


def soap(requests=1, version="2012-03-25", secret=SECRET, operation="GetAccountBalance", path="/?Service=" + SERVICE):
    """An envelope as Amazon's SDKs for Java and .NET send it."""
    now = time.time()
    timestamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + ".%03dZ" % (now * 1000 % 1000)
    envelope = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema">'
        '<soapenv:Body><%s xmlns="http://requester.mturk.amazonaws.com/doc/%s"><AWSAccessKeyId>%s</AWSAccessKeyId>'
        "<Timestamp>%s</Timestamp><Signature>%s</Signature>%s</%s></soapenv:Body></soapenv:Envelope>"
    ) % (operation, version, KEY, timestamp, hmac_sha1(secret, SERVICE + operation + timestamp), "<Request/>" * requests, operation)
    headers = {"Content-Type": 'text/xml; charset="utf-8"', "SOAPAction": "http://soap.amazon.com"}
    status, reply, _ = send(URL + path, envelope.encode(), headers)
    tree = xml.dom.minidom.parseString(reply)
    texts = lambda name: [e.firstChild.data for e in tree.getElementsByTagNameNS("*", name)]
    fault = tree.getElementsByTagNameNS("http://schemas.xmlsoap.org/soap/envelope/", "Fault")
    if fault:
        raise RuntimeError("%d %s: %s" % (status, texts("faultcode")[0], texts("faultstring")[0]))
    if texts("Code"):
        raise MTurkRequestError(status, reply.decode())
    space = "http://requester.mturk.amazonaws.com/doc/" + version
    results = tree.getElementsByTagNameNS(space, operation + "Result")
    return {"results": len(results), "valid": texts("IsValid"), "amounts": texts("Amount"), "prices": texts("FormattedPrice")}


answer(boto=boto, get=get, rturk=rturk, soap=soap)
