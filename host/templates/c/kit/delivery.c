#include "delivery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef mastra_observability_types_send_outcome_t outcome_t;

static outcome_t all_items(uint8_t fate, const char *reason) {
  outcome_t outcome = {.tag = MASTRA_OBSERVABILITY_TYPES_SEND_OUTCOME_ALL_ITEMS, .val.all_items.tag = fate};
  if (reason != NULL) plugin_string_dup(&outcome.val.all_items.val.retry, reason);
  return outcome;
}

static outcome_t whole_batch(uint8_t tag, const char *reason) {
  outcome_t outcome = {.tag = tag};
  plugin_string_dup(&outcome.val.isolate, reason);
  return outcome;
}

static outcome_t of_status(unsigned status) {
  char reason[64];
  snprintf(reason, sizeof reason, "the backend answered with status %u", status);
  if (status >= 200 && status < 300) return all_items(MASTRA_OBSERVABILITY_TYPES_ITEM_RESULT_DELIVERED, NULL);
  if (status == 400 || status == 422) return whole_batch(MASTRA_OBSERVABILITY_TYPES_SEND_OUTCOME_ISOLATE, reason);
  if (status == 401 || status == 403) return whole_batch(MASTRA_OBSERVABILITY_TYPES_SEND_OUTCOME_UNAUTHORIZED, reason);
  if (status == 413) return (outcome_t){.tag = MASTRA_OBSERVABILITY_TYPES_SEND_OUTCOME_TOO_LARGE};
  if (status == 408 || status == 425 || status == 429 || status >= 500)
    return all_items(MASTRA_OBSERVABILITY_TYPES_ITEM_RESULT_RETRY, reason);
  return all_items(MASTRA_OBSERVABILITY_TYPES_ITEM_RESULT_REJECTED, reason);
}

// No response: what was not allowed to leave waits for the operator, what did not arrive is sent again. Takes over the
// text, which says why.
static outcome_t of_error(const mastra_observability_http_http_error_t *error) {
  outcome_t outcome = {.tag = MASTRA_OBSERVABILITY_TYPES_SEND_OUTCOME_UNAUTHORIZED};
  switch (error->tag) {
    case MASTRA_OBSERVABILITY_HTTP_HTTP_ERROR_INVALID:
      outcome.val.unauthorized = error->val.invalid;
      return outcome;
    case MASTRA_OBSERVABILITY_HTTP_HTTP_ERROR_DENIED:
      outcome.val.unauthorized = error->val.denied;
      return outcome;
    case MASTRA_OBSERVABILITY_HTTP_HTTP_ERROR_RESPONSE_TOO_LARGE:
      return all_items(MASTRA_OBSERVABILITY_TYPES_ITEM_RESULT_REJECTED, "the response is too large");
    case MASTRA_OBSERVABILITY_HTTP_HTTP_ERROR_TIMED_OUT:
      return all_items(MASTRA_OBSERVABILITY_TYPES_ITEM_RESULT_RETRY, "there was no response in time");
    default:  // no connection, or it broke
      outcome = all_items(MASTRA_OBSERVABILITY_TYPES_ITEM_RESULT_RETRY, NULL);
      outcome.val.all_items.val.retry = error->val.unreachable;
      return outcome;
  }
}

void post(plugin_string_t url, plugin_string_t token, json_t *body, mastra_observability_types_send_result_t *result) {
  plugin_tuple2_string_string_t content_type;
  plugin_string_set(&content_type.f0, "content-type");
  plugin_string_set(&content_type.f1, "application/json");
  mastra_observability_http_request_t request = {
    .url = url,
    .headers = {.ptr = &content_type, .len = 1},
    .body = {.ptr = body->text.ptr, .len = body->text.len},
    .compress = {.is_some = true, .val = MASTRA_OBSERVABILITY_HTTP_COMPRESSION_GZIP},
    .auth = {.is_some = true, .val = {.tag = MASTRA_OBSERVABILITY_HTTP_AUTH_BEARER, .val.bearer = token}},
  };
  plugin_string_set(&request.verb, "POST");
  mastra_observability_http_response_t response;
  mastra_observability_http_http_error_t error;
  memset(result, 0, sizeof *result);
  if (mastra_observability_http_send(&request, &response, &error)) {
    result->outcome = of_status(response.status);
    if (response.retry_after.is_some) {
      result->not_before.is_some = true;
      result->not_before.val.scope = MASTRA_OBSERVABILITY_TYPES_DELAY_SCOPE_THIS_SIGNAL;
      result->not_before.val.wait = response.retry_after.val;
    }
    mastra_observability_http_response_free(&response);
  } else {
    result->outcome = of_error(&error);
  }
  free(body->text.ptr);
}

exports_mastra_observability_lifecycle_list_host_request_t host_of_setting(const char *setting) {
  exports_mastra_observability_lifecycle_list_host_request_t hosts = {.ptr = calloc(1, sizeof *hosts.ptr), .len = 1};
  if (hosts.ptr == NULL) abort();
  hosts.ptr->tag = EXPORTS_MASTRA_OBSERVABILITY_LIFECYCLE_HOST_REQUEST_FROM_SETTING;
  plugin_string_dup(&hosts.ptr->val.from_setting, setting);
  return hosts;
}
