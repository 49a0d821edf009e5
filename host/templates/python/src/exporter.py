"""Who {{name}} is, and what it does with a batch. The records of the backend are in mapping.py."""

import json

import mapping
from delivery import post
from wit_world import exports
from wit_world.exports.lifecycle import (
    BatchLimits, Description, Grouping_Ungrouped, HostRequest_FromSetting, Signals, SpanPhases)

SETTINGS = {
    "type": "object",
    "required": ["endpoint", "token"],
    "properties": {
        "endpoint": {"type": "string", "format": "uri", "description": "Where records are posted.", "x-env": ["{{upper}}_ENDPOINT"]},
        "token": {"type": "string", "description": "Access token.", "x-env": ["{{upper}}_TOKEN"], "x-secret": True},
    },
}

settings = {}


class Lifecycle(exports.Lifecycle):
    def describe(self):
        return Description(
            name="{{name}}", version="0.1.0", settings_schema=json.dumps(SETTINGS), limits=BatchLimits(512, 1 << 20),
            phases=SpanPhases.ENDED, grouping=Grouping_Ungrouped(), idempotent=Signals(0),
            flush_interval=None, hosts=[HostRequest_FromSetting("endpoint")], reads=[], prefers_otlp=Signals(0),
            extra=None)

    def configure(self, given):
        settings.update(json.loads(given))

    def flush(self):
        return []

    def shutdown(self):
        pass


def deliver(records, map_record):
    return post(settings["endpoint"], settings["token"], f"[{','.join(map(map_record, records))}]")


{{#traces}}
class Traces(exports.Traces):
    def send(self, batch):
        return deliver(batch.spans, mapping.span)


{{/traces}}
{{#logs}}
class Logs(exports.Logs):
    def send(self, batch):
        return deliver(batch.logs, mapping.log)


{{/logs}}
{{#metrics}}
class Metrics(exports.Metrics):
    def send(self, batch):
        return deliver(batch.metrics, mapping.metric)


{{/metrics}}
{{#scores}}
class Scores(exports.Scores):
    def send(self, batch):
        return deliver(batch.scores, mapping.score)


{{/scores}}
{{#feedback}}
class Feedback(exports.Feedback):
    def send(self, batch):
        return deliver(batch.feedback, mapping.feedback)
{{/feedback}}
