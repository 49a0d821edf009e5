"""Our records as the backend wants them: JSON text. Free-form values are JSON that the host has checked; they go in as
they are."""

from json import dumps as text


def raw(value):
    return "null" if value is None else value


def ms(time):
    return "null" if time is None else time // 1_000_000
{{#traces}}


def span(span):
    return (f'{{"id":{text(span.span_id)},"trace_id":{text(span.trace_id)},"parent_id":{text(span.parent_span_id)},'
            f'"name":{text(span.name)},"type":{text(span.span_type)},"start_ms":{ms(span.start_time)},'
            f'"end_ms":{ms(span.end_time)},"input":{raw(span.input)},"output":{raw(span.output)}}}')
{{/traces}}
{{#logs}}


def log(log):
    return (f'{{"id":{text(log.log_id)},"trace_id":{text(log.trace_id)},"time_ms":{ms(log.time)},'
            f'"level":{text(log.level)},"message":{text(log.message)},"data":{raw(log.data)}}}')
{{/logs}}
{{#metrics}}


def metric(metric):
    """Points that a sender has added up (histograms and the like) come with a null."""
    point = metric.value.value
    value = point.value if hasattr(point, "instrument") else None
    return (f'{{"id":{text(metric.metric_id)},"time_ms":{ms(metric.time)},"name":{text(metric.name)},'
            f'"value":{text(value)},"labels":{text(dict(metric.labels))}}}')
{{/metrics}}
{{#scores}}


def score(score):
    return (f'{{"id":{text(score.score_id)},"trace_id":{text(score.trace_id)},"span_id":{text(score.span_id)},'
            f'"scorer":{text(score.scorer_id)},"value":{text(score.value)},"reason":{text(score.reason)}}}')
{{/scores}}
{{#feedback}}


def feedback(item):
    return (f'{{"id":{text(item.feedback_id)},"trace_id":{text(item.trace_id)},"span_id":{text(item.span_id)},'
            f'"type":{text(item.feedback_type)},"value":{text(item.value.value)},"comment":{text(item.comment)}}}')
{{/feedback}}
