// Package kit is given: it posts a body and says what became of the batch. Most backends mean the same by a status;
// change ofStatus where yours does not.
package kit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	http "{{name}}-exporter/bindings/mastra_observability_http"
	types "{{name}}-exporter/bindings/mastra_observability_types"

	wit "go.bytecodealliance.org/pkg/wit/types"
)

// While the host writes a batch into memory the component may call nothing, and Go's collector reads the clock: it runs
// after each batch instead of whenever memory has grown.
func init() { debug.SetGCPercent(-1) }

// Post sends records as JSON with a bearer token: the answer for a batch that is one request.
func Post(url, token string, records any) types.SendResult {
	defer runtime.GC()
	body, err := Marshal(records)
	if err != nil {
		return result(types.MakeSendOutcomeIsolate("a record is not valid JSON"))
	}
	answer := http.Send(http.Request{
		Verb:     "POST",
		Url:      url,
		Headers:  []wit.Tuple2[string, string]{{"content-type", "application/json"}},
		Body:     body,
		Compress: wit.Some[http.Compression](http.CompressionGzip),
		Auth:     wit.Some(http.MakeAuthBearer(token)),
		Timeout:  wit.None[uint64](),
	})
	if answer.IsErr() {
		return result(ofError(answer.Err()))
	}
	response := answer.Ok()
	sent := result(ofStatus(response.Status))
	if response.RetryAfter.IsSome() {
		wait := types.NotBefore{Scope: types.DelayScopeThisSignal, Wait: response.RetryAfter.Some()}
		sent.NotBefore = wit.Some(wait)
	}
	return sent
}

// Marshal writes JSON and leaves free-form values as they came.
func Marshal(records any) ([]byte, error) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(records)
	return body.Bytes(), err
}

// Text is null when the value is absent.
func Text(value wit.Option[string]) *string {
	if value.IsNone() {
		return nil
	}
	text := value.Some()
	return &text
}

// Raw is JSON that the host has checked; null when it is absent.
func Raw(value wit.Option[string]) json.RawMessage {
	return json.RawMessage(value.SomeOr("null"))
}

// Milliseconds is a time since 1970.
func Milliseconds(time uint64) uint64 { return time / 1_000_000 }

func result(outcome types.SendOutcome) types.SendResult {
	return types.SendResult{Outcome: outcome, NotBefore: wit.None[types.NotBefore]()}
}

func ofStatus(status uint16) types.SendOutcome {
	reason := fmt.Sprintf("the backend answered with status %d", status)
	switch {
	case status >= 200 && status < 300:
		return types.MakeSendOutcomeAllItems(types.MakeItemResultDelivered())
	case status == 400 || status == 422:
		return types.MakeSendOutcomeIsolate(reason)
	case status == 401 || status == 403:
		return types.MakeSendOutcomeUnauthorized(reason)
	case status == 413:
		return types.MakeSendOutcomeTooLarge()
	case status == 408 || status == 425 || status == 429 || status >= 500:
		return types.MakeSendOutcomeAllItems(types.MakeItemResultRetry(reason))
	default:
		return types.MakeSendOutcomeAllItems(types.MakeItemResultRejected(reason))
	}
}

// No response: what was not allowed to leave waits for the operator, what did not arrive is sent again.
func ofError(failure http.HttpError) types.SendOutcome {
	retry := func(reason string) types.SendOutcome {
		return types.MakeSendOutcomeAllItems(types.MakeItemResultRetry(reason))
	}
	switch failure.Tag() {
	case http.HttpErrorInvalid:
		return types.MakeSendOutcomeUnauthorized("the request is not valid: " + failure.Invalid())
	case http.HttpErrorDenied:
		return types.MakeSendOutcomeUnauthorized("the host is not granted: " + failure.Denied())
	case http.HttpErrorResponseTooLarge:
		return types.MakeSendOutcomeAllItems(types.MakeItemResultRejected("the response is too large"))
	case http.HttpErrorUnreachable:
		return retry("no connection: " + failure.Unreachable())
	case http.HttpErrorInterrupted:
		return retry("the connection broke: " + failure.Interrupted())
	default:
		return retry("there was no response in time")
	}
}
