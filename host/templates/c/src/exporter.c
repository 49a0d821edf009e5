// Who {{name}} is, and what it does with a batch. The records of the backend are in mapping.c.
#include "delivery.h"
#include "mapping.h"

static const char SETTINGS[] =
    "{\"type\":\"object\",\"required\":[\"endpoint\",\"token\"],\"properties\":{"
    "\"endpoint\":{\"type\":\"string\",\"format\":\"uri\",\"description\":\"Where records are posted.\",\"x-env\":[\"{{upper}}_ENDPOINT\"]},"
    "\"token\":{\"type\":\"string\",\"description\":\"Access token.\",\"x-env\":[\"{{upper}}_TOKEN\"],\"x-secret\":true}}}";

static plugin_string_t endpoint, token;

static void deliver(json_t *body, mastra_observability_types_send_result_t *result) { post(endpoint, token, body, result); }

void exports_mastra_observability_lifecycle_describe(exports_mastra_observability_lifecycle_description_t *ret) {
  *ret = (exports_mastra_observability_lifecycle_description_t){
      .limits = {.max_items = 512, .max_bytes = 1 << 20},
      .phases = EXPORTS_MASTRA_OBSERVABILITY_LIFECYCLE_SPAN_PHASES_ENDED,
      .hosts = host_of_setting("endpoint"),
  };
  plugin_string_dup(&ret->name, "{{name}}");
  plugin_string_dup(&ret->version, "0.1.0");
  plugin_string_dup(&ret->settings_schema, SETTINGS);
}

bool exports_mastra_observability_lifecycle_configure(exports_mastra_observability_lifecycle_json_t *settings,
                                                      exports_mastra_observability_lifecycle_list_setting_error_t *err) {
  (void)err;
  plugin_string_free(&endpoint);
  plugin_string_free(&token);
  endpoint = json_get(*settings, "endpoint");
  token = json_get(*settings, "token");
  plugin_string_free(settings);
  return true;
}

void exports_mastra_observability_lifecycle_flush(exports_mastra_observability_lifecycle_list_acknowledgement_t *ret) {
  ret->len = 0;
}

void exports_mastra_observability_lifecycle_shutdown(void) {}

// Each: the signal, its record, the list in its batch, the function that maps one record.
{{#traces}}
EXPORT_SEND(traces, span, spans, map_span)
{{/traces}}
{{#logs}}
EXPORT_SEND(logs, log, logs, map_log)
{{/logs}}
{{#metrics}}
EXPORT_SEND(metrics, metric, metrics, map_metric)
{{/metrics}}
{{#scores}}
EXPORT_SEND(scores, score, scores, map_score)
{{/scores}}
{{#feedback}}
EXPORT_SEND(feedback, feedback, feedback, map_feedback)
{{/feedback}}
