//! Distinguished names as text.

use std::fmt::Write as _;

use x509_parser::{
    objects::{oid_registry, oid2abbrev},
    x509::{AttributeTypeAndValue, X509Name},
};

/// The string form of RFC 4514: most specific part first, `CN=example,O=Example Inc,C=US`. What could forge a line of a log
/// or steer a terminal is escaped.
pub(crate) fn rfc4514(name: &X509Name<'_>) -> String {
    // "the output consists of the string encodings of each RelativeDistinguishedName [...], starting with the last
    // element" (section 2.1).
    let rdns: Vec<String> = name.iter().map(|rdn| rdn.iter().map(attribute).collect::<Vec<_>>().join("+")).collect();
    rdns.into_iter().rev().collect::<Vec<_>>().join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type();
    match (oid2abbrev(oid, oid_registry()), attribute.as_str()) {
        (Ok(kind), Ok(value)) => format!("{kind}={}", escaped(value)),
        (Err(_), Ok(value)) => format!("{oid}={}", escaped(value)),
        // Section 2.4: "the value is encoded as an octothorpe character [...] followed by the hexadecimal".
        (_, Err(_)) => format!("{oid}=#{}", super::certificate::lower_hex(attribute.attr_value().data)),
    }
}

/// Section 2.4: what is to be escaped, and control characters, which it allows to be.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (i, c) in value.chars().enumerate() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => text.extend(['\\', c]),
            '#' if i == 0 => text.push_str("\\#"),
            ' ' if i == 0 || i == last => text.push_str("\\ "),
            c if c.is_control() || is_format(c) => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    // Writing to a String does not fail.
                    let _ = write!(text, "\\{byte:02X}");
                }
            }
            c => text.push(c),
        }
    }
    text
}

/// Characters that turn the direction of text or are not seen.
fn is_format(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_leave_their_place() {
        let cases = [
            ("example", "example"),
            ("a, O=Amazon", "a\\, O=Amazon"),
            ("x\nWARNING all fine\x1b[31m", "x\\0AWARNING all fine\\1B[31m"),
            (" # ", "\\ #\\ "),
            ("#1", "\\#1"),
            ("b\u{fc}cher\u{202e}", "b\u{fc}cher\\E2\\80\\AE"),
        ];
        for (value, expected) in cases {
            assert_eq!(escaped(value), expected);
        }
    }
}
