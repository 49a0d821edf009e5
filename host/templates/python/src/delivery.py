"""Given: posts a body and says what became of the batch. Most backends mean the same by a status; change it here where
yours does not."""

from componentize_py_types import Err
from wit_world.imports.http import (
    Auth_Bearer, Compression, HttpError_Denied, HttpError_Invalid, HttpError_ResponseTooLarge, Request, send)
from wit_world.imports.types import (
    DelayScope, ItemResult_Delivered, ItemResult_Rejected, ItemResult_Retry, NotBefore, SendOutcome_AllItems,
    SendOutcome_Isolate, SendOutcome_TooLarge, SendOutcome_Unauthorized, SendResult)


def post(url, token, body):
    """Posts JSON text with a bearer token: the answer for a batch that is one request."""
    request = Request(
        verb="POST", url=url, headers=[("content-type", "application/json")], body=body.encode(),
        compress=Compression.GZIP, auth=Auth_Bearer(token), timeout=None)
    try:
        response = send(request)
    except Err as error:
        return SendResult(_of_error(error.value), None)
    wait = response.retry_after
    not_before = None if wait is None else NotBefore(DelayScope.THIS_SIGNAL, wait)
    return SendResult(_of_status(response.status), not_before)


def _of_status(status):
    reason = f"the backend answered with status {status}"
    if 200 <= status < 300:
        return SendOutcome_AllItems(ItemResult_Delivered())
    if status in (400, 422):
        return SendOutcome_Isolate(reason)
    if status in (401, 403):
        return SendOutcome_Unauthorized(reason)
    if status == 413:
        return SendOutcome_TooLarge()
    if status in (408, 425, 429) or status >= 500:
        return SendOutcome_AllItems(ItemResult_Retry(reason))
    return SendOutcome_AllItems(ItemResult_Rejected(reason))


def _of_error(error):
    """No response: what was not allowed to leave waits for the operator, what did not arrive is sent again."""
    reason = f"{type(error).__name__}: {getattr(error, 'value', '')}"
    if isinstance(error, (HttpError_Invalid, HttpError_Denied)):
        return SendOutcome_Unauthorized(reason)
    if isinstance(error, HttpError_ResponseTooLarge):
        return SendOutcome_AllItems(ItemResult_Rejected(reason))
    return SendOutcome_AllItems(ItemResult_Retry(reason))
