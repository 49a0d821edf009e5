// Given: posts a body and says what became of the batch. Most backends mean the same by a status; change it in delivery.c
// where yours does not.
#ifndef DELIVERY_H
#define DELIVERY_H

#include "json.h"

// Posts JSON text with a bearer token and frees it: the answer for a batch that is one request.
void post(plugin_string_t url, plugin_string_t token, json_t *body, mastra_observability_types_send_result_t *result);

// Asks for the origin of the URL that this setting holds.
exports_mastra_observability_lifecycle_list_host_request_t host_of_setting(const char *setting);

// Exports a signal: maps each record of a batch into a JSON array and hands that to `deliver`.
#define EXPORT_SEND(signal, record, list, map)                                                                    \
  void exports_mastra_observability_##signal##_send(mastra_observability_types_##record##_batch_t *batch,         \
                                                    mastra_observability_types_send_result_t *result) {           \
    json_t body = {0};                                                                                            \
    json_open(&body, '[');                                                                                        \
    for (size_t at = 0; at < batch->list.len; at++) map(&body, &batch->list.ptr[at]);                             \
    json_close(&body, ']');                                                                                       \
    deliver(&body, result);                                                                                       \
    mastra_observability_types_##record##_batch_free(batch);                                                      \
  }

#endif
