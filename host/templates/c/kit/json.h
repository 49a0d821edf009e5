// Given: writes JSON into one growing buffer, and reads text members of an object. Out of memory ends the instance; the
// host then starts another.
#ifndef JSON_H
#define JSON_H

#include "plugin.h"

typedef struct {
  plugin_string_t text;
  size_t room;
  bool after_value;
} json_t;

// Brackets: '{', '}', '[' or ']'.
void json_open(json_t *json, char bracket);
void json_close(json_t *json, char bracket);
// A member's name, plain ASCII; a value must follow.
json_t *json_key(json_t *json, const char *name);

void json_text(json_t *json, plugin_string_t value);
void json_optional_text(json_t *json, plugin_option_string_t value);
// JSON that was checked already, as it is; null when it is absent.
void json_raw(json_t *json, mastra_observability_types_option_json_t value);
void json_integer(json_t *json, uint64_t value);
void json_number(json_t *json, double value);
void json_null(json_t *json);
// A time as milliseconds since 1970; null when it is absent.
void json_milliseconds(json_t *json, bool is_some, uint64_t nanoseconds);
// A member whose name is any text.
void json_member_text(json_t *json, plugin_string_t name, plugin_string_t value);

// The text of a member of an object that the host has checked; empty when there is none. To be freed.
plugin_string_t json_get(plugin_string_t object, const char *name);

#endif
