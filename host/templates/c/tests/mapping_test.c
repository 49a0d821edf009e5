#include "mapping.h"

#include <stdio.h>
#include <string.h>

#define TEXT(literal) ((plugin_string_t){.ptr = (uint8_t *)(literal), .len = sizeof(literal) - 1})
#define SOME(literal) {.is_some = true, .val = {.ptr = (uint8_t *)(literal), .len = sizeof(literal) - 1}}

#define TIME UINT64_C(1700000000000000000)
static int failed = 0;

static void check(const char *promise, const json_t *written, const char *wanted) {
  bool is_equal = written->text.len == strlen(wanted) && memcmp(written->text.ptr, wanted, written->text.len) == 0;
  printf("%s %s\n", is_equal ? "ok" : "FAILED", promise);
  if (is_equal) return;
  printf("  wanted %s\n  not    %.*s\n", wanted, (int)written->text.len, (const char *)written->text.ptr);
  failed = 1;
}

int main(void) {
{{#traces}}
  json_t span_text = {0};
  map_span(&span_text, &(mastra_observability_types_span_t){
      .span_id = TEXT("s"), .trace_id = TEXT("t"), .name = TEXT("say \"hi\""), .span_type = TEXT("tool_call"),
      .start_time = TIME, .input = SOME("{\"n\":1.0}")});
  check("a span keeps its JSON as it came", &span_text,
        "{\"id\":\"s\",\"trace_id\":\"t\",\"parent_id\":null,\"name\":\"say \\\"hi\\\"\",\"type\":\"tool_call\","
        "\"start_ms\":1700000000000,\"end_ms\":null,\"input\":{\"n\":1.0},\"output\":null}");
{{/traces}}
{{#logs}}
  json_t log_text = {0};
  map_log(&log_text, &(mastra_observability_types_log_t){
      .log_id = TEXT("l"), .time = TIME, .level = TEXT("info"), .message = TEXT("line\nfeed"), .data = SOME("[1]")});
  check("a log record", &log_text,
        "{\"id\":\"l\",\"trace_id\":null,\"time_ms\":1700000000000,\"level\":\"info\",\"message\":\"line\\u000afeed\",\"data\":[1]}");
{{/logs}}
{{#metrics}}
  plugin_tuple2_string_string_t label = {.f0 = TEXT("model"), .f1 = TEXT("x")};
  json_t metric_text = {0};
  map_metric(&metric_text, &(mastra_observability_types_metric_t){
      .metric_id = TEXT("m"), .time = TIME, .name = TEXT("latency"), .labels = {.ptr = &label, .len = 1},
      .value = {.tag = MASTRA_OBSERVABILITY_TYPES_METRIC_VALUE_SINGLE, .val.single.value = 1.5}});
  check("a metric has its value and labels", &metric_text,
        "{\"id\":\"m\",\"time_ms\":1700000000000,\"name\":\"latency\",\"value\":1.5,\"labels\":{\"model\":\"x\"}}");
{{/metrics}}
{{#scores}}
  json_t score_text = {0};
  map_score(&score_text, &(mastra_observability_types_score_t){
      .score_id = TEXT("s"), .trace_id = SOME("t"), .scorer_id = TEXT("tone"), .value = -0.1, .reason = SOME("rude")});
  check("a score", &score_text,
        "{\"id\":\"s\",\"trace_id\":\"t\",\"span_id\":null,\"scorer\":\"tone\",\"value\":-0.1,\"reason\":\"rude\"}");
{{/scores}}
{{#feedback}}
  json_t feedback_text = {0};
  map_feedback(&feedback_text, &(mastra_observability_types_feedback_item_t){
      .feedback_id = TEXT("f"), .feedback_type = TEXT("thumbs"),
      .value = {.tag = MASTRA_OBSERVABILITY_TYPES_FEEDBACK_VALUE_TEXT, .val.text = TEXT("good")}});
  check("feedback is a number or a text", &feedback_text,
        "{\"id\":\"f\",\"trace_id\":null,\"span_id\":null,\"type\":\"thumbs\",\"value\":\"good\",\"comment\":null}");
{{/feedback}}
  plugin_string_t token = json_get(TEXT("{\"a\":{\"token\":\"no\"},\"b\":\"token\",\"token\":\"y\\u00e9\\ud83d\\ude00\\\"s\"}"), "token");
  check("settings are read without their escapes", &(json_t){.text = token}, "y\xc3\xa9\xf0\x9f\x98\x80\"s");
  return failed;
}
