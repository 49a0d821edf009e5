import json
import unittest
from types import SimpleNamespace as Record

import mapping

TIME = 1_700_000_000_000_000_000


class Mapping(unittest.TestCase):
{{#traces}}
    def test_a_span_keeps_its_json_as_it_came(self):
        written = mapping.span(Record(
            span_id="s", trace_id="t", parent_span_id=None, name='say "hi"', span_type="tool_call",
            start_time=TIME, end_time=None, input='{"n":1.0}', output=None))
        self.assertIn('"input":{"n":1.0},"output":null', written)
        self.assertEqual(json.loads(written), {
            "id": "s", "trace_id": "t", "parent_id": None, "name": 'say "hi"', "type": "tool_call",
            "start_ms": 1_700_000_000_000, "end_ms": None, "input": {"n": 1.0}, "output": None})

{{/traces}}
{{#logs}}
    def test_a_log_record(self):
        written = mapping.log(Record(log_id="l", trace_id=None, time=TIME, level="info", message="line\nfeed", data="[1]"))
        self.assertEqual(json.loads(written), {
            "id": "l", "trace_id": None, "time_ms": 1_700_000_000_000, "level": "info", "message": "line\nfeed", "data": [1]})

{{/logs}}
{{#metrics}}
    def test_a_metric_has_its_value_and_labels(self):
        written = mapping.metric(Record(
            metric_id="m", time=TIME, name="latency", value=Record(value=Record(value=1.5, instrument=2)), labels=[("model", "x")]))
        self.assertEqual(json.loads(written), {
            "id": "m", "time_ms": 1_700_000_000_000, "name": "latency", "value": 1.5, "labels": {"model": "x"}})

{{/metrics}}
{{#scores}}
    def test_a_score(self):
        written = mapping.score(Record(
            score_id="s", trace_id="t", span_id=None, scorer_id="tone", value=-0.5, reason="rude"))
        self.assertEqual(json.loads(written), {
            "id": "s", "trace_id": "t", "span_id": None, "scorer": "tone", "value": -0.5, "reason": "rude"})

{{/scores}}
{{#feedback}}
    def test_feedback_is_a_number_or_a_text(self):
        for value in (1, "good"):
            written = mapping.feedback(Record(
                feedback_id="f", trace_id=None, span_id=None, feedback_type="thumbs", value=Record(value=value), comment=None))
            self.assertEqual(json.loads(written), {
                "id": "f", "trace_id": None, "span_id": None, "type": "thumbs", "value": value, "comment": None})

{{/feedback}}

if __name__ == "__main__":
    unittest.main()
