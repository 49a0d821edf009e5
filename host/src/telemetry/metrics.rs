//! Every metric of the host: name, type and meaning; labels in brackets. Names follow the OpenTelemetry Collector.

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricType {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Distribution.
    Histogram,
}

/// Name, type and meaning of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// As it is exposed.
    pub name: &'static str,
    /// What it is.
    pub kind: MetricType,
    /// One sentence.
    pub help: &'static str,
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric {
        name,
        kind: MetricType::Counter,
        help,
    }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric {
        name,
        kind: MetricType::Gauge,
        help,
    }
}

/// `{version}`
pub const BUILD_INFO: Metric = gauge(
    "mastra_host_build_info",
    "Always 1; the labels say which build runs.",
);
/// No labels.
pub const START_TIME: Metric = gauge(
    "mastra_host_start_time_seconds",
    "When the process started, in seconds since 1970.",
);
/// `{receiver}`
pub const RECEIVER_REQUESTS: Metric = counter(
    "mastra_host_receiver_requests_total",
    "Requests to the receiver.",
);
/// `{receiver}`
pub const RECEIVER_REFUSED_REQUESTS: Metric = counter(
    "mastra_host_receiver_refused_requests_total",
    "Requests answered with another status than 200.",
);
/// `{receiver}`
pub const RECEIVER_BYTES: Metric = counter(
    "mastra_host_receiver_received_bytes_total",
    "Bytes of request bodies, decompressed.",
);
/// `{receiver}`
pub const RECEIVER_ACCEPTED: Metric = counter(
    "mastra_host_receiver_accepted_items_total",
    "Events taken into the queue.",
);
/// `{receiver}`
pub const RECEIVER_REFUSED: Metric = counter(
    "mastra_host_receiver_refused_items_total",
    "Events that could not be read, kept as the receiver's dead letters.",
);
/// `{receiver}`
pub const RECEIVER_REPEATED: Metric = counter(
    "mastra_host_receiver_repeated_items_total",
    "Events that were here before and were dropped as repeats.",
);
/// `{receiver,signal}`
pub const RECEIVER_DROPPED_UPSTREAM: Metric = counter(
    "mastra_host_receiver_dropped_upstream_items_total",
    "Events that senders say they dropped before they got here.",
);
/// No labels.
pub const QUEUE_BYTES: Metric = gauge("mastra_host_queue_bytes", "Bytes of events in the queue.");
/// No labels.
pub const QUEUE_CAPACITY: Metric = gauge(
    "mastra_host_queue_capacity_bytes",
    "Bytes of events that the queue can hold.",
);
/// No labels.
pub const QUEUE_INDEX_BYTES: Metric = gauge(
    "mastra_host_queue_index_bytes",
    "Bytes of memory that the index of the queue takes.",
);
/// No labels.
pub const QUEUE_INDEX_CAPACITY: Metric = gauge(
    "mastra_host_queue_index_capacity_bytes",
    "Bytes of memory that the index of the queue may take.",
);
/// `{origin}`
pub const DEAD_LETTERS: Metric = gauge(
    "mastra_host_dead_letters",
    "Dead letters that are kept, by who gave them up.",
);
/// `{origin}`
pub const DEAD_LETTER_BYTES: Metric = gauge(
    "mastra_host_dead_letter_bytes",
    "Bytes of the dead letters that are kept.",
);
/// `{origin}`
pub const DEAD_LETTER_CAPACITY: Metric = gauge(
    "mastra_host_dead_letter_capacity_bytes",
    "Bytes of dead letters that may be kept.",
);
/// `{origin,reason}`
pub const DEAD_LETTERS_DROPPED: Metric = counter(
    "mastra_host_dead_letters_dropped_total",
    "Dead letters that are no longer kept, by reason, since the host started.",
);
/// `{exporter}`
pub const OUTPUT_BYTES: Metric = gauge(
    "mastra_host_exporter_output_bytes",
    "Bytes of the files that the exporter appends to, after its last append.",
);
/// `{exporter}`
pub const OUTPUT_CAPACITY: Metric = gauge(
    "mastra_host_exporter_output_capacity_bytes",
    "Bytes that the exporter's files may have.",
);
/// `{exporter}`
pub const OUTPUT_REFUSED: Metric = counter(
    "mastra_host_exporter_output_refused_total",
    "Appends refused because the output or its file system was full.",
);
/// `{exporter,signal}`
pub const EXPORTER_RECEIVED: Metric = counter(
    "mastra_host_exporter_received_items_total",
    "Events that reached the exporter.",
);
/// `{exporter,signal}`
pub const EXPORTER_DELIVERED: Metric = counter(
    "mastra_host_exporter_delivered_items_total",
    "Events that the backend has.",
);
/// `{exporter,signal}`
pub const EXPORTER_FILTERED: Metric = counter(
    "mastra_host_exporter_filtered_items_total",
    "Events that were not wanted or that the backend has no place for.",
);
/// `{exporter,signal}`
pub const EXPORTER_DEAD_LETTERED: Metric = counter(
    "mastra_host_exporter_dead_lettered_items_total",
    "Events given up and kept as dead letters.",
);
/// `{exporter,signal,reason}`
pub const EXPORTER_DROPPED: Metric = counter(
    "mastra_host_exporter_dropped_items_total",
    "Events lost, by reason.",
);
/// `{exporter,signal}`
pub const EXPORTER_QUEUED: Metric = gauge(
    "mastra_host_exporter_queued_items",
    "Events that wait, are held or are in flight.",
);
/// `{exporter}`
pub const EXPORTER_LAG_BYTES: Metric = gauge(
    "mastra_host_exporter_lag_bytes",
    "Bytes of events that the exporter has not finished with.",
);
/// `{exporter}`
pub const EXPORTER_HELD: Metric = gauge(
    "mastra_host_exporter_held_items",
    "Events that a stateful component holds.",
);
/// `{exporter}`
pub const EXPORTER_CALL_LIMIT: Metric = gauge(
    "mastra_host_exporter_call_limit",
    "Calls that may be under way at once, as far as the backend keeps up.",
);
/// `{exporter}`
pub const EXPORTER_CALLS: Metric = counter(
    "mastra_host_exporter_calls_total",
    "Calls of the component that ended.",
);
/// `{exporter}`
pub const EXPORTER_FRUITLESS_CALLS: Metric = counter(
    "mastra_host_exporter_fruitless_calls_total",
    "Calls after which no event was settled.",
);
/// `{exporter}`
pub const EXPORTER_RESENT: Metric = counter(
    "mastra_host_exporter_resent_items_total",
    "Events that were sent again.",
);
/// `{exporter}`
pub const EXPORTER_UNKNOWN_OUTCOMES: Metric = counter(
    "mastra_host_exporter_unknown_outcomes_total",
    "Calls of which nobody can say what the backend stored.",
);
/// `{exporter}`
pub const EXPORTER_FAULTS: Metric = counter(
    "mastra_host_exporter_faults_total",
    "Traps, overruns and broken contracts of the component.",
);
/// `{exporter}`
pub const EXPORTER_SPLITS: Metric = counter(
    "mastra_host_exporter_batch_splits_total",
    "Batches split because they were too large or held a bad event.",
);
/// `{result}`
pub const RELOADS: Metric = counter(
    "mastra_host_reloads_total",
    "Changes of the config file, of components and of the approval lock that were looked at.",
);
/// No labels.
pub const LAST_RELOAD_SUCCESSFUL: Metric = gauge(
    "mastra_host_last_reload_successful",
    "1 when all that the files say now is in effect, else 0.",
);
/// `{exporter, reason}`
pub const EXPORTER_SHAPE_FILTERED: Metric = counter(
    "mastra_host_exporter_shape_filtered_items_total",
    "Events filtered by the exporter's shape, since the exporter was started; they are among the filtered ones.",
);
/// `{exporter, action}`
pub const EXPORTER_SHAPED: Metric = counter(
    "mastra_host_exporter_shaped_items_total",
    "Events sent with something changed by the exporter's shape, since the exporter was started.",
);
/// `{exporter}`
pub const EXPORTER_CALL_DURATION: Metric = Metric {
    name: "mastra_host_exporter_call_duration_seconds",
    kind: MetricType::Histogram,
    help: "Wall clock of one call of the component, its requests included.",
};
/// `{exporter,state}`
pub const EXPORTER_STATE: Metric = gauge(
    "mastra_host_exporter_state",
    "1 for the state that the exporter is in.",
);

/// All, in the order in which they are exposed.
pub const ALL: [Metric; 41] = [
    BUILD_INFO,
    START_TIME,
    RELOADS,
    LAST_RELOAD_SUCCESSFUL,
    RECEIVER_REQUESTS,
    RECEIVER_REFUSED_REQUESTS,
    RECEIVER_BYTES,
    RECEIVER_ACCEPTED,
    RECEIVER_REFUSED,
    RECEIVER_REPEATED,
    RECEIVER_DROPPED_UPSTREAM,
    QUEUE_BYTES,
    QUEUE_CAPACITY,
    QUEUE_INDEX_BYTES,
    QUEUE_INDEX_CAPACITY,
    DEAD_LETTERS,
    DEAD_LETTER_BYTES,
    DEAD_LETTER_CAPACITY,
    DEAD_LETTERS_DROPPED,
    EXPORTER_RECEIVED,
    EXPORTER_DELIVERED,
    EXPORTER_FILTERED,
    EXPORTER_DEAD_LETTERED,
    EXPORTER_DROPPED,
    EXPORTER_QUEUED,
    EXPORTER_LAG_BYTES,
    EXPORTER_HELD,
    EXPORTER_CALL_LIMIT,
    EXPORTER_CALLS,
    EXPORTER_FRUITLESS_CALLS,
    EXPORTER_RESENT,
    EXPORTER_UNKNOWN_OUTCOMES,
    EXPORTER_FAULTS,
    EXPORTER_SPLITS,
    EXPORTER_SHAPE_FILTERED,
    EXPORTER_SHAPED,
    OUTPUT_BYTES,
    OUTPUT_CAPACITY,
    OUTPUT_REFUSED,
    EXPORTER_CALL_DURATION,
    EXPORTER_STATE,
];
