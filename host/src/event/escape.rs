//! Writes JSON strings (RFC 8259, section 7), and ids in hex. Its counterpart is [`super::json`], which reads them. Called
//! by whoever writes event JSON: `fields`, and the receiver of OTLP.

use super::blocks::plain_end;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Appends two lower-case digits for each byte.
pub(crate) fn push_hex(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 0xf] {
            let digit = DIGITS.get(usize::from(digit)).copied();
            out.push(char::from(digit.unwrap_or_default()));
        }
    }
}

/// Appends a text with its quotes. Only quotes, backslashes and control characters are escaped.
pub(crate) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    loop {
        // What ends the run is one byte long, so both halves are text.
        let (run, tail) = rest
            .split_at_checked(plain_end(rest.as_bytes(), 0))
            .unwrap_or((rest, ""));
        out.push_str(run);
        let Some(byte) = tail.bytes().next() else {
            break;
        };
        push_escape(out, byte);
        rest = tail.get(1..).unwrap_or_default();
    }
    out.push('"');
}

fn push_escape(out: &mut String, byte: u8) {
    let short = match byte {
        b'"' => "\\\"",
        b'\\' => "\\\\",
        b'\n' => "\\n",
        b'\r' => "\\r",
        b'\t' => "\\t",
        0x08 => "\\b",
        0x0c => "\\f",
        _ => "\\u00",
    };
    out.push_str(short);
    if short.len() > 2 {
        push_hex(out, &[byte]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(text: &str) -> String {
        let mut out = String::new();
        push_string(&mut out, text);
        out
    }

    #[test]
    fn every_character_is_written_as_the_general_writer_does_wherever_it_stands() {
        for character in (0..0x100).filter_map(char::from_u32) {
            for before in 0..18 {
                let text = format!("{}{character}{}", "x".repeat(before), "y".repeat(17));
                assert_eq!(written(&text), serde_json::to_string(&text).unwrap());
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_written_as_the_general_writer_does(text in any::<String>()) {
            prop_assert_eq!(written(&text), serde_json::to_string(&text).unwrap());
        }
    }
}
