//! All defaults of the host, each with its unit and its reason. The page `docs/configuration.md` is tested against them.

use std::time::Duration;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Loopback only, because events hold prompts; 4318 is the port of OTLP/HTTP, which agents already know.
pub const ENDPOINT: &str = "127.0.0.1:4318";
/// Loopback likewise; 4317 is the port of OTLP/gRPC.
pub const GRPC_ENDPOINT: &str = "127.0.0.1:4317";
/// Bytes of one decoded request. The platform's client sends whole batches of events with prompts and outputs.
pub const MAX_REQUEST_BODY_BYTES: u64 = 64 * MIB;
/// Connections at once. Each costs a task and its buffers, not a thread; well below the usual limit of 1024 open files.
pub const MAX_CONNECTIONS: u32 = 512;
/// How long a client may leave an answer unread. Answers are small; only a page may be megabytes.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(15);
/// Age at which a connection ends with the request under way. Connecting again costs a sender milliseconds.
pub const MAX_CONNECTION_AGE: Duration = Duration::from_secs(600);

/// Where `make build` leaves the components, relative to the working directory.
pub const PLUGINS_DIRECTORY: &str = "plugins";
/// The host's own files, relative to the working directory. Its name says whose they are.
pub const STORAGE_DIRECTORY: &str = "mastra-host-data";

/// `storage.local.max_age`: a week of traces to look at.
pub const LOCAL_MAX_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
/// `storage.local.max_size`
pub const LOCAL_MAX_BYTES: u64 = 1024 * MIB;

/// `sending_queue.max_disk`
pub const QUEUE_MAX_DISK_BYTES: u64 = 2048 * MIB;
/// What a queue on disk needs for the largest request and its own reserve.
pub const LEAST_QUEUE_DISK_BYTES: u64 = 128 * MIB;
/// `sending_queue.retire_after`
pub const RETIRE_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Bytes of events that wait for any exporter. Leaves the process well under a small container's 512 MiB.
pub const QUEUE_MAX_MEMORY_BYTES: u64 = 256 * MIB;
/// `sending_queue.max_index_memory`: what is known of waiting events in memory. Some 8 to 25 bytes an event: the smallest
/// events that there are fill `max_disk` first, and the process stays below 256 MiB.
pub const QUEUE_MAX_INDEX_BYTES: u64 = 160 * MIB;
/// Room for the index of one ordinary request.
pub const LEAST_QUEUE_INDEX_BYTES: u64 = MIB;
/// `sending_queue.dead_letters.exporters.max_size`: an eighth of `max_disk`, and no more than this.
pub const EXPORTER_LETTERS_BYTES: u64 = 256 * MIB;
/// `sending_queue.dead_letters.receivers.max_size`: a 32nd of `max_disk`, and no more than this. Anybody who may send can
/// fill it, and a few examples say what is wrong.
pub const RECEIVER_LETTERS_BYTES: u64 = 64 * MIB;
/// `sending_queue.dead_letters.*.max_age`: a week to look at what went wrong.
pub const LETTERS_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long repeats of an event are recognised: longer than the platform client's retries by far.
pub const REPEAT_WINDOW: Duration = Duration::from_secs(3600);

/// `shape.span_types.max_wait`: longer than most traces take. Spans of longer ones go as they are known by then.
pub const SPAN_TYPES_MAX_WAIT: Duration = Duration::from_secs(30);
/// `shape.sampling_percentage`: nobody wants to miss a trace without having said so.
pub const SAMPLING_PERCENTAGE: f64 = 100.0;

/// `shape.max_string_bytes`: what is left must still tell something beside the mark.
pub const LEAST_STRING_BYTES: u64 = 64;

/// Events in one call. Larger batches gain little: a call costs microseconds, a request milliseconds.
pub const BATCH_MAX_ITEMS: u32 = 512;
/// Bytes of event text in one call. Below the body limits of all known backends (the lowest is about 3.5 MB).
pub const BATCH_MAX_BYTES: u64 = 3 * MIB;
/// How long the first event of a batch waits for company: people watch their traces appear.
pub const BATCH_TIMEOUT: Duration = Duration::from_secs(1);

/// First wait after a failure, before jitter.
pub const RETRY_INITIAL_INTERVAL: Duration = Duration::from_secs(1);
/// Longest wait between tries: a recovered backend gets its backlog soon after.
pub const RETRY_MAX_INTERVAL: Duration = Duration::from_secs(30);
/// How long an event is tried before it becomes a dead letter. Zero is for ever: an outage of a weekend loses nothing,
/// and the queue's bound, not the clock, decides what gives way.
pub const RETRY_MAX_ELAPSED_TIME: Duration = Duration::ZERO;

/// Instances of one component at once. Requests wait on the network most of their time.
pub const NUM_CONSUMERS: u32 = 4;
/// More instances than this gain nothing on any machine and cost memory each.
pub const MAX_NUM_CONSUMERS: u32 = 64;
/// Linear memory of one instance, bytes. A batch of 3 MiB and its encoded body fit several times, also in JavaScript.
pub const INSTANCE_MEMORY_BYTES: u64 = 128 * MIB;
/// Less than this no component starts in.
pub const LEAST_INSTANCE_MEMORY_BYTES: u64 = MIB;
/// CPU of one call: a thousand times what a mapping needs.
pub const CALL_CPU_TIME: Duration = Duration::from_secs(10);
/// Wall clock of one call, its requests included: two requests at their longest.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// `limits.output_size`: bytes of the files that an exporter appends to. As much as the local store; an output that is
/// full waits for the operator, who knows where the files go, and the queue holds the events meanwhile.
pub const OUTPUT_BYTES: u64 = 1024 * MIB;

/// One request to a backend, connection to last byte.
pub const HTTP_TIMEOUT: Duration = Duration::from_secs(30);
/// Decoded bytes of a response. Backends answer with ids and errors, not with data.
pub const MAX_RESPONSE_BODY_BYTES: u64 = 4 * MIB;

/// How long `run --input` may take before it gives up with exit code 3.
pub const INPUT_TIMEOUT: Duration = Duration::from_secs(300);

/// Smallest batch that can hold one event of ordinary size, bytes.
pub const LEAST_BATCH_BYTES: u64 = 16 * KIB;
