#include "json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void append(json_t *json, const void *bytes, size_t length) {
  if (json->room - json->text.len < length) {
    json->room = (json->room + length) * 2;
    json->text.ptr = realloc(json->text.ptr, json->room);
    if (json->text.ptr == NULL) abort();
  }
  memcpy(json->text.ptr + json->text.len, bytes, length);
  json->text.len += length;
}

static void append_char(json_t *json, char character) { append(json, &character, 1); }

static void begin_value(json_t *json) {
  if (json->after_value) append_char(json, ',');
  json->after_value = true;
}

static void literal(json_t *json, const char *text) {
  begin_value(json);
  append(json, text, strlen(text));
}

void json_open(json_t *json, char bracket) {
  begin_value(json);
  append_char(json, bracket);
  json->after_value = false;
}

void json_close(json_t *json, char bracket) {
  append_char(json, bracket);
  json->after_value = true;
}

json_t *json_key(json_t *json, const char *name) {
  begin_value(json);
  append_char(json, '"');
  append(json, name, strlen(name));
  append(json, "\":", 2);
  json->after_value = false;
  return json;
}

void json_text(json_t *json, plugin_string_t value) {
  static const char HEX[] = "0123456789abcdef";
  begin_value(json);
  append_char(json, '"');
  size_t done = 0;
  for (size_t at = 0; at < value.len; at++) {
    uint8_t byte = value.ptr[at];
    if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
    append(json, value.ptr + done, at - done);
    done = at + 1;
    if (byte >= 0x20) {
      append(json, (char[]){'\\', (char)byte}, 2);
    } else {
      append(json, (char[]){'\\', 'u', '0', '0', HEX[byte >> 4], HEX[byte & 15]}, 6);
    }
  }
  append(json, value.ptr + done, value.len - done);
  append_char(json, '"');
}

void json_optional_text(json_t *json, plugin_option_string_t value) {
  if (value.is_some) json_text(json, value.val);
  else json_null(json);
}

void json_raw(json_t *json, mastra_observability_types_option_json_t value) {
  if (!value.is_some) return json_null(json);
  begin_value(json);
  append(json, value.val.ptr, value.val.len);
}

void json_integer(json_t *json, uint64_t value) {
  char digits[20];
  size_t first = sizeof digits;
  do digits[--first] = (char)('0' + value % 10);
  while (value /= 10);
  begin_value(json);
  append(json, digits + first, sizeof digits - first);
}

void json_number(json_t *json, double value) {
  char digits[32];
  if (!isfinite(value)) return json_null(json);
  snprintf(digits, sizeof digits, "%.15g", value);
  if (strtod(digits, NULL) != value) snprintf(digits, sizeof digits, "%.17g", value);
  literal(json, digits);
}

void json_null(json_t *json) { literal(json, "null"); }

void json_milliseconds(json_t *json, bool is_some, uint64_t nanoseconds) {
  if (is_some) json_integer(json, nanoseconds / 1000000);
  else json_null(json);
}

void json_member_text(json_t *json, plugin_string_t name, plugin_string_t value) {
  json_text(json, name);
  append_char(json, ':');
  json->after_value = false;
  json_text(json, value);
}

// ---------------------------------------------------------------- reading

// The end of the string that begins at `at`, behind its closing quote.
static size_t string_end(plugin_string_t json, size_t at) {
  for (at++; at < json.len && json.ptr[at] != '"'; at++)
    if (json.ptr[at] == '\\') at++;
  return at + 1;
}

static uint32_t hex4(const uint8_t *digits) {
  char text[5] = {0};
  memcpy(text, digits, 4);
  return (uint32_t)strtoul(text, NULL, 16);
}

static void append_utf8(json_t *json, uint32_t code) {
  if (code < 0x80) return append_char(json, (char)code);
  int following = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  static const uint8_t FIRST[] = {0, 0xc0, 0xe0, 0xf0};
  append_char(json, (char)(FIRST[following] | code >> (6 * following)));
  while (following-- > 0) append_char(json, (char)(0x80 | (code >> (6 * following) & 0x3f)));
}

// The text of the string between `at` and `end`, quotes included, without its escapes.
static plugin_string_t unescaped(plugin_string_t json, size_t at, size_t end) {
  static const char NAMES[] = "bfnrt", MEANT[] = "\b\f\n\r\t";
  json_t text = {0};
  for (at++; at + 1 < end; at++) {
    if (json.ptr[at] != '\\') {
      append(&text, json.ptr + at, 1);
      continue;
    }
    uint8_t escape = json.ptr[++at];
    const char *name = memchr(NAMES, escape, sizeof NAMES - 1);
    if (name != NULL) {
      append_char(&text, MEANT[name - NAMES]);
    } else if (escape != 'u') {
      append(&text, &escape, 1);
    } else {
      uint32_t code = hex4(json.ptr + at + 1);
      at += 4;
      if (code >= 0xd800 && code < 0xdc00 && at + 7 < end) {
        code = 0x10000 + ((code - 0xd800) << 10) + (hex4(json.ptr + at + 3) - 0xdc00);
        at += 6;
      }
      append_utf8(&text, code);
    }
  }
  return text.text;
}

plugin_string_t json_get(plugin_string_t object, const char *name) {
  size_t depth = 0, at = 0;
  bool wanted = false;
  while (at < object.len) {
    uint8_t byte = object.ptr[at];
    if (byte == '"') {
      size_t end = string_end(object, at);
      if (wanted) return unescaped(object, at, end);
      bool is_key = depth == 1 && object.ptr[end] == ':';
      wanted = is_key && end - at == strlen(name) + 2 && memcmp(object.ptr + at + 1, name, strlen(name)) == 0;
      at = end;
      continue;
    }
    if (byte == '{' || byte == '[') depth++;
    if (byte == '}' || byte == ']') depth--;
    if (byte == ',') wanted = false;
    at++;
  }
  return (plugin_string_t){0};
}
