// Our records as the backend wants them: each function writes one JSON object.
#ifndef MAPPING_H
#define MAPPING_H

#include "json.h"

{{#traces}}
void map_span(json_t *out, const mastra_observability_types_span_t *span);
{{/traces}}
{{#logs}}
void map_log(json_t *out, const mastra_observability_types_log_t *log);
{{/logs}}
{{#metrics}}
void map_metric(json_t *out, const mastra_observability_types_metric_t *metric);
{{/metrics}}
{{#scores}}
void map_score(json_t *out, const mastra_observability_types_score_t *score);
{{/scores}}
{{#feedback}}
void map_feedback(json_t *out, const mastra_observability_types_feedback_item_t *feedback);
{{/feedback}}

#endif
