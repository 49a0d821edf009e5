//! What the component is to do.

use std::cell::RefCell;

use serde_json::Value;

/// Bytes of the script in the file, marker included.
const SCRIPT_BYTES: usize = 64 << 10;
const MARKER: &[u8] = b"<<SECURITY-SCRIPT>>";

/// Patched by the tests: JSON behind the marker, padded with spaces.
#[used]
static SCRIPT: [u8; SCRIPT_BYTES] = {
    let mut bytes = [b' '; SCRIPT_BYTES];
    let mut at = 0;
    while at < MARKER.len() {
        bytes[at] = MARKER[at];
        at += 1;
    }
    bytes
};

thread_local! {
    static SETTINGS: RefCell<String> = const { RefCell::new(String::new()) };
    static PARSED: RefCell<Option<Value>> = const { RefCell::new(None) };
}

/// The settings that the host gave.
pub(crate) fn keep_settings(settings: String) {
    let parsed: Value = serde_json::from_str(&settings).unwrap_or_default();
    let script = parsed.get("script").and_then(Value::as_str);
    if let Some(script) = script.and_then(|text| serde_json::from_str(text).ok()) {
        PARSED.set(Some(script));
    }
    SETTINGS.set(settings);
}

/// The settings as they came.
pub(crate) fn settings() -> String {
    SETTINGS.with_borrow(Clone::clone)
}

/// The script: of the settings, else of the file.
pub(crate) fn script() -> Value {
    PARSED.with_borrow_mut(|parsed| parsed.get_or_insert_with(of_file).clone())
}

#[allow(
    unsafe_code,
    reason = "the compiler must not know what the tests patch"
)]
fn of_file() -> Value {
    // SAFETY: each byte is one of the static's.
    let read = |byte: &u8| unsafe { std::ptr::read_volatile(byte) };
    let bytes: Vec<u8> = SCRIPT.iter().skip(MARKER.len()).map(read).collect();
    serde_json::from_slice(bytes.trim_ascii()).unwrap_or_default()
}

/// What a function is to do.
pub(crate) fn act(function: &str) -> Option<Value> {
    script().get(function).cloned()
}

/// A text of an act, repeated as often as its `times` say.
pub(crate) fn text(act: &Value, key: &str) -> String {
    let text = act.get(key).and_then(Value::as_str).unwrap_or_default();
    text.repeat(usize::try_from(number(act, "times", 1)).unwrap_or(1))
}

/// A number of an act.
pub(crate) fn number(act: &Value, key: &str, default: u64) -> u64 {
    act.get(key).and_then(Value::as_u64).unwrap_or(default)
}
