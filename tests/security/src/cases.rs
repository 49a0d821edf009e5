//! The cases: what is hostile, and where.

use serde_json::{Value, json};

mod described;

use described::{descriptions, doubling, schemas};

/// How a script reaches the component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// In its settings: the file is the same for all.
    Settings,
    /// In the file.
    File,
    /// In a file that takes the place of a good one while the host runs.
    Reload,
}

/// One hostile component.
#[derive(Clone, Debug)]
pub struct Case {
    /// Says what is hostile.
    pub name: &'static str,
    /// See [`Way`].
    pub way: Way,
    /// What the guest does.
    pub script: Value,
    /// Further settings of the exporter, as YAML within braces.
    pub settings: &'static str,
    /// Whether it is one of the dozen.
    pub is_quick: bool,
}

impl Case {
    fn new(way: Way, name: &'static str, script: Value) -> Self {
        Self {
            name,
            way,
            script,
            settings: "",
            is_quick: false,
        }
    }

    const fn with(mut self, settings: &'static str) -> Self {
        self.settings = settings;
        self
    }
}

/// A line that would be a log line of its own, and what moves a terminal's cursor.
const FORGED: &str = "\u{1b}[2J\u{9b}31m\nFORGED INFO all is well\r\u{7}\u{202e}";

fn send(name: &'static str, act: Value) -> Case {
    Case::new(Way::Settings, name, json!({ "send": act }))
}

/// The names of the dozen: one of each kind.
const QUICK: [&str; 17] = [
    "start traps",
    "describe traps",
    "configure refuses with escapes",
    "schema doubles at each level",
    "send traps",
    "send spins",
    "shutdown spins",
    "logs trap and traces do not",
    "rejects all, with escapes",
    "one result too few",
    "asks with thousands of headers",
    "drops requests by the thousand",
    "prints escapes",
    "hoards pollables",
    "floods its output",
    "floods the store",
    "reload: describe spins",
];

/// All cases.
#[must_use]
pub fn all() -> Vec<Case> {
    let mut cases = [
        functions(),
        answers(),
        http(),
        imports(),
        writes(),
        descriptions(),
        schemas(),
        reloads(),
    ]
    .concat();
    for case in &mut cases {
        case.is_quick = QUICK.contains(&case.name);
    }
    cases
}

/// Every function that the host calls.
#[expect(clippy::too_many_lines, reason = "a list reads best in one piece")]
fn functions() -> Vec<Case> {
    let of = Case::new;
    let act = |what: &str| json!({ "do": what });
    let mut cases = vec![
        of(Way::File, "start traps", json!({"start": act("trap")})),
        of(Way::File, "start spins", json!({"start": act("spin")})),
        of(Way::File, "start sleeps", json!({"start": act("sleep")})),
        of(Way::File, "start leaks", json!({"start": act("leak")})),
        of(
            Way::File,
            "describe traps",
            json!({"describe": act("trap")}),
        ),
        of(
            Way::File,
            "describe spins",
            json!({"describe": act("spin")}),
        ),
        of(
            Way::File,
            "describe sleeps",
            json!({"describe": act("sleep")}),
        ),
        of(
            Way::File,
            "describe leaks",
            json!({"describe": act("leak")}),
        ),
        of(
            Way::File,
            "describe panics with escapes",
            json!({"describe": {"do": "panic", "text": FORGED}}),
        ),
        of(
            Way::File,
            "describe asks the network",
            json!({"describe": {"do": "http", "url": "http://127.0.0.1:1/"}}),
        ),
        of(
            Way::File,
            "describe writes",
            json!({"describe": {"do": "output", "text": "x\n"}}),
        ),
        of(
            Way::File,
            "describe floods its log",
            json!({"describe": {"do": "wasi-no-path", "count": 100_000}}),
        ),
        of(
            Way::Settings,
            "configure traps",
            json!({"configure": act("trap")}),
        ),
        of(
            Way::Settings,
            "configure spins",
            json!({"configure": act("spin")}),
        ),
        of(
            Way::Settings,
            "configure sleeps",
            json!({"configure": act("sleep")}),
        ),
        of(
            Way::Settings,
            "configure leaks",
            json!({"configure": act("leak")}),
        ),
        of(
            Way::Settings,
            "configure ends the process",
            json!({"configure": act("exit-well")}),
        ),
        of(
            Way::Settings,
            "configure refuses with escapes",
            json!({"configure": {"refusals": 3, "setting": FORGED, "text": FORGED}}),
        ),
        of(
            Way::Settings,
            "configure refuses at length",
            json!({"configure": {"refusals": 10_000, "setting": "x", "text": "no ", "times": 100}}),
        ),
        of(
            Way::Settings,
            "configure asks with thousands of headers",
            json!({"configure": {"do": "http", "url": "http://127.0.0.1:9/", "letters": 30_000}}),
        ),
        of(Way::Settings, "realloc traps", json!({"realloc": "trap"})),
        of(Way::Settings, "realloc spins", json!({"realloc": "spin"})),
        of(
            Way::Settings,
            "realloc points beyond the memory",
            json!({"realloc": "far"}),
        ),
        of(
            Way::Settings,
            "realloc points askew",
            json!({"realloc": "odd"}),
        ),
        of(
            Way::Settings,
            "realloc points nowhere",
            json!({"realloc": "null"}),
        ),
        send(
            "post-return traps",
            json!({"post_return": "trap", "then": "skipped", "text": "x"}),
        ),
        send(
            "post-return spins",
            json!({"post_return": "spin", "then": "skipped", "text": "x"}),
        ),
        of(
            Way::Settings,
            "records in one block without an allocator for it",
            json!({"capacity": {"bytes": 4_294_967_295_u64}}),
        ),
        of(
            Way::Settings,
            "capacity traps",
            json!({"capacity": act("trap")}),
        ),
        of(
            Way::Settings,
            "capacity spins",
            json!({"capacity": act("spin")}),
        ),
        of(
            Way::Settings,
            "logs trap and traces do not",
            json!({"logs": act("trap")}),
        ),
        of(
            Way::File,
            "flush traps",
            json!({"flush_interval": 100_000_000, "flush": act("trap")}),
        ),
        of(
            Way::File,
            "flush spins",
            json!({"flush_interval": 100_000_000, "flush": act("spin")}),
        ),
        of(
            Way::File,
            "flush acknowledges what is not held",
            json!({"flush_interval": 100_000_000, "flush": {"acknowledge": 100_000}}),
        ),
        of(
            Way::File,
            "flush without end, events held",
            json!({"flush_interval": 1, "send": {"then": "held"}, "flush": {}}),
        ),
        of(
            Way::Settings,
            "shutdown spins",
            json!({"shutdown": act("spin")}),
        ),
        of(
            Way::Settings,
            "shutdown sleeps",
            json!({"shutdown": act("sleep")}),
        ),
        of(Way::Settings, "page traps", json!({"page": act("trap")})),
        of(Way::Settings, "page spins", json!({"page": act("spin")})),
        of(
            Way::Settings,
            "page is huge",
            json!({"page": {"size": 20_000_000}}),
        ),
        of(
            Way::Settings,
            "page splits its header",
            json!({"page": {"type": "text/html\r\nset-cookie: a=b", "text": FORGED}}),
        ),
        of(
            Way::Settings,
            "page has no such status",
            json!({"page": {"status": 9999}}),
        ),
    ];
    for (name, what) in [
        ("send traps", "trap"),
        ("send spins", "spin"),
        ("send sleeps", "sleep"),
        ("send leaks", "leak"),
        ("send ends the process", "exit"),
        ("send ends the process well", "exit-well"),
        ("send ends its stack", "stack"),
    ] {
        let case = send(name, act(what));
        cases.push(case);
    }
    cases
}

/// What `send` may answer, for ever.
fn answers() -> Vec<Case> {
    vec![
        send(
            "rejects all, with escapes",
            json!({"then": "rejected", "text": FORGED}),
        ),
        send(
            "rejects each, at length",
            json!({"then": "each", "text": "because ", "times": 20_000}),
        ),
        send(
            "isolates for ever",
            json!({"then": "isolate", "text": FORGED}),
        ),
        send("too large for ever", json!({"then": "too-large"})),
        send("retries for ever", json!({"then": "retry", "text": FORGED})),
        send(
            "unauthorized for ever",
            json!({"then": "unauthorized", "text": FORGED}),
        ),
        send("holds without being stateful", json!({"then": "held"})),
        send("one result too few", json!({"then": "fewer"})),
        send("a thousand results too many", json!({"then": "more"})),
        send("five million results", json!({"then": "many"})),
        send(
            "waits for centuries",
            json!({"then": "retry", "text": "x", "wait": u64::MAX}),
        ),
        send(
            "waits for no time",
            json!({"then": "retry", "text": "x", "wait": 0}),
        ),
        send(
            "panics with escapes",
            json!({"do": "panic", "text": FORGED}),
        ),
    ]
}

fn http() -> Vec<Case> {
    let to = |more: Value| {
        let mut act = json!({"do": "http", "url": "http://127.0.0.1:9/", "then": "rejected"});
        if let (Some(act), Some(more)) = (act.as_object_mut(), more.as_object()) {
            act.extend(more.clone());
        }
        act
    };
    vec![
        send(
            "asks with thousands of headers",
            to(json!({"letters": 30_000})),
        ),
        send(
            "asks with a header that splits",
            to(json!({"headers": {"a": "b\r\nhost: evil"}})),
        ),
        send(
            "asks with a header's name that is none",
            to(json!({"headers": {"a b\n": "c"}})),
        ),
        send(
            "asks with a huge header",
            to(json!({"headers": {"a": "b".repeat(20_000)}})),
        ),
        send(
            "asks with a verb that is none",
            to(json!({"verb": "GET / HTTP/1.1\r\n"})),
        ),
        send(
            "asks for a huge address",
            to(json!({"url": "http://127.0.0.1:9/aaaaaaaaaa", "times": 1000})),
        ),
        send(
            "asks for an address that is none",
            to(json!({"url": FORGED})),
        ),
        send(
            "asks the metadata service",
            to(json!({"url": "http://169.254.169.254/latest/meta-data/"})),
        ),
        send("asks for a file", to(json!({"url": "file:///etc/passwd"}))),
        send("asks again and again", to(json!({"count": 100_000}))),
        send(
            "asks with large bodies",
            to(json!({"size": 16 << 20, "count": 20})),
        ),
        send("asks with no time", to(json!({"timeout": 0}))),
        send("asks with all the time", to(json!({"timeout": u64::MAX}))),
        send(
            "drops requests by the thousand",
            json!({"do": "wasi-hold", "count": 5_000}),
        ),
        send(
            "sends requests without a path",
            json!({"do": "wasi-no-path", "count": 50_000}),
        ),
        send(
            "sends bodies that nobody reads",
            json!({"do": "wasi-body", "count": 50, "size": 16 << 20}),
        ),
    ]
}

fn imports() -> Vec<Case> {
    vec![
        send(
            "prints escapes",
            json!({"do": "print", "text": FORGED, "count": 1_000}),
        ),
        send(
            "prints without end",
            json!({"do": "print", "text": "x", "times": 1_000, "count": 100_000}),
        ),
        send(
            "prints errors without end",
            json!({"do": "print-error", "text": "x", "times": 1_000, "count": 100_000}),
        ),
        send(
            "prints no line end",
            json!({"do": "print-error", "text": "x", "times": 4_000_000, "count": 5}),
        ),
        send(
            "draws random bytes without end",
            json!({"do": "random", "size": 1 << 20, "count": 1_000_000}),
        ),
        send(
            "draws more random bytes than it has memory",
            json!({"do": "random", "size": 1_u64 << 31}),
        ),
        send(
            "asks the clock without end",
            json!({"do": "clock", "count": u32::MAX}),
        ),
        send(
            "hoards pollables",
            json!({"do": "pollables", "count": 1_000_000}),
        ),
        send(
            "hoards handles of its own",
            json!({"do": "hoard", "count": 100_000_000}),
        ),
        send(
            "looks at its surroundings",
            json!({"do": "environment", "then": "rejected"}),
        ),
        send(
            "tells its settings",
            json!({"do": "settings", "then": "rejected"}),
        )
        .with("key: sekret-of-the-operator"),
    ]
}

fn writes() -> Vec<Case> {
    vec![
        send(
            "floods its output",
            json!({"do": "output", "size": 8 << 20, "count": 1_000}),
        ),
        send(
            "writes no whole line",
            json!({"do": "output", "text": "x", "count": 10}),
        ),
        send(
            "writes escapes to its output",
            json!({"do": "output", "text": format!("{FORGED}\n")}),
        ),
        send(
            "floods the store",
            json!({"do": "store", "size": 2 << 20, "count": 60}),
        ),
        send(
            "floods the store with small rows",
            json!({"do": "store", "size": 1, "count": 100_000}),
        ),
        send(
            "keeps a row with escapes",
            json!({"do": "store", "text": FORGED, "trace": FORGED}),
        ),
    ]
}

/// What takes the place of a good component.
fn reloads() -> Vec<Case> {
    let of = |name, script| Case::new(Way::Reload, name, script);
    vec![
        of(
            "reload: describe spins",
            json!({"describe": {"do": "spin"}}),
        ),
        of(
            "reload: describe traps",
            json!({"describe": {"do": "trap"}}),
        ),
        of("reload: start spins", json!({"start": {"do": "spin"}})),
        of(
            "reload: configure traps",
            json!({"configure": {"do": "trap"}}),
        ),
        of(
            "reload: configure spins",
            json!({"configure": {"do": "spin"}}),
        ),
        of(
            "reload: schema doubles at each level",
            json!({"schema": doubling(46)}),
        ),
        of("reload: name with escapes", json!({"name": FORGED})),
        of("reload: send traps", json!({"send": {"do": "trap"}})),
        of(
            "reload: describe floods its log",
            json!({"describe": {"do": "wasi-no-path", "count": 100_000}}),
        ),
    ]
}
